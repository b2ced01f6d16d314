"""How answers go wrong."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Fault:
    """What goes wrong with an answer; see the methods of `Faults` that make one."""

    pattern: str = ""
    method: str | None = None
    times: int | None = None
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    edit: Callable[[bytes], bytes] = lambda body: body
    cut: int | None = None
    reset: bool = False
    stall: float = 0.0
    after: int = 0
    rate: float = 0.0

    def matches(self, method: str, path: str) -> bool:
        """A fault of the body does not touch (nor is used up by) a request for headers."""
        in_body = not self.status and (not self.stall or self.after)
        if (method == "HEAD" and in_body) or self.method not in (None, method):
            return False
        return self.times != 0 and re.search(self.pattern, path) is not None

    def pieces(self, body: bytes) -> Iterator[tuple[bytes, float]]:
        """What is sent of a body, and how long a pause follows."""
        if self.cut is not None:
            yield body[: self.cut], 0
        elif self.after:
            yield body[: self.after], self.stall
            yield body[self.after :], 0
        else:
            step = max(1, int(self.rate / 20)) if self.rate else len(body) or 1
            for start in range(0, len(body), step):
                yield body[start : start + step], step / self.rate if self.rate else 0


class Faults:
    """The first fault that matches a request's path (with its query) is what happens to it.

    `when` limits a fault: `times` (how often) and `method`.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def fault(self, pattern: str, **effect: Any) -> Fault:
        self.faults.append(Fault(pattern, **effect))
        return self.faults[-1]

    def fail(self, pattern: str, status: int, **when: Any) -> Fault:
        """Answer with an error status (and `headers`)."""
        return self.fault(pattern, status=status, **when)

    def cut(self, pattern: str, after: int, times: int | None = 1, **when: Any) -> Fault:
        """Announce the whole body, close (`reset=True`: reset) the connection after some bytes."""
        return self.fault(pattern, cut=after, times=times, **when)

    def stall(self, pattern: str, seconds: float, after: int = 0, **when: Any) -> Fault:
        """Pause after so many bytes of the body; before the headers if it is none."""
        return self.fault(pattern, stall=seconds, after=after, **when)

    def slow(self, pattern: str, bytes_per_second: float, **when: Any) -> Fault:
        return self.fault(pattern, rate=bytes_per_second, **when)

    def corrupt(self, pattern: str, at: int = -1, **when: Any) -> Fault:
        """Send another byte at this place."""

        def edit(body: bytes) -> bytes:
            changed = bytearray(body)
            changed[at] ^= 0xFF
            return bytes(changed)

        return self.fault(pattern, edit=edit, **when)

    def truncate(self, pattern: str, by: int, **when: Any) -> Fault:
        """Announce and send so many bytes fewer than the answer to HEAD says."""
        return self.fault(pattern, edit=lambda body: body[:-by], **when)

    def heal(self, fault: Fault | None = None) -> None:
        """Remove a fault, or all."""
        self.faults[:] = [f for f in self.faults if fault is not None and f is not fault]

    def take_fault(self, method: str, path: str) -> Fault:
        """What goes wrong with this request, used up by one."""
        for fault in self.faults:
            if fault.matches(method, path):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return Fault()
