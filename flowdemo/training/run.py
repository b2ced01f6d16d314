"""A recipe from start to checkpoint."""

import platform
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from flowdemo.checkpoints import save
from flowdemo.config.checkpoint import Defaults, ModelConfig, parsed
from flowdemo.config.recipe import Recipe
from flowdemo.core.couplings import COUPLINGS, Coupling, reflow_pairs
from flowdemo.methods import METHODS, Perceptual
from flowdemo.model import Model
from flowdemo.nets import build_net
from flowdemo.nets.sizes import check_net
from flowdemo.training.batches import time_sampler
from flowdemo.training.dataset import coupling_of, dataset_of
from flowdemo.training.log import HeldOut, RunLog, Track
from flowdemo.training.pairs import load_pairs, make_pairs, pair_seconds
from flowdemo.training.perceptual import perceptual_of
from flowdemo.training.processes import Accelerated, Processes
from flowdemo.training.state_file import load_state
from flowdemo.training.teachers import check_teacher, costs_of, load_source, same_run, take_over
from flowdemo.training.trainer import Diverged, Progress, State, start, train

ADVICE = "Take a smaller 'learning_rate' or 'clip', or 'precision' \"float32\""


@dataclass(frozen=True)
class PairsProgress:
    """How many reflow pairs are made, and how many are wanted."""

    made: int
    wanted: int


@dataclass(frozen=True)
class Run:
    """A recipe with its state, teacher, perceptual distance, and the `sources` that it builds on."""

    recipe: Recipe
    folder: Path
    processes: Processes
    state: State
    teacher: Model | None
    sources: list[Model]
    perceptual: Perceptual | None

    @property
    def work(self) -> Path:
        """The folder of all files but the checkpoint."""
        return self.folder / "training"

    def model(self) -> Model:
        """A model of the averaged weights, which further steps change."""
        return finished(self.recipe, self.state, self.sources)

    def save(self) -> None:
        """The checkpoint, written by the first process."""
        if self.processes.is_main:
            save(self.model(), self.folder)
        self.processes.wait()

    def save_diverged(self) -> str:
        """Saves the weights of a run that diverged, if it learnt anything; says so in words."""
        if self.state.step == self.state.skipped:  # an untrained network would hide a shipped one
            return "nothing was learnt before, and no checkpoint written"
        self.save()
        return f"{self.folder} holds the weights before that"

    def coupling(self) -> tuple[Coupling, HeldOut | None]:
        """The coupling to train on, and the held-out pairs; all pairs must be made before."""
        recipe, couple = self.recipe, COUPLINGS[self.recipe.coupling]
        if not recipe.pairs:
            return couple(coupling_of(recipe)), None
        pairs = load_pairs(recipe, self.teacher, self.work)
        self.state.pair_seconds = pair_seconds(recipe, self.work)
        return couple(reflow_pairs(pairs, recipe.pairs.trained)), HeldOut(recipe, pairs)


def run_recipe(
    recipe: Recipe,
    folder: Path,
    resume: bool = False,
    draw_samples: Callable[[Model, Path], None] | None = None,
    sample_every: int = 500,
    processes: Processes | None = None,
    track: Track = lambda step, numbers: None,
) -> Iterator[Progress | PairsProgress]:
    """Trains `recipe` and writes its checkpoint into `folder`, with a log and sample pictures.

    Without `resume`, a started run in the folder is an error. The state is saved every minute, so a
    killed run loses at most a minute. The checkpoint is written at the end; if the loss stays without
    a finite value, a ValueError follows it. `track` gets the numbers of the log. Of several processes
    only the first writes.
    """
    run = begin(recipe, folder, resume, processes or Processes())
    empty, state = len(dataset_of(recipe).classes), run.state
    if recipe.pairs:
        for made in make_pairs(recipe, run.teacher, run.work, run.processes):
            yield PairsProgress(*made)
    coupling, held_out = run.coupling()
    steps = train(recipe, state, coupling, empty, run.teacher, run.perceptual, run.processes)
    if run.processes.is_main:
        log = RunLog(run.work, draw_samples, sample_every, track, held_out)
        steps = log.record(steps, run.model, state)
    try:
        yield from steps
    except Diverged as error:
        raise ValueError(f"{recipe.name}: {error}; {run.save_diverged()}. {ADVICE}") from error
    run.save()


