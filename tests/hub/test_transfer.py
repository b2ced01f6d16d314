"""Push and pull by the real client: what goes over the line, and what is said if it does not."""

import json
import os
import re
import signal
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml

import flowdemo
from flowdemo import checkpoints
from flowdemo.checkpoints import CONFIG, WEIGHTS
from flowdemo.cli import main
from flowdemo.hub import download, models
from flowdemo.hub.client import QUIET_SECONDS, TICK, HubError, Progress, pull, push, sent
from flowdemo.sampling.run import sample
from tests.hub.fixtures import FAULTS, LARGE, REPO, TOKEN, files_of, pulled, serving

SHIPPED, MANY = "moons-flow-matching", 10**9


def pushing(name=SHIPPED, repo=REPO, **options):
    """The answer of a push."""
    with models.parcel(name, repo) as folder:
        *_, answer = push(folder, repo, **options)
    return answer


@pytest.fixture(scope="module")
def round_trip(tmp_path_factory):
    """A Hub, the answers of two pushes of a shipped model to it, and the model pulled from it."""
    with serving(tmp_path_factory.mktemp("home")) as endpoint:
        answers = pushing(), pushing()
        yield endpoint, answers, flowdemo.load(REPO)


def test_a_pushed_model_that_is_pulled_makes_the_same_samples(round_trip):
    there, here = round_trip[2], flowdemo.load(SHIPPED)
    ours, theirs = (sample(m, 64, "all", 2.0, "heun", 3, seed=5) for m in (here, there))
    assert torch.equal(ours.points, theirs.points)
    assert torch.equal(ours.trajectory.states, theirs.trajectory.states)
    assert there.name == REPO and there.revision == here.revision


def test_the_same_model_again_makes_no_commit_and_says_so(round_trip):
    endpoint, (first, second), _ = round_trip
    assert len(endpoint.commits(REPO)) == 2  # the empty repository, and the model
    assert first["changed"] and not second["changed"]
    assert first["revision"] == second["revision"] == endpoint.commits(REPO)[-1]
    assert sent(first).startswith(f"{endpoint.url}/{REPO} (public) is at ")
    assert "holds exactly this already" in sent(second)


def test_the_card_names_its_repository_and_its_snippet_runs_without_a_request(round_trip):
    endpoint, *_ = round_trip
    text = endpoint.files(REPO)["README.md"].decode()
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.S)
    assert f'load("{REPO}")' in snippet and f"# {REPO}\n" in text
    endpoint.clear()
    names = {}
    exec(snippet, names)
    assert len(names["samples"].points) == 16 and names["model"].name == REPO
    assert endpoint.requests == []


def test_the_numbers_beside_the_card_are_the_measured_ones(round_trip):
    files = round_trip[0].files(REPO)
    front = yaml.safe_load(files["README.md"].decode().split("---\n")[1])
    rows = json.loads(files[CONFIG])["results"]["rows"]
    (index,) = front["model-index"]
    shown = [metric for result in index["results"] for metric in result["metrics"]]
    assert [m["value"] for m in shown] == [round(row["wasserstein_2"], 4) for row in rows]
    words = [f"NFE {row['nfe']}, CFG weight {row['guidance']:g}" for row in rows]
    assert all(m["name"].endswith(end) for m, end in zip(shown, words, strict=True))
    assert front["library_name"] == "flowdemo" and "flowdemo" in front["tags"]


@pytest.mark.parametrize("private", [True, False])
def test_a_repository_is_as_private_as_was_chosen(hub, private):
    answer = pushing(private=private)
    assert hub.repo(REPO).private == answer["private"] == private
    assert f"({'private' if private else 'public'}) is at" in sent(answer)


def test_a_dry_run_lists_the_files_and_asks_nothing(hub, capsys):
    with pytest.raises(SystemExit) as ended:
        main.main(["push", SHIPPED, REPO, "--dry-run"])
    assert ended.value.code == 0 and hub.requests == []
    out = capsys.readouterr().out
    assert all(
        name in out for name in (CONFIG, WEIGHTS, "README.md", f"3 files would go to {REPO}")
    )


@pytest.mark.parametrize(
    ("repo", "token", "words"),
    [
        ("bob/moons", TOKEN, "this token may not do that to 'bob/moons'"),
        (REPO, "guest", "this token may not do that"),
        (REPO, "nonsense", "does not accept the token: log in"),
        (REPO, False, "does not accept the token: log in"),
    ],
)
def test_who_may_not_push_is_told_so(hub, repo, token, words):
    with pytest.raises(HubError, match=words):
        pushing(repo=repo, token=token)
    assert not hub.repos


def test_the_command_line_pulls_with_progress_and_pushes(hub, capsys):
    for arguments in (["push", SHIPPED, REPO, "--private"], ["pull", REPO]):
        with pytest.raises(SystemExit) as ended:
            main.main(arguments)
        assert ended.value.code == 0
    out, err = capsys.readouterr()
    assert "(private) is at" in out and f"{REPO}: " in out and "SHA-256" in out
    assert f"Sending {SHIPPED} to {REPO}" in err and "Checking what arrived" in err


