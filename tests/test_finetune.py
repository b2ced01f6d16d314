"""Fine-tuning: what is new is learnt, what is old stays, and nothing but the checkpoint is needed."""

import json
from dataclasses import replace

import pytest
import torch

from flowdemo import checkpoints
from flowdemo.checkpoints import load_folder, save
from flowdemo.checkpoints.cards import card
from flowdemo.cli.main import main
from flowdemo.data.class_names import class_name
from flowdemo.methods import METHODS
from flowdemo.nets import build_net
from flowdemo.output.images import image_grid
from flowdemo.sampling.request import label_of
from flowdemo.sampling.run import sample
from flowdemo.training import finetune as tuning
from flowdemo.training.finetune import (
    FROZEN,
    LABELS,
    FineTuning,
    Rehearsal,
    Snapshot,
    Tuned,
    finetune,
)
from flowdemo.training.recipe_files import read_recipe
from flowdemo.training.rehearsal import TuningLoss, per_class
from flowdemo.training.trainer import Progress
from tests.conftest import make_model

TUNED = [name for name, each in METHODS.items() if each.tuning]


def model(method="meanflow"):
    return make_model("mnist", method, guidance_input=method == "meanflow")


def pictures(n=6):
    return torch.rand(n, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def tuned(origin, labels=("star",) * 6, **plan) -> Tuned:
    *_, last = finetune(
        FineTuning("mine", **({"steps": 3} | plan)), origin, pictures(), list(labels)
    )
    return last


@pytest.mark.parametrize("method", TUNED)
def test_a_new_class_gets_a_row_of_its_own_and_the_old_rows_stay_bit_for_bit(method):
    origin = model(method)
    made = tuned(origin).model
    before, after = (m.net.state_dict()[LABELS] for m in (origin, made))
    assert made.config.classes == (*origin.config.classes, "star")
    assert torch.equal(after[:10], before[:10]) and torch.equal(after[11], before[10])
    assert not torch.equal(after[10], before[10])  # the new row began as the empty one
    others = [key for key in made.net.state_dict() if key != LABELS]
    assert any(
        not torch.equal(made.net.state_dict()[key], origin.net.state_dict()[key]) for key in others
    )


def test_pictures_of_an_old_class_train_its_row_and_add_none():
    origin = model()
    made = tuned(origin, ["7"] * 3 + ["3"] * 3).model
    before, after = (m.net.state_dict()[LABELS] for m in (origin, made))
    assert made.config.classes == origin.config.classes
    moved = [row for row in range(11) if not torch.equal(before[row], after[row])]
    assert moved == [3, 7]


def test_what_is_frozen_stays():
    origin = model()
    old = origin.net.state_dict()
    changed = {
        frozen: {k for k, v in tuned(origin, frozen=frozen).model.net.state_dict().items()
                 if k == LABELS or not torch.equal(v, old[k])}
        for frozen in FROZEN
    }  # fmt: skip
    assert changed["all but the labels"] == {LABELS}
    conditioning = changed["all but the conditioning"]
    assert len(conditioning) > 5 and all("condition" in key for key in conditioning)
    assert any("conv" in key for key in changed["nothing"])


def loss_for(config):
    return METHODS[config.method].tuning.loss(config)


def test_pictures_may_be_bytes_or_lie_between_0_and_1():
    """Bytes take a quarter of the memory; what is learnt is the same."""
    origin, byte = model(), (255 * pictures()).round().byte()
    x_old, labels_old = torch.randn(20, 1, 28, 28), torch.arange(20) % 10
    drawn = [
        TuningLoss(origin, loss_for(origin.config), each, torch.full((6,), 10), x_old, labels_old,
               11, 16).draw(torch.Generator().manual_seed(0)).x_1
        for each in (byte, byte.float() / 255)
    ]  # fmt: skip
    assert torch.equal(*drawn) and -1.01 < drawn[0][:8].min() < drawn[0][:8].max() < 1.01


@pytest.mark.parametrize("method", TUNED)
def test_the_old_half_of_a_batch_asks_for_the_answers_of_the_start(method):
    """At the start the network is the old one: that half has no error, the new half has."""
    origin = model(method)
    config = tuning.tuned_config(FineTuning("mine", 9), origin, pictures(), ["star"] * 6)
    net = tuning.with_new_classes(origin, config)
    x_old, labels_old = torch.randn(20, 1, 28, 28), torch.arange(20) % 10
    loss = TuningLoss(
        origin,
        loss_for(config),
        pictures(),
        torch.full((6,), 10),
        x_old,
        labels_old,
        11,
        16,
    )
    g = torch.Generator().manual_seed(0)
    batch = loss.timed(loss.draw(g), g)
    assert (batch.label[:8] == 10).all() and (batch.label[8:] != 10).all()
    terms = loss(net, batch)
    assert terms.error[:8].min() > 1e-3 and terms.error[8:].abs().max() < 1e-10
    worse = tuning.with_new_classes(replace(origin, net=make_noisy(origin)), config)
    assert loss(worse, batch).error[8:].min() > 1e-6
    assert loss.loss.timed(batch.rows(slice(0, 8)), g).spans == batch.spans


def make_noisy(origin):
    net = build_net(origin.config.net, origin.config.shape, 10)
    net.load_state_dict(
        {k: v + 0.05 * torch.randn_like(v) for k, v in origin.net.state_dict().items()}
    )
    return net


def test_it_says_how_it_goes_and_ends_with_a_model_that_samples_every_class():
    origin = model("flow-matching")
    *events, last = finetune(FineTuning("mine", steps=3), origin, pictures(), ["star"] * 6)
    kinds = [type(event) for event in events]
    assert kinds[:10] == [Rehearsal] * 10 and kinds.count(Progress) == 3
    first = next(event for event in events if isinstance(event, Snapshot))
    assert first.model.config.classes[-1] == "star" and first.progress.step == 1
    assert sample(last.model, 11, "all", steps=1).labels.tolist() == list(range(11))
    assert 0 <= last.before <= 1 and 0 <= last.after <= 1
    assert last.model.config.training["images_seen"] == 3 * tuning.BATCH


def test_it_ends_where_it_is_when_nobody_wants_more_or_the_time_is_over():
    asked = iter([True, True, False])
    *_, last = finetune(
        FineTuning("mine", steps=50), model(), pictures(), ["star"] * 6, wanted=lambda: next(asked)
    )
    assert last.model.revision == "step 3"
    assert tuned(model(), steps=50, seconds=0.0).model.revision == "step 1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": -1}, "steps must lie in"),
        ({"learning_rate": 0.0}, "learning rate must lie"),
        ({"frozen": "everything"}, "frozen must be one of nothing, all but the conditioning"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        tuned(model(), **changes)


def test_without_steps_a_method_takes_its_usual_ones():
    wanted = {
        name: tuning.completed(FineTuning("mine"), model(name).config).steps for name in TUNED
    }
    assert wanted == tuning.STEPS == {"flow-matching": 200, "meanflow": 120}
    for method, usual in tuning.STEPS.items():
        events = finetune(FineTuning("mine"), model(method), pictures(), ["star"] * 6)
        progress = next(event for event in events if isinstance(event, Progress))
        assert progress.steps == usual
        assert tuning.completed(FineTuning("mine", steps=7), model(method).config).steps == 7


def test_what_cannot_be_tuned_is_refused():
    labels = ["star"] * 6
    reflow = make_model("mnist", "reflow", guidance_input=True)
    with pytest.raises(ValueError, match="choose a flow-matching or MeanFlow checkpoint"):
        next(finetune(FineTuning("mine"), reflow, pictures(), labels))
    with pytest.raises(ValueError, match="no image network of ours"):
        next(finetune(FineTuning("mine"), make_model("moons"), pictures(), labels))
    with pytest.raises(ValueError, match=r"takes pictures of shape \(1, 28, 28\)"):
        next(finetune(FineTuning("mine"), model(), torch.rand(6, 3, 28, 28), labels))
    with pytest.raises(ValueError, match="at least one picture"):
        next(finetune(FineTuning("mine"), model(), pictures(), labels[:2]))


def test_a_tuned_checkpoint_is_saved_with_what_it_was_made_of(tmp_path):
    made = tuned(model()).model
    save(made, tmp_path / "mine")
    again = load_folder(tmp_path / "mine")
    assert again.config.classes[-1] == "star" and again.config.finetune.pictures == 6
    assert again.config.training["chain"] == {}  # the start of this test cost nothing
    text = card(again.config)
    assert "Fine-tuned from `mnist-meanflow`" in text and "6 picture(s) of 1 class(es)" in text
    old = made.net.state_dict()[LABELS][:10].half().float()
    assert torch.equal(again.net.state_dict()[LABELS][:10], old)


def test_the_command_reads_pictures_names_what_it_skips_and_writes_a_checkpoint(
    trained, tmp_path, capsys
):
    save(model(), trained / "mnist-start")
    (tmp_path / "own" / "star").mkdir(parents=True)
    for k, pixels in enumerate(pictures(9)):
        image_grid((pixels > 0.6).float()[None]).save(tmp_path / "own" / "star" / f"{k}.png")
    (tmp_path / "own" / "star" / "broken.png").write_text("no picture")
    command = ["finetune", "mnist-start", "--data", str(tmp_path / "own"), "--steps", "2"]
    with pytest.raises(SystemExit) as done:
        main([*command, "--name", "mine"])
    assert done.value.code == 0
    output = capsys.readouterr()
    assert "skipped: star/broken.png" in output.err and "old classes right" in output.out
    assert checkpoints.load("mine").config.finetune.pictures == 9
    with pytest.raises(SystemExit) as done:
        main([*command, "--name", "mine"])
    assert done.value.code == 1 and "already" in capsys.readouterr().err


def test_classes_that_were_added_are_kept_apart_from_those_of_the_data(tmp_path):
    """A description may add classes to a known set's, but not rename or reorder them."""
    save(tuned(model()).model, tmp_path / "mine")
    config = tmp_path / "mine" / "config.json"
    content = json.loads(config.read_text())
    content["classes"][0] = "nought"
    config.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="another shape or other classes"):
        load_folder(tmp_path / "mine")


