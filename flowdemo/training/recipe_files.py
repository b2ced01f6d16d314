"""The recipe files that come with the package, and changes to them from the command line."""

import json
from pathlib import Path
from typing import Any

from flowdemo.config.checkpoint import parse
from flowdemo.config.recipe import Recipe

RECIPES = Path(__file__).parent / "recipes"


def read_recipe(name: str, changes: list[str] | None = None) -> Recipe:
    """The recipe file or bundled recipe of that name; `changes` are "key=value" or "a.b=value"."""
    path = Path(name) if name.endswith(".json") else RECIPES / f"{name}.json"
    if not path.is_file():
        raise ValueError(f"no recipe '{name}'; there are: {', '.join(recipe_names())}")
    content = json.loads(path.read_text())
    for change in changes or []:
        set_value(content, change)
    return parse(Recipe, json.dumps(content), str(path.name))


def set_value(content: dict[str, Any], change: str) -> None:
    """Writes "a.b=value" into nested dictionaries; the value is JSON, or else a string."""
    key, separator, text = change.partition("=")
    if not separator:
        raise ValueError(f"'{change}' is not of the form key=value")
    *folders, leaf = key.split(".")
    for folder in folders:
        content = content.setdefault(folder, {})
        if not isinstance(content, dict):
            raise ValueError(f"'{folder}' in '{change}' is no group of settings")
    try:
        content[leaf] = json.loads(text)
    except json.JSONDecodeError:
        content[leaf] = text


def recipe_names() -> list[str]:
    """The names of the bundled recipes."""
    return sorted(path.stem for path in RECIPES.glob("*.json"))
