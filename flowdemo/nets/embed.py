"""Embeddings of the scalars and labels that condition a network."""

import math
from functools import partial

import torch
from torch import Tensor, nn

# The inputs that a network may have and its start have not: they are embedded as zero at first.
NEW_INPUTS = ("conditioning.interval.", "conditioning.end.", "conditioning.guidance.")


class ScalarEmbedding(nn.Module):
    """A scalar (batch,) to a vector (batch, dim): cosines and sines, then two linear layers.

    The highest frequency is `max_frequency` radians a unit. With the thousandfold one of diffusion
    models d/dt of the network, which MeanFlow learns from, would be dominated by the embedding itself.
    """

    def __init__(self, dim: int, max_frequency: float = 10.0, frequencies: int = 32):
        super().__init__()
        low, high = math.log(0.25), math.log(max_frequency)
        # On the CPU even where a network is only planned, for the same reason as in `Labels`.
        omega = torch.exp(torch.linspace(low, high, frequencies, device="cpu"))
        self.register_buffer("omega", omega, persistent=False)
        self.mlp = nn.Sequential(nn.Linear(2 * frequencies, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, scalar: Tensor) -> Tensor:
        angle = scalar[:, None] * self.omega
        return self.mlp(torch.cat([angle.cos(), angle.sin()], dim=1))


class Labels(nn.Embedding):
    """An embedding that draws no weights where it is only planned: on "meta" that takes a second."""

    def reset_parameters(self) -> None:
        if not self.weight.is_meta:
            super().reset_parameters()


class Conditioning(nn.Module):
    """The sum of the embeddings of the times, the label and the guidance weight: (batch, dim).

    Which of them exist is the network's configuration. `time_inputs` says which of t, s and h = s - t
    a network with `end_time` is told (arXiv:2505.13447, table 1c); one without is told t. The empty
    label is `num_classes`. The weight w enters as 1 - 1/w, which is 0 without guidance and bounded
    (arXiv:2512.02012). What stands in `NEW_INPUTS` starts at zero, so a network that gains these
    inputs starts as the network it was; but h alone does not, as nothing else tells the time.
    """

    def __init__(
        self,
        dim: int,
        num_classes: int,
        end_time: bool = False,
        guidance: bool = False,
        time_inputs: str = "t,h",
        max_frequency: float = 10.0,
    ):
        super().__init__()
        told = set(time_inputs.split(",")) if end_time else {"t"}
        scalar = partial(ScalarEmbedding, dim, max_frequency)
        self.num_classes = num_classes
        self.time = scalar() if "t" in told else None
        self.label = Labels(num_classes + 1, dim) if num_classes else None
        self.interval = scalar() if "h" in told else None
        if self.interval and self.time:
            zero_last(self.interval)
        self.guidance = zero_last(scalar()) if guidance else None
        self.end = zero_last(scalar()) if "s" in told else None

    def forward(
        self,
        t: Tensor,
        s: Tensor | None = None,
        label: Tensor | None = None,
        guidance: Tensor | None = None,
    ) -> Tensor:
        empty = t.new_full(t.shape, self.num_classes, dtype=torch.long)
        s = t if s is None else s
        w = torch.ones_like(t) if guidance is None else guidance
        inputs = (
            (self.time, t),
            (self.label, empty if label is None else label),
            (self.interval, s - t),
            (self.guidance, 1 - 1 / w),
            (self.end, s),
        )
        return sum(embed(value) for embed, value in inputs if embed is not None)


def zero_last(embedding: ScalarEmbedding) -> ScalarEmbedding:
    """The same embedding with its last layer at zero."""
    nn.init.zeros_(embedding.mlp[-1].weight)
    nn.init.zeros_(embedding.mlp[-1].bias)
    return embedding
