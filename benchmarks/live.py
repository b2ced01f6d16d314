"""Seconds of live training in the 2-D Lab, with everything that is drawn while it goes on.

    python -m benchmarks.live [steps]

Flow matching alone, then the chain flow matching, reflow, reflow, MeanFlow, on the two moons.
"""

import sys
import time

import torch
from flowdemo.ui.lab_desk import Desk

from flowdemo.training.live import Wish
from flowdemo.ui.lab_train import train, train_chain


def main(steps: int) -> None:
    wish, desk = Wish("moons", steps=steps), Desk()
    began = time.perf_counter()
    films = sum(view.film is not None for view in train(wish, desk))
    seconds = time.perf_counter() - began
    print(f"{torch.get_num_threads()} threads, {steps} steps of flow matching: {seconds:.1f} s, "
          f"{films} films")  # fmt: skip
    began = time.perf_counter()
    list(train_chain(wish, desk))
    print(f"the chain of four: {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1500)