def test_the_command_line_says_an_error_in_one_line(hub, capsys):
    with pytest.raises(SystemExit) as ended:
        main.main(["pull", "ann/none"])
    *_, last = capsys.readouterr().err.strip().split("\r")
    assert ended.value.code == 1
    assert re.search(r"flowdemo: there is no 'ann/none' on the Hub.*$", last)
    assert "Traceback" not in last and "\n" not in last.strip()


def test_what_is_too_large_is_refused_before_a_file_is_asked_for(hub):
    hub.add(REPO, LARGE)
    with pytest.raises(
        HubError, match=r"would take 2\.0 MB, more than the 1\.0 MB that are allowed"
    ):
        list(pull(REPO, 1_000_000))
    assert hub.asked == set()


@pytest.mark.parametrize("is_slow", [True, False])
def test_progress_counts_the_bytes_up_to_all_of_them(hub, is_slow):
    hub.add(REPO, LARGE)
    if is_slow:
        hub.slow(WEIGHTS, bytes_per_second=2_000_000)
    *progress, _ = pull(REPO, MANY)
    shares = [state.share for state in progress if state.share is not None]
    assert shares == sorted(shares) and shares[-1] == 1
    assert len(set(shares)) > 2 or not is_slow
    assert progress[0].share is None and REPO in progress[0].words
    assert progress[-1].words == "Downloading 2.0 of 2.0 MB"


def test_a_damaged_file_is_thrown_away_and_the_next_try_works(hub):
    hub.add(REPO, LARGE)
    hub.corrupt(WEIGHTS, times=1)
    with pytest.raises(HubError, match="arrived damaged and was thrown away: try again"):
        list(pull(REPO, MANY))
    *_, answer = pull(REPO, MANY)
    assert (Path(answer["folder"]) / WEIGHTS).read_bytes() == LARGE[WEIGHTS]


def test_a_cut_connection_goes_on_where_it_was_cut(hub):
    hub.add(REPO, LARGE)
    hub.cut(WEIGHTS, after=1_200_000)
    *_, answer = pull(REPO, MANY)
    [(_, asked)] = hub.ranges
    assert asked != "bytes=0-"
    assert (Path(answer["folder"]) / WEIGHTS).read_bytes() == LARGE[WEIGHTS]


def test_a_closed_pull_ends_its_process_and_leaves_nothing(hub, workers):
    hub.add(REPO, LARGE)
    hub.slow(WEIGHTS, bytes_per_second=1_000_000)
    with closing(pull(REPO, MANY)) as events:
        assert any(event.share and event.share > 0.1 for event in events)
        assert workers[0].poll() is None
        parts = list(Path(os.environ["HF_HOME"]).rglob("*.incomplete"))
    assert workers[0].poll() == -signal.SIGKILL
    assert parts and not any(part.exists() for part in parts)


def test_a_pull_that_fails_does_not_break_another_of_the_same_repository(hub):
    hub.add(REPO, LARGE)
    hub.slow(WEIGHTS, bytes_per_second=2_000_000)
    with closing(pull(REPO, MANY)) as events:
        assert any(event.share and event.share > 0.1 for event in events)
        with pytest.raises(HubError, match="more than the"):
            list(pull(REPO, 1000))
        *_, answer = events
    assert (Path(answer["folder"]) / WEIGHTS).read_bytes() == LARGE[WEIGHTS]


def test_a_silent_hub_is_given_up_and_its_process_is_gone(hub, workers):
    hub.add(REPO, LARGE)
    hub.stall("/api/models/", 60)
    began, said = time.monotonic(), []
    with pytest.raises(HubError, match=r"has been silent for \d seconds.*try again later"):
        said += pull(REPO, MANY, quiet=1.2)
    assert time.monotonic() - began < 5 and workers[0].poll() == -signal.SIGKILL
    assert QUIET_SECONDS + TICK < 25


@pytest.fixture
def workers(monkeypatch):
    """The processes that were started."""
    begun, start = [], flowdemo.hub.client.started

    def started(*arguments):
        begun.append(start(*arguments))
        return begun[-1]

    monkeypatch.setattr(flowdemo.hub.client, "started", started)
    return begun


@pytest.mark.parametrize("fault", FAULTS)
def test_an_error_is_one_line_and_soon_there_and_the_rest_goes_on(hub, monkeypatch, fault):
    monkeypatch.setattr(flowdemo.hub.client, "pull", partial(pull, quiet=2.0))
    spec, spoil, words = FAULTS[fault]
    hub.add(REPO, files_of())
    spoil(hub)
    began, heard = time.monotonic(), []
    with pytest.raises(ValueError, match=words) as error:
        for event in download.fetch(spec):
            heard.append((time.monotonic() - began, event))
    assert time.monotonic() - began < 10
    assert heard[0][0] < 1 and isinstance(heard[0][1], Progress)
    assert "\n" not in str(error.value) and "Traceback" not in str(error.value)
    assert spec not in checkpoints.folders()
    assert flowdemo.load("moons-meanflow").name == "moons-meanflow"


@pytest.mark.parametrize(
    "spec",
    [
        "../x",
        "a/b/c",
        "a/..",
        "/etc",
        "a/b@../x",
        "",
        "a",
        "a/b@x y",
        "~/x",
        "a\\b/c",
        "a/b@x/../y",
    ],
)
def test_what_is_no_repository_is_refused_before_anything_is_asked(hub, spec):
    with pytest.raises(ValueError, match="is no repository"):
        pulled(spec)
    assert hub.requests == []
