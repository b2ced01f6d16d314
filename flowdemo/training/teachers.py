"""The checkpoints that a run builds on: its teacher, its start, and what these cost."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from flowdemo.checkpoints import folders, load
from flowdemo.config.checkpoint import parse
from flowdemo.config.recipe import Recipe
from flowdemo.files import write_file
from flowdemo.model import Model
from flowdemo.nets.embed import NEW_INPUTS
from flowdemo.nets.sizes import NetConfig
from flowdemo.training.dataset import dataset_of, own_pictures
from flowdemo.training.recipe_files import recipe_names

# A net may differ from its start in these; time inputs that the start lacks fail by their weights.
FREE = {"end_time", "guidance", "time_inputs", "dropout"}


def load_source(name: str | None, device: torch.device) -> Model | None:
    """A checkpoint that training builds on; if it is missing, a ValueError names the command."""
    if name is None:
        return None
    if name not in folders() and name in recipe_names():
        raise ValueError(f"'{name}' comes first: python -m flowdemo train {name}")
    return load(name, device)


def check_teacher(recipe: Recipe, teacher: Model | None) -> None:
    """ValueError unless the teacher has the data, path, classes and weights of the recipe."""
    if teacher is None:
        return
    own, (low, high) = teacher.config, teacher.config.guidance
    if own.data != recipe.data:
        raise ValueError(f"{teacher.name} makes {own.data}, not {recipe.data}")
    info = dataset_of(recipe)
    if (own.shape, own.mean, own.std) != (info.shape, *info.normalisation.values()):
        raise ValueError(f"{teacher.name} works on samples of another shape or scale")
    if own.classes != info.classes:
        raise ValueError(f"{teacher.name} has other classes than {recipe.data}")
    if (own.path, own.sigma_min) != (recipe.path, recipe.sigma_min):
        raise ValueError(f"{teacher.name} has another path than {recipe.name}")
    check_times_of(recipe, teacher)
    fixed = [recipe.meanflow.weight] if recipe.meanflow else []
    if min(*recipe.guidance, *fixed) < low or max(*recipe.guidance, *fixed) > high:
        raise ValueError(f"{teacher.name} is guided in [{low:g}, {high:g}] only")


def check_times_of(recipe: Recipe, teacher: Model) -> None:
    """ValueError unless the teacher knows its velocity at all times that the recipe needs."""
    own = teacher.config
    if own.eps and recipe.pairs is None:
        raise ValueError(
            f"{teacher.name} knows no times before {own.eps:g}, and {recipe.method} asks them"
        )
    if own.only_inverts or (own.fixed_steps is not None and not makes_its_steps(recipe, teacher)):
        raise ValueError(
            f"{teacher.name} knows its velocity at single times: it makes 'pairs' by its own "
            "Euler steps, and teaches nothing else"
        )


def makes_its_steps(recipe: Recipe, teacher: Model) -> bool:
    """Whether the pairs are those of the only steps that the teacher can make."""
    own = ("euler", teacher.config.fixed_steps)
    return recipe.pairs is not None and (recipe.pairs.solver, recipe.pairs.steps) == own


def same_run(recipe: Recipe, sources: list[Model], file: Path) -> None:
    """Writes the recipe and the hashes of its sources to `file`; ValueError if they changed."""
    content = recipe.model_dump() | {"sources": {model.name: model.revision for model in sources}}
    if recipe.source:
        own = own_pictures(recipe.source, recipe.shape)
        digest = hashlib.sha256()
        for part in (own.images.numpy(), own.labels.numpy(), repr(own.classes).encode()):
            digest.update(memoryview(part).cast("B"))  # no copy: it may be gigabytes
        content["pictures"] = digest.hexdigest()
    text = json.dumps(content, indent=1)
    if file.is_file() and identity(file.read_text(), file) != identity(text, file):
        raise ValueError(
            "the run was started with another recipe or teacher, or other pictures: see "
            f"{file}, or remove its folder"
        )
    write_file(file, lambda path: path.write_text(text))


def identity(text: str, file: Path) -> tuple[Recipe, list[Any]]:
    """All that changes the trained weights, so without the number of processes that make pairs.

    Fields that older files lack have their defaults: a run of an older version can be resumed.
    """
    content = json.loads(text)
    facts = [content.pop(key, None) for key in ("sources", "pictures")]
    if content.get("pairs"):
        content["pairs"]["processes"] = 1
    return parse(Recipe, json.dumps(content), str(file)), facts


def take_over(net: nn.Module, origin: nn.Module, sizes: NetConfig, start: NetConfig) -> bool:
    """Copies the weights of `origin` into `net` of `sizes`; only the inputs s and w may be new.

    False if they do not fit. Equal shapes are not enough: other frequencies of the time embedding or
    another number of heads would compute something else with the same weights.
    """
    there, wanted = origin.state_dict(), net.state_dict()
    same = sizes.model_dump(exclude=FREE) == start.model_dump(exclude=FREE)
    fits = all(key in wanted and wanted[key].shape == there[key].shape for key in there)
    new = wanted.keys() - there.keys()
    if not same or not fits or any(not key.startswith(NEW_INPUTS) for key in new):
        return False
    net.load_state_dict(there, strict=False)
    return True


def costs_of(sources: list[Model]) -> dict[str, Any]:
    """Name -> cost of every checkpoint that had to be trained before, each once."""
    costs: dict[str, Any] = {}
    for model in sources:
        cost = dict(model.config.training)
        costs |= cost.pop("chain", {}) | ({model.name: cost} if cost else {})
    return costs
