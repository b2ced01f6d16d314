"""Classifiers of image data sets: class accuracy, and features in which distances are measured."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from flowdemo.data import DataSet, dataset

FOLDER = Path(__file__).parent.parent / "pretrained" / "evaluation"
FEATURES = 64


class Classifier(nn.Module):
    """Pixels in [0, 1] (batch, channels, height, width) to logits (batch, classes).

    Between two `stages`, of which the last has `width` channels, height and width are halved.
    """

    def __init__(self, stages: list[nn.Module], width: int, classes: int):
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.project = nn.Linear(width, FEATURES)
        self.head = nn.Linear(FEATURES, classes)

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """The output of each stage: (batch, its channels, h, w), the next (..., h/2, w/2) and so on."""
        h, outputs = 2 * pixels - 1, []
        for stage in self.stages:
            h = stage(F.max_pool2d(h, 2) if outputs else h)
            outputs.append(h)
        return outputs

    def features(self, pixels: Tensor) -> Tensor:
        """The layer before the logits: (batch, 64)."""
        return F.relu(self.project(self.maps(pixels)[-1].mean((2, 3))))

    def forward(self, pixels: Tensor) -> Tensor:
        return self.head(self.features(pixels))


def convolution(channels_in: int, channels_out: int, norm: nn.Module) -> nn.Sequential:
    conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)
    return nn.Sequential(conv, norm, nn.ReLU())


class Residual(nn.Module):
    """x + f(x), f two convolutions (arXiv:1512.03385)."""

    def __init__(self, channels: int):
        super().__init__()
        self.first, self.second = (batch_normed(channels, channels) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x))


def batch_normed(channels_in: int, channels_out: int) -> nn.Sequential:
    return convolution(channels_in, channels_out, nn.BatchNorm2d(channels_out))


def small(channels: int, classes: int) -> Classifier:
    """For digits: 0.16 M parameters."""
    stages, width = [], channels
    for out in (16, 48, 96):
        pair = ((width, out), (out, out))
        stages.append(nn.Sequential(*(convolution(a, b, nn.GroupNorm(8, b)) for a, b in pair)))
        width = out
    return Classifier(stages, width, classes)


def residual(channels: int, classes: int) -> Classifier:
    """For photographs: 1.6 M parameters, most of the work at half the resolution and below.

    It is trained with batch normalisation; `settled` then folds that into the convolutions.
    """
    stages: list[nn.Module] = [nn.Sequential(batch_normed(channels, 24), batch_normed(24, 64))]
    for width, out in ((64, 144), (144, 208)):
        stages.append(nn.Sequential(Residual(width), batch_normed(width, out)))
    return Classifier([*stages, Residual(out)], out, classes)


NETWORKS: dict[str, Callable[[int, int], Classifier]] = {"small": small, "residual": residual}


def untrained(data: DataSet, network: str) -> Classifier:
    """A network of that name for the channels and classes of a data set, with fresh weights."""
    return NETWORKS[network](data.shape[0], len(data.classes))


def settled(net: Classifier) -> Classifier:
    """The same function in evaluation mode, with batch normalisation folded into convolutions."""
    net = deepcopy(net).eval()
    for block in list(net.modules()):
        if isinstance(block, nn.Sequential) and isinstance(block[1], nn.BatchNorm2d):
            block[0], block[1] = fuse_conv_bn_eval(block[0], block[1]), nn.Identity()
    return net


@dataclass(frozen=True)
class Judge:
    """A classifier with the mean (64,) and covariance (64, 64) of its features on the test set."""

    net: Classifier
    mean: Tensor
    covariance: Tensor

    @torch.inference_mode()
    def look(self, pixels: Tensor, batch: int = 500) -> tuple[Tensor, Tensor]:
        """Features (n, 64) and predicted classes (n,) of pixels in [0, 1]."""
        features = torch.cat([self.net.features(part) for part in pixels.split(batch)])
        return features, self.net.head(features).argmax(1)

    def right(self, pixels: Tensor, labels: Tensor) -> Tensor | None:
        """Whether each of the pixels (n, ...) is classified as its label (n,) says: (known,).

        Rows with other labels (the empty one, classes that fine-tuning added) are left out; None if
        no row is left.
        """
        known = labels < len(self.net.head.bias)
        return self.look(pixels[known])[1] == labels[known] if known.any() else None


def judge_or_error(data: str) -> Judge:
    """The classifier of an image data set; ValueError names the command that fits it."""
    found = judge(data)
    if found is None:
        raise ValueError(
            f"there is no fitted classifier of {dataset(data).title}, by which its samples are "
            f"measured: run python -m flowdemo.training.fit_classifier {data}"
        )
    return found


@lru_cache
def judge(data: str) -> Judge | None:
    """The fitted classifier of a data set with its statistics, or None where there is none."""
    folder = FOLDER / data
    if not folder.is_dir():
        return None
    weights = {k: v.float() for k, v in load_file(folder / "classifier.safetensors").items()}
    info = dataset(data)
    net = settled(untrained(info, info.classifier.network))
    net.load_state_dict(weights)
    statistics = load_file(folder / "statistics.safetensors")
    return Judge(net.eval(), statistics["mean"], statistics["covariance"])
