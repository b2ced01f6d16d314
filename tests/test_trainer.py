"""The loop: parts of a batch, bins, steps without a finite loss, precision, compilation."""

import json
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from flowdemo.checkpoints import load_folder
from flowdemo.config.recipe import Recipe
from flowdemo.core.couplings import Batch
from flowdemo.core.noise import generator
from flowdemo.methods import METHODS
from flowdemo.methods.losses import Terms
from flowdemo.nets.dropout import Dropout
from flowdemo.training import trainer
from flowdemo.training.log import numbers_of
from flowdemo.training.processes import Processes
from flowdemo.training.run import prepare, run_recipe
from flowdemo.training.trainer import Diverged, Progress, optimise

CPU = torch.device("cpu")


def recipe(method="flow-matching", **changes) -> Recipe:
    net = {"kind": "mlp", "width": 16, "depth": 2, "end_time": method == "meanflow"}
    base = {"name": "x", "method": method, "data": "moons", "net": net, "steps": 4,
            "batch_size": 10, "precision": "float32", "warmup": 0}  # fmt: skip
    if method == "meanflow":
        base["meanflow"] = {"share_interval": 0.7, "omega": 2.0}
    return Recipe(**(base | changes))


def moons(n, seed=1) -> Batch:
    x_0, x_1 = (torch.randn(n, 2, generator=generator(i)) for i in (seed, seed + 100))
    return Batch(x_0, x_1, torch.arange(n) % 3)


@pytest.mark.parametrize("method", ["flow-matching", "meanflow"])
@pytest.mark.parametrize("parts", [2, 4, 10])
def test_parts_of_a_batch_have_the_gradient_of_the_whole(method, parts):
    seen = []
    for accumulate in (1, parts):
        plan = recipe(method, accumulate=accumulate)
        state = prepare(plan, None, CPU)
        loss = METHODS[method].loss(plan, state.times, empty=2)
        batch = loss.timed(moons(10), generator(3))
        rows = trainer.backward(plan, state, state.net, batch, loss, Processes())
        seen.append([*rows, *(p.grad for p in state.net.parameters())])
    largest = max(gradient.abs().max() for gradient in seen[0][2:])
    for whole, parted in zip(*seen, strict=True):
        rounding = 2e-6 * max(1, whole.abs().max(), largest)
        assert largest > 1e-2 and (whole - parted).abs().max() < rounding
    terms = loss(state.net, batch)
    torch.testing.assert_close(seen[1][0], terms.loss.detach())
    torch.testing.assert_close(seen[1][1], terms.error)
    assert seen[0][0].shape == (10,) and len(set(seen[0][1].tolist())) == 10


class Masks(nn.Module):
    """A network that answers with what its dropout leaves of ones."""

    def __init__(self):
        super().__init__()
        self.drop, self.scale = Dropout(0.5), nn.Parameter(torch.ones(1))

    def forward(self, x, t):
        return self.scale * self.drop(torch.ones(len(x), 50))


def test_every_part_of_a_batch_has_dropout_masks_of_its_own():
    plan = recipe(accumulate=5)
    state = replace(prepare(plan, None, CPU), net=Masks().train())
    masks = []

    def loss(net, batch):
        masks.extend(tuple(row) for row in net(batch.x_0, batch.t).tolist())
        return Terms(net(batch.x_0, batch.t).sum(1), torch.zeros(len(batch.x_0)))

    for seed in (1, 2, 1):
        trainer.backward(plan, state, state.net, moons(10), loss, Processes(), seed)
    assert len(set(masks)) == 20 and masks[:10] == masks[20:]


def test_the_error_of_the_velocity_is_that_of_the_rows_without_an_interval():
    for method, changes, spans in (
        ("flow-matching", {}, 0),
        ("meanflow", {}, 7),
        ("meanflow", {"meanflow": {"share_interval": 1.0}}, 10),
    ):
        plan = recipe(method, steps=1, **changes)
        state = prepare(plan, None, CPU)
        loss = METHODS[method].loss(plan, state.times, empty=2)
        (progress,) = optimise(plan, state, lambda g: moons(10), loss)
        rows = progress.errors[spans:]
        assert progress.spans == spans and numbers_of(progress)["velocity"] == progress.velocity
        assert progress.velocity == (rows.mean().item() if spans < 10 else None)
        assert (progress.velocity == progress.error) == (spans == 0)


