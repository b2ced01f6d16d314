"""The requests: id -> (door, arguments). An id says the request in the words of its door."""

from typing import Any
from urllib.parse import urlencode

Case = tuple[str, dict[str, Any]]
MODELS = ("moons-flow-matching", "moons-reflow", "moons-meanflow", "moons-own")
DIGITS = ("mnist-flow-matching", "mnist-reflow", "mnist-meanflow", "mnist-meanflow-dit")
LARGEST = 2**63 - 1
OWN = {"model": "moons-own", "n": 4}


def said(arguments: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in arguments.items())


def python() -> dict[str, Case]:
    """`flowdemo.sample`: every method and data set, labels, weights, solvers, steps, n and seeds."""
    flow, mean, digits = "moons-flow-matching", "moons-meanflow", "mnist-meanflow"
    asked = [
        *({"model": name, "n": 6, "label": "all"} for name in MODELS),
        *({"model": name, "n": 2, "label": [3, 7], "steps": 1} for name in DIGITS),
        {"model": "mnist-reflow-distilled", "n": 2, "label": 4},
        {"model": "mnist-reflow-distilled", "n": 2, "steps": 2},
        {"model": "mnist-reflow-distilled", "n": 2, "solver": "heun"},
        {"model": "mnist-inverter", "n": 2},
        {"model": "two-gaussians-flow-matching", "n": 5, "label": 0, "guidance": 4.0, "steps": 6},
        {"model": "two-gaussians-reflow", "n": 5, "label": 1, "guidance": 2.5},
        {"model": "two-gaussians-meanflow", "n": 5, "label": 1, "solver": "euler", "steps": 3},
        {"model": "rings-flow-matching", "n": 7, "label": "all", "solver": "heun", "steps": 3},
        {"model": "rings-meanflow", "n": 4, "label": [0, 1, 2, 0], "guidance": 1.5, "steps": 2},
        {"model": "swiss-roll-reflow", "n": 3, "label": None, "steps": 4},
        {"model": flow, "n": 4, "solver": "midpoint", "steps": 3, "guidance": 3.0, "label": 1},
        {"model": flow, "n": 4, "solver": "heun3", "steps": 2},
        {"model": flow, "n": 4, "solver": "rk4", "steps": 2, "guidance": 2.0, "label": 0},
        {"model": flow, "n": 4, "solver": "explicit_adams", "steps": 6},
        {"model": flow, "n": 4, "solver": "implicit_adams", "steps": 6},
        {"model": flow, "n": 4, "solver": "dopri5"},
        {"model": flow, "n": 4, "solver": "dopri5", "tolerance": 1e-5, "guidance": 2.0, "label": 1},
        {"model": flow, "n": 4, "solver": "bosh3", "tolerance": 1e-2},
        {"model": flow, "n": 4, "solver": "scipy_solver", "tolerance": 1e-3},
        {"model": flow, "n": 4, "solver": "dopri5", "steps": 10},
        {"model": flow, "n": 4, "solver": "euler", "tolerance": 1e-3},
        {"model": flow, "n": 4, "solver": "dopri5", "tolerance": 1.0},
        {"model": flow, "n": 4, "solver": "average"},
        {"model": flow, "n": 4, "solver": "newton"},
        {"model": flow, "n": 4, "steps": 0},
        {"model": flow, "n": 4, "steps": -3},
        {"model": flow, "n": 4, "steps": 1001},
        {"model": flow, "n": 200_000, "steps": 1000},
        {"model": flow, "n": 0},
        {"model": digits, "n": 5000},
        {"model": digits, "n": 2, "guidance": 0.5},
        {"model": digits, "n": 2, "guidance": 4.1, "label": 1},
        {"model": "moons-own", "n": 2, "guidance": 3.5},
        {"model": digits, "n": 2, "label": 10},
        {"model": digits, "n": 2, "label": -1},
        {"model": digits, "n": 2, "label": [1, 2, 3]},
        {"model": digits, "n": 2, "label": "seven"},
        {"model": mean, "n": 3, "seed": 12345678901},
        {"model": mean, "n": 3, "seed": LARGEST},
        {"model": mean, "n": 3, "seed": 2**63},
        {"model": mean, "n": 3, "seed": -1},
        {"model": mean, "n": 3, "keep_trajectory": False, "steps": 5},
        {"model": mean, "n": 3, "steps": 5, "max_evaluations": 10},
        {"model": flow, "n": 3, "solver": "dopri5", "max_evaluations": 10},
        {"model": flow, "n": 3, "steps": 3, "label": 1, "guidance": 2.0, "heard": True},
        {"model": mean, "n": 3, "noise_of": (9, 3, (2,)), "seed": 5},
        {"model": mean, "n": 3, "noise_of": (9, 2, (2,))},
        {"model": "moons-nothing", "n": 3},
        {"model": "nobody/nothing", "n": 3},
    ]
    return {f"sample {said(one)}": ("python", one) for one in asked}


