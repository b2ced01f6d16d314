"""A recipe from start to checkpoint: what the command line and the app both run."""

import platform
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from flowdemo.checkpoints import save
from flowdemo.config import Defaults, ModelConfig, parsed
from flowdemo.couplings import COUPLINGS, Coupling, reflow_pairs
from flowdemo.methods import METHODS, Perceptual
from flowdemo.model import Model
from flowdemo.nets import build_net
from flowdemo.recipe import Recipe
from flowdemo.sizes import check_net
from flowdemo.training.crew import Accelerated, Crew
from flowdemo.training.desk import Desk, HeldOut, Track
from flowdemo.training.draws import time_sampler
from flowdemo.training.pairs import load_pairs, make_pairs, pair_seconds
from flowdemo.training.perceptual import perceptual_of
from flowdemo.training.resume import load_state
from flowdemo.training.sets import coupling_of, dataset_of
from flowdemo.training.sources import chain, check_teacher, same_run, source, take_over
from flowdemo.training.trainer import Diverged, Progress, State, start, train

ADVICE = "Take a smaller 'learning_rate' or 'clip', or 'precision' \"float32\""


@dataclass(frozen=True)
class PairsProgress:
    """Reflow pairs made so far, of how many."""

    made: int
    wanted: int


@dataclass(frozen=True)
class Run:
    """A recipe with what it trains: `teacher`, all `sources` it builds on, the distance of its loss."""

    recipe: Recipe
    folder: Path
    crew: Crew
    state: State
    teacher: Model | None
    sources: list[Model]
    perceptual: Perceptual | None

    @property
    def work(self) -> Path:
        """Where everything lies but the checkpoint."""
        return self.folder / "training"

    def model(self) -> Model:
        """The averaged weights as they are now."""
        return finished(self.recipe, self.state, self.sources)

    def save(self) -> None:
        """The checkpoint, written by the first process."""
        if self.crew.is_main:
            save(self.model(), self.folder)
        self.crew.wait()

    def left(self) -> str:
        """Saves what a run that diverged has learnt; what that is, in words."""
        if self.state.step == self.state.skipped:  # an untrained network would hide one that ships
            return "nothing was learnt before, and no checkpoint written"
        self.save()
        return f"{self.folder} holds the weights before that"

    def coupling(self) -> tuple[Coupling, HeldOut | None]:
        """What is drawn from, once all pairs are there."""
        recipe, choose = self.recipe, COUPLINGS[self.recipe.coupling]
        if not recipe.pairs:
            return choose(coupling_of(recipe)), None
        pairs = load_pairs(recipe, self.teacher, self.work)
        self.state.pair_seconds = pair_seconds(recipe, self.work)
        return choose(reflow_pairs(pairs, recipe.pairs.trained)), HeldOut(recipe, pairs)


def run_recipe(
    recipe: Recipe,
    folder: Path,
    resume: bool = False,
    draw_samples: Callable[[Model, Path], None] | None = None,
    sample_every: int = 500,
    crew: Crew | None = None,
    track: Track = lambda step, numbers: None,
) -> Iterator[Progress | PairsProgress]:
    """Trains `recipe` and leaves its checkpoint in `folder`, with a log and sample pictures.

    Without `resume` a started run in the folder is an error. The state is saved every minute, so a
    killed run loses at most that; the checkpoint appears at the end, or, with a ValueError, where the
    loss stays without a finite value. `track` hears the numbers of the log. Of several processes the
    first alone writes.
    """
    run = begin(recipe, folder, resume, crew or Crew())
    empty, state = len(dataset_of(recipe).classes), run.state
    if recipe.pairs:
        for made in make_pairs(recipe, run.teacher, run.work, run.crew):
            yield PairsProgress(*made)
    coupling, held_out = run.coupling()
    steps = train(recipe, state, coupling, empty, run.teacher, run.perceptual, run.crew)
    if run.crew.is_main:
        desk = Desk(run.work, draw_samples, sample_every, track, held_out)
        steps = desk.kept(steps, run.model, state)
    try:
        yield from steps
    except Diverged as error:
        raise ValueError(f"{recipe.name}: {error}; {run.left()}. {ADVICE}") from error
    run.save()


