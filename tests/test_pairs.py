"""Reflow pairs: whose they are, which are held out, and that several processes make the same."""

import json
import re
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from flowdemo.checkpoints import save
from flowdemo.config.recipe import Recipe
from flowdemo.core.couplings import reflow_pairs
from flowdemo.core.noise import noise
from flowdemo.core.solvers import fixed_step, grid, integrate_adaptive
from flowdemo.files import save_tensors
from flowdemo.methods.losses import squared_error
from flowdemo.training import pairs
from flowdemo.training.log import HELD_OUT, HeldOut
from flowdemo.training.pairs import load_pairs, make_pairs, pair_seconds
from flowdemo.training.precision import has_bfloat16
from flowdemo.training.run import run_recipe
from tests.conftest import make_model
from tests.plans import recipe as moons


def recipe(**changes) -> Recipe:
    wish = {"count": 900, "solver": "euler", "steps": 2} | changes.pop("pairs", {})
    base = {
        "name": "student", "method": "reflow", "data": "moons", "steps": 3, "batch_size": 8,
        "teacher": "moons-flow-matching", "guidance": (1.0, 3.0), "share_unguided": 0.5,
        "net": {"kind": "mlp", "width": 16, "guidance": True}, "pairs": wish,
    }  # fmt: skip
    return Recipe(**(base | changes))


def made(plan, teacher, folder):
    list(make_pairs(plan, teacher, folder))
    return load_pairs(plan, teacher, folder)


def test_adaptive_pairs_are_the_teachers_guided_flow(tmp_path):
    """By default, to about their tolerance: they are not rounded."""
    plan, teacher = recipe(pairs={"count": 40, "solver": "dopri5", "steps": None}), make_model()
    given = made(plan, teacher, tmp_path)
    guided = given.guidance > 1
    assert 5 < guided.sum() < 35
    exact = integrate_adaptive(
        lambda x, t: teacher.velocity(x, t, given.label, given.guidance),
        "dopri5", given.x_0, grid(1), 1e-7, keep=False,
    ).states[-1]  # fmt: skip
    torch.testing.assert_close(given.x_1, exact, atol=2e-4, rtol=0)
    assert not torch.equal(given.x_1, given.x_1.half().float())
    plain = integrate_adaptive(
        lambda x, t: teacher.velocity(x, t, given.label), "dopri5", given.x_0, grid(1), 1e-7, False
    ).states[-1]
    assert (given.x_1 - plain)[guided].norm(dim=1).mean() > 0.02


def test_pairs_begin_where_the_teachers_time_begins(tmp_path):
    teacher = make_model()
    late = teacher.config.model_copy(update={"eps": 0.1})
    object.__setattr__(teacher, "config", late)
    given = made(recipe(pairs={"count": 5, "steps": 1}), teacher, tmp_path)
    v = teacher.velocity(given.x_0, 0.1, given.label, given.guidance)
    torch.testing.assert_close(given.x_1, given.x_0 + 0.9 * v, atol=2e-2, rtol=2e-2)


def test_pairs_of_another_teacher_are_refused_by_the_name_of_the_file(tmp_path):
    plan, teacher = recipe(), make_model()
    made(plan, teacher, tmp_path)
    object.__setattr__(teacher, "revision", "another")
    with pytest.raises(
        ValueError, match=r"pairs-00000000\.safetensors was made by another teacher"
    ):
        load_pairs(plan, teacher, tmp_path)


DAMAGE = ("garbage", "truncated", "empty", "other", "short", "long", "uneven", "infinite")


@pytest.mark.parametrize("wrong", DAMAGE)
def test_a_shard_that_is_not_what_was_written_is_refused_by_its_name(tmp_path, wrong):
    plan, teacher = recipe(), make_model()
    made(plan, teacher, tmp_path)
    file = tmp_path / "pairs-00000500.safetensors"
    with safe_open(file, framework="pt") as opened:
        facts = opened.metadata()
    content, shard = file.read_bytes(), load_file(file)
    if wrong == "infinite":
        shard["x_1"][7, 0] = float("inf")
    elif wrong == "long":
        shard = {key: torch.cat([value, value[:1]]) for key, value in shard.items()}
    elif wrong == "other":
        shard = {"x": torch.ones(400)}
    else:
        cut = shard if wrong == "short" else ["label"]
        shard |= {key: shard[key][:-1] for key in cut}
    save_tensors(shard, file, facts)
    if wrong in ("garbage", "truncated", "empty"):
        file.write_bytes({"garbage": b"x" * 5000, "truncated": content[:-9], "empty": b""}[wrong])
    name = re.escape(file.name)
    with pytest.raises(ValueError, match=rf"{name} does not hold 400 finite") as raised:
        load_pairs(plan, teacher, tmp_path)
    assert "\n" not in str(raised.value)
    file.unlink()
    assert len(made(plan, teacher, tmp_path).x_0) == 900  # as the message says