def inversion() -> dict[str, Case]:
    """Data back to noise and forward again."""
    flow = "moons-flow-matching"
    asked = [
        {"model": flow, "n": 4},
        {"model": flow, "n": 4, "label": 1, "guidance": 2.0, "solver": "rk4", "steps": 8},
        {"model": "moons-meanflow", "n": 4, "label": "all", "solver": "dopri5", "tolerance": 1e-4},
        {"model": "mnist-reflow", "n": 1, "label": 1, "solver": "euler", "steps": 3},
        {"model": "mnist-inverter", "n": 1, "label": 1, "forward": False},
        {"model": "moons-meanflow", "n": 4, "solver": "average", "steps": 1},
        {"model": "mnist-reflow-distilled", "n": 1},
        {"model": flow, "n": 4, "guidance": 9.0},
        {"model": flow, "n": 4, "label": [1]},
        {"model": flow, "n": 0},
    ]
    return {f"invert {said(one)}": ("inversion", one) for one in asked}


def command() -> dict[str, Case]:
    """The command line; OUT is an empty folder."""
    lines = """
        sample moons-flow-matching --n 8 --json
        sample moons-own --n 8 --json
        sample moons-own --n 6 --guidance 1 --solver average --steps 1 --json
        sample moons-reflow --n 6 --label upper --json
        sample moons-reflow --n 6 --label 1 --guidance 2 --steps 2 --json
        sample moons-meanflow --n 12 --json
        sample rings-meanflow --n 3 --label 0,1,2 --json
        sample rings-flow-matching --n 3 --label inner,1,outer --steps 3 --json
        sample two-gaussians-meanflow --n 4 --label any --guidance 2 --json
        sample two-gaussians-flow-matching --n 4 --solver dopri5 --json
        sample two-gaussians-flow-matching --n 4 --solver dopri5 --tolerance 1e-4 --label 0 --json
        sample moons-flow-matching --n 4 --solver explicit_adams --steps 5 --json
        sample mnist-reflow-distilled --n 1 --label 7 --out OUT/a.png
        sample mnist-meanflow --n 2 --label 7 --guidance 2 --seed 3 --out OUT/a.npz
        sample mnist-meanflow --n 2 --steps 2 --out OUT/a.npz --trajectory
        sample mnist-reflow --n 2 --steps 2 --out OUT/a.gif
        sample moons-flow-matching --n 4 --steps 3 --out OUT/a.npz --trajectory
        sample moons-flow-matching --n 4 --steps 3 --out OUT/a.webp
        sample moons-meanflow --n 4 --seed 9223372036854775807 --out OUT/a.png
        sample moons-meanflow --n 4 --seed 9223372036854775808
        sample moons-meanflow --n 4 --seed -1
        sample moons-meanflow --n 4 --out OUT/a.jpg
        sample moons-meanflow --n 4 --out OUT/none/a.png
        sample moons-meanflow --n 0
        sample moons-meanflow --n four
        sample moons-meanflow --n 4 --label middle
        sample moons-meanflow --n 4 --label 2
        sample moons-meanflow --n 4 --label 0,1
        sample moons-meanflow --n 4 --steps 0
        sample moons-meanflow --n 4 --steps 2000
        sample moons-meanflow --n 4 --guidance 0
        sample moons-meanflow --n 4 --guidance 7.5
        sample moons-meanflow --n 4 --solver newton
        sample moons-meanflow --n 4 --solver dopri5 --steps 4
        sample moons-meanflow --n 4 --tolerance 1e-3
        sample moons-meanflow --n 4 --solver dopri5 --tolerance 0.5
        sample mnist-reflow-distilled --n 1 --steps 2
        sample mnist-inverter --n 1
        sample moons-nothing
        sample OUT --folder
        sample
        compare moons-flow-matching:euler:4 moons-meanflow --n 4 --json
        compare moons-own moons-own:euler:3:1 --n 4 --label lower --json
        compare moons-flow-matching:dopri5@1e-3:2 moons-reflow --n 4 --seed 3 --json
        compare moons-flow-matching:rk4:2:1.5 --n 12 --label any --out OUT/a.csv
        compare moons-reflow:euler:2 moons-meanflow:average:2:3 --n 4 --out OUT/a.json
        compare moons-reflow moons-meanflow --n 4 --out OUT/a.png
        compare moons-reflow:euler:2 moons-meanflow:1
        compare moons-reflow:euler:two
        compare moons-reflow:::
        compare moons-reflow:euler:1:1:1
        compare moons-reflow:dopri5:5:1
        compare moons-reflow rings-reflow
        compare moons-reflow --out OUT/a.gif
        compare mnist-reflow-distilled:euler:2
        compare moons-nothing
        evaluate moons-meanflow --n 20 --nfe 2 --guidance 1.5
        evaluate moons-flow-matching --n 20 --nfe 1 --guidance 2
        evaluate moons-reflow --n 20 --json OUT/none/a.json
        evaluate moons-nothing
    """
    cases = {}
    for line in map(str.strip, lines.strip().splitlines()):
        words = line.split()
        n = int(words[words.index("--n") + 1]) if "--n 1" in line else 1
        cases[line] = ("command", {"line": line, "n": n})
    return cases