def begin(recipe: Recipe, folder: Path, resume: bool, crew: Crew) -> Run:
    """A run at its first step, or where it was left; ValueError if it cannot be run as it is."""
    crew.check(recipe.batch_size, recipe.accumulate)
    device = device_of(crew)
    teacher, origin = (source(name, device) for name in (recipe.teacher, recipe.start_from))
    check_teacher(recipe, teacher)
    sources = [model for model in (teacher, origin) if model]
    state = prepare(recipe, origin, device)
    # A distance that cannot be had fails before anything is written.
    perceptual = perceptual_of(recipe, dataset_of(recipe), device)
    run = Run(recipe, folder, crew, state, teacher, sources, perceptual)
    if (run.work / "recipe.json").exists() and not resume:
        raise ValueError(f"{folder} has a started run; add --resume, or remove {run.work}")
    crew.wait()  # until all have looked
    run.model()  # a recipe that gives no valid model fails now, not at the end
    if not recipe.pairs:
        coupling_of(recipe)  # nor does one whose data is not there
    if crew.is_main:
        same_run(recipe, sources, run.work / "recipe.json")
    crew.wait()
    load_state(run.state, run.work)
    same_step(run)
    return run


def same_step(run: Run) -> None:
    """ValueError unless all processes go on from the same step."""
    mine = torch.tensor([float(run.state.step)], device=run.state.device)
    steps = run.crew.gather(mine, run.crew.size)
    if steps.min() != steps.max():
        raise ValueError(
            f"the processes go on from different steps ({steps.min():.0f} and {steps.max():.0f}): "
            f"{run.folder} must be one folder that all machines share"
        )


def device_of(crew: Crew) -> torch.device:
    """The GPU of this process, or else the CPU."""
    if isinstance(crew, Accelerated):
        return crew.accelerator.device
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def prepare(recipe: Recipe, origin: Model | None, device: torch.device) -> State:
    """The state at step 0, from fresh weights or from those of `origin`."""
    info = dataset_of(recipe)
    check_net(recipe.net, info.shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)  # the initialisers of torch.nn know no other generator
        net, ema = (build_net(recipe.net, info.shape, len(info.classes)) for _ in range(2))
    if origin and not take_over(net, origin.net, recipe.net, origin.config.net):
        raise ValueError(f"{recipe.name}: the net does not fit {origin.name}, its start")
    return start(recipe, net, ema, device, time_sampler(recipe))


def finished(recipe: Recipe, state: State, sources: list[Model]) -> Model:
    """The averaged weights with their description; ValueError, in one line, if it is none."""
    info = dataset_of(recipe)
    cost = {
        "images_seen": state.step * recipe.batch_size,
        "hours": round((state.seconds + state.pair_seconds) / 3600, 3),
        "machine": machine(next(state.net.parameters()).device),
    }
    config = parsed(
        ModelConfig,
        recipe.name,
        name=recipe.name,
        method=recipe.method,
        data=recipe.data,
        shape=info.shape,
        classes=info.classes,
        **info.normalisation,
        net=recipe.net,
        path=recipe.path,
        sigma_min=recipe.sigma_min,
        trained_times=recipe.trained_times,
        eps=recipe.eps,
        guidance=recipe.guidance,
        defaults=defaults_of(recipe),
        recipe=public(recipe),
        training=cost | {"chain": chain(sources)},
    )
    return Model(config, state.ema)


def public(recipe: Recipe) -> Recipe:
    """The recipe as others may read it: without the folders of this machine."""
    if recipe.source is None or not Path(recipe.source).exists():
        return recipe
    return recipe.model_copy(update={"source": Path(recipe.source).name})


def defaults_of(recipe: Recipe) -> Defaults:
    """Those of the method; k trained Euler steps are the only ones."""
    if isinstance(recipe.times, int):
        return Defaults(solver="euler", steps=recipe.times)
    return METHODS[recipe.method].defaults


def machine(device: torch.device) -> str:
    """What trained it, in words."""
    if device.type == "cuda":
        return re.sub(r"[^\w .,()@/+-]", " ", torch.cuda.get_device_name(device))
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.is_file() else []
    name = names[0] if names else platform.processor() or "CPU"
    return re.sub(r"[^\w .,()@/+-]", " ", f"{name}, {torch.get_num_threads()} thread(s)")
