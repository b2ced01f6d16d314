"""The data sets: what they are, and where their rows come from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor

from flowdemo.config.options import Schedule
from flowdemo.core.noise import generator
from flowdemo.data.augment import crop_and_flip, jitter
from flowdemo.data.images import load_images
from flowdemo.data.toys import TOYS

# What a CPU makes in an hour: 87.7 % on the test set of CIFAR-10.
PHOTOGRAPHS = Schedule(steps=3500, batch_size=256, learning_rate=3e-3, ema=0.998, weight_decay=0.1)


@dataclass(frozen=True)
class ClassifierPlan:
    """How `training/fit_classifier.py` trains the classifier of a data set of images.

    `network` is a name of `evaluation.classifier.NETWORKS`; `vary(pixels, generator)` augments a
    batch. With a `gallery`, training images that samples are compared with ship, too.
    """

    network: str = "residual"
    schedule: Schedule = PHOTOGRAPHS
    vary: Callable[[Tensor, Generator], Tensor] = crop_and_flip
    gallery: bool = False


@dataclass(frozen=True)
class DataSet:
    """Shape of a sample, names of the classes; data enter networks as (x - mean) / std.

    `mean` and `std` are one number for all channels (coordinates of points), or one for each. `note`
    stands beside measured numbers. `prepare`, a name of `data.fit.PREPARE`, is how drawings and uploads
    are made to look like the images. Drawing, judging and the plane of images need only the files that
    `python -m flowdemo.training.fit_classifier NAME` writes, by the plan of `classifier`.
    """

    title: str
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0
    hub_id: str | None = None
    note: str = ""
    prepare: str = "fit"
    classifier: ClassifierPlan = ClassifierPlan()

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3

    @property
    def normalisation(self) -> dict[str, tuple[float, ...]]:
        """`mean` and `std` of each channel, as a checkpoint states them."""
        both, channels = {"mean": self.mean, "std": self.std}, self.shape[0]
        return {k: v if isinstance(v, tuple) else (v,) * channels for k, v in both.items()}

    def normalise(self, x: Tensor) -> Tensor:
        """Pixels in [0, 1] or points (batch, ...) as networks take them."""
        mean, std = (
            torch.tensor(numbers).reshape(-1, *[1] * (len(self.shape) - 1))
            for numbers in self.normalisation.values()
        )
        return (x - mean) / std


FASHION = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
    "ankle boot",
)  # fmt: skip
CIFAR10 = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
COPIES = (
    "FlowDemo's numbers of CIFAR-10 are of JPEG copies (quality 75), those of the test set too; by "
    "the originals they would be others."
)
# In the usual order, that of their WordNet ids.
IMAGENET = tuple((Path(__file__).parent / "imagenet_classes.txt").read_text().splitlines())
OWN = "own-points"  # drawn or uploaded; the visitor who brings them keeps them
DATASETS = {
    "mnist": DataSet(
        "MNIST", (1, 28, 28), tuple("0123456789"), 0.5, 0.5, "ylecun/mnist", prepare="digit",
        classifier=ClassifierPlan(
            "small", Schedule(steps=5000, batch_size=128, learning_rate=2e-3, ema=0.998), jitter,
            gallery=True,
        ),
    ),
    "fashion-mnist": DataSet(
        "Fashion-MNIST", (1, 28, 28), FASHION, 0.5, 0.5, "zalando-datasets/fashion_mnist",
        prepare="fit on black",
    ),
    # No gallery: it would take 1.4 MB, and 64 components keep little of a photograph.
    "cifar10": DataSet("CIFAR-10", (3, 32, 32), CIFAR10, 0.5, 0.5, "uoft-cs/cifar10", note=COPIES),
    "imagenet256": DataSet("ImageNet, 256 x 256", (3, 256, 256), IMAGENET, 0.5, 0.5),
    "two-gaussians": DataSet("Two Gaussians", (2,), ("left", "right")),
    "eight-gaussians": DataSet(
        "Eight Gaussians", (2,), ("E", "NE", "N", "NW", "W", "SW", "S", "SE")
    ),
    "moons": DataSet("Two moons", (2,), ("upper", "lower")),
    "checkerboard": DataSet("Checkerboard", (2,), ("board",)),
    "spirals": DataSet("Spirals", (2,), ("one arm", "other arm")),
    "rings": DataSet("Rings", (2,), ("inner", "middle", "outer")),
    "pinwheel": DataSet("Pinwheel", (2,), ("A", "B", "C", "D", "E")),
    "swiss-roll": DataSet("Swiss roll", (2,), ("roll",)),
    OWN: DataSet("Own points", (2,), ("points",)),
}  # fmt: skip


def dataset(name: str) -> DataSet:
    """The data set of that name; ValueError lists the names."""
    if name not in DATASETS:
        raise ValueError(f"no data set '{name}'; there are: {', '.join(DATASETS)}")
    return DATASETS[name]


def title_of(name: str) -> str:
    """The title of a data set; of an unknown one its name."""
    return DATASETS[name].title if name in DATASETS else name


def training_set(name: str) -> tuple[Tensor, Tensor]:
    """Images uint8 (n, channels, h, w) or points (n, 2) to train on, and their labels (n,)."""
    info = dataset(name)
    return load_images(name, "train", info.hub_id) if info.is_image else points_of(name, 100_000, 0)


def points_of(name: str, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """n fresh points of a distribution in the plane and their labels."""
    if name == OWN:
        raise ValueError("own points are not kept here; the 2-D Lab works with them")
    return TOYS[name](n, generator(seed))


def pixels_of(name: str, split: str) -> tuple[Tensor, Tensor]:
    """All images of a split as float32 pixels in [0, 1], and their labels."""
    images, labels = load_images(name, split, dataset(name).hub_id)
    return images.to(torch.float32) / 255, labels
