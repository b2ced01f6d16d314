"""The cost of `sample()` over the bare network calls it makes: medians of alternating pairs.

python -m benchmarks.sampling [pairs]
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch

from flowdemo import load, sample
from flowdemo.core.noise import noise
from flowdemo.model import Model


def seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def ratio(name: str, steps: int, pairs: int) -> None:
    """Prints the medians of both and of the ratio within each pair."""
    model = load(name)
    labels = torch.arange(16) % 10
    ones, x = torch.ones(16), noise(0, 16, (1, 28, 28))

    @torch.inference_mode()
    def bare() -> None:
        for k in range(steps):
            call(model, x, k / steps, 1.0, labels, ones)

    def whole() -> None:
        sample(model, 16, "all", steps=steps)

    bare(), whole()
    times = [(seconds(whole), seconds(bare)) for _ in range(pairs)]
    a, b = (statistics.median(column) for column in zip(*times, strict=True))
    r = statistics.median(x / y for x, y in times)
    print(
        f"{name}, {steps} steps: sample() {1000 * a:.1f} ms, bare {1000 * b:.1f} ms, ratio {r:.3f}"
    )


def call(model: Model, x, t: float, s: float, labels, ones) -> None:
    if model.config.net.end_time:
        model.net(x, t * ones, s * ones, labels, ones)
    else:
        model.net(x, t * ones, None, labels)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    print(f"{torch.get_num_threads()} threads, {count} pairs")
    ratio("mnist-flow-matching", 50, count)
    ratio("mnist-meanflow", 1, 10 * count)
