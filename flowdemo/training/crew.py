"""The processes that train together: one alone, or several through Accelerate.

Every process draws the whole batch from the same generator and works on its share of the rows, so
that several learn what one would have learnt from the joint batch.
"""

import os
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor


class Crew:
    """A process alone: nothing to share. `rank` of `size`."""

    rank, size = 0, 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def check(self, rows: int, parts: int) -> None:
        """ValueError if a batch of so many rows leaves a part of a process without one."""
        if rows < self.size * parts:
            raise ValueError(
                f"{rows} rows cannot be shared by {self.size} process(es) in {parts} part(s) each: "
                "take a larger 'batch_size' or a smaller 'accumulate'"
            )

    def mean(self, tensors: list[Tensor]) -> None:
        """Replaces tensors by their mean over the processes, in place."""

    def gather(self, rows: Tensor, n: int) -> Tensor:
        """The joint batch's n values, in its order, of every process' share (its rows,)."""
        return rows

    def wait(self) -> None:
        """Until every process has come here."""


class Accelerated(Crew):
    """Several processes, on CPUs, GPUs or machines, as `torchrun` or `accelerate launch` started them.

    The gradients are averaged by hand after the backward pass: a wrapper that hooks into the forward
    pass would miss what MeanFlow computes past it.
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
        """Shares may differ by a row: they are padded to one length, and cut again."""
        most = -(-n // self.size)
        padded = torch.cat([rows, rows.new_zeros(most - len(rows))])
        joint = self.accelerator.gather(padded).reshape(self.size, most)
        return joint.T.flatten()[:n]  # row i was the (i // size)-th of process i % size

    def wait(self) -> None:
        self.accelerator.wait_for_everyone()


def crew() -> Crew:
    """The processes that were started together; ValueError if Accelerate is needed and missing."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Crew()
    if find_spec("accelerate") is None:
        raise ValueError("several processes train through Accelerate: pip install accelerate")
    from accelerate import Accelerator  # noqa: PLC0415 (heavy, and optional)

    return Accelerated(Accelerator())
