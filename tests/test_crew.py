"""Two processes learn what one does: run side by side on the CPU, through the command line."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from flowdemo.cli.main import main
from flowdemo.config.recipe import Recipe
from flowdemo.training import pairs
from flowdemo.training.processes import Accelerated, Processes, started_processes
from flowdemo.training.run import run_recipe, same_step
from tests.conftest import make_model

ROOT = Path(__file__).parent.parent
MEAN = {"share_interval": 0.75, "share_start": 0.25, "share_end": 0.25, "power": 0.75}


def recipe(**changes) -> Recipe:
    base = {
        "name": "x", "method": "flow-matching", "data": "moons", "steps": 1, "batch_size": 7,
        "net": {"kind": "mlp", "width": 16, "depth": 2}, "precision": "float32", "warmup": 0,
    }  # fmt: skip
    return Recipe(**(base | changes))


def mean_flow(**changes) -> Recipe:
    net = {"kind": "mlp", "width": 16, "depth": 2, "end_time": True, "guidance": True}
    return recipe(method="meanflow", net=net, meanflow=MEAN, guidance=(1.0, 4.0), **changes)


PLANS = {
    "flow-matching": recipe(batch_size=8),
    "odd": recipe(accumulate=2),
    "meanflow": mean_flow(),
    "flow-matching-on": recipe(steps=20),
    "meanflow-on": mean_flow(steps=20),
    "resampled": recipe(steps=40, batch_size=33, times="loss-second-moment"),
    "reflow": recipe(
        method="reflow", teacher="moons-flow-matching",
        pairs={"count": 1100, "solver": "euler", "steps": 2},
    ),
}  # fmt: skip
CODE = """
import sys, torch; from pathlib import Path; from flowdemo.cli.main import main
torch.set_num_threads(1)
for file in sorted(Path(sys.argv[1]).glob("*.json")):
    try:
        main(["train", str(file), "--out", str(file.with_suffix("")), "--set", "name=" + file.stem])
    except SystemExit as end:
        assert not end.code, file
"""


def trained_in(folder):
    return {name: load_file(folder / name / "training" / "training.safetensors") for name in PLANS}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What one process and what two have in their states, and what the two said."""
    pytest.importorskip("accelerate")
    one, two = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    for name, plan in PLANS.items():
        for folder in (one, two):
            (folder / f"{name}.json").write_text(plan.model_dump_json())
        with pytest.raises(SystemExit):
            main(["train", str(one / f"{name}.json"), "--out", str(one / name),
                  "--set", f"name={name}"])  # fmt: skip
    with launched(script(CODE, two), two) as run:
        out, err = run.communicate(timeout=300)
    assert run.returncode == 0, err[-3000:]
    said = SimpleNamespace(stdout=out, stderr=err)
    return trained_in(one), trained_in(two), said, one, two


def script(code, folder):
    (folder / "train.py").write_text(code)
    return str(folder / "train.py")


def launched(*command):
    """Two processes that run a script, or a module by "-m"."""
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu",
              "--num_processes", "2", *map(str, command)]  # fmt: skip
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = os.environ | {"ACCELERATE_USE_CPU": "1", "PYTHONPATH": paths}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(launch, text=True, env=env, **pipes)


def difference(a, b, prefix):
    """The largest one, over the largest number there is."""
    keys = [key for key in a if key.startswith(prefix)]
    assert keys
    largest = max(a[key].abs().max().item() for key in keys)
    return max((a[key] - b[key]).abs().max().item() for key in keys) / largest


@pytest.mark.parametrize("name", ["flow-matching", "odd", "meanflow", "reflow"])
def test_the_gradient_of_two_processes_is_that_of_the_joint_batch(runs, name):
    """After one step Adam's first moment is a tenth of it; batches of 7 and 8, in parts too."""
    one, two, *_ = runs
    keys = [key for key in one[name] if key.endswith("exp_avg")]
    a, b = ({key: 10 * state[name][key] for key in keys} for state in (one, two))
    found = difference(a, b, "optimizer")
    print(f"{name}: relative difference of the gradients {found:.1e}")
    assert max(value.abs().max() for value in a.values()) > 1e-2 and found < 3e-6


@pytest.mark.parametrize("name", ["flow-matching-on", "meanflow-on", "resampled"])
def test_many_steps_end_in_the_same_weights(runs, name):
    one, two, *_ = runs
    assert difference(one[name], two[name], "net.") < 2e-4
    assert difference(one[name], two[name], "ema.") < 2e-4
    assert torch.equal(one[name]["generator"], two[name]["generator"])


def test_they_remember_the_same_errors(runs):
    one, two = (state["resampled"] for state in runs[:2])
    assert one["times.counts"].sum() == 40 * 33 and one["times.counts"].min() >= 10
    assert torch.equal(one["times.counts"], two["times.counts"])
    torch.testing.assert_close(one["times.errors"], two["times.errors"], atol=1e-3, rtol=1e-2)


def test_they_share_the_pairs_between_them(runs):
    *_, one, two = runs
    files = [folder / "reflow" / "training" for folder in (one, two)]
    names = [sorted(file.name for file in work.glob("pairs-*")) for work in files]
    assert names[0] == names[1] and len(names[0]) == 3
    for name in names[0]:
        a, b = (load_file(work / name) for work in files)
        assert all(torch.equal(a[key], b[key]) for key in a)


