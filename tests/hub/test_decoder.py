"""Latent models: their decoder, the pictures and files it makes of latents, and having it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import flowdemo
from flowdemo.checkpoints import cache, decoder_of, sha256_of
from flowdemo.nets import decoder
from flowdemo.nets.decoder import DECODERS, PREVIEW, Decoder, load_decoder, preview
from flowdemo.output.images import export_all, image_grid
from flowdemo.sampling.run import sample
from tests.golden import golden
from tests.hub.fixtures import KINDS, fetched

VAE, WEIGHTS = "sd-vae-ft-mse", "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def vae():
    """A small random autoencoder of the decoder's kind."""
    from diffusers import AutoencoderKL  # noqa: PLC0415  (slow to import)

    torch.manual_seed(0)
    sizes = {"block_out_channels": (8,) * 4, "norm_num_groups": 4, "latent_channels": 4}
    down, up = ["DownEncoderBlock2D"] * 4, ["UpDecoderBlock2D"] * 4
    return AutoencoderKL(
        down_block_types=down, up_block_types=up, layers_per_block=1, **sizes
    ).eval()


@pytest.fixture(scope="module")
def folder(vae, tmp_path_factory):
    vae.save_pretrained(made := tmp_path_factory.mktemp("vae"))
    return made


@pytest.fixture
def here(hub, folder):
    """The decoder as if it had been pulled."""
    cache.remember(VAE, {"repo": "a/b", "revision": "0" * 40, "folder": str(folder)}, "decoders")


@torch.no_grad()
def pixels_of(vae, latents):
    return (vae.decode(latents).sample / 2 + 0.5).clamp(0, 1)


@pytest.mark.parametrize("kind", ["sit", "imf"])
def test_a_latent_model_gives_the_pictures_that_its_decoder_makes(hub, here, offer, vae, kind):
    model = flowdemo.load(offer(kind))
    made = sample(model, 2, [3, 7], 2.0, steps=2, seed=1)
    assert made.images.shape == (2, 3, 64, 64) and made.latents.shape == (2, 4, 8, 8)
    assert made.trajectory.states.shape == (3, 2, 3, 8, 8) and made.decoder_seconds > 0
    torch.testing.assert_close(made.images, pixels_of(vae, made.latents), atol=1e-5, rtol=0)
    assert 0 <= made.images.min() < made.images.max() <= 1
    torch.testing.assert_close(made.trajectory.states[-1], preview(made.latents))
    assert hub.asked == {f"flow/{kind}.pt"}


@torch.inference_mode()
def test_latents_of_imf_are_the_originals_with_the_spread_of_each_channel(here, offer, vae):
    g, model = golden("imf"), flowdemo.load(offer("imf"))
    given = {"x_0": g["sample.noise"], "label": g["sample.y"].tolist()}
    made = sample(model, 2, guidance=4.0, steps=2, **given)
    mean, std = (
        torch.tensor(KINDS["imf"]["config"][key])[:, None, None] for key in ("mean", "std")
    )
    result = g["sample.result_2_steps_omega_4_t_min_036_t_max_064"]
    assert (made.latents - (result * std + mean)).abs().max() < 1e-3 and made.nfe == 2
    assert (made.images - pixels_of(vae, result * std + mean)).abs().max() < 1e-3


@torch.inference_mode()
def test_the_fourth_channel_of_sit_is_not_guided(here, offer):
    g, model = golden("sit"), flowdemo.load(offer("sit"))
    plain, guided = (model.velocity(g["cfg.x"], g["cfg.t"], g["cfg.y"], w) for w in (1.0, 4.0))
    assert (guided - g["cfg.output_scale_4"]).abs().max() < 1e-4
    torch.testing.assert_close(guided[:, 3], plain[:, 3], atol=1e-5, rtol=0)
    assert (guided[:, :3] - plain[:, :3]).abs().max() > 1e-2


def test_a_preview_is_linear_in_the_latents():
    latents = torch.zeros(5, 2, 4, 8, 8)
    latents[0, 0, 2] = 1 / 0.18215
    made = preview(latents)
    assert made.shape == (5, 2, 3, 8, 8) and (made[1:] == 0.5).all()
    torch.testing.assert_close(made[0, 0, :, 0, 0], torch.tensor(PREVIEW[2]) / 2 + 0.5)


def test_files_of_a_latent_model_hold_the_decoded_pictures(here, offer, tmp_path):
    made = sample(flowdemo.load(offer("sit")), 4, "all", steps=3)
    files = {file.split(".")[-1]: file for file in export_all(made, tmp_path, "eve/sit")}
    assert set(files) == {"png", "gif", "webp", "npz", "json"}
    arrays = np.load(files["npz"])
    assert arrays["images"].shape == (4, 64, 64, 3)
    assert arrays["trajectory"].shape == (4, 4, 8, 8, 3)
    with Image.open(files["png"]) as picture:
        assert np.array_equal(picture, image_grid(made.images))
    for kind in ("gif", "webp"):
        with Image.open(files[kind]) as film:
            assert film.n_frames == 4
    with Image.open(files["webp"]) as film:  # without loss
        film.seek(3)
        last = made.film[-1]
        assert np.array_equal(film.convert("RGB"), image_grid(last))
    torch.testing.assert_close(last, torch.nn.functional.avg_pool2d(made.images, 2))
    assert json.loads(Path(files["json"]).read_text())["model"] == "small-sit"


def test_the_old_names_of_attention_load_too(folder, vae, tmp_path):
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    weights = load_file(folder / WEIGHTS)
    for new, old in names.items():
        weights = {key.replace(new, old): value for key, value in weights.items()}
    assert any("proj_attn" in key for key in weights)
    save_file(weights, tmp_path / WEIGHTS, {"format": "pt"})
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    old = load_decoder(tmp_path, torch.device("cpu"))
    torch.testing.assert_close(pixels_of(old, latents), pixels_of(vae, latents))
    assert not hasattr(old, "encoder")


@pytest.fixture
def on_the_hub(hub, folder, monkeypatch):
    """The decoder on the Hub, and known as such."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    sha = hub.add("eve/vae", files | {"vae.bin": b"1"})
    size, digest = len(files[WEIGHTS]), sha256_of(folder / WEIGHTS)
    known = Decoder("eve/vae", sha, WEIGHTS, size, digest)
    monkeypatch.setitem(DECODERS, VAE, known)
    return known


def decoders():
    return cache.records("decoders")


def test_a_latent_model_brings_its_decoder_once(hub, on_the_hub, offer):
    name = offer("sit")
    fetched(name)
    assert hub.asked == {"flow/sit.pt", "config.json", WEIGHTS} and VAE in decoders()
    hub.clear()
    assert sample(flowdemo.load(name), 1, steps=1).images.shape == (1, 3, 64, 64)
    assert hub.requests == []


def test_another_decoder_is_refused(hub, on_the_hub, offer, monkeypatch):
    monkeypatch.setitem(DECODERS, VAE, replace(on_the_hub, sha256="0" * 64))
    name = offer("sit")
    with pytest.raises(ValueError, match="of eve/vae is not the file that is known"):
        fetched(name)
    assert VAE not in decoders() and not list(cache.root().parent.rglob(WEIGHTS))
    with pytest.raises(ValueError, match=f"the decoder {VAE} is not here; pull the model again"):
        decoder_of(VAE, torch.device("cpu"))


def test_without_diffusers_it_is_said_before_anything_is_asked(hub, offer, monkeypatch):
    monkeypatch.setattr(decoder, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install diffusers"):
        fetched(offer("sit"))
    assert hub.requests == []
    assert fetched(offer("yarr"))  # which needs none
