"""Models of the same data with other classes: what fine-tuning added stands beside what was there."""

from dataclasses import replace

import pytest
import torch

from flowdemo import checkpoints
from flowdemo.checkpoints import load
from flowdemo.evaluation.classifier import judge
from flowdemo.evaluation.compare import compare, labels_by_name, resolve, shared
from flowdemo.sampling.request import Request
from flowdemo.training.finetune import with_new_classes
from flowdemo.ui.compare.controls import labels_offered, read
from flowdemo.ui.compare.view import films, run
from flowdemo.ui.generate import view as generate
from flowdemo.ui.generate.controls import default_request

BASE = "mnist-meanflow"


def extended(*names):
    """The shipped model with further classes, untrained."""
    origin = load(BASE)
    classes = (*origin.config.classes, *names)
    config = origin.config.model_copy(update={"name": "-".join(names), "classes": classes})
    return replace(origin, config=config, net=with_new_classes(origin, config))


@pytest.fixture
def more(trained):
    """Two models that number their new classes differently."""
    for names in (("heart", "star"), ("star",)):
        checkpoints.save(extended(*names), trained / "-".join(names))
    return {name: load(name) for name in (BASE, "heart-star", "star")}


def rows(more, names, label, n=12):
    requests = [Request(name, n, label) for name in names]
    return list(compare(*resolve(requests, more.__getitem__)))


def test_all_are_the_classes_that_every_row_has(more):
    for row in rows(more, (BASE, "star"), "all"):
        assert row.samples.labels.tolist() == [k % 10 for k in range(12)]
    first, second = rows(more, ("heart-star", "star"), "all")
    assert first.samples.labels.tolist() == [*range(10), 11, 0]
    assert second.samples.labels.tolist() == [*range(10), 10, 0]


def test_old_classes_are_drawn_alike_whatever_came_behind_them(more):
    plain, extended_ = rows(more, (BASE, "star"), "all", 10)
    assert torch.equal(plain.samples.images, extended_.samples.images)


def test_a_class_is_that_of_its_name_in_every_row(more):
    first, second = rows(more, ("heart-star", "star"), 11, 3)
    assert set(first.samples.labels.tolist()) == {11} and set(second.samples.labels.tolist()) == {
        10
    }
    assert [row.samples.images.shape[0] for row in (first, second)] == [3, 3]


def test_a_class_that_a_row_has_not_is_named_with_those_that_there_are(more):
    with pytest.raises(
        ValueError, match=r"^mnist-meanflow has no class 'heart'; the rows share: 0"
    ):
        rows(more, ("heart-star", BASE), 10)
    with pytest.raises(ValueError, match="no class 12"):
        rows(more, ("heart-star", BASE), 12)


def test_equal_classes_and_none_stay_as_they_were_asked_for(more):
    assert labels_by_name([more[BASE]] * 2, "all", 3) == ["all", "all"]
    assert labels_by_name([more[BASE], more["star"]], "any", 3) == ["any", "any"]
    assert shared([("a", "b", "c"), ("c", "a")]) == ("a", "c")


def test_the_classifier_judges_only_the_classes_that_it_knows(more):
    (row,) = rows(more, ("heart-star",), "all", 24)
    assert len(row.right) == 20 and row.accuracy > 0.8
    (row,) = rows(more, ("heart-star",), 10, 4)
    assert row.right is None and row.accuracy is None
    images, labels = row.samples.images, torch.tensor([3, 10, 3, 12])
    assert judge("mnist").right(images, labels).shape == (2,)


def test_generate_shows_a_class_that_was_added_and_judges_the_old_ones(more):
    request = replace(default_request("heart-star"), n=13, guidance=1.0)
    *_, view = generate.run(request)
    numbers = generate.numbers(view)
    right = int(numbers.split('fd-accuracy">')[1].split("/")[0])
    assert f"{right}/11<" in numbers and right > 8  # of 0 .. 9, heart, star, 0
    *_, view = generate.run(replace(request, label="star"))
    assert "fd-accuracy" not in generate.numbers(view)
    assert set(view.row.samples.labels.tolist()) == {11}


def test_the_compare_tab_offers_what_the_rows_share(more):
    offered = labels_offered(f"{BASE}\nheart-star", "heart")
    assert offered["choices"] == ["all", *"0123456789", "any"] and offered["value"] == "all"
    offered = labels_offered("heart-star\nstar", "star")
    assert offered["choices"][-2:] == ["star", "any"] and offered["value"] == "star"
    *_, view = run(read("heart-star\nstar", 12, "all", 42))
    assert "11/11 right" in films(view) or "10/11 right" in films(view)  # 0 .. 9, star, 0