def test_a_gradient_is_cut_to_its_norm_and_told_as_it_was():
    norms = []
    for clip in (1e6, 1e-3):
        plan = recipe(clip=clip)
        state = prepare(plan, None, CPU)
        loss = METHODS["flow-matching"].loss(plan, state.times, empty=2)
        batch = loss.timed(moons(10), generator(0))
        trainer.backward(plan, state, state.net, batch, loss, Processes())
        told = trainer.update(state, plan, Processes())
        kept = torch.cat([p.grad.flatten() for p in state.net.parameters()]).norm().item()
        norms.append((told, kept))
    (whole, same), (told, cut) = norms
    assert whole == told == pytest.approx(same) and whole > 0.1
    assert cut == pytest.approx(1e-3, rel=1e-3)


def test_the_error_is_told_by_where_in_time_it_was():
    t = torch.tensor([0.0, 0.05, 0.15, 0.95, 1.0])
    errors = torch.tensor([1.0, 3.0, 5.0, 7.0, 9.0])
    progress = Progress(1, 1, 0.0, 0.0, 0.0, 0.0, t, errors, None)
    assert progress.bins == [2.0, 5.0, *[None] * 7, 8.0]


class Flat:
    """A loss without any slope: the gradient of every weight is 0."""

    def timed(self, batch, generator):
        return replace(batch, t=torch.zeros(len(batch.x_1)))

    def __call__(self, net, batch):
        error = 0 * net(batch.x_0, batch.t).square().mean(1)
        return Terms(error, error.detach())


def test_what_decays_shrinks_by_rate_times_decay_and_biases_and_scales_do_not():
    plan = recipe(steps=1, learning_rate=0.1, weight_decay=0.5, warmup=0)
    state = prepare(plan, None, CPU)
    with torch.no_grad():
        for weight in state.net.parameters():
            weight.fill_(1.0)
    list(optimise(plan, state, lambda g: moons(4), Flat()))
    for name, weight in state.net.named_parameters():
        expected = 1 - 0.1 * 0.5 if weight.ndim > 1 else 1.0
        assert torch.allclose(weight, torch.full_like(weight, expected)), name
    assert {weight.ndim for weight in state.net.parameters()} == {1, 2}


