"""What differs between a recorded answer and a new one."""

from collections.abc import Iterator
from math import isclose
from typing import Any

NEAR = {"rel_tol": 0.02, "abs_tol": 0.011}  # of numbers that other machines round differently


def differences(old: dict[str, Any], new: dict[str, Any], same_machine: bool) -> Iterator[str]:
    """The differences in words; digests count on the machine that recorded them."""
    yield from unlike(old.get("facts"), new.get("facts"), "facts")
    for kind in ("numbers", "decided"):
        yield from unlike(old.get(kind), new.get(kind), kind, near=True)
    if same_machine:
        yield from unlike(old.get("digests"), new.get("digests"), "digests")


def unlike(old: Any, new: Any, place: str, near: bool = False) -> Iterator[str]:
    """The places where two pieces of JSON differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from unlike(old.get(key), new.get(key), f"{place}.{key}", near)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from unlike(before, after, f"{place}[{i}]", near)
    elif near and is_number(old) and is_number(new):
        if not isclose(old, new, **NEAR):
            yield f"{place}: {old} -> {new}"
    elif old != new or type(old) is not type(new):
        yield f"{place}: {old!r} -> {new!r}"


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
