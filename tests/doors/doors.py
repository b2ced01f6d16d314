"""One function a door: it puts a request through and returns the `Answer`.

This is the only file here that knows how the product is written inside. An answer that is an error
has its text in `facts["error"]`; paths of temporary folders read FOLDER in it.
"""

import contextlib
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False", "OMP_NUM_THREADS": "1"}
os.environ.setdefault("HF_HOME", tempfile.mkdtemp(prefix="flowdemo-doors-hub-"))

import torch
from torch import Tensor

import flowdemo
from flowdemo import checkpoints
from flowdemo.cli import main
from flowdemo.core.noise import noise
from flowdemo.sampling.inversion import invert, round_trip_error
from flowdemo.sampling.request import ANY, Request
from flowdemo.ui.app import build_app
from tests.doors.answers import (
    Answer,
    digest,
    of_file,
    of_html_table,
    of_link,
    of_list,
    of_row,
    of_samples,
    values_of,
)
from tests.doors.page import Page, endpoint, message_of, signatures

HOME = ("FLOWDEMO_PUBLIC", "FLOWDEMO_ALLOW_TRAINING", "FLOWDEMO_HUB_NAMESPACE", "SPACE_ID")
# Checkpoints that do not ship: (copied from, changed keys of config.json)
EXTRA = {
    "moons-own": (  # its defaults are those of no other model
        "moons-meanflow",
        {"guidance": [1.0, 3.0], "defaults": {"solver": "euler", "steps": 3, "guidance": 2.0}},
    ),
    "mnist-inverter": ("mnist-reflow-distilled", {"trained_times": "t1"}),
}
# The controls of each tab, and what a run shows there besides a link and samples.
GENERATE = ("data", "method", "model", "label", "find", "guidance", "solver", "steps", "tolerance")
GENERATE += ("n", "seed")
COMPARE = ("c-rows", "c-n", "c-label", "c-seed", "c-data", "c-preset", "c-find")
LAB = ("l-data", "l-shown", "l-n", "l-label", "l-guidance", "l-solver", "l-steps", "l-seed")
PROPERTIES = ("visible", "interactive", "minimum", "maximum", "choices")
LISTS = (
    "data",
    "method",
    "c-data",
    "c-preset",
    "l-data",
)  # their choices are long, and always the same
# What runs after a link that cannot be used: less than what the tabs show first.
CHEAP = {"n": 2, "c-rows": "moons-reflow", "c-n": 2, "l-n": 10, "l-steps": 1}
FILMS = {"": "player", "c-": "c-player", "l-": "l-player"}


@contextlib.contextmanager
def sandbox() -> Iterator[None]:
    """The checkpoints that ship and those of EXTRA, one thread, and nothing set in the environment."""
    found, kept = checkpoints.TRAINED, {key: os.environ.pop(key, None) for key in HOME}
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="flowdemo-doors-") as folder:
        checkpoints.TRAINED = Path(folder)
        for name, (source, changes) in EXTRA.items():
            copy(checkpoints.SHIPPED / source, Path(folder) / name, changes)
        try:
            yield
        finally:
            checkpoints.TRAINED = found
            os.environ.update({key: value for key, value in kept.items() if value is not None})


def copy(source: Path, folder: Path, changes: dict[str, Any]) -> None:
    """A copy of a checkpoint with some keys of its config.json changed."""
    folder.mkdir()
    for file in source.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | changes))


@lru_cache
def app() -> Any:
    """The app, built once."""
    return build_app()


@contextlib.contextmanager
def public(yes: bool) -> Iterator[None]:
    """The limits of a public app, if asked."""
    if yes:
        os.environ["FLOWDEMO_PUBLIC"] = "1"
    try:
        yield
    finally:
        os.environ.pop("FLOWDEMO_PUBLIC", None)


def settings_of(samples: Any) -> dict[str, Any]:
    """What a run was asked for, by the keys of the exported JSON."""
    return samples.settings


def kept_samples(value: Any) -> list[Any]:
    """The samples in what a tab keeps of a run."""
    if hasattr(value, "trajectory") and hasattr(value, "labels"):
        return [value]
    if hasattr(value, "samples"):
        return kept_samples(value.samples)
    if hasattr(value, "row"):
        return kept_samples(value.row)
    parts = getattr(value, "rows", value)
    return [one for part in parts for one in kept_samples(part)] if isinstance(parts, list) else []


# Python


def python(model: str, n: int, noise_of: tuple | None = None, heard: bool = False, **how) -> Answer:
    """`flowdemo.sample`; `noise_of` are the arguments of noise that is given, `heard` keeps `watch`."""
    rows: list[int] = []
    how |= {"watch": rows.append} if heard else {}
    try:
        if noise_of is not None:
            how["x_0"] = noise(*noise_of)
        samples = flowdemo.sample(flowdemo.load(model), n, **how)
    except Exception as error:
        return failed(error)
    answer = of_samples(samples, settings_of(samples))
    if heard:
        answer.facts["heard"] = rows
    return answer