def http() -> dict[str, Case]:
    """The HTTP endpoints."""
    flow, mean, digits = "moons-flow-matching", "moons-meanflow", "mnist-reflow-distilled"
    generate = [
        {"model": mean, "n": 8},
        {"model": "moons-own", "n": 4, "guidance": 2.0},
        {"model": "moons-own", "n": 4, "guidance": 1.0, "solver": "average", "steps": 1},
        {"model": flow, "n": 4, "label": "upper", "steps": 3, "guidance": 2.0, "seed": 7},
        {"model": flow, "n": 4, "label": "1", "solver": "heun", "steps": 2},
        {"model": "rings-meanflow", "n": 3, "label": "0,1,outer"},
        {"model": "rings-flow-matching", "n": 3, "label": "any", "solver": "dopri5"},
        {"model": "two-gaussians-reflow", "n": 3, "label": "", "seed": LARGEST},
        {"model": flow, "n": 3, "solver": "dopri5", "tolerance": 1e-2},
        {"model": mean, "n": 12, "seed": 1},
        {"model": digits, "n": 2, "label": "7"},
        {"model": digits, "n": 2, "steps": 2},
        {"model": "mnist-inverter", "n": 2},
        {"model": mean, "n": 0},
        {"model": mean, "n": 300_000},
        {"model": mean, "n": 4, "label": "middle"},
        {"model": mean, "n": 4, "label": "0,1"},
        {"model": mean, "n": 4, "guidance": 9.0},
        {"model": mean, "n": 4, "guidance": None},
        {"model": mean, "n": 4, "solver": "newton"},
        {"model": mean, "n": 4, "steps": 1001},
        {"model": mean, "n": 4, "steps": -1},
        {"model": mean, "n": 4, "solver": "dopri5", "steps": 3},
        {"model": mean, "n": 4, "tolerance": 1e-3},
        {"model": mean, "n": 4, "seed": -1},
        {"model": mean, "n": 4, "seed": 2**63},
        {"model": "", "n": 4},
        {"model": "moons-nothing", "n": 4},
        {"model": "mnist-flow-matching-yarr", "n": 1, "is_public": True},
        {"model": flow, "n": 2000, "steps": 1000, "is_public": True},
    ]
    rows = [
        {"spec": f"{flow}:euler:4,{mean}", "n": 4},
        {"spec": f"moons-own\n{flow}:dopri5@1e-2:2", "n": 3, "label": "lower", "seed": 5},
        {"spec": f"{mean}:average:2", "n": 12},
        {"spec": f"{flow}:euler:x", "n": 4},
        {"spec": f"{flow},rings-reflow", "n": 4},
        {"spec": f"{flow}:euler:4", "n": 4, "label": "middle"},
        {"spec": ",".join([f"{flow}:euler:1"] * 13), "n": 2, "is_public": True},
        {"spec": "", "n": 4},
    ]
    panels = [
        {"data": "moons", "model": "exact velocity", "n": 40, "steps": 4, "label": "upper"},
        {"data": "moons", "n": 40, "label": "1", "steps": 3, "solver": "heun", "guidance": 2.0},
        {"data": "rings", "model": "rings-meanflow", "n": 30, "label": "all", "seed": 4},
        {"data": "rings", "model": "moons-meanflow", "n": 30},
        {"data": "mnist", "n": 30},
        {"data": "nowhere", "n": 30},
        {"data": "moons", "model": "moons-own", "n": 30, "guidance": 3.5},
        {"data": "moons", "n": 1001},
        {"data": "moons", "n": 30, "solver": "dopri5", "steps": 3},
        {"data": "own-points", "n": 30},
    ]
    training = [
        {"data": "moons", "steps": 15, "seed": 3},
        {"data": "moons", "method": "reflow", "steps": 15},
        {"data": "moons", "method": "bridge", "steps": 15},
        {"data": "moons", "path": "bent", "steps": 15},
        {"data": "moons", "steps": 0},
        {"data": "moons", "steps": 15, "seed": -1},
        {"points": "x,y\n1,2\nthree,4\n" + "5,6\n" * 9, "steps": 15},
        {"points": "1,2\n3,4", "steps": 15},
    ]
    names = {"generate": generate, "compare": rows, "lab_sample": panels, "lab_train": training}
    cases = {
        f"/{name} {said(one)}": ("http", {"name": name} | one)
        for name, requests in names.items()
        for one in requests
    }
    for repo in ("", "nobody", "nobody/nothing"):
        cases[f"/pull repo={repo}"] = ("http", {"name": "pull", "repo": repo})
    return cases | {"all endpoints": ("endpoints", {})}


