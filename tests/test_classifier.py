"""The classifiers: what they are made of, and how they learn."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from flowdemo.checkpoints import save
from flowdemo.cli.main import main
from flowdemo.config.options import Schedule
from flowdemo.core.noise import generator
from flowdemo.data import DATASETS, ClassifierPlan, DataSet
from flowdemo.data.augment import crop_and_flip, grey_square
from flowdemo.evaluation import classifier, nearest
from flowdemo.evaluation import plane as plane_module
from flowdemo.evaluation.classifier import FEATURES, judge, judge_or_error, settled, untrained
from flowdemo.evaluation.nearest import FILE, gallery
from flowdemo.evaluation.plane import plane
from flowdemo.training import fit_classifier as fitting
from flowdemo.training.fit_classifier import normalise_batches
from tests.conftest import make_model


def colour(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return untrained(DATASETS["cifar10"], "residual")


def used(net):
    """After some batches, so that no statistics are those of the beginning."""
    net.train()
    for k in range(5):
        net(torch.rand(16, 3, 32, 32, generator=generator(k)))
    return net


def test_each_stage_sees_half_the_height_and_width_of_the_one_before():
    shapes = {
        "mnist": [(16, 28, 28), (48, 14, 14), (96, 7, 7)],
        "cifar10": [(64, 32, 32), (144, 16, 16), (208, 8, 8), (208, 4, 4)],
    }
    for data, expected in shapes.items():
        info = DATASETS[data]
        net, x = untrained(info, info.classifier.network).eval(), torch.rand(2, *info.shape)
        assert [tuple(m.shape[1:]) for m in net.maps(x)] == expected
        assert net.features(x).shape == (2, FEATURES) and net(x).shape == (2, 10)


def test_settled_is_the_same_function_without_batch_normalisation():
    net = used(colour()).eval()
    x = torch.rand(4, 3, 32, 32, generator=generator(9))
    plain = settled(net)
    assert any(isinstance(m, nn.BatchNorm2d) for m in net.modules())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in plain.modules())
    torch.testing.assert_close(plain(x), net(x), atol=1e-5, rtol=1e-4)
    assert not any("running" in key for key in plain.state_dict())
    assert 2 * sum(p.numel() for p in plain.parameters()) < 4e6  # bytes in float16


def test_what_ships_is_read_into_the_settled_network(tmp_path, monkeypatch):
    plain = settled(used(colour()))
    monkeypatch.setattr(classifier, "FOLDER", tmp_path)
    images = torch.rand(40, 3, 32, 32, generator=generator(1))
    monkeypatch.setattr(fitting, "pixels_of", lambda data, split: (images, torch.arange(40) % 10))
    fitting.write("cifar10", fitting.rounded(plain), tmp_path / "cifar10")
    judge.cache_clear()
    try:
        referee = judge("cifar10")
        assert torch.equal(referee.net(images), plain(images))
        report = json.loads((tmp_path / "cifar10" / "report.json").read_text())
        right = (plain(images).argmax(1) == torch.arange(40) % 10).double().mean().item()
        assert report["test_accuracy"] == pytest.approx(right) and report["floor_images"] == 40
        assert (tmp_path / "cifar10" / FILE).is_file()
        fitting.write("cifar10", fitting.rounded(plain), tmp_path / "without", gallery=False)
        assert not (tmp_path / "without" / FILE).exists()
    finally:
        judge.cache_clear()


def test_the_average_gets_statistics_of_its_own():
    """The mean and variance that it sees itself, not those with which it began."""
    net = colour().eval()
    batches = [torch.rand(64, 3, 32, 32, generator=generator(k)) for k in range(3)]
    normalise_batches(net, batches)
    conv, norm = net.stages[0][0][0], net.stages[0][0][1]
    seen = [conv(2 * x - 1) for x in batches]
    mean = torch.stack([h.mean((0, 2, 3)) for h in seen]).mean(0)
    variance = torch.stack([h.var((0, 2, 3)) for h in seen]).mean(0)
    torch.testing.assert_close(norm.running_mean, mean, atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(norm.running_var, variance, atol=1e-5, rtol=1e-3)
    assert not net.training


def test_it_learns_from_batches_that_are_varied(monkeypatch, tmp_path):
    """Ten flat colours are told apart after a few steps, and only the settled network is written."""
    labels = torch.arange(100) % 10
    images = (labels / 10)[:, None, None, None] * torch.ones(1, 3, 32, 32)
    written = {}
    monkeypatch.setattr(fitting, "pixels_of", lambda data, split: (images, labels))
    monkeypatch.setattr(
        fitting, "write", lambda data, net, folder, gallery: written.update({data: net})
    )
    schedule = Schedule(steps=20, batch_size=20, learning_rate=3e-3, ema=0.8, warmup=5)
    steps = list(fitting.fit("cifar10", ClassifierPlan(schedule=schedule)))
    assert len(steps) == 20 and steps[-1].loss < 0.7 * steps[0].loss
    net = written["cifar10"]
    assert (net(images[:20]).argmax(1) == labels[:20]).float().mean() > 0.6
    assert all(torch.equal(v, v.half().float()) for v in net.state_dict().values())


def windows_like(made, padded):
    """Where in the padded image (and how: mirrored or not) the varied one was cut, grey apart."""
    found = []
    for mirrored in (False, True):
        image = made.flip(-1) if mirrored else made
        visible = (image != 0.5).all(0)
        assert (~visible).sum() == 8 * 8
        for dy in range(9):
            for dx in range(9):
                window = padded[:, dy : dy + 32, dx : dx + 32]
                if torch.equal(window[:, visible], image[:, visible]):
                    found.append(mirrored)
    return found


def test_a_crop_is_a_window_of_the_mirrored_image():
    images = torch.rand(64, 3, 32, 32, generator=generator(0))
    varied = crop_and_flip(images, generator(1))
    assert varied.shape == images.shape
    assert torch.equal(varied, crop_and_flip(images, generator(1)))
    padded = nn.functional.pad(images, [4] * 4, mode="reflect")
    found = [windows_like(made, around) for made, around in zip(varied, padded, strict=True)]
    assert all(len(each) == 1 for each in found)
    assert 16 < sum(mirrored for (mirrored,) in found) < 48


def test_the_grey_square_is_anywhere_inside():
    images = torch.ones(2000, 1, 8, 12)
    grey = grey_square(images, generator(0))[:, 0] == 0.5
    assert (grey.sum((1, 2)) == 9).all()  # 12 // 4 on a side
    places = {tuple(torch.nonzero(g)[0].tolist()) for g in grey}
    assert places == {(y, x) for y in range(6) for x in range(10)}


def test_a_data_set_of_images_is_one_entry_and_its_fitted_files(monkeypatch, tmp_path):
    """It can be fitted, judged and drawn in its plane; before that, the command is named."""
    images, labels = torch.rand(40, 1, 16, 16, generator=generator(0)), torch.arange(40) % 2
    plan = ClassifierPlan("small", Schedule(steps=2, batch_size=8), gallery=True)
    entry = DataSet("Stripes", (1, 16, 16), ("a", "b"), 0.5, 0.5, classifier=plan)
    monkeypatch.setitem(DATASETS, "stripes", entry)
    for module in (classifier, nearest, plane_module, fitting):
        monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(fitting, "pixels_of", lambda data, split: (images, labels))
    with pytest.raises(
        ValueError, match=r"of Stripes.*run python -m flowdemo\.training\.fit_classifier stripes"
    ):
        judge_or_error("stripes")
    judge.cache_clear()
    assert len(list(fitting.fit("stripes"))) == 2
    assert judge_or_error("stripes").look(images)[1].shape == (40,)
    assert plane("stripes").points.shape == (40, 2)
    assert gallery("stripes").shape == (1, 16, 16)
    judge.cache_clear()


def test_evaluate_says_in_one_line_what_must_be_fitted(trained, capsys):
    model = make_model("mnist")
    clothes = {"data": "fashion-mnist", "classes": DATASETS["fashion-mnist"].classes}
    config = model.config.model_copy(update=clothes | {"name": "clothes"})
    save(replace(model, config=config), trained / "clothes")
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "clothes", "--n", "4"])
    said = capsys.readouterr().err
    assert end.value.code == 1 and said.count("\n") == 1
    assert "run python -m flowdemo.training.fit_classifier fashion-mnist" in said