def inversion(model: str, n: int, forward: bool = True, **how: Any) -> Answer:
    """Noise of points of a seed, or of grey squares; back again by the same solver if `forward`."""
    try:
        loaded = flowdemo.load(model)
        x_1 = given_data(loaded.config.sample_shape, n)
        label = how.pop("label", None)
        limit = {key: how.pop(key) for key in ("watch", "max_evaluations") if key in how}
        if "tolerance" in how and "solver" not in how:
            how["solver"] = "dopri5"
        request = Request(label=ANY if label is None else label, **({"guidance": 1.0} | how))
        made = invert(loaded, x_1, request, **limit)
    except Exception as error:
        return failed(error)
    asked = made.request
    kind = "facts" if asked.tolerance is None else "numbers"
    label = {ANY: None}.get(asked.label, asked.label)
    label = list(label) if isinstance(label, tuple) else label
    same = {key: getattr(asked, key) for key in ("solver", "steps", "tolerance", "guidance")}
    settings = {"model": asked.model, "label": label} | same
    answer = Answer({"settings": settings}, values_of(made.x_0), {"x_0": digest(made.x_0)})
    getattr(answer, kind)["nfe"] = made.nfe
    answer.digests["states"] = digest(made.trajectory.states)
    if forward:
        again = flowdemo.sample(loaded, n, label, x_0=made.x_0, **same)
        error = round_trip_error(x_1, again.points if again.images is None else again.images)
        answer.numbers["error"] = round(error, 4)
    return answer


def given_data(shape: tuple[int, ...], n: int) -> Tensor:
    """Data (n, *shape) for an inversion."""
    if len(shape) == 1:
        return 2 * noise(5, 8, shape)[:n]
    images = torch.zeros(n, *shape)
    images[..., 8:20, 12:16] = 0.9
    return images


def failed(error: Exception, *folders: str) -> Answer:
    """The answer that is an error."""
    return Answer({"error": hidden(f"{type(error).__name__}: {error}", *folders)})


def hidden(text: str, *folders: str) -> str:
    """A text without the names of temporary folders."""
    for folder in (*folders, str(checkpoints.TRAINED)):
        text = text.replace(folder, "FOLDER")
    return text


# Command line


def command(line: str, n: int = 1) -> Answer:
    """`python -m flowdemo ...`; OUT in the line is an empty folder, whose files are looked at."""
    with tempfile.TemporaryDirectory() as folder:
        code, out, err = spoken(line.replace("OUT", folder).split())
        answer = Answer({"exit": code})
        if code == 2:  # the text is typer's
            return answer
        answer.facts["stderr"] = hidden(err, folder)
        add_output(answer, hidden(out, folder), n)
        for file in sorted(file for file in Path(folder).rglob("*") if file.is_file()):
            answer.add(str(file.relative_to(folder)), of_file(file, n))
    return answer


