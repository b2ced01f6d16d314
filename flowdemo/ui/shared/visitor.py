"""Checkpoints made by the present visitor: only that visitor's page offers them."""

import re

from gradio.context import LocalContext

from flowdemo import checkpoints
from flowdemo.checkpoints import visitors

MAX_SESSIONS = 200
MADE: dict[str, list[str]] = {}  # session -> names, the oldest session first


def remember(name: str) -> None:
    """Notes what the visitor of the present request made."""
    session = session_of()
    if session is None:
        return
    MADE[session] = [*MADE.pop(session, []), name]
    while len(MADE) > MAX_SESSIONS:
        del MADE[next(iter(MADE))]


def names() -> list[str]:
    """What the visitor of the present request made and is still there."""
    made = MADE.get(session_of() or "", [])
    return [name for name in made if checkpoints.find(name) is not None]


def plain(name: str) -> str:
    """The name without the part that is the visitor's secret, if it has one."""
    return name.rpartition("-")[0] if re.fullmatch(visitors.SECRET, name) else name


def session_of() -> str | None:
    """Whose request is being answered; None outside of one."""
    request = LocalContext.request.get(None)
    return getattr(request, "session_hash", None)
