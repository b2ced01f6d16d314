"""The command line: thin commands over the library."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from flowdemo import checkpoints
from flowdemo.checkpoints import cache as store
from flowdemo.cli import hub as cli_hub
from flowdemo.cli import train as cli_train
from flowdemo.evaluation import compare, report
from flowdemo.files import write_file
from flowdemo.hub import download
from flowdemo.hub import models as inventory
from flowdemo.model import Model
from flowdemo.output import comparisons
from flowdemo.output import images as exports
from flowdemo.sampling.request import Request
from flowdemo.sampling.run import Samples, run
from flowdemo.settings import namespace

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Flow matching, reflow and MeanFlow: sample, compare, train, evaluate.",
    epilog="--debug, anywhere, shows the whole traceback of an error.",
)
Folder = Annotated[bool, typer.Option("--folder", help="MODEL is a checkpoint folder.")]


@app.command()
def models(
    json_: Annotated[bool, typer.Option("--json", help="As a JSON list.")] = False,
    hub: Annotated[
        bool, typer.Option("--hub", help="Also those of FLOWDEMO_HUB_NAMESPACE on the Hub.")
    ] = False,
) -> None:
    """Every model that can be sampled, and where it is."""
    rows = inventory.descriptions()
    if hub:
        rows += cli_hub.followed(inventory.look(namespace()))
    if json_:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        if "error" in row:
            print(f"{row['name']:36} broken: {row['error']}")
            continue
        what = f"{row['name']:36} {row['method']:14} {row['data']:16} {row['where']}"
        size = f"{row['bytes'] / 1e6:.1f} MB" if row["bytes"] else ""
        print(f"{what}  {inventory.best(row) or size}")


@app.command("sample")
def sample_command(
    model: str,
    n: int = 16,
    label: Annotated[str, typer.Option(help="A class, several as 1,2,3, 'all' or 'any'.")] = "all",
    guidance: Annotated[float | None, typer.Option(help="CFG weight; 1 is none.")] = None,
    solver: str | None = None,
    steps: int | None = None,
    tolerance: Annotated[float | None, typer.Option(help="For adaptive solvers.")] = None,
    seed: int = 0,
    out: Annotated[Path | None, typer.Option(help=".png, .gif, .webp or .npz")] = None,
    trajectory: Annotated[bool, typer.Option(help="Keep all states in the .npz.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
    folder: Folder = False,
) -> None:
    """Draws samples and writes them to a file."""
    if out is not None and out.suffix not in exports.ENDINGS:
        raise ValueError(f"cannot write '{out.name}': end it in {', '.join(exports.ENDINGS)}")
    loaded = get(model, folder)
    request = Request("", n, label, guidance, solver, steps, tolerance, seed)
    keep = trajectory or (out is not None and out.suffix in (".gif", ".webp"))
    samples = run(loaded, request, keep_trajectory=keep)
    if out is not None:
        exports.export(samples, out, trajectory)
    if json_:
        print(json.dumps(numbers(loaded, samples)))
    else:
        print(
            f"{n} samples, NFE {samples.nfe:g}, {samples.seconds:.3f} s"
            + (f" -> {out}" if out else "")
        )


@app.command("compare")
def compare_command(
    spec: Annotated[list[str], typer.Argument(help="MODEL:solver:steps[:guidance], several.")],
    n: int = 10,
    label: Annotated[str, typer.Option(help="A class, several as 1,2,3, 'all' or 'any'.")] = "all",
    seed: int = 0,
    out: Annotated[Path | None, typer.Option(help=".png, .json or .csv")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Draws the same noise through several models, solvers, steps and weights."""
    if out is not None and out.suffix not in comparisons.WRITERS:
        raise ValueError(f"cannot write '{out.name}': end it in {', '.join(comparisons.WRITERS)}")
    requests = [Request.parse(text, n=n, label=label, seed=seed) for text in spec]
    rows = []
    for row in compare.compare(*compare.resolve(requests, get)):
        rows.append(compare.measure(row))
        if not json_:
            print(line_of(rows[-1]), flush=True)
    if out is not None:
        comparisons.export(rows, out)
    if json_:
        print(json.dumps([row.numbers() for row in rows]))


