"""One thread, no network, and small models that are trained nowhere."""

import os
import tempfile
from pathlib import Path

os.environ |= {
    "HF_HUB_OFFLINE": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "OMP_NUM_THREADS": "1",
    # The tests neither see nor change the cache of this machine.
    "HF_HOME": tempfile.mkdtemp(prefix="flowdemo-tests-hub-"),
}

import pytest
import torch
from xdist.scheduler import LoadScopeScheduling

from flowdemo import checkpoints
from flowdemo.checkpoints import save
from flowdemo.config.checkpoint import Defaults, ModelConfig
from flowdemo.data import dataset
from flowdemo.model import Model
from flowdemo.nets import build_net
from flowdemo.nets.sizes import MLPConfig, UNetConfig

pytest_plugins = ["tests.hub.fixtures"]
torch.set_num_threads(1)
# The tests see what ships, not what somebody trained here.
checkpoints.TRAINED = Path(tempfile.mkdtemp(prefix="flowdemo-tests-"))


# They begin, so that at the end no worker waits long for the other.
LONGEST = ("tests/browser", "tests/test_training.py", "tests/test_crew.py", "tests/test_ui.py")


def group_of(nodeid: str) -> str:
    """What one worker runs: a file, or all tests that need the browser."""
    file = nodeid.split("::")[0]
    return "tests/browser" if file.startswith("tests/browser/") else file


class ByGroup(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config, log):
    return ByGroup(config, log)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: [group_of(item.nodeid) != name for name in LONGEST])
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="there is no GPU"))


def make_model(data="moons", method="flow-matching", guidance_input=False, **defaults) -> Model:
    """A model with random weights; every layer matters, also those that start at zero."""
    info = dataset(data)
    end_time = method == "meanflow"
    sizes = {"end_time": end_time, "guidance": guidance_input}
    if info.is_image:
        net_config = UNetConfig(widths=(8, 16), dim=16, patch=2, **sizes)
    else:
        net_config = MLPConfig(width=16, depth=2, **sizes)
    config = ModelConfig(
        name=f"{data}-{method}",
        method=method,
        data=data,
        shape=info.shape,
        classes=info.classes,
        **info.normalisation,
        net=net_config,
        guidance=(1.0, 4.0) if method == "flow-matching" or guidance_input else (1.0, 1.0),
        defaults=Defaults(
            **({"solver": "average" if end_time else "euler", "steps": 2} | defaults)
        ),
    )
    net = randomised(build_net(net_config, info.shape, len(info.classes)))
    return Model(config, net.eval().requires_grad_(False), revision="test")


def randomised(net: torch.nn.Module) -> torch.nn.Module:
    """The same network with random weights: many layers of a fresh one are zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return net


@pytest.fixture(scope="session")
def served():
    """The app as every test of a worker may visit it."""
    from flowdemo.ui.app import launch  # noqa: PLC0415  (gradio is slow to import)

    demo = launch(wait=False)
    yield demo
    demo.close()


@pytest.fixture(scope="session")
def server(served):
    """Its address."""
    return served.local_url


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """An empty folder in the place of `checkpoints/`."""
    monkeypatch.setattr(checkpoints, "TRAINED", tmp_path)
    return tmp_path


@pytest.fixture
def tiny(trained):
    """A small checkpoint of digits that may be fine-tuned."""
    save(make_model("mnist", "meanflow", guidance_input=True), trained / "tiny")
    return trained


@pytest.fixture
def public(monkeypatch):
    monkeypatch.setenv("FLOWDEMO_PUBLIC", "1")
    monkeypatch.setenv("FLOWDEMO_ALLOW_TRAINING", "1")
