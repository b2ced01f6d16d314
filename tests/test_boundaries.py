"""What imports what, which names are promised, and what the repository holds."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import plotly
import pytest

import flowdemo
from flowdemo.methods import METHODS, colour_of

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "flowdemo"
# Package or module -> what it may import of the others; `ui` and `cli` may import all.
LAYERS = {
    "core": set(), "settings": set(), "files": set(),
    "nets": {"core"},
    "methods": {"core", "nets", "config"},  # of config only the types of its fields
    "config": {"core", "nets", "methods"},
    "data": {"core", "config", "settings"},
    "model": {"core", "methods", "config"},
    "checkpoints": {"nets", "methods", "config", "data", "model", "files"},
    "sampling": {"core", "nets", "methods", "config", "data", "model"},
    "evaluation": {"core", "methods", "config", "data", "model", "sampling"},
    "training": {
        "core", "nets", "methods", "config", "data", "model", "checkpoints", "sampling",
        "evaluation", "files",
    },
    "hub": {"nets", "methods", "config", "data", "model", "checkpoints", "settings"},
    "output": {"methods", "sampling", "evaluation", "files"},
}  # fmt: skip


def imports(file: Path) -> set[str]:
    """The modules that a file imports."""
    return imports_in(ast.parse(file.read_text()))


def imports_in(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_only_the_ui_knows_gradio():
    for file in PACKAGE.rglob("*.py"):
        if "ui" not in file.relative_to(PACKAGE).parts:
            assert not any(name.split(".")[0] == "gradio" for name in imports(file)), file


def package_of(module: str) -> str:
    """The package, or the module at the root, that holds a module."""
    return module.removeprefix("flowdemo.").split(".")[0]


@pytest.mark.parametrize("package", LAYERS)
def test_imports_run_one_way(package):
    place = PACKAGE / package
    for file in place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]:
        tree = ast.parse(file.read_text())
        for node in (n for n in ast.walk(tree) if isinstance(n, ast.If)):
            node.body = []  # what is imported for type checkers alone
        used = {m for m in imports_in(tree) if m.startswith("flowdemo.")}
        assert {package_of(m) for m in used} - {package} <= LAYERS[package], file
        if package == "methods":
            assert {m for m in used if package_of(m) == "config"} <= {"flowdemo.config.options"} | {
                m for m in used if m.startswith("flowdemo.config.options.")
            }, file


def test_every_package_has_its_layer():
    names = {place.stem for place in PACKAGE.iterdir() if not place.name.startswith("__")}
    assert names - {"ui", "cli", "pretrained"} == set(LAYERS)


def test_nothing_below_the_ui_imports_it():
    for file in PACKAGE.rglob("*.py"):
        if "ui" not in file.relative_to(PACKAGE).parts:
            assert not any(name.startswith("flowdemo.ui") for name in imports(file)), file


@pytest.mark.parametrize("module", ["flowdemo.training.run", "flowdemo", "flowdemo.cli.main"])
def test_training_and_the_command_line_load_neither_gradio_nor_plotly(module):
    code = f"import {module}, sys; print([m for m in ('gradio', 'plotly') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert run.stdout.strip() == "[]", run.stderr


def test_plotly_speaks_the_version_of_plotly_js_that_gradio_bundles():
    """A figure written for another major or minor version may silently look different."""
    import gradio  # noqa: PLC0415

    bundles = (Path(gradio.__file__).parent / "templates/frontend/assets").glob("*lotly*.js")
    text = "".join(file.read_text(errors="ignore") for file in bundles)
    bundled = set(re.findall(r"version=[`'\"](\d+\.\d+)\.\d+[`'\"]", text))
    ours = re.search(r"(\d+\.\d+)\.\d+", plotly.offline.get_plotlyjs_version()).group(1)
    assert bundled == {ours}


def test_the_promised_names_are_there():
    assert {"load", "sample", "models", "Model", "Samples"} <= set(dir(flowdemo))
    assert {name: colour_of(name) for name in (*METHODS, "exact")} == {
        "flow-matching": "#0072B2", "reflow": "#E69F00", "meanflow": "#009E73", "exact": "#555555",
    }  # fmt: skip
    for name in ("app.py", "requirements.txt", "checkpoints/.gitkeep", "README.md", "Makefile"):
        assert (ROOT / name).is_file()


def tracked() -> list[Path]:
    run = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, cwd=ROOT)
    if run.returncode:
        pytest.skip("not a git checkout")
    return [path for name in run.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_pickles_and_nothing_large_is_tracked():
    files = tracked()
    assert not [
        f for f in files if f.suffix in {".pt", ".pth", ".pkl", ".ckpt", ".bin", ".parquet"}
    ]
    sizes = {f: f.stat().st_size for f in files}
    assert max(sizes.values()) < 10_000_000 and sum(sizes.values()) < 40_000_000


def test_no_registry_host_or_machine_path_is_named():
    text = [f for f in tracked() if f.suffix in {".py", ".md", ".txt", ".toml", ".json", ".js", ""}]
    for file in text:
        content = file.read_text(errors="ignore")
        assert not re.search(r"/(work|home|root)/[a-z]", content), file
        hosts = re.findall(r"https?://([^/\s`'\")]+)(\S*)", content)
        indexes = [
            host for host, path in hosts if re.search("pypi|npm|regis" + "try|/simple", host + path)
        ]
        assert indexes == [], file


def test_requirements_and_constraints_agree():
    constraints = dict(
        line.strip().lower().replace("_", "-").split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    for file in ("requirements.txt", "requirements-test.txt"):
        for line in (ROOT / file).read_text().splitlines():
            name = re.match(r"([a-z][a-z-]*)?", line).group()
            assert not name or name in constraints, f"{name} of {file} has no tested version"
    assert "torchvision" not in constraints


@pytest.mark.parametrize("index", ["", "https://example.org/cpu"])
def test_make_installs_torch_from_the_index_that_is_named(index, tmp_path):
    command = ["make", "-n", "demo", f"VENV={tmp_path}/venv", f"TORCH_INDEX={index}"]
    made = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert made.returncode == 0, made.stderr
    assert ("--index-url https://example.org/cpu 'torch>=2.8,<=2.13.0'" in made.stdout) == bool(
        index
    )
    assert subprocess.run(["sh", "-n"], input=made.stdout, text=True).returncode == 0


def test_make_names_what_is_missing(tmp_path):
    (tmp_path / "old-python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "old-python").chmod(0o755)
    for python, message in {
        str(tmp_path / "old-python"): "Python 3.10 or newer is needed",
        "no-such-python": "no-such-python is missing",
    }.items():
        command = ["make", "demo", f"VENV={tmp_path}/venv", f"PYTHON={python}"]
        made = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert made.returncode != 0 and message in made.stdout
