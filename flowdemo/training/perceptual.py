"""Perceptual distances of images (LPIPS, arXiv:1801.03924), for the losses of reflow."""

from collections.abc import Callable
from copy import deepcopy
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor

from flowdemo.config.recipe import Recipe
from flowdemo.data import DataSet
from flowdemo.evaluation.classifier import judge
from flowdemo.methods import Perceptual

Features = Callable[[Tensor], list[Tensor]]  # pixels -> maps (batch, channels, height, width)


def distance(maps_a: list[Tensor], maps_b: list[Tensor]) -> Tensor:
    """d = sum_l 1/(H_l W_l) sum_hw |a_l - b_l|^2 with a_l, b_l of length 1 at every place: (batch,).

    Eq. 1 of arXiv:1801.03924 with all channel weights 1.
    """
    total = 0.0
    for a, b in zip(maps_a, maps_b, strict=True):
        difference = F.normalize(a.float(), dim=1) - F.normalize(b.float(), dim=1)
        total = total + difference.square().sum(1).mean((1, 2))
    return total


def classifier(data: str, device: torch.device) -> Perceptual:
    """The distance in the stages of the classifier of the data set; pixels in [0, 1]."""
    fitted = judge(data)
    if fitted is None:
        raise ValueError(f"there is no classifier of {data} to compare by; take 'loss' \"l2\"")
    net = deepcopy(fitted.net).to(device).requires_grad_(False)
    return lambda a, b: distance(net.maps(a), net.maps(b))


def lpips(data: str, device: torch.device) -> Perceptual:
    """The distance of the `lpips` package with its weights for VGG; pixels in [0, 1]."""
    if find_spec("lpips") is None:
        raise ValueError("'features' \"lpips\" needs the lpips package: pip install lpips")
    from lpips import LPIPS  # noqa: PLC0415 (optional)

    try:
        net = LPIPS(net="vgg", verbose=False).to(device).requires_grad_(False)
    except Exception as error:  # the download of its weights raises many kinds
        raise ValueError(
            f"the weights of lpips cannot be had ({type(error).__name__}: {error}); "
            "connect once, or take 'features' \"classifier\""
        ) from error
    return lambda a, b: net(*(2 * in_colour(x) - 1 for x in (a, b))).flatten()


def in_colour(pixels: Tensor) -> Tensor:
    """Grey images (batch, 1, h, w) as three equal channels."""
    return pixels.expand(-1, 3, -1, -1) if pixels.shape[1] == 1 else pixels


FEATURES: dict[str, Callable[[str, torch.device], Perceptual]] = {
    "classifier": classifier,
    "lpips": lpips,
}


def perceptual_of(recipe: Recipe, info: DataSet, device: torch.device) -> Perceptual | None:
    """The distance of a recipe between normalised images; None if its loss has none."""
    if "lpips" not in recipe.loss:
        return None
    if not info.is_image:
        raise ValueError(f"a perceptual loss compares images, not {info.title}")
    compare = FEATURES[recipe.features](recipe.data, device)
    mean, std = (
        torch.tensor(numbers, device=device).reshape(-1, 1, 1)
        for numbers in info.normalisation.values()
    )
    return lambda a, b: compare(a * std + mean, b * std + mean)
