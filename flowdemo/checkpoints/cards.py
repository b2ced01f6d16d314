"""The README.md of a checkpoint: what it is, what was measured, and how it was trained."""

import json
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from flowdemo.config.checkpoint import ModelConfig
from flowdemo.config.recipe import Recipe
from flowdemo.data import DATASETS, title_of
from flowdemo.methods import METHODS
from flowdemo.methods.flow_matching import FLOW_MATCHING

FLOORS = {"floor_frechet_distance", "floor_accuracy", "floor_images", "test_accuracy"}
TAG, TASK = "flowdemo", "unconditional-image-generation"
METRICS = {
    "class_accuracy": "class accuracy (classifier of FlowDemo)",
    "frechet_distance": "Frechet distance (features of FlowDemo's classifier, no FID)",
    "wasserstein_2": "Wasserstein-2 distance",
}


def card(config: ModelConfig, repo: str | None = None) -> str:
    """Markdown with the front matter that the Hub reads; `repo` is the name on the Hub."""
    title, data = METHODS[config.method].title, title_of(config.data)
    parts = [
        f"---\n{front_matter(config)}\n---\n",
        f"# {repo or config.name}\n",
        f"{title} on {data}, class-conditional, by FlowDemo. "
        f"CFG weights {config.guidance[0]:g} to {config.guidance[1]:g}; default: "
        f"`{config.defaults.solver}`, {config.defaults.steps} step(s).\n",
        origin_section(config),
        usage_section(repo or config.name, config),
        results_section(
            config.results, DATASETS[config.data].note if config.data in DATASETS else ""
        ),
        training_section(config),
    ]
    return "\n".join(part for part in parts if part)


def front_matter(config: ModelConfig) -> str:
    """Licence, library, tags, data set and measured numbers as YAML."""
    info = DATASETS.get(config.data)
    tags = [TAG, FLOW_MATCHING.name, config.method, config.data, "safetensors"]
    metadata = ModelCardData(
        license=config.license,
        library_name=TAG,
        pipeline_tag=TASK if len(config.shape) == 3 else None,
        tags=list(dict.fromkeys(tags)),
        datasets=[info.hub_id] if info and info.hub_id else None,
        model_name=config.name if config.results else None,
        eval_results=evaluations(config) or None,
    )
    return metadata.to_yaml(line_break="\n")


def evaluations(config: ModelConfig) -> list[EvalResult]:
    """The measured rows as the Hub lists them next to a card."""
    info = DATASETS.get(config.data)
    return [
        EvalResult(
            task_type=TASK if info and info.is_image else "other",
            dataset_type=(info and info.hub_id) or config.data,
            dataset_name=title_of(config.data),
            metric_type=key,
            metric_name=f"{words}, NFE {row['nfe']}, CFG weight {row['guidance']:g}",
            metric_value=round(row[key], 4),
        )
        for row in config.results.get("rows", [])
        for key, words in METRICS.items()
        if row.get(key) is not None
    ]


def origin_section(config: ModelConfig) -> str:
    """The origin of weights that were not trained by FlowDemo; empty for others."""
    if (origin := config.origin) is None:
        return ""
    return (
        f"The weights were trained by others: they are `{origin.file}` of "
        f"[{origin.repo}](https://huggingface.co/{origin.repo}) at `{origin.revision}` "
        f"(SHA-256 `{origin.sha256}`, licence {config.license}), brought into FlowDemo's time "
        "direction and format and otherwise unchanged.\n"
    )


def usage_section(name: str, config: ModelConfig) -> str:
    """Python code that draws samples with the defaults."""
    return (
        "```python\nimport flowdemo\n\n"
        f'model = flowdemo.load("{name}")\n'
        f'samples = flowdemo.sample(model, n=16, label="all", guidance={config.defaults.guidance}, '
        "seed=0)\n```\n"
    )


