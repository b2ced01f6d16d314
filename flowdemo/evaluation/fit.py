"""Trains the classifier of an image data set and writes what evaluation and plots need.

    python -m flowdemo.evaluation.fit mnist

leaves in `flowdemo/pretrained/evaluation/mnist/` the classifier, the mean and covariance of its
features on the test set, the plane of the first two principal components with projected test images,
features and components of some training images (`nearest.py`), and `report.json` with its accuracy
and the floor of the Frechet distance.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from flowdemo.couplings import Batch
from flowdemo.data import dataset, pixels_of
from flowdemo.evaluation.classifier import FOLDER, Classifier, Judge
from flowdemo.evaluation.metrics import frechet_distance, moments
from flowdemo.evaluation.nearest import FILE, gallery_of
from flowdemo.files import save_tensors, write_folder
from flowdemo.losses import Terms
from flowdemo.options import Schedule
from flowdemo.training.trainer import Progress, optimise, start

SCHEDULE = Schedule(steps=5000, batch_size=128, learning_rate=2e-3, ema=0.998)
PROJECTED = 3000


def fit(data: str, schedule: Schedule = SCHEDULE) -> Iterator[Progress]:
    """Trains on the training set; writes the folder at the end."""
    info = dataset(data)
    pixels, labels = pixels_of(data, "train")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(schedule.seed)  # the initialisers know no other generator
        nets = [Classifier(info.shape[0], len(info.classes)) for _ in range(2)]
    state = start(schedule, *nets, torch.device("cpu"))

    def draw(generator: Generator) -> Batch:
        rows = torch.randint(len(pixels), (schedule.batch_size,), generator=generator)
        x = jitter(pixels[rows], generator)
        return Batch(x, x, labels[rows])

    yield from optimise(schedule, state, draw, CrossEntropy())
    write(data, rounded(state.ema), FOLDER / data)


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


def rounded(net: nn.Module) -> Classifier:
    """The network with the float16 weights that ship, so that every number is of the shipped one."""
    net.load_state_dict({k: v.half().float() for k, v in net.state_dict().items()})
    return net.eval()


def write(data: str, net: Classifier, folder: Path) -> None:
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