RESUMED = """
import os, sys, torch; from pathlib import Path; from flowdemo.cli.main import main
from flowdemo.training import log
torch.set_num_threads(1)
log.SAVE_SECONDS = 0.05
folder = Path(sys.argv[1])
(folder / f"{os.getpid()}.pid").touch()
main(["train", str(folder / "killed.json"), "--out", str(folder / "killed")])
"""


@pytest.mark.whole
def test_two_processes_that_are_killed_end_in_the_bits_of_two_that_were_not(tmp_path):
    pytest.importorskip("accelerate")
    text = recipe(steps=100).model_dump_json()
    (tmp_path / "killed.json").write_text(text)
    log = tmp_path / "killed" / "training" / "log.jsonl"
    with launched(script(RESUMED, tmp_path), tmp_path) as run:
        until = time.monotonic() + 60
        while not (log.is_file() and log.read_text().count("\n") > 30):
            assert run.poll() is None and time.monotonic() < until
            time.sleep(0.01)
        run.kill()  # else it would end the others gently
        for file in tmp_path.glob("*.pid"):
            os.kill(int(file.stem), signal.SIGKILL)
    with safe_open(log.with_name("training.safetensors"), framework="pt") as file:
        assert 1 < json.loads(file.metadata()["state"])["step"] < 100  # where it goes on
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    (tmp_path / "whole.json").write_text(text)
    for name in ("killed", "whole"):  # by the command that the docs tell, on a thread each
        file = (tmp_path / name).with_suffix(".json")
        train = ("-m", "flowdemo", "train", file, "--out", tmp_path / name, "--resume")
        with launched(*train) as run:
            _, err = run.communicate(timeout=120)
        assert run.returncode == 0, err[-3000:]
    killed, whole = (
        load_file(tmp_path / name / "training" / "training.safetensors")
        for name in ("killed", "whole")
    )
    assert killed.keys() == whole.keys()
    assert all(torch.equal(killed[key], whole[key]) for key in whole)


def test_only_the_first_speaks_and_writes(runs):
    run, two = runs[2], runs[4]
    lines = [line for line in run.stdout.splitlines() if "->" in line]
    assert len(lines) == len(PLANS)
    assert run.stderr.count("meanflow-on:   0%") == 1  # one bar
    log = (two / "meanflow-on" / "training" / "log.jsonl").read_text().splitlines()
    assert len(log) == 20 and (two / "meanflow-on" / "model.safetensors").is_file()


def test_processes_that_would_go_on_from_different_steps_are_refused():
    """As where the folder of the first machine is not seen by the second."""
    run = SimpleNamespace(
        state=SimpleNamespace(step=40, device="cpu"), processes=Processes(), folder="there"
    )
    same_step(run)
    left = torch.tensor([40.0, 40.0, 0.0])
    gather = lambda mine, n: torch.cat([mine, left[len(mine) : n]])  # noqa: E731
    run.processes = SimpleNamespace(size=3, gather=gather)
    with pytest.raises(ValueError, match=r"different steps \(0 and 40\): there must be one folder"):
        same_step(run)


class Stub(Processes):
    """One of several threads."""

    def __init__(self, rank, size, barrier=None):
        self.rank, self.size, self.barrier = rank, size, barrier

    def wait(self):
        self.barrier.wait(timeout=30)


def test_pairs_are_shared_by_what_was_missing_before_anyone_began(tmp_path):
    """Else the later one would share out a shorter list, and some shards would be nobody's."""
    plan, teacher, barrier = PLANS["reflow"], make_model(), threading.Barrier(2)

    def work(rank):
        time.sleep(rank)  # the second comes late
        return list(pairs.make_pairs(plan, teacher, tmp_path, Stub(rank, 2, barrier)))

    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(work, range(2)))
    assert [len(each) for each in made] == [2, 1]  # of three shards
    assert len(pairs.load_pairs(plan, teacher, tmp_path).x_0) == 1100


class Gatherer:
    """An Accelerate of three processes whose shares are given."""

    process_index, num_processes = 0, 3

    def __init__(self, n):
        self.n = n

    def gather(self, padded):
        rows = torch.arange(1.0, self.n + 1)
        shares = [rows[rank::3] for rank in range(3)]
        return torch.cat([torch.cat([x, x.new_zeros(len(padded) - len(x))]) for x in shares])


@pytest.mark.parametrize("n", [3, 7, 8, 9])
def test_gathered_rows_stand_in_the_order_of_the_batch(n):
    rows = torch.arange(1.0, n + 1)
    assert torch.equal(Accelerated(Gatherer(n)).gather(rows[0::3], n), rows)


def test_a_batch_that_leaves_a_process_without_a_row_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"7 rows cannot be shared by 8 process\(es\) in 1 part"):
        list(run_recipe(recipe(), tmp_path / "x", processes=Stub(0, 8)))
    with pytest.raises(ValueError, match="cannot be shared"):
        Stub(0, 2).check_batch(7, 4)
    Stub(0, 2).check_batch(8, 4)


def test_processes_need_accelerate_and_one_alone_does_not(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert started_processes().size == 1 and started_processes().is_main
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("flowdemo.training.processes.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install accelerate"):
        started_processes()