def results_section(measured: dict[str, Any], note: str = "") -> str:
    """The table of `evaluate`, with a `note` on it."""
    if not measured:
        return "## Measured\n\nNothing yet: run `python -m flowdemo evaluate`.\n"
    rows = measured["rows"]
    columns = [key for key in COLUMNS if any(row.get(key) is not None for row in rows)]
    lines = [
        "## Measured\n",
        "By `python -m flowdemo evaluate` on these very weights.\n",
        "| " + " | ".join(COLUMNS[key][0] for key in columns) + " |",
        "|" + "---|" * len(columns),
    ]
    for row in rows:
        cells = (COLUMNS[key][1].format(row[key]) for key in columns)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *reference_lines(measured), *filter(None, [note]), ""])


COLUMNS = {
    "nfe": ("NFE", "{}"),
    "guidance": ("CFG weight", "{:g}"),
    "solver": ("solver", "{}"),
    "steps": ("steps", "{}"),
    "class_accuracy": ("class accuracy", "{:.2%}"),
    "frechet_distance": ("FD", "{:.3f}"),
    "wasserstein_2": ("W2", "{:.3f}"),
    "n": ("samples", "{}"),
}


def reference_lines(measured: dict[str, Any]) -> list[str]:
    """Straightness, and the values that real data reaches."""
    lines = []
    if (straightness := measured.get("straightness")) is not None:
        lines.append(f"Straightness {straightness:.4f} at w = 1 (0 is straight).")
    if measured.keys() >= FLOORS:
        lines.append(
            "FD is the Frechet distance to the test set in the features of the classifier in this "
            f"repository ({measured['test_accuracy']:.2%} right on the test set); it is no FID. "
            f"{measured['floor_images']} training images have FD "
            f"{measured['floor_frechet_distance']:.3f} and accuracy "
            f"{measured['floor_accuracy']:.2%}."
        )
    if measured.keys() >= {"floor_wasserstein_2", "floor_points"}:
        lines.append(
            "W2 is the exact Wasserstein-2 distance to fresh points; two real draws of "
            f"{measured['floor_points']} points are {measured['floor_wasserstein_2']:.3f} apart."
        )
    return lines


def training_section(config: ModelConfig) -> str:
    """Cost, the checkpoints trained before it, and the recipe or the data of fine-tuning."""
    how = (
        recipe_json(config) if config.recipe else tuning_words(config) if config.finetune else None
    )
    if how is None:
        return ""
    cost = config.training
    spent = (
        f"{cost['images_seen']:,} samples seen in {cost['hours']:.2f} hours on {cost['machine']}.\n"
        if cost
        else "What it cost is not known.\n"
    )
    return "\n".join(["## Training\n", spent, *chain_lines(cost), how])


def recipe_json(config: ModelConfig) -> str:
    """The recipe as JSON."""
    return f"```json\n{json.dumps(recipe_fields(config.recipe), indent=1)}\n```\n"


def tuning_words(config: ModelConfig) -> str:
    """The start and the data of fine-tuning."""
    own = config.finetune  # class names are left out: anybody may have written them
    return (
        f"Fine-tuned from `{own.start}` ({own.revision}) on {own.pictures} picture(s) of "
        f"{len(own.classes)} class(es): {own.steps} steps at most, learning rate "
        f"{own.learning_rate:g}, frozen: {own.frozen}. Old classes were rehearsed from that "
        "checkpoint's own samples.\n"
    )


def recipe_fields(recipe: Recipe) -> dict[str, Any]:
    """The fields of a recipe that are not defaults, and always its name, method, data and net."""
    said = recipe.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    always = {"name": recipe.name, "method": recipe.method, "data": recipe.data}
    return always | said | {"net": {"kind": recipe.net.kind} | said["net"]}


def chain_lines(cost: dict[str, Any]) -> list[str]:
    """The checkpoints that had to be trained before, and the cost of all together."""
    chain = cost.get("chain", {})
    if not chain:
        return []
    every = [cost, *chain.values()]
    seen, hours = (sum(one[key] for one in every) for key in ("images_seen", "hours"))
    names = ", ".join(
        f"`{name}` ({one['images_seen']:,} samples, {one['hours']:.2f} hours)"
        for name, one in chain.items()
    )
    return [f"Trained before it: {names}. All together {seen:,} samples in {hours:.2f} hours.\n"]