def spoken(arguments: list[str]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main.main(arguments)
        except SystemExit as end:
            code = end.code or 0
    return code, out.getvalue(), err.getvalue()


def add_output(answer: Answer, out: str, n: int) -> None:
    """What was printed: JSON, or text in which numbers with a point are replaced by #."""
    try:
        content = json.loads(out)
    except ValueError:
        answer.facts["stdout"] = re.sub(r" *\d+ ms", " # ms", re.sub(r"\d+\.\d+", "#", out))
        return
    rows = content if isinstance(content, list) else [content]
    for i, row in enumerate(rows):
        answer.add(f"stdout {i}", of_row(row, n))


# HTTP


def http(name: str, is_public: bool = False, **given: Any) -> Answer:
    """An endpoint by its name."""
    try:
        with public(is_public):
            made = endpoint(app(), name, given)
    except Exception as error:
        return Answer({"error": hidden(message_of(error))})
    files, content = made if isinstance(made, tuple) else ([], made)
    n, answer = int(given.get("n", 16) or 0), Answer({"files": [Path(f).name for f in files]})
    rows = content if isinstance(content, list) else [content]
    for i, row in enumerate(rows):
        answer.add(f"json {i}", of_row(row, n))
    for file in map(Path, files):
        if file.name not in ("config.json", "curve.csv"):  # with seconds and a date of their own
            answer.add(file.name, of_file(file, n))
    return answer


def endpoints() -> Answer:
    """Names, arguments and defaults of all endpoints, and the keys of `/models`."""
    keys = sorted({key for row in endpoint(app(), "models", {}) for key in row})
    return Answer({"endpoints": signatures(app()), "keys of /models": keys})


# The page


def link(query: dict[str, str], is_public: bool = False, measure: bool = False) -> Answer:
    """The page opened with a query: the controls, and the run that follows."""
    prefix = "c-" if "compare" in query else "l-" if "lab" in query else ""
    with public(is_public):
        page = Page(app(), query)
        for elem_id, value in CHEAP.items():
            page[elem_id] = value
        page.open(f"{prefix}status" if query else None, measure)
    return seen(page, prefix)


def press(controls: dict[str, Any], is_public: bool = False, measure: bool = False) -> Answer:
    """The Generate tab: choices by `elem_id` in order, values set without an event, Generate."""
    return pressed("", "go", controls, is_public, measure)


def compare(rows: str, n: int, label: str = "all", seed: int = 42, **how: bool) -> Answer:
    """The Compare tab: rows, one a line, and what they share."""
    values = {"c-rows": rows, "c-n": n, "c-label": label, "c-seed": seed}
    return pressed("c-", "c-go", values, **how)


def lab(data: str, shown: list[str] | None, controls: dict[str, Any], **how: bool) -> Answer:
    """The Lab: a data set is chosen, then models and the other controls by `elem_id`."""
    choose = {"l-data!": data} if data != "moons" else {}
    chosen = {} if shown is None else {"l-shown": shown}
    return pressed("l-", "l-go", choose | chosen | controls, **how)


def pressed(
    prefix: str,
    button: str,
    controls: dict[str, Any],
    is_public: bool = False,
    measure: bool = False,
) -> Answer:
    """A tab after its button was pressed; a control with ! is chosen as a visitor does."""
    with public(is_public):
        page = Page(app())
        for key, value in controls.items():
            if "!" in key:
                page.choose(key.strip(" !"), value)
            else:
                page[key] = value
        page.press(button, measure)
    return seen(page, prefix)


def own_points(table: str) -> Answer:
    """One's own points in the Lab, taken from the text of a table, and shown."""
    page = Page(app())
    page.choose("l-data", "own-points")
    page["l-csv"] = table
    page["l-n"], page["l-steps"] = 20, 2
    page.press("l-take-table")
    return seen(page, "l-")


def seen(page: Page, prefix: str) -> Answer:
    """What a tab shows after a run."""
    controls = {"": GENERATE, "c-": COMPARE, "l-": LAB}[prefix]
    answer = Answer({"controls": {name: properties(page, name) for name in controls}})
    answer.facts |= {"errors": [hidden(error) for error in page.errors]}
    answer.facts |= {"status": page[f"{prefix}status"], "tab": selected(page)}
    if changed(page, f"{prefix}link"):
        answer.facts["link"] = of_link(page[f"{prefix}link"])
    made = [one for key in page.touched for one in kept_samples(page.values[key])]
    n = len(made[0].labels) if made else 0
    for i, samples in enumerate(made):
        answer.add(f"samples {i}", of_samples(samples, settings_of(samples)))
    if prefix == "":
        add_results(page, answer, n)
    elif changed(page, f"{prefix}table"):
        answer.add("table", of_html_table(page[f"{prefix}table"], n))
    if changed(page, FILMS[prefix]):
        answer.digests["films"] = digest(page[FILMS[prefix]])
    return answer


def add_results(page: Page, answer: Answer, n: int) -> None:
    """What only Generate shows: numbers, and the nearest real images."""
    if changed(page, "numbers"):
        answer.add("numbers", of_list(page["numbers"], n))
    if changed(page, "near-words"):
        answer.facts["nearest"] = properties(page, "nearest")
        answer.digests["nearest"] = digest(page["near-words"])


def changed(page: Page, elem_id: str) -> bool:
    return page.block(elem_id)._id in page.touched


def properties(page: Page, elem_id: str) -> dict[str, Any]:
    """The value of a control and what it offers; visible and interactive unless it says False."""
    block = page.block(elem_id)
    known = {
        key: page.properties[block._id].get(key, getattr(block, key, None)) for key in PROPERTIES
    }
    for key in ("visible", "interactive"):
        known[key] = known[key] is not False
    known["choices"] = None if elem_id in LISTS else plain(known["choices"])
    return {"value": page[elem_id]} | {
        k: v for k, v in known.items() if v is not None and v is not True
    }


def plain(choices: list[Any] | None) -> list[Any] | None:
    """Choices as (words, value), or as the value where that is shown."""
    pairs = [one if isinstance(one, list | tuple) else (one, one) for one in choices or []]
    return [value if words == value else [words, value] for words, value in pairs] or None


def selected(page: Page) -> str | None:
    """The tab that events have opened."""
    opened = [page.properties[key].get("selected") for key in page.touched]
    return next((tab for tab in reversed(opened) if tab), None)


DOORS = {
    "python": python, "inversion": inversion, "command": command, "http": http,
    "endpoints": endpoints, "link": link, "press": press, "compare": compare, "lab": lab,
    "own points": own_points,
}  # fmt: skip
