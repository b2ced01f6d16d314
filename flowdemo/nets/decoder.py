"""The decoder of latent models: latents to pixels, by `diffusers`, which is asked for only here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# From latents (times 0.18215) of that decoder's family to RGB in [-1, 1], fitted by Kevin Turner
# (discuss.huggingface.co/t/23204): a small picture of what the decoder would make.
PREVIEW = (
    (0.298, 0.207, 0.208), (0.187, 0.286, 0.173), (-0.158, 0.189, 0.264), (-0.184, -0.271, -0.473)
)  # fmt: skip
SCALE = 0.18215


@dataclass(frozen=True)
class Decoder:
    """A decoder on the Hub, pinned, with the size and hash of its weights."""

    repo: str
    revision: str
    file: str
    bytes: int
    sha256: str


DECODERS = {
    "sd-vae-ft-mse": Decoder(
        "stabilityai/sd-vae-ft-mse",
        "31f26fdeee1355a5c34592e401dd41e45d25a493",
        "diffusion_pytorch_model.safetensors",
        334_643_276,
        "a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815",
    )
}


def require_diffusers() -> None:
    """ValueError that says what to install where `diffusers` is missing."""
    if find_spec("diffusers") is None:
        raise ValueError(
            "this model works on latents, and its decoder needs the package diffusers: "
            "pip install diffusers"
        )


@lru_cache(maxsize=1)
def load_decoder(folder: Path, device: torch.device) -> Any:
    """The `AutoencoderKL` of a folder with its config and safetensors weights, without its encoder."""
    require_diffusers()
    from diffusers import AutoencoderKL  # noqa: PLC0415  (optional, and slow to import)

    vae = AutoencoderKL.from_pretrained(
        folder, use_safetensors=True, local_files_only=True, low_cpu_mem_usage=False
    )
    del vae.encoder
    return vae.to(device).eval().requires_grad_(False)


def decode(vae: Any, latents: Tensor, watch: Callable[[int], None] = lambda done: None) -> Tensor:
    """Latents (n, 4, h, w) as pixels (n, 3, 8 h, 8 w) in [0, 1], on the CPU, one after the other."""
    device, pixels = next(vae.parameters()).device, []
    for done, latent in enumerate(latents):
        watch(done)
        decoded = vae.decode(latent[None].to(device)).sample
        pixels.append((decoded / 2 + 0.5).clamp(0, 1).cpu())
    return torch.cat(pixels)


def preview(latents: Tensor) -> Tensor:
    """Latents (..., 4, h, w) as small pictures (..., 3, h, w), linear and not clipped."""
    weights = torch.tensor(PREVIEW, dtype=latents.dtype, device=latents.device)
    return torch.einsum("...chw,cr->...rhw", SCALE * latents, weights) / 2 + 0.5
