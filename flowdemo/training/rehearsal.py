"""The loss of fine-tuning: new pictures, and rehearsal of the old classes."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import torch
from torch import Generator, Tensor, nn

from flowdemo.core.couplings import Batch
from flowdemo.data.augment import augment
from flowdemo.evaluation.classifier import judge
from flowdemo.methods import AVERAGE, Loss
from flowdemo.methods.losses import Terms, adaptive, squared_error
from flowdemo.model import Model
from flowdemo.sampling.run import sample

REHEARSED, CHECKED = 40, 30  # samples a class: to rehearse, to measure accuracy
SEED = 31_000_000  # of their noise
MOST = 1000  # samples of all classes together
FEW = 4  # Euler steps a sample
DROPPED = 0.1  # share of the rehearsed rows that lose their label


@dataclass(frozen=True)
class TuningLoss:
    """Draws batches, half new pictures and half samples of old classes, and is their loss.

    New rows have the loss of the method. Old rows distil `origin`: the network must give the output of
    `origin` at the same x_t, times and weight. No old data is needed, only samples of `origin`.
    `pictures` (n, c, h, w) are uint8 or in [0, 1]; `x_old` (m, ...) is normalised.
    """

    origin: Model
    loss: Loss
    pictures: Tensor
    labels: Tensor
    x_old: Tensor
    labels_old: Tensor
    empty: int
    batch_size: int
    strength: float = 1.0

    @property
    def new(self) -> int:
        """The number of new rows in a batch."""
        return self.batch_size // 2

    def draw(self, generator: Generator) -> Batch:
        """New rows, each augmented anew, and then old rows."""
        rows = torch.randint(len(self.pictures), (self.new,), generator=generator)
        pixels = self.pictures[rows]
        pixels = pixels if pixels.is_floating_point() else pixels.float() / 255
        x_new = self.origin.normalise(augment(pixels, generator, self.strength))
        n_old = self.batch_size - self.new
        old = torch.randint(len(self.x_old), (n_old,), generator=generator)
        dropped = torch.rand(n_old, generator=generator) < DROPPED
        labels_old = torch.where(dropped, self.empty, self.labels_old[old])
        x_1 = torch.cat([x_new, self.x_old[old]])
        label = torch.cat([self.labels[rows], labels_old])
        w = self.weights(label, generator) if self.origin.config.net.guidance else None
        return Batch(torch.randn(x_1.shape, generator=generator), x_1, label, w)

    def weights(self, label: Tensor, generator: Generator) -> Tensor:
        """CFG weights (batch,): half of them 1, the others uniform in the range of the network."""
        low, high = self.origin.config.guidance
        w = low + (high - low) * torch.rand(len(label), generator=generator)
        plain = torch.rand(len(label), generator=generator) < 0.5
        return torch.where(plain | (label == self.empty), 1.0, w)

    def timed(self, batch: Batch, generator: Generator) -> Batch:
        """The batch with times, drawn for each half on its own."""
        parts = (slice(0, self.new), slice(self.new, None))
        new, old = (self.loss.timed(batch.rows(part), generator) for part in parts)
        pairs = ((f.name, getattr(new, f.name), getattr(old, f.name)) for f in fields(Batch))
        joined = {key: torch.cat([a, b]) for key, a, b in pairs if isinstance(a, Tensor)}
        return replace(new, **joined)  # `spans` are those of the new rows

    def __call__(self, net: nn.Module, batch: Batch) -> Terms:
        new = self.loss(net, replace(batch.rows(slice(0, self.new)), spans=batch.spans))
        old = self.distillation(net, batch.rows(slice(self.new, None)))
        return Terms(torch.cat([new.loss, old.loss]), torch.cat([new.error, old.error]))

    def distillation(self, net: nn.Module, batch: Batch) -> Terms:
        """|net - origin|^2 at the same inputs, with the adaptive weight of the new rows."""
        x_t, _ = self.loss.path.sample(batch.x_0, batch.x_1, batch.t)
        known = len(self.origin.config.classes)
        label = torch.where(batch.label == self.empty, known, batch.label)
        with torch.no_grad():
            answer = self.origin.net(x_t, batch.t, batch.s, label, batch.guidance)
        now = net(x_t, batch.t, batch.s, batch.label, batch.guidance)
        error = squared_error(now - answer)
        return Terms(adaptive(error, 0.5, 1e-3), error.detach())


def rehearsal_samples(origin: Model) -> Iterator[tuple[Tensor, Tensor]]:
    """Samples of each class in turn, normalised, with their labels."""
    n = per_class(REHEARSED, origin.empty)
    for label in range(origin.empty):
        made = samples_of(origin, n, label, SEED + label)
        yield origin.normalise(made), torch.full((n,), label)


def per_class(usual: int, classes: int) -> int:
    """Samples a class; fewer if there are many classes."""
    return max(1, min(usual, MOST // classes))


def samples_of(model: Model, n: int, label: int, seed: int) -> Tensor:
    """Samples of a class (n, ...) by one step of a network that jumps, or by a few Euler steps."""
    how = {"solver": AVERAGE, "steps": 1} if AVERAGE in model.solvers else {
        "solver": "euler", "steps": FEW
    }  # fmt: skip
    return sample(model, n, label, seed=seed, keep_trajectory=False, **how).images


def accuracy(model: Model, classes: int) -> float | None:
    """Share of samples of the first `classes` classes that the classifier recognises.

    Classes that it does not know are left out. The noise is always the same. None without a
    classifier.
    """
    fitted = judge(model.config.data)
    if fitted is None:
        return None
    known, n = min(classes, len(fitted.net.head.bias)), per_class(CHECKED, classes)
    labels = torch.arange(known).repeat_interleave(n)
    made = [samples_of(model, n, label, SEED + 1000 + label) for label in range(known)]
    right = fitted.right(torch.cat(made), labels)
    return None if right is None else right.double().mean().item()