def test_what_was_had_from_the_hub_can_be_tuned_saved_and_loaded(tmp_path):
    origin = model()
    cost = {"images_seen": 5, "hours": 0.1, "machine": "x"}
    config = origin.config.model_copy(update={"name": "Somebody/digits", "training": cost})
    made = tuned(replace(origin, config=config)).model
    save(made, tmp_path / "mine")
    again = load_folder(tmp_path / "mine").config
    assert list(again.training["chain"]) == ["Somebody/digits"] == [again.finetune.start]


def test_a_class_is_found_by_its_name_whatever_that_is():
    classes = ("0", "cross, small", "3")
    assert label_of("cross, small", classes) == 1 and label_of("3", classes) == 2
    for name in ("all", "any"):
        with pytest.raises(ValueError, match="asks for no class of its own"):
            class_name(name)


def test_a_loss_that_is_not_finite_ends_it_with_what_was_learnt(monkeypatch):
    """From the third step on; three such steps end the run."""
    call, count = TuningLoss.__call__, []

    def broken(self, net, batch):
        terms = call(self, net, batch)
        count.append(1)
        return replace(terms, loss=terms.loss * (1 if len(count) < 3 else float("nan")))

    with monkeypatch.context() as patch:
        patch.setattr(TuningLoss, "__call__", broken)
        last = tuned(model(), steps=50)
    assert last.model.revision == "step 5" and "smaller learning rate" in last.note
    assert tuned(model()).note == ""
    assert all(torch.isfinite(p).all() for p in last.model.net.parameters())


def test_many_classes_are_rehearsed_by_fewer_samples_each():
    assert per_class(40, 10) == 40 and per_class(40, 100) == 10 and per_class(40, 5000) == 1


def test_what_else_cannot_be_tuned():
    origin = model()
    with pytest.raises(ValueError, match="seed must not be negative"):
        tuned(origin, seed=-1)
    changes = ["meanflow.omega=2", "net.guidance=false", "guidance=[1,1]", "share_unguided=0.25"]
    recipe = read_recipe("mnist-meanflow", [*changes, "teacher=null"])
    config = origin.config.model_copy(update={"recipe": recipe})
    with pytest.raises(ValueError, match="guidance is trained in"):
        tuned(replace(origin, config=config))