def links() -> dict[str, Case]:
    """The page opened with a link; those of Compare and the Lab open their tab."""
    flow, mean, old = "moons-flow-matching", "moons-meanflow", {"rev": "0123456789ab"}
    generate = [
        {"model": mean, "n": 8},
        {"model": mean, "n": 8} | old,
        {"model": "moons-own", "n": 6},
        {"model": "moons-own", "n": 6, "guidance": 1, "solver": "average", "steps": 1, "seed": 0},
        {"model": flow, "n": 6, "label": "upper", "guidance": 2.5, "steps": 4, "seed": 9},
        {"model": flow, "n": 6, "label": 1, "solver": "rk4", "steps": 2, "seed": LARGEST},
        {"model": flow, "n": 6, "solver": "dopri5", "tolerance": 0.001},
        {"model": flow, "n": 6, "solver": "dopri5"},
        {"model": "rings-reflow", "n": 6, "label": "any"},
        {"model": "two-gaussians-meanflow"},
        {"model": "mnist-reflow-distilled", "n": 2, "label": 3},
        {"model": "mnist-meanflow", "n": 99999, "solver": "newton"},
        {"model": "moons-nothing"},
        {"model": flow, "n": "many"},
        {"model": flow, "n": 4, "steps": "x"},
        {"model": flow, "n": 4, "label": "middle"},
        {"model": flow, "n": 4, "guidance": 99},
        {"model": flow, "n": 4, "steps": 0},
        {"model": flow, "n": 4, "seed": -5},
        {"model": flow, "n": 0, "steps": 2},
        {"model": "mnist-inverter"},
        {"model": "mnist-reflow-distilled", "n": 1, "steps": 2},
    ]
    compare = [
        {"compare": f"{flow}:euler:4:1,{mean}:average:1:1", "n": 4, "label": "all", "seed": 42},
        {"compare": f"{flow}:dopri5@0.001:2,moons-own", "n": 4, "label": "upper"} | old,
        {"compare": mean, "n": 4, "seed": 1},
        {"compare": f"{mean}:average:2", "n": 5000, "label": "any", "seed": LARGEST},
        {"compare": ""},
        {"compare": f"{mean}:euler:two"},
        {"compare": f"{mean}:newton:2"},
        {"compare": f"{mean}:euler:2:77"},
        {"compare": "moons-nothing"},
        {"compare": f"{mean},rings-meanflow", "n": 4},
        {"compare": mean, "n": "many"},
        {"compare": mean, "n": 4, "label": "middle"},
        {"compare": "mnist-reflow-distilled:euler:2", "n": 4},
    ]
    lab = [
        {"lab": "moons", "shown": f"exact velocity,{mean}", "n": 20, "steps": 3, "seed": 42},
        {"lab": "moons", "shown": mean, "n": 20, "label": "upper", "guidance": 2.0} | old,
        {
            "lab": "moons",
            "shown": "moons-own",
            "n": 20,
            "label": "lower",
            "guidance": 4,
            "steps": 2,
        },
        {"lab": "rings", "shown": "", "n": 10, "steps": 1, "solver": "heun"},
        {"lab": "rings", "shown": "gone-model", "n": 10, "steps": 1},
        {"lab": "moons", "n": 9},
        {"lab": "moons", "steps": 101},
        {"lab": "moons", "guidance": 0.5},
        {"lab": "moons", "seed": -1},
        {"lab": "moons", "solver": "dopri5"},
        {"lab": "moons", "label": "middle"},
        {"lab": "moons", "n": "x"},
        {"lab": "mnist"},
        {"lab": "own-points"},
        {"lab": "nowhere"},
    ]
    queries = [{key: str(value) for key, value in q.items()} for q in [*generate, *compare, *lab]]
    cases = {f"?{urlencode(query)}": ("link", {"query": query}) for query in queries}
    measured = {"model": flow, "n": "8", "steps": "2"}
    cases["? (no link)"] = ("link", {"query": {}})
    cases["measured ?" + urlencode(measured)] = ("link", {"query": measured, "measure": True})
    return cases