def test_without_decay_the_steps_are_those_of_adam():
    plan = recipe(steps=3, warmup=0)
    states = [prepare(plan, None, CPU) for _ in range(2)]
    adam = torch.optim.Adam(states[1].net.parameters(), lr=plan.learning_rate)
    states[1] = replace(states[1], optimizer=adam)
    for state in states:
        loss = METHODS["flow-matching"].loss(plan, state.times, empty=2)
        list(optimise(plan, state, lambda g: moons(10), loss))
    pairs = zip(*(state.net.parameters() for state in states), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


class Scripted:
    """A loss that is wrong in some steps: the squared output, times a factor a step."""

    def __init__(self, factors):
        self.factors, self.step = list(factors), 0

    def timed(self, batch, generator):
        return replace(batch, t=torch.linspace(0, 1, len(batch.x_1)))

    def __call__(self, net, batch):
        factor = self.factors[self.step]
        self.step += 1
        error = factor * net(batch.x_0, batch.t).square().mean(1)
        return Terms(error, error.detach())


class Vast:
    """Moons, of which one has a number whose square is no number at all, in the second batch."""

    def __init__(self):
        self.count = 0

    def __call__(self, g):
        self.count += 1
        batch = moons(40)
        if self.count == 2:
            batch.x_1[0] = 3e19
        return batch


@pytest.mark.parametrize("times", ["uniform", "loss-second-moment"])
def test_a_loss_without_a_finite_value_is_left_out_where_its_gradient_hides_it(times):
    """An adaptive weight is 0 there: the gradient is that of the other rows, and finite."""
    plan = recipe(steps=3, power=0.75, times=times)
    state, kept, walked = prepare(plan, None, CPU), [], []
    loss = METHODS["flow-matching"].loss(plan, state.times, empty=2)
    for progress in optimise(plan, state, Vast(), loss):
        walked.append(progress)
        kept.append(weights(state.net))
    assert [math.isfinite(p.loss) for p in walked] == [True, False, True]
    assert math.isfinite(walked[1].gradient) and state.skipped == 1
    assert torch.equal(kept[0], kept[1]) and not torch.equal(kept[1], kept[2])
    if times != "uniform":
        assert torch.isfinite(state.times.errors).all() and state.times.counts.sum() == 80


def test_a_loss_that_no_smaller_scale_would_mend_ends_a_run_in_float16():
    plan = recipe(steps=6, precision="float16")
    state = prepare(plan, None, CPU)
    for _ in range(2):
        trainer.backward(plan, state, state.net, *scaled(plan, state))
        trainer.update(state, plan, Processes(), sound=False)
    trainer.backward(plan, state, state.net, *scaled(plan, state))
    assert state.scaler.get_scale() > 1
    with pytest.raises(Diverged):
        trainer.update(state, plan, Processes(), sound=False)


def scaled(plan, state):
    """A batch with its loss, and who works on it."""
    loss = METHODS["flow-matching"].loss(plan, state.times, empty=2)
    return loss.timed(moons(10), generator(0)), loss, Processes()


def walk(factors, **changes):
    plan = recipe(steps=len(factors), **changes)
    state = prepare(plan, None, CPU)
    steps = optimise(plan, state, lambda g: moons(10), Scripted(factors))
    return state, steps


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("bad", [NAN, INF])
def test_two_bad_steps_are_left_out_and_counted(bad):
    state, steps = walk([1, bad, bad, 1, bad, bad, 1])
    before, moved = weights(state.net), []
    for _ in steps:
        now = weights(state.net)
        assert torch.isfinite(now).all() and torch.isfinite(weights(state.ema)).all()
        moved.append(not torch.equal(now, before))
        before = now
    assert moved == [True, False, False, True, False, False, True]
    assert (state.step, state.skipped, state.bad) == (7, 4, 0)


def test_three_in_a_row_end_the_run_with_the_weights_before():
    state, steps = walk([1, 1, NAN, NAN, NAN, 1])
    for _ in range(2):
        next(steps)
    kept, average = weights(state.net), weights(state.ema)
    with pytest.raises(Diverged, match="not finite in 3 steps in a row, up to 5"):
        list(steps)
    assert torch.equal(weights(state.net), kept) and torch.equal(weights(state.ema), average)
    assert state.step == 5 and state.skipped == 3


def broken_after(monkeypatch, good):
    """Training whose loss is not a number after so many steps."""
    original = trainer.draw_batch

    def draw(recipe, coupling, empty, g):
        draw.count += 1
        batch = original(recipe, coupling, empty, g)
        return replace(batch, x_1=NAN * batch.x_1) if draw.count > good else batch

    draw.count = 0
    monkeypatch.setattr(trainer, "draw_batch", draw)


def test_a_run_that_diverges_leaves_its_checkpoint_and_says_where(monkeypatch, tmp_path):
    folder, seen = tmp_path / "x", []
    with monkeypatch.context() as patch:
        broken_after(patch, 5)
        with pytest.raises(ValueError, match="'learning_rate'") as raised:
            for progress in run_recipe(recipe(steps=20), folder):
                seen.append(weights(progress.state.ema).clone())
    assert str(folder) in str(raised.value) and "up to 8" in str(raised.value)
    assert "\n" not in str(raised.value)
    torch.testing.assert_close(weights(load_folder(folder).net), seen[4], atol=1e-3, rtol=1e-3)
    log = [json.loads(x) for x in (folder / "training" / "log.jsonl").read_text().splitlines()]
    assert [line["skipped"] for line in log] == [0, 0, 0, 0, 0, 1, 2]
    losses = [line["loss"] for line in log]
    assert losses[5:] == [None, None] and all(isinstance(loss, float) for loss in losses[:5])
    assert log[-1]["error"] is None and set(log[-1]["bins"]) == {None}  # every row was NaN
    good = [error for error in log[4]["bins"] if error is not None]
    assert len(good) > 5 and min(good) < log[4]["error"] < max(good)  # a mean of means of the bins
    *_, last = run_recipe(recipe(steps=20), folder, resume=True)  # and may go on from there
    assert last.step == 20 and last.state.skipped == 3


def test_a_run_that_never_learnt_anything_leaves_no_checkpoint(monkeypatch, tmp_path):
    """It would stand under its name, and hide one that ships."""
    broken_after(monkeypatch, 0)
    with pytest.raises(ValueError, match="nothing was learnt before, and no checkpoint written"):
        list(run_recipe(recipe(steps=20), tmp_path / "x"))
    assert [file.name for file in (tmp_path / "x").iterdir()] == ["training"]


def test_a_step_that_is_left_out_is_not_remembered_by_the_times(monkeypatch, tmp_path):
    broken_after(monkeypatch, 2)
    plan = recipe(steps=4, times="loss-second-moment")
    *_, last = run_recipe(plan, tmp_path / "x")
    assert last.state.times.counts.sum() == 2 * 10
    assert torch.isfinite(last.state.times.errors).all()
