"""A tab behind its page: its runner without components, and the query of its links."""

import html
from urllib.parse import parse_qsl

from flowdemo.ui.shared.runner import Runner, Tab


def runner_of(tab: Tab) -> Runner:
    """The runner of a tab without a page around it."""
    return Runner(tab, [], dict.fromkeys(tab.view), None)


def query_of(link: str) -> dict[str, str]:
    """The query of a link that a tab shows as HTML."""
    address = html.unescape(link.split('href="?')[1].split('"')[0])
    return dict(parse_qsl(address, keep_blank_values=True))


def states_of(runner: Runner, *states: list) -> list[dict]:
    """Updates of a run by the names of their components, besides `status` and the kept `view`."""
    names = ("status", *runner.tab.view, "view")
    return [dict(zip(names, state, strict=True)) for state in states]
