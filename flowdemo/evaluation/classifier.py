"""The in-repo classifier: class accuracy, and the features in which distances are measured."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

FOLDER = Path(__file__).parent.parent / "pretrained" / "evaluation"
WIDTHS, FEATURES = (16, 48, 96), 64


class Classifier(nn.Module):
    """Pixels in [0, 1] (batch, channels, height, width) to logits (batch, classes)."""

    def __init__(self, channels: int, classes: int):
        super().__init__()
        stages, width = [], channels
        for out in WIDTHS:
            stages.append(nn.Sequential(convolution(width, out), convolution(out, out)))
            width = out
        self.stages = nn.ModuleList(stages)
        self.project = nn.Linear(width, FEATURES)
        self.head = nn.Linear(FEATURES, classes)

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """What each stage sees: (batch, 16, h, w), (batch, 48, h/2, w/2), (batch, 96, h/4, w/4)."""
        h, seen = 2 * pixels - 1, []
        for stage in self.stages:
            h = stage(F.max_pool2d(h, 2) if seen else h)
            seen.append(h)
        return seen

    def features(self, pixels: Tensor) -> Tensor:
        """The layer before the logits: (batch, 64)."""
        return F.relu(self.project(self.maps(pixels)[-1].mean((2, 3))))

    def forward(self, pixels: Tensor) -> Tensor:
        return self.head(self.features(pixels))


def convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1),
        nn.GroupNorm(8, channels_out),
        nn.ReLU(),
    )


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
        """Which of these pixels (n, ...) it takes for their class, of those whose class it knows.

        None if it knows none of the labels (n,): empty ones, or classes that fine-tuning added.
        """
        known = labels < len(self.net.head.bias)
        return self.look(pixels[known])[1] == labels[known] if known.any() else None


@lru_cache
def judge(data: str) -> Judge | None:
    """The judge of a data set, or None where there is none."""
    folder = FOLDER / data
    if not folder.is_dir():
        return None
    weights = {k: v.float() for k, v in load_file(folder / "classifier.safetensors").items()}
    net = Classifier(weights["stages.0.0.0.weight"].shape[1], len(weights["head.bias"]))
    net.load_state_dict(weights)
    statistics = load_file(folder / "statistics.safetensors")
    return Judge(net.eval(), statistics["mean"], statistics["covariance"])
