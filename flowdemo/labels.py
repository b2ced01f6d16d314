"""One class in several models: what counts is its name, for each may number its classes otherwise."""

from flowdemo.model import Model
from flowdemo.sampling import ALL, NAMED, LabelChoice, labels_of


def labels_by_name(models: list[Model], label: LabelChoice, n: int) -> list[LabelChoice]:
    """The label of each row: models may number classes of the same name differently.

    ValueError names the first class that a row has not.
    """
    if label is None or len({model.config.classes for model in models}) == 1:
        return [label] * len(models)
    common = shared([model.config.classes for model in models])
    if label == ALL:
        wanted = [common[i % len(common)] for i in range(n)] if common else ["of any name"]
    else:
        wanted = [models[0].config.classes[k] for k in labels_of(models[0], label, n).tolist()]
    for model in models:
        if unknown := [name for name in wanted if name not in model.config.classes]:
            there = ", ".join([*common[:NAMED], "any"])
            raise ValueError(f"{model.name} has no class '{unknown[0]}'; the rows share: {there}")
    return [[model.config.classes.index(name) for name in wanted] for model in models]


def shared(classes: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The names that are in all of them, in the order of the first."""
    first, *others = classes
    return tuple(name for name in first if all(name in other for other in others))