def line_of(row: compare.Row) -> str:
    """A row of a comparison on the terminal."""
    right = "" if row.accuracy is None else f"{row.accuracy:.0%} right, "
    return (
        f"{row.request!s:44} NFE {row.samples.nfe:<5g} {1000 * row.seconds:6.0f} ms, "
        f"{right}straightness {row.straightness:.4f}, RMSE to reference "
        + ("none" if row.rmse is None else f"{row.rmse:.4f}")
    )


def numbers(model: Model, samples: Samples) -> dict[str, Any]:
    """The JSON of a run."""
    straight = report.straightness_of(model, samples) if model.is_followed else None
    cost = {"nfe": samples.nfe, "seconds": samples.seconds, "straightness": straight}
    return samples.settings | cost


def get(name: str, folder: bool = False) -> Model:
    """Load a model by name, from the Hub if needed, or from a folder with `--folder`."""
    if folder:
        return checkpoints.load_folder(Path(name))
    cli_hub.followed(download.fetch(name))
    return checkpoints.load(name)


@app.command()
def evaluate(
    model: list[str],
    n: Annotated[
        int | None, typer.Option(min=2, help="Samples a row (10,000 images, 2,000 points).")
    ] = None,
    nfe: Annotated[list[int] | None, typer.Option(help="Only these; may be repeated.")] = None,
    guidance: Annotated[
        list[float] | None, typer.Option(help="Only these; may be repeated.")
    ] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write the rows there.")] = None,
    write: Annotated[bool, typer.Option(help="Write config.json and the card.")] = False,
    folder: Folder = False,
) -> None:
    """Measures models: class accuracy and FD of images, Wasserstein-2 of points."""
    if json_ and not json_.parent.is_dir():
        raise ValueError(f"there is no folder {json_.parent} to write to")
    measured = {}
    for name in model:
        loaded = get(name, folder)
        rows = []
        for row in report.evaluate(
            loaded, n, tuple(nfe or report.NFES), tuple(guidance or report.GUIDANCES)
        ):
            rows.append(row.model_dump(exclude_none=True))
            print(loaded.name, json.dumps(rows[-1]), flush=True)
        if not rows:
            raise ValueError(f"{loaded.name} can be measured at none of these NFE and CFG weights")
        measured[loaded.name] = report.summary(loaded) | {"rows": rows}
        if write:
            where = Path(name) if folder else writable(name)
            record(where, measured[loaded.name])
    if json_:
        write_file(json_, lambda path: path.write_text(json.dumps(measured, indent=1) + "\n"))


def writable(name: str) -> Path:
    """The folder of a checkpoint that may be changed; ValueError for one of the Hub's cache."""
    if name in store.records():
        raise ValueError(f"{name} is a commit of the Hub, which stays as it is: use --json instead")
    return checkpoints.folder_of(name)


def record(folder: Path, measured: dict[str, Any]) -> None:
    """Merges measured rows into the checkpoint's config.json and writes its card anew."""
    config = checkpoints.read_config(folder)
    rows = report.merge(config.results.get("rows", []), measured["rows"])
    config = config.model_copy(update={"results": measured | {"rows": rows}})
    checkpoints.describe(folder, config)


for command in (*cli_train.COMMANDS, *cli_hub.COMMANDS):
    app.command()(command)


def main(arguments: list[str] | None = None) -> None:
    """Runs a command; an error is one line on standard error and exit code 1, or 2 for wrong usage."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    try:
        app([a for a in arguments if a != "--debug"])  # ends in SystemExit
    except (ValueError, OSError) as error:
        if debug:
            raise
        print(f"flowdemo: {error}", file=sys.stderr)
        sys.exit(1)
