"""Trains the classifier of an image data set and writes what evaluation and plots need.

    python -m flowdemo.evaluation.fit mnist        (or cifar10)

leaves in `flowdemo/pretrained/evaluation/mnist/` the classifier, the mean and covariance of its
features on the test set, the plane of the first two principal components with projected test images,
features and components of some training images (`nearest.py`) where the plan asks for them, and
`report.json` with its accuracy and the floor of the Frechet distance.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.optim.swa_utils import update_bn

from flowdemo.couplings import Batch
from flowdemo.data import dataset, pixels_of
from flowdemo.data.augment import flip
from flowdemo.evaluation.classifier import CLASSIFIERS, FOLDER, Classifier, Judge, settled
from flowdemo.evaluation.metrics import frechet_distance, moments
from flowdemo.evaluation.nearest import FILE, gallery_of
from flowdemo.files import save_tensors, write_folder
from flowdemo.losses import Terms
from flowdemo.options import Schedule
from flowdemo.training.trainer import Progress, optimise, start

PROJECTED, STATISTICS = 3000, 200  # images; batches
Vary = Callable[[Tensor, Generator], Tensor]


@dataclass(frozen=True)
class Plan:
    """How a classifier learns; with a `gallery`, images that samples are compared with ship, too."""

    schedule: Schedule
    vary: Vary
    gallery: bool = True


def fit(data: str, plan: Plan | None = None) -> Iterator[Progress]:
    """Trains on the training set by `PLANS` or another plan; writes the folder at the end."""
    info, plan = dataset(data), plan or PLANS[data]
    schedule = plan.schedule
    pixels, labels = pixels_of(data, "train")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(schedule.seed)  # the initialisers know no other generator
        nets = [CLASSIFIERS[data](info.shape[0], len(info.classes)) for _ in range(2)]
    nets = [net.to(memory_format=torch.channels_last) for net in nets]  # a quarter faster here
    state = start(schedule, *nets, torch.device("cuda" if torch.cuda.is_available() else "cpu"))

    def draw(generator: Generator) -> Batch:
        rows = torch.randint(len(pixels), (schedule.batch_size,), generator=generator)
        x = plan.vary(pixels[rows], generator)
        return Batch(x, x, labels[rows])

    yield from optimise(schedule, state, draw, CrossEntropy())
    normalise_batches(state.ema, (draw(state.generator).x_1 for _ in range(STATISTICS)))
    write(data, rounded(settled(state.ema.cpu())), FOLDER / data, plan.gallery)


def normalise_batches(net: nn.Module, batches: Iterable[Tensor]) -> None:
    """Measures what batch normalisation subtracts and divides by anew: the moving average of the
    weights has no such numbers of its own."""
    update_bn(batches, net, next(net.parameters()).device)


class CrossEntropy:
    """The loss of a classifier, as the training loop takes it: there are no times to draw."""

    def timed(self, batch: Batch, generator: Generator) -> Batch:
        return replace(batch, t=torch.zeros(len(batch.label)))

    def __call__(self, net: nn.Module, batch: Batch) -> Terms:
        logits = net(batch.x_1).float()
        loss = F.cross_entropy(logits, batch.label, label_smoothing=0.05, reduction="none")
        return Terms(loss, loss.detach())


def jitter(pixels: Tensor, generator: Generator) -> Tensor:
    """Every image turned by up to 12 degrees, scaled by up to 10 % and moved by up to 2 pixels."""

    def between(bound: float) -> Tensor:
        return bound * (2 * torch.rand(len(pixels), generator=generator) - 1)

    angle, scale = between(0.21), 1 + between(0.1)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    shift = 2 * 2 / pixels.shape[-1]  # 2 pixels, where the grid spans [-1, 1]
    rows = [torch.stack(r, 1) for r in ((cos, -sin, between(shift)), (sin, cos, between(shift)))]
    grid = F.affine_grid(torch.stack(rows, 1), list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, align_corners=False)


def crop_and_flip(pixels: Tensor, generator: Generator) -> Tensor:
    """Every image moved by up to 4 pixels, what comes in mirrored at the edge, and mirrored at random.

    A square of a quarter of the side, anywhere, is grey (arXiv:1708.04552).
    """
    n, _, height, width = pixels.shape
    dy, dx = torch.randint(0, 9, (2, n, 1), generator=generator)
    rows, columns = dy + torch.arange(height), dx + torch.arange(width)
    padded = F.pad(pixels, [4] * 4, mode="reflect").permute(0, 2, 3, 1)
    moved = padded[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None]]
    return flip(grey_square(moved.permute(0, 3, 1, 2), generator), generator)


def grey_square(pixels: Tensor, generator: Generator) -> Tensor:
    n, _, height, width = pixels.shape
    side = width // 4
    top, left = (torch.randint(0, size - side + 1, (n, 1), generator=generator)
                 for size in (height, width))  # fmt: skip
    inside = [
        (start <= torch.arange(size)) & (torch.arange(size) < start + side)
        for start, size in ((top, height), (left, width))
    ]
    return pixels.masked_fill((inside[0][:, :, None] & inside[1][:, None])[:, None], 0.5)


PLANS = {
    "mnist": Plan(Schedule(steps=5000, batch_size=128, learning_rate=2e-3, ema=0.998), jitter),
    "cifar10": Plan(
        Schedule(steps=3500, batch_size=256, learning_rate=3e-3, ema=0.998, weight_decay=0.1),
        crop_and_flip,
        # What a CPU makes in an hour: 87.7 % on the test set. A GPU has time for many more steps.
        gallery=False,  # 64 components keep little of a photograph, and take 1.4 MB
    ),
}


def rounded(net: nn.Module) -> Classifier:
    """The network with the float16 weights that ship, so that every number is of the shipped one."""
    net.load_state_dict({k: v.half().float() for k, v in net.state_dict().items()})
    return net.eval()


def write(data: str, net: Classifier, folder: Path, gallery: bool = True) -> None:
    """Everything that ships about the data set."""
    train_pixels, train_labels = pixels_of(data, "train")
    pixels, labels = pixels_of(data, "test")
    referee = Judge(net, torch.empty(0), torch.empty(0))
    look = referee.look
    features, predicted = look(pixels)
    mean, covariance = moments(features)
    n = len(pixels)  # the floor: as many training images against the test set
    train_features, train_predicted = look(train_pixels[:n])
    report = {
        "test_accuracy": (predicted == labels).double().mean().item(),
        "floor_images": n,
        "floor_frechet_distance": frechet_distance(*moments(train_features), mean, covariance),
        "floor_accuracy": (train_predicted == train_labels[:n]).double().mean().item(),
    }
    weights = {k: v.half() for k, v in net.state_dict().items()}

    def write_all(draft: Path) -> None:
        save_tensors(weights, draft / "classifier.safetensors")
        save_tensors({"mean": mean, "covariance": covariance}, draft / "statistics.safetensors")
        save_tensors(plane_of(pixels, labels), draft / "plane.safetensors")
        if gallery:
            save_tensors(gallery_of(train_pixels, referee), draft / FILE)
        (draft / "report.json").write_text(json.dumps(report, indent=1) + "\n")

    write_folder(folder, write_all)


def plane_of(pixels: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """The first two principal components of the images, and some images' place in that plane."""
    flat = pixels.flatten(1)
    mean = flat.mean(0)
    _, vectors = torch.linalg.eigh(torch.cov(flat.T))  # in ascending order of variance
    components = vectors[:, -2:].flip(1)  # (pixels, 2)
    points = (flat[:PROJECTED] - mean) @ components
    return {
        "mean": mean,
        "components": components,
        "points": points.half(),
        "labels": labels[:PROJECTED].to(torch.uint8),
    }


if __name__ == "__main__":
    for progress in fit(sys.argv[1]):
        if progress.step % 100 == 0:
            print(progress.step, f"{progress.loss:.4f}", f"{progress.seconds:.0f} s", flush=True)
