"""The pictures that somebody brings to the Train tab, as the network will see them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from flowdemo import settings
from flowdemo.config.checkpoint import ModelConfig
from flowdemo.data.class_names import class_name
from flowdemo.data.pictures import Pictures, deadline, from_files, joined, reading, reading_files
from flowdemo.data.prepare import fit_for, prepare_for
from flowdemo.ui.shared.thumbnails import strips
from flowdemo.ui.shared.work import Stopped, Wanted

SHOWN_CLASSES, SHOWN = 12, 36  # of a class; a third of these, if they are not SMALL
SMALL, THUMBNAIL = 32, 64  # sides in pixels
Shape = tuple[int, int, int]
Reading = Iterator[int | Pictures]  # how many were looked at so far, and at last the pictures


def always() -> bool:
    """Nobody stops it."""
    return True


@dataclass
class Basket:
    """What one visitor has gathered, addition by addition, for networks of one kind of data.

    `asked` is the copy that was made when a training was asked for: it may have to wait for its turn.
    """

    data: str = ""
    shape: Shape = (1, 28, 28)
    parts: list[Pictures] = field(default_factory=list)
    asked: "Basket | None" = None

    def suit(self, config: ModelConfig) -> int:
        """Empties itself for a network that sees pictures otherwise; how many were dropped."""
        kind, dropped = (config.data, config.sample_shape), 0
        if kind != self.kind:
            dropped, self.parts = len(self), []
            self.data, self.shape = kind
        return dropped

    def __len__(self) -> int:
        return sum(len(part.images) for part in self.parts)

    @property
    def kind(self) -> tuple[str, Shape]:
        """What the network sees: the kind of data, and its shape."""
        return self.data, self.shape

    def add(self, part: Pictures, kind: tuple[str, Shape]) -> Pictures:
        """One more addition, prepared for that kind; ValueError if they get too many."""
        if kind != self.kind:
            raise ValueError("another checkpoint was chosen meanwhile: add these pictures again")
        most = settings.max_pictures(self.shape)
        if len(self) + len(part.images) > most:
            raise ValueError(
                f"{len(self) + len(part.images)} pictures are too many: {most} at most"
            )
        self.parts.append(part)
        return part

    def draw(self, drawing: bytes, name: str) -> Pictures:
        """Adds one drawing, an encoded picture; ValueError if nothing is drawn."""
        kind, prepare = self.kind, fit_for(self.data, self.shape)
        files = [("drawing", drawing)]
        return self.add(from_files(files, class_name(name), kind[1], prepare=prepare), kind)

    def upload(self, files: list[Path], name: str, wanted: Wanted = always) -> Reading:
        """Adds pictures, all of one class, and zip files, whose folders are the classes."""
        if not files:
            raise ValueError("choose pictures or a zip file of them first")
        return self.take(unpacked(files, name, self.kind), wanted)

    def read(self, where: str, name: str, most: int, wanted: Wanted = always) -> Reading:
        """Adds a data set or folder; one without classes is of that `name`."""
        how = {"prepare": prepare_for(*self.kind), "max_pictures": most, "alone": name}
        return self.take(reading(os.path.expanduser(where), self.shape, **how), wanted)

    def take(self, states: Reading, wanted: Wanted) -> Reading:
        """Passes on the signs of life and adds what comes last; `Stopped` if it is not wanted."""
        kind = self.kind
        for state in states:
            if not wanted():
                raise Stopped
            yield state if isinstance(state, int) else self.add(state, kind)

    def undo(self) -> None:
        """Without the last addition."""
        self.parts = self.parts[:-1]

    def drop(self, name: str) -> None:
        """Without a class."""
        kept = [without(part, name) if name in part.classes else part for part in self.parts]
        self.parts = [part for part in kept if len(part.images)]

    @property
    def counts(self) -> dict[str, int]:
        """Class -> its pictures, of those that have any."""
        if not self.parts:
            return {}
        every = joined(self.parts)
        number = torch.bincount(every.labels, minlength=len(every.classes)).tolist()
        return {name: n for name, n in zip(every.classes, number, strict=True) if n}

    def ask(self) -> None:
        """Remembers what there is now as what is to be learnt."""
        self.asked = replace(self, parts=list(self.parts), asked=None)

    def lesson(self, config: ModelConfig) -> tuple[Tensor, list[str]]:
        """Pictures uint8 (n, c, h, w) for such a network, and the name of each one's class."""
        if not self.parts:
            raise ValueError("add pictures first: draw them, upload them, or name a data set")
        if self.kind != (config.data, config.sample_shape):
            raise ValueError("these pictures were added for another network: add them again")
        every = joined(self.parts)
        return every.images, [every.classes[k] for k in every.labels.tolist()]


def unpacked(files: list[Path], name: str, kind: tuple[str, Shape]) -> Reading:
    """Pictures of a class and zip files, read one after the other, with signs of life."""
    zips = [file for file in files if file.suffix.lower() == ".zip"]
    single = [file for file in files if file not in zips]
    how = {"prepare": prepare_for(*kind), "until": deadline()}  # all files together
    works = [reading(file, kind[1], alone=name, **how) for file in zips]
    if single:
        works.insert(0, reading_files(single, class_name(name), kind[1], **how))
    parts, done = [], 0
    for work in works:
        for state in work:
            if isinstance(state, int):
                yield done + state
            else:
                parts.append(state)
                done += len(state.images)
    yield joined(parts)


def without(part: Pictures, name: str) -> Pictures:
    """The pictures that are not of that class."""
    kept = part.labels != part.classes.index(name)
    return replace(part, images=part.images[kept], labels=part.labels[kept])


def thumbnails(rows: Tensor) -> Tensor:
    """Pixels in [0, 1] of pictures uint8 (n, c, h, w), with sides of at most THUMBNAIL."""
    pixels, scale = rows.float() / 255, THUMBNAIL / max(rows.shape[2:])
    if scale >= 1:
        return pixels
    size = [max(1, round(side * scale)) for side in rows.shape[2:]]
    return nn.functional.interpolate(pixels, size, mode="bilinear", antialias=True)


def sheet(basket: Basket, known: tuple[str, ...]) -> str:
    """A contact sheet: the pictures of each class, new ones first, under its name and number."""
    if not basket.parts:
        return ""
    every = joined(basket.parts)
    counts = sorted(basket.counts.items(), key=lambda item: item[0] in known)
    lines = {}
    few = SHOWN if max(basket.shape[1:]) <= SMALL else SHOWN // 3
    for name, n in counts[:SHOWN_CLASSES]:
        rows = every.images[every.labels == every.classes.index(name)][:few]
        kind = "known to the network" if name in known else "new"
        more = f", the first {few} of them" if n > few else ""
        lines[f"{name} ({kind}): {n} picture{'s' * (n > 1)}{more}"] = thumbnails(rows)
    rest = len(counts) - SHOWN_CLASSES
    words = f"<p>and {rest} classes more</p>" if rest > 0 else ""
    return strips(lines) + words
