"""The commands that train."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from flowdemo import checkpoints
from flowdemo.cli import hub
from flowdemo.data.pictures import Pictures, reading
from flowdemo.data.prepare import prepare_for
from flowdemo.hub import download
from flowdemo.model import Model
from flowdemo.output import images
from flowdemo.sampling.run import sample
from flowdemo.training import finetune as tuning
from flowdemo.training.estimate import estimate
from flowdemo.training.processes import Processes, started_processes
from flowdemo.training.recipe_files import read_recipe
from flowdemo.training.run import PairsProgress, run_recipe
from flowdemo.training.trackers import TRACKERS
from flowdemo.training.trainer import Progress

SHOWN_CLASSES = 10  # in the pictures of a run
Out = Annotated[Path | None, typer.Option(help="Default: checkpoints/<name>/")]
Data = Annotated[
    str, typer.Option(help="Folders of pictures by class, .zip, .npz, parquet, or a Hub id.")
]
USUAL = ", ".join(f"{steps} of {method}" for method, steps in tuning.STEPS.items())
Steps = Annotated[int, typer.Option(help=f"0: the usual ones, {USUAL}.")]
Frozen = Annotated[str, typer.Option(help=f"What stays: {', '.join(tuning.FROZEN)}.")]


def train(
    recipe: str,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value, a.b=value")] = None,
    out: Out = None,
    resume: Annotated[bool, typer.Option(help="Go on with a run that was stopped.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only the whole recipe, memory, and time.")
    ] = False,
    log: Annotated[str, typer.Option(help=f"Beside the own log: {', '.join(TRACKERS)}.")] = "none",
) -> None:
    """Trains a recipe: a bundled one by name, or a .json file."""
    plan = read_recipe(recipe, set_)
    if log not in TRACKERS:
        raise ValueError(f"no --log '{log}'; there are: {', '.join(TRACKERS)}")
    if dry_run:
        print(plan.model_dump_json(indent=1, exclude_none=True))
        print("\n".join(estimate(plan).lines()))
        return
    target, team = out or checkpoints.TRAINED / plan.name, started_processes()
    with TRACKERS[log if team.is_main else "none"](plan, target / "training") as track:
        events = run_recipe(plan, target, resume, draw_samples, processes=team, track=track)
        shown(events, plan.name, plan.steps, plan.batch_size, team)
    if team.is_main:
        print(f"{plan.name} -> {target}")


def shown(
    events: Iterator, name: str, steps: int, batch: int, team: Processes | None = None
) -> Any:
    """A progress bar: loss, raw error, samples a second, and the time left; returns the last event."""
    team, progress = team or Processes(), None
    with tqdm(total=steps, unit="step", desc=name, disable=not team.is_main) as bar:
        for progress in events:
            if isinstance(progress, PairsProgress):
                bar.set_postfix_str(f"pairs {progress.made} of {progress.wanted}")
            elif isinstance(progress, tuning.Rehearsal):
                bar.set_postfix_str(f"old classes {progress.made} of {progress.wanted}")
            elif isinstance(progress, Progress):
                if progress.step > bar.n + 1 and bar.n == 0:
                    bar.initial = progress.step - 1  # the rate is that of this run
                bar.n = progress.step
                bar.set_postfix_str(words(progress, batch), refresh=False)
                bar.update(0)
    return progress


def words(progress: Progress, batch: int) -> str:
    """The numbers of a step."""
    rate = progress.step * batch / progress.seconds
    skipped = f", {progress.state.skipped} skipped" if progress.state.skipped else ""
    return f"loss {progress.loss:.4f}, error {progress.error:.4f}, {rate:.0f} samples/s{skipped}"


def draw_samples(model: Model, path: Path) -> None:
    """Two samples of each of the first ten classes (or 500 points), always from the same noise."""
    shown = min(model.empty, SHOWN_CLASSES)
    labels = 2 * list(range(shown)) if model.is_image else "all"
    n = len(labels) if model.is_image else 500
    images.export(sample(model, n, labels, keep_trajectory=False), path)


def finetune(
    model: str,
    data: Data,
    name: Annotated[str | None, typer.Option(help="Of the result.")] = None,
    steps: Steps = tuning.FineTuning.steps,
    learning_rate: float = tuning.FineTuning.learning_rate,
    frozen: Frozen = tuning.FineTuning.frozen,
    augment: Annotated[float, typer.Option(help="How much pictures are varied.")] = 1.0,
    seed: int = 0,
    out: Out = None,
) -> None:
    """Teaches a checkpoint new pictures, of new classes or its own; Ctrl-C keeps what is learnt."""
    plan = tuning.FineTuning(name or own_name(model), steps, learning_rate, frozen, augment, seed)
    target = out or checkpoints.TRAINED / plan.name
    checkpoints.check_new(plan.name, target)
    try:
        tuned = learnt(plan, model, data)
    except KeyboardInterrupt:
        typer.echo("stopped: nothing is saved", err=True)
        raise typer.Exit(130) from None
    checkpoints.save(tuned.model, target)
    print(result(tuned, target))


def own_name(model: str) -> str:
    """What the result is called by default: after the model, without its owner and commit."""
    return f"{model.partition('@')[0].split('/')[-1].lower()[:58]}-tuned"


def learnt(plan: tuning.FineTuning, model: str, data: str) -> tuning.Tuned:
    """Download the model if needed, read the pictures, and train, with progress.

    Ctrl-C is a KeyboardInterrupt until the first step is made; then it ends with what is learnt.
    """
    hub.followed(download.fetch(model))
    origin = checkpoints.load(model)
    pictures = pictures_for(origin, data)
    labels = [pictures.classes[label] for label in pictures.labels.tolist()]
    stop = Stop()
    events = tuning.finetune(plan, origin, pictures.images, labels, lambda: not stop.asked)
    steps = tuning.completed(plan, origin.config).steps
    try:
        return shown(stop.heeded(events), plan.name, steps, tuning.BATCH)
    finally:
        signal.signal(signal.SIGINT, stop.before)


class Stop:
    """Ctrl-C, once there is something learnt: the first asks for the end, the second aborts."""

    def __init__(self):
        self.asked, self.before = False, signal.getsignal(signal.SIGINT)

    def heeded(self, events: Iterator) -> Iterator:
        """The events; at the first step Ctrl-C begins to be heeded."""
        begun = False
        for event in events:
            if isinstance(event, Progress) and not begun:
                begun = True
                signal.signal(signal.SIGINT, self.ask)
            yield event

    def ask(self, *_: Any) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, self.before)


def pictures_for(origin: Model, data: str) -> Pictures:
    """The pictures as the model takes them; what was skipped is named on standard error."""
    shape = origin.config.sample_shape
    where = Path(data) if Path(data).exists() else data
    *_, pictures = reading(where, shape, prepare=prepare_for(origin.config.data, shape))
    for line in pictures.broken:
        typer.echo(f"skipped: {line}", err=True)
    return pictures


def result(tuned: tuning.Tuned, target: Path) -> str:
    """What came of it, in one line."""
    line = f"{tuned.model.name} -> {target}, as after step {tuned.step}, its best"
    line += f" ({tuned.note})" if tuned.note else ""
    if tuned.before is None:
        return f"{line}; no classifier here knows the old classes"
    return f"{line}; old classes right: {tuned.before:.1%} before, {tuned.after:.1%} after"


COMMANDS = (train, finetune)