def presses() -> dict[str, Case]:
    """The Generate tab by hand; a control with ! is chosen by a visitor, which changes others."""
    moons = {"data!": "moons", "n": 6}
    asked = [
        moons,
        moons | {"method!": "meanflow", "label": "upper", "guidance": 2.0, "seed": 3},
        moons | {"method!": "meanflow", "model!": "moons-own"},
        moons | {"solver!": "dopri5"},
        moons | {"solver!": "dopri5", "tolerance": 1e-2, "label": "any"},
        moons | {"solver!": "heun", "steps": 2},
        moons | {"seed": None, "n": None},
        moons | {"steps": 0},
        moons | {"guidance": 99.0},
        moons | {"label": "middle"},
        {"data!": "moons", "method!": "reflow", "data! ": "rings", "n": 3},
        {"data!": "nowhere"},
        {"model!": "mnist-reflow-distilled", "n": 2, "steps": 2},
        {"n": 64, "steps": 1000, "solver": "rk4"},
        {"n": 2},
    ]
    cases = {f"press {said(one)}": ("press", {"controls": one}) for one in asked}
    limited = {"n": 32, "steps": 200, "solver": "rk4"}
    cases[f"public press {said(limited)}"] = ("press", {"controls": limited, "is_public": True})
    for n in (8, 12):
        more = {"controls": moons | {"n": n, "steps": 3}, "measure": True}
        cases[f"measured press {said(more['controls'])}"] = ("press", more)
    return cases


