"""The processes that train together: one alone, or several through Accelerate.

Every process draws the whole batch from the same generator and works on its share of the rows, so
that several learn what one would have learnt from the joint batch.
"""

import os
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor


class Processes:
    """One process that trains alone: `rank` 0 of `size` 1."""

    rank, size = 0, 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def check_batch(self, rows: int, parts: int) -> None:
        """ValueError if a batch of so many rows leaves a part of some process empty."""
        if rows < self.size * parts:
            raise ValueError(
                f"{rows} rows cannot be shared by {self.size} process(es) in {parts} part(s) each: "
                "take a larger 'batch_size' or a smaller 'accumulate'"
            )

    def mean(self, tensors: list[Tensor]) -> None:
        """Replaces tensors by their mean over the processes, in place."""

    def gather(self, rows: Tensor, n: int) -> Tensor:
        """The n values of the joint batch, in its order, from the values of each process."""
        return rows

    def wait(self) -> None:
        """Blocks until every process has called it."""


class Accelerated(Processes):
    """Several processes, on CPUs, GPUs or machines, as `torchrun` or `accelerate launch` started them.

    Gradients are averaged by hand after the backward pass: MeanFlow calls the network more than once,
    and a wrapper that hooks into its forward pass would miss calls.
    """

    def __init__(self, accelerator: Any):
        self.accelerator = accelerator
        self.rank, self.size = accelerator.process_index, accelerator.num_processes

    def mean(self, tensors: list[Tensor]) -> None:
        flat = torch.cat([tensor.flatten() for tensor in tensors])  # one message, not hundreds
        flat = self.accelerator.reduce(flat, reduction="mean")
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def gather(self, rows: Tensor, n: int) -> Tensor:
        """As above. Shares that differ by one row are padded to one length, and cut again."""
        most = -(-n // self.size)
        padded = torch.cat([rows, rows.new_zeros(most - len(rows))])
        joint = self.accelerator.gather(padded).reshape(self.size, most)
        return joint.T.flatten()[:n]  # row i was the (i // size)-th of process i % size

    def wait(self) -> None:
        self.accelerator.wait_for_everyone()


def started_processes() -> Processes:
    """The processes that a launcher started together; ValueError if Accelerate is missing for them."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes()
    if find_spec("accelerate") is None:
        raise ValueError("several processes train through Accelerate: pip install accelerate")
    from accelerate import Accelerator  # noqa: PLC0415 (heavy, and optional)

    return Accelerated(Accelerator())