ORPHANS = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from flowdemo.training.pairs import begin_worker
pool = ProcessPoolExecutor(1, get_context("spawn"), begin_worker, (1, os.getpid()))
print(pool.submit(os.getpid).result(), flush=True)
time.sleep(60)
"""


@pytest.mark.whole
def test_workers_end_with_a_parent_that_is_killed():
    with subprocess.Popen([sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE) as parent:
        worker = Path(f"/proc/{int(parent.stdout.readline())}/stat")
        assert alive(worker)
        parent.kill()
    until = time.monotonic() + 10
    while alive(worker) and time.monotonic() < until:
        time.sleep(0.1)
    assert not alive(worker)


def alive(stat):
    """Whether a process runs; a zombie, which nobody has waited for, does not."""
    return stat.is_file() and stat.read_text().rpartition(") ")[2][0] != "Z"


def test_the_pairs_that_are_held_out_are_never_drawn(tmp_path):
    plan = recipe(pairs={"count": 200, "held_out": 0.25})
    given = made(plan, make_model(), tmp_path)
    assert plan.pairs.trained == 150
    batch = reflow_pairs(given, plan.pairs.trained)(5000, torch.Generator().manual_seed(0))
    drawn = {tuple(x) for x in batch.x_0.tolist()}
    assert drawn == {tuple(x) for x in given.x_0[:150].tolist()}


class Zero(torch.nn.Linear):
    def forward(self, x, t, s=None, label=None, guidance=None):
        return 0 * x


def test_the_held_out_error_is_that_of_the_held_out_pairs(tmp_path):
    """A network that answers 0 has the error |x_1 - x_0|^2, whatever the weights of the loss."""
    plan = recipe(pairs={"count": 200, "held_out": 0.25}, power=0.75, times="loss-second-moment")
    given = made(plan, make_model(), tmp_path)
    wanted = squared_error((given.x_1 - given.x_0)[150:]).mean().item()
    assert HeldOut(plan, given).error(Zero(1, 1)) == pytest.approx(wanted)
    none = recipe(pairs={"count": 200, "held_out": 0.0})
    assert HeldOut(none, given).error(Zero(1, 1)) is None
    assert HELD_OUT < 1000  # it is measured while people wait


def test_the_log_tells_the_held_out_error_where_a_picture_is_due(trained):
    save(make_model(), trained / "moons-flow-matching")
    told = {}
    plan = recipe(steps=5, pairs={"count": 100})
    for _ in run_recipe(plan, trained / "student", sample_every=2, track=told.__setitem__):
        pass
    log = (trained / "student" / "training" / "log.jsonl").read_text().splitlines()
    lines = [json.loads(line) for line in log]
    assert [line["step"] for line in lines if "held_out" in line] == [2, 4, 5]
    assert lines[1]["held_out"] > 0 and told[2] == lines[1]


def test_processes_of_their_own_make_the_same_pairs(tmp_path, monkeypatch):
    pools = []

    def pool(*given):
        pools.append(ProcessPoolExecutor(*given))
        return pools[-1]

    monkeypatch.setattr(pairs, "ProcessPoolExecutor", pool)
    teacher, folders = make_model(), {n: tmp_path / str(n) for n in (1, 2)}
    plans = {n: recipe(pairs={"count": 1100, "processes": n}) for n in (1, 2)}
    progress = {n: list(make_pairs(plans[n], teacher, folders[n])) for n in (1, 2)}
    one, two = (load_pairs(plans[n], teacher, folders[n]) for n in (1, 2))
    assert torch.equal(one.x_0, two.x_0) and torch.equal(one.x_0, noise(1_000_003, 1100, (2,)))
    assert torch.equal(one.label, two.label) and torch.equal(one.guidance, two.guidance)
    torch.testing.assert_close(two.x_1, one.x_1, atol=1e-3, rtol=1e-3)
    assert len(pools) == 1 and pools[0]._max_workers == 2
    assert progress[2][-1] == (1100, 1100) and len(progress[2]) == 3
    assert pair_seconds(plans[2], folders[2]) > 0


def test_pairs_are_the_teachers_flow_from_noise_known_by_its_number(tmp_path):
    teacher = make_model()
    plan = moons("reflow", pairs={"count": 700, "solver": "heun", "steps": 4})
    made = list(make_pairs(plan, teacher, tmp_path))
    assert made == [(500, 700), (700, 700)]
    pairs = load_pairs(plan, teacher, tmp_path)
    assert torch.equal(pairs.x_0, noise(plan.pairs.seed, 700, (2,)))
    row = 600
    label, w = (rows[row : row + 1] for rows in (pairs.label, pairs.guidance))
    step = fixed_step(lambda x, t: teacher.velocity(x, t, label, w), "heun")
    x = pairs.x_0[row : row + 1]
    for k in range(4):
        x = step(x, torch.tensor(k / 4), torch.tensor((k + 1) / 4))
    tolerance = 0.05 if has_bfloat16(torch.device("cpu")) else 2e-3  # pairs are made in bfloat16
    torch.testing.assert_close(pairs.x_1[row : row + 1], x, atol=tolerance, rtol=tolerance)


def test_a_killed_pair_run_makes_only_what_is_missing(tmp_path):
    teacher = make_model()
    plan = moons("reflow", pairs={"count": 1500, "solver": "euler", "steps": 2})
    run = make_pairs(plan, teacher, tmp_path)
    next(run)
    run.close()
    file = tmp_path / "pairs-00000000.safetensors"
    first = file.stat().st_mtime_ns
    with safe_open(file, framework="pt") as opened:
        seconds = float(opened.metadata()["seconds"])
    assert len(list(make_pairs(plan, teacher, tmp_path))) == 3
    assert file.stat().st_mtime_ns == first
    assert pair_seconds(plan, tmp_path) > seconds > 0  # those before the end count, too
    whole = load_pairs(plan, teacher, tmp_path)
    assert len({float(x) for x in whole.x_0[:, 0]}) == 1500  # no noise twice
    assert whole.guidance[whole.label == 2].eq(1).all() and whole.label.eq(2).any()