def rows() -> dict[str, Case]:
    """The Compare tab by hand."""
    flow, reflow, mean = "moons-flow-matching", "moons-reflow", "moons-meanflow"
    asked = [
        {"rows": f"{flow}\n{reflow}\n{mean}\nmoons-own"},
        {"rows": f"{flow}:euler:4\n{flow}:euler:4:2"},
        {"rows": f"{flow}:heun:2:1.5\n{flow}:midpoint:2", "label": "upper"},
        {"rows": f"{flow}:rk4:1\n{flow}:explicit_adams:5", "label": "any"},
        {"rows": f"{flow}:dopri5\n{flow}:dopri5@1e-2\n{flow}:dopri5@1e-5:2", "seed": 0},
        {"rows": f"{mean}:average:1\n{mean}:average:4:3\n{mean}:euler:4", "seed": LARGEST},
        {"rows": f"{mean}::2\n{mean}:average:2"},
        {"rows": f"{mean}:::2"},
        {"rows": f" {reflow}:euler:1 \n\n  {reflow}:euler:2:4"},
        {"rows": "rings-flow-matching:euler:2\nrings-meanflow", "label": "outer"},
        {"rows": "rings-reflow:euler:1", "label": "0,1,2,1"},
        {"rows": "two-gaussians-reflow\ntwo-gaussians-meanflow:average:1:2", "label": "0"},
        {"rows": "mnist-reflow-distilled\nmnist-meanflow:average:1:2", "n": 2, "label": "7"},
        {"rows": flow, "n": 1},
        {"rows": ""},
        {"rows": "\n".join([f"{flow}:euler:1"] * 17)},
        {"rows": f"{flow}:euler:1:1:1"},
        {"rows": f"{flow}:euler:many"},
        {"rows": f"{flow}:euler:1:strong"},
        {"rows": f"{flow}:dopri5@small"},
        {"rows": f"{flow}:dopri5:5:2"},
        {"rows": f"{flow}:euler@1e-3"},
        {"rows": f"{flow}:dopri5@0.5"},
        {"rows": f"{flow}:newton:1"},
        {"rows": f"{flow}:average:1"},
        {"rows": f"{flow}:euler:0"},
        {"rows": f"{flow}:euler:1001"},
        {"rows": f"{flow}:euler:1:0.5"},
        {"rows": "moons-own:euler:1:3.5"},
        {"rows": ":euler:1"},
        {"rows": "moons-nothing"},
        {"rows": f"{flow}\nrings-flow-matching"},
        {"rows": "mnist-reflow-distilled:euler:2"},
        {"rows": "mnist-inverter"},
        {"rows": flow, "label": "middle"},
        {"rows": flow, "label": "0,1"},
        {"rows": flow, "n": 0},
        {"rows": flow, "n": None},
        {"rows": flow, "seed": -1},
        {"rows": f"{flow}:rk4:1000", "n": 6000},
        {"rows": f"{flow}:rk4:1000\n{flow}:euler:3", "n": 300, "is_public": True},
        {"rows": "\n".join([f"{flow}:euler:1"] * 13), "is_public": True},
        {"rows": f"{flow}:euler:3\nmoons-own", "n": 8, "measure": True},
        {"rows": f"{flow}:euler:3:2\n{flow}:dopri5@1e-2:2", "n": 12, "measure": True},
    ]
    return {f"rows {said(one)}": ("compare", {"n": 4} | one) for one in asked}