def begin(recipe: Recipe, folder: Path, resume: bool, processes: Processes) -> Run:
    """A run at its first step, or resumed from its saved state; ValueError if it cannot be run."""
    processes.check_batch(recipe.batch_size, recipe.accumulate)
    device = device_of(processes)
    teacher, origin = (load_source(name, device) for name in (recipe.teacher, recipe.start_from))
    check_teacher(recipe, teacher)
    sources = [model for model in (teacher, origin) if model]
    state = prepare(recipe, origin, device)
    # A distance that is not available fails before anything is written.
    perceptual = perceptual_of(recipe, dataset_of(recipe), device)
    run = Run(recipe, folder, processes, state, teacher, sources, perceptual)
    if (run.work / "recipe.json").exists() and not resume:
        raise ValueError(f"{folder} has a started run; add --resume, or remove {run.work}")
    processes.wait()  # until all have looked
    run.model()  # an invalid description fails now, not at the end
    if not recipe.pairs:
        coupling_of(recipe)  # and so do missing data
    if processes.is_main:
        same_run(recipe, sources, run.work / "recipe.json")
    processes.wait()
    load_state(run.state, run.work)
    same_step(run)
    return run


def same_step(run: Run) -> None:
    """ValueError unless all processes continue from the same step."""
    mine = torch.tensor([float(run.state.step)], device=run.state.device)
    steps = run.processes.gather(mine, run.processes.size)
    if steps.min() != steps.max():
        raise ValueError(
            f"the processes go on from different steps ({steps.min():.0f} and {steps.max():.0f}): "
            f"{run.folder} must be one folder that all machines share"
        )


def device_of(processes: Processes) -> torch.device:
    """The GPU of this process, or else the CPU."""
    if isinstance(processes, Accelerated):
        return processes.accelerator.device
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def prepare(recipe: Recipe, origin: Model | None, device: torch.device) -> State:
    """The state at step 0, from fresh weights or from those of `origin`."""
    info = dataset_of(recipe)
    check_net(recipe.net, info.shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)  # the initialisers of torch.nn take no generator
        net, ema = (build_net(recipe.net, info.shape, len(info.classes)) for _ in range(2))
    if origin and not take_over(net, origin.net, recipe.net, origin.config.net):
        raise ValueError(f"{recipe.name}: the net does not fit {origin.name}, its start")
    return start(recipe, net, ema, device, time_sampler(recipe))


def finished(recipe: Recipe, state: State, sources: list[Model]) -> Model:
    """A model of the averaged weights; ValueError, in one line, if its description is invalid."""
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
        training=cost | {"chain": costs_of(sources)},
    )
    return Model(config, state.ema)


def public(recipe: Recipe) -> Recipe:
    """The recipe without the folders of this machine."""
    if recipe.source is None or not Path(recipe.source).exists():
        return recipe
    return recipe.model_copy(update={"source": Path(recipe.source).name})


def defaults_of(recipe: Recipe) -> Defaults:
    """The defaults of the method; a network that was trained for k Euler steps makes these."""
    if isinstance(recipe.times, int):
        return Defaults(solver="euler", steps=recipe.times)
    return METHODS[recipe.method].defaults


def machine(device: torch.device) -> str:
    """The name of the GPU or CPU that trains."""
    if device.type == "cuda":
        return re.sub(r"[^\w .,()@/+-]", " ", torch.cuda.get_device_name(device))
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.is_file() else []
    name = names[0] if names else platform.processor() or "CPU"
    return re.sub(r"[^\w .,()@/+-]", " ", f"{name}, {torch.get_num_threads()} thread(s)")
