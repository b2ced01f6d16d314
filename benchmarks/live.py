"""Seconds of live training in the 2-D Lab, with everything that is drawn while it goes on.

    python -m benchmarks.live [steps]

Flow matching alone, then the chain flow matching, reflow, reflow, MeanFlow, on the two moons.
"""

import sys
import time

import torch

from flowdemo.training.live import LabTraining
from flowdemo.ui.lab.train import Asked, View, train, train_chain
from flowdemo.ui.lab.workspace import Workspace


def main(steps: int) -> None:
    asked = Asked(LabTraining("moons", steps=steps), Workspace())
    began = time.perf_counter()
    films = sum(isinstance(state, View) and state.film is not None for state in train(asked))
    seconds = time.perf_counter() - began
    print(f"{torch.get_num_threads()} threads, {steps} steps of flow matching: {seconds:.1f} s, "
          f"{films} films")  # fmt: skip
    began = time.perf_counter()
    list(train_chain(asked))
    print(f"the chain of four: {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1500)