def panels() -> dict[str, Case]:
    """The Lab by hand."""
    exact, flow, mean = "exact velocity", "moons-flow-matching", "moons-meanflow"
    few = {"l-n": 20, "l-steps": 3}
    asked: list[tuple[str, list[str] | None, dict[str, Any]]] = [
        ("moons", None, few),
        ("moons", [exact], few | {"l-solver": "heun"}),
        ("moons", [flow, mean], few | {"l-label": "upper", "l-guidance": 2.0}),
        ("moons", ["moons-own", flow], few | {"l-label": "upper", "l-guidance": 4.0}),
        ("moons", ["moons-own"], few | {"l-label": "lower", "l-guidance": 0.2}),
        ("moons", [exact, flow], few | {"l-label": "all", "l-guidance": 9.0}),
        ("moons", [exact], few | {"l-label": "any", "l-guidance": 3.0}),
        ("moons", [flow], few | {"l-solver": "explicit_adams", "l-steps": 6}),
        ("moons", [flow], few | {"l-solver": "rk4", "l-steps": 1}),
        ("moons", [mean], few | {"l-solver": "midpoint"}),
        ("moons", [flow], few | {"l-solver": "dopri5"}),
        ("moons", [flow], few | {"l-solver": "newton"}),
        ("moons", [flow], {"l-n": 5000, "l-steps": 1}),
        ("moons", [flow], {"l-n": None, "l-steps": None, "l-seed": None}),
        ("moons", [flow], few | {"l-steps": 0}),
        ("moons", [flow], few | {"l-steps": 2000}),
        ("moons", [flow], few | {"l-n": 0}),
        ("moons", [flow], few | {"l-seed": 0}),
        ("moons", [flow], few | {"l-seed": LARGEST}),
        ("moons", [flow], few | {"l-seed": 2**63}),
        ("moons", [flow], few | {"l-seed": -7}),
        ("moons", [flow], few | {"l-label": "middle"}),
        ("moons", [flow], few | {"l-label": "1"}),
        ("moons", [], few),
        ("moons", ["moons-nothing"], few),
        ("moons", ["moons-nothing", flow], few),
        ("moons", ["rings-reflow"], few),
        ("rings", None, few),
        ("rings", ["rings-reflow"], few | {"l-label": "outer", "l-guidance": 1.5}),
        ("two-gaussians", None, few | {"l-label": "left"}),
        ("two-gaussians", [exact, "two-gaussians-reflow"], few | {"l-label": "all"}),
        ("swiss-roll", [exact, "swiss-roll-meanflow"], few),
        ("checkerboard", ["checkerboard-reflow"], few),
        ("spirals", ["spirals-flow-matching"], few | {"l-label": "all"}),
        ("own-points", None, few),
    ]
    cases = {
        f"{data} shown={shown} {said(controls)}": (
            "lab", {"data": data, "shown": shown, "controls": controls},
        )
        for data, shown, controls in asked
    }  # fmt: skip
    slow = {"data": "moons", "shown": [exact, flow, mean], "controls": few, "measure": True}
    cases["measured moons n=20"] = ("lab", slow)
    least = slow | {"shown": ["moons-own"], "controls": few | {"l-n": 8, "l-label": "upper"}}
    cases["measured moons-own n=8"] = ("lab", least)
    tables = {
        "twelve points": "x,y\n" + "".join(f"{k},{k * k}\n" for k in range(12)),
        "semicolons": "".join(f"{k}; {-k}\n" for k in range(12)),
        "few": "1,2\n3,4\n",
        "words": "1,2\n" * 10 + "three,four\n",
        "three columns": "1,2,3\n" * 10,
        "infinite": "1,2\n" * 10 + "inf,2\n",
        "one place": "1,2\n" * 12,
        "nothing": "",
    }
    return cases | {f"table of {k}": ("own points", {"table": v}) for k, v in tables.items()}


DOORS = {
    "python": python() | inversion(), "command line": command(), "http": http(),
    "link": links(), "generate": presses(), "compare row": rows(), "lab": panels(),
}  # fmt: skip
# The doors answer these differently today: `/generate` takes w = 1 where others take the checkpoint's
# default weight, and only Generate has no words for an unknown solver. Their answers stand under
# "decided", to be recorded anew when that is mended.
DECIDED = {
    "http": {"/generate model=moons-own n=4": ("http", {"name": "generate"} | OWN)},
    "generate": {"press n=2 solver=newton": ("press", {"controls": {"n": 2, "solver": "newton"}})},
}
