"""Trains the classifier of an image data set and writes what evaluation and plots need.

    python -m flowdemo.training.fit_classifier mnist        (or another data set of images)

leaves in `flowdemo/pretrained/evaluation/mnist/` the classifier, the mean and covariance of its
features on the test set, the plane of the first two principal components with projected test images,
features and components of some training images (`nearest.py`) where its plan asks for them, and
`report.json` with its accuracy and the floor of the Frechet distance.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.optim.swa_utils import update_bn

from flowdemo.core.couplings import Batch
from flowdemo.data import ClassifierPlan, dataset, pixels_of
from flowdemo.evaluation.classifier import FOLDER, Classifier, Judge, settled, untrained
from flowdemo.evaluation.metrics import frechet_distance, moments
from flowdemo.evaluation.nearest import FILE, gallery_of
from flowdemo.files import save_tensors, write_folder
from flowdemo.methods.losses import Terms
from flowdemo.training.trainer import Progress, optimise, start

PROJECTED = 3000  # test images that the plane shows
BATCHES = 200  # from which batch normalisation takes its statistics at the end


def fit(data: str, plan: ClassifierPlan | None = None) -> Iterator[Progress]:
    """Trains by the plan of the data set, or by another one; writes the folder at the end."""
    info = dataset(data)
    plan = plan or info.classifier
    schedule = plan.schedule
    pixels, labels = pixels_of(data, "train")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(schedule.seed)  # the initialisers know no other generator
        nets = [untrained(info, plan.network) for _ in range(2)]
    nets = [net.to(memory_format=torch.channels_last) for net in nets]  # a quarter faster here
    state = start(schedule, *nets, torch.device("cuda" if torch.cuda.is_available() else "cpu"))

    def draw(generator: Generator) -> Batch:
        rows = torch.randint(len(pixels), (schedule.batch_size,), generator=generator)
        x = plan.vary(pixels[rows], generator)
        return Batch(x, x, labels[rows])

    yield from optimise(schedule, state, draw, CrossEntropy())
    normalise_batches(state.ema, (draw(state.generator).x_1 for _ in range(BATCHES)))
    write(data, rounded(settled(state.ema.cpu())), FOLDER / data, plan.gallery)


def normalise_batches(net: nn.Module, batches: Iterable[Tensor]) -> None:
    """Measures mean and variance of every batch normalisation: averaged weights have none."""
    update_bn(batches, net, next(net.parameters()).device)


class CrossEntropy:
    """The loss of a classifier, as the training loop takes it: there are no times to draw."""

    def timed(self, batch: Batch, generator: Generator) -> Batch:
        return replace(batch, t=torch.zeros(len(batch.label)))

    def __call__(self, net: nn.Module, batch: Batch) -> Terms:
        logits = net(batch.x_1).float()
        loss = F.cross_entropy(logits, batch.label, label_smoothing=0.05, reduction="none")
        return Terms(loss, loss.detach())


def rounded(net: nn.Module) -> Classifier:
    """The network with its weights rounded to float16, as they ship and are measured."""
    net.load_state_dict({k: v.half().float() for k, v in net.state_dict().items()})
    return net.eval()


def write(data: str, net: Classifier, folder: Path, gallery: bool = True) -> None:
    """Writes all files that evaluation and plots need of the data set."""
    train_pixels, train_labels = pixels_of(data, "train")
    pixels, labels = pixels_of(data, "test")
    judge = Judge(net, torch.empty(0), torch.empty(0))
    features, predicted = judge.look(pixels)
    mean, covariance = moments(features)
    n = len(pixels)  # the floor: as many training images against the test set
    train_features, train_predicted = judge.look(train_pixels[:n])
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
            save_tensors(gallery_of(train_pixels, judge), draft / FILE)
        (draft / "report.json").write_text(json.dumps(report, indent=1) + "\n")

    write_folder(folder, write_all)


def plane_of(pixels: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """The first two principal components of the images, and some images projected on them."""
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
