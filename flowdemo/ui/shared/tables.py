"""Numbers of several models as an HTML table, each line in the colour of its method."""

import html
from collections.abc import Iterable
from dataclasses import dataclass

from flowdemo.methods import colour_of


@dataclass(frozen=True)
class Line:
    """A model or row in words, its method, and its cells as HTML."""

    name: str
    method: str
    cells: Iterable[str]


def table(titles: Iterable[str], lines: Iterable[Line]) -> str:
    """The table, which the keyboard can scroll."""
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    body = "".join(map(row, lines))
    return (
        '<table class="fd-table" tabindex="0">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def row(line: Line) -> str:
    cells = "".join(f"<td>{cell}</td>" for cell in line.cells)
    name = f'<th scope="row">{html.escape(line.name)}</th>'
    return f'<tr style="--fd-method: {colour_of(line.method)}">{name}{cells}</tr>'
