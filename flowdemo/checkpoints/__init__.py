"""Checkpoints: folders with `config.json`, `model.safetensors` and `README.md`."""

import hashlib
import re
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from flowdemo.checkpoints import cache, visitors
from flowdemo.checkpoints.cards import card
from flowdemo.config.checkpoint import ModelConfig, read_model_config
from flowdemo.config.options import NAME
from flowdemo.data import DATASETS
from flowdemo.files import save_tensors, write_folder
from flowdemo.methods import solvers_of
from flowdemo.model import Model
from flowdemo.nets import build_net
from flowdemo.nets.decoder import load_decoder

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
MAX_CONFIG_BYTES, MAX_WEIGHT_BYTES = 1_000_000, 3_000_000_000
SHIPPED = Path(__file__).parent.parent / "pretrained"
TRAINED = Path(__file__).parent.parent.parent / "checkpoints"
VISITORS = ".visitors"  # a folder in it, which no list has


def folders() -> dict[str, Path]:
    """Name -> folder of every checkpoint that is here.

    One trained here hides a shipped one of its name. What was had from the Hub has the name of its
    repository or its name in the catalogue.
    """
    found = {}
    for root in (SHIPPED, cache.converted(), TRAINED):
        for config in sorted(root.glob(f"*/{CONFIG}")):
            if not config.parent.name.startswith("."):
                found[config.parent.name] = config.parent
    pulled = {name: Path(record["folder"]) for name, record in cache.records().items()}
    return found | pulled


def trained() -> dict[str, Path]:
    """Name -> folder of the checkpoints that were trained here."""
    return {name: folder for name, folder in folders().items() if folder.parent == TRAINED}


def configs() -> dict[str, ModelConfig]:
    """Name -> description of every checkpoint here that can be read."""
    found = {}
    for name, folder in folders().items():
        with suppress(ValueError):
            found[name] = read_config(folder)
    return found


def load(name: str, device: torch.device | None = None) -> Model:
    """The model of that name, in float32; ValueError lists the names or says what is broken."""
    return load_folder(folder_of(name), device, name)


def folder_of(name: str) -> Path:
    """The folder of a checkpoint that is here; ValueError lists the names."""
    folder = find(name)
    if folder is None:
        raise ValueError(f"no model '{name}'; there are: {', '.join(folders()) or 'none'}")
    return folder


def find(name: str) -> Path | None:
    """The folder of a local checkpoint, including a visitor's own, which is never listed."""
    return folders().get(name) or visitors.find(TRAINED / VISITORS, name)


def load_folder(folder: Path, device: torch.device | None = None, name: str | None = None) -> Model:
    """Load a checkpoint folder; the model's name is the folder's unless `name` is given.

    ValueError in one line where the folder is broken.
    """
    config = read_config(folder).model_copy(update={"name": name or folder.resolve().name})
    weights, device = folder / WEIGHTS, device or torch.device("cpu")
    net = checked_net(config, weights)
    digest = sha256_of(weights)
    if config.sha256 not in (None, digest):
        raise ValueError(f"{weights} is not the file that its {CONFIG} describes")
    net.load_state_dict({key: value.float() for key, value in load_file(weights).items()})
    net = net.to(device).eval().requires_grad_(False)
    source = "shipped" if folder.parent == SHIPPED else str(folder)
    decoder = partial(decoder_of, config.decoder, device) if config.decoder else None
    return Model(config, net, digest[:12], source, decoder)


def decoder_of(name: str, device: torch.device) -> Any:
    """The decoder of latents of that name; ValueError if it is not here."""
    record = cache.records("decoders").get(name)
    if record is None:
        raise ValueError(f"the decoder {name} is not here; pull the model again to have it")
    return load_decoder(Path(record["folder"]), device)


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file, read in pieces: some are gigabytes."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def read_config(folder: Path) -> ModelConfig:
    """The validated `config.json`."""
    path = folder / CONFIG
    if not path.is_file():
        raise ValueError(f"{folder} is no checkpoint: it has no {CONFIG}")
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise ValueError(f"{path} is larger than a {CONFIG} can be")
    config = read_model_config(path.read_text(errors="replace"), str(path))
    check_config(config, str(path))
    if folder.parent != cache.converted():  # elsewhere it is what somebody claims
        config = config.model_copy(update={"origin": None})
    return config


def check_config(config: ModelConfig, path: str) -> None:
    """ValueError unless the data and the solver of a description are ones that are known here.

    Fine-tuning may have added classes to those of images.
    """
    info, solvers = DATASETS.get(config.data), solvers_of(config)
    first = config.classes[: len(info.classes)] if info and info.is_image else config.classes
    if info and (config.sample_shape, first) != (info.shape, info.classes):
        raise ValueError(f"{path}: data: '{config.data}' has another shape or other classes")
    if info is None and len(config.shape) < 3:
        raise ValueError(f"{path}: data: not one of the known sets of points")
    if config.defaults.solver not in solvers:
        raise ValueError(f"{path}: defaults.solver: must be one of {', '.join(solvers)}")


def checked_net(config: ModelConfig, weights: Path) -> nn.Module:
    """The network of `config`, built only if the file's names and shapes are those it needs."""
    if not weights.is_file():
        raise ValueError(f"{weights.parent} is no checkpoint: it has no {WEIGHTS}")
    if weights.stat().st_size > MAX_WEIGHT_BYTES:
        raise ValueError(f"{weights} is larger than {MAX_WEIGHT_BYTES} bytes")
    try:
        with safe_open(weights, framework="pt") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
            there = {key: tuple(part.get_shape()) for key, part in slices.items()}
            kinds = {part.get_dtype() for part in slices.values()}
    except SafetensorError as error:
        raise ValueError(f"{weights} is not a safetensors file ({error})") from error
    with torch.device("meta"):  # allocates nothing: the shapes are compared first
        plan = build_net(config.net, config.shape, len(config.classes))
    wanted = {key: tuple(value.shape) for key, value in plan.state_dict().items()}
    if not kinds <= {"F16", "BF16", "F32"}:
        raise ValueError(f"{weights} must hold F16, BF16 or F32, not {', '.join(sorted(kinds))}")
    if there != wanted:
        wrong = sorted(k for k in there.keys() | wanted if there.get(k) != wanted.get(k))
        raise ValueError(f"{weights} does not fit its {CONFIG}: see {', '.join(wrong[:3])}")
    return build_net(config.net, config.shape, len(config.classes))


def save(model: Model, folder: Path, dtype: torch.dtype = torch.float16) -> None:
    """Writes the checkpoint, its weights in `dtype`; a failure leaves nothing half-written."""
    tensors: dict[str, Tensor] = {
        key: value.detach().to("cpu", dtype) for key, value in model.net.state_dict().items()
    }

    def write(draft: Path) -> None:
        save_tensors(tensors, draft / WEIGHTS, {"format": "pt"})
        digest = sha256_of(draft / WEIGHTS)
        write_text(draft, model.config.model_copy(update={"sha256": digest}))

    write_folder(folder, write)


def save_as(model: Model, name: str) -> None:
    """Saves a model as a checkpoint here. ValueError if the name is no name, or is taken."""
    check_new(name, TRAINED / name)
    recipe = model.config.recipe
    changed = {"name": name, "recipe": recipe and recipe.model_copy(update={"name": name})}
    save(replace(model, config=model.config.model_copy(update=changed)), TRAINED / name)


def check_new(name: str, folder: Path) -> None:
    """ValueError if the name is invalid or taken, or the folder exists."""
    check_name(name)
    if is_taken(name) or folder.exists():
        raise ValueError(f"there is a checkpoint '{name}' already; choose another name")


def check_name(name: str) -> None:
    if not re.fullmatch(NAME, name):
        raise ValueError(f"'{name}' is no name: small letters, digits, '-', '_' and '.', up to 64")


def is_taken(name: str) -> bool:
    """Whether a checkpoint saved here could not have that name."""
    return name in folders() or (TRAINED / name).exists()


def save_for_visitor(model: Model, name: str) -> str:
    """Save a model for an hour under a secret name; returns the name."""
    check_name(name)
    secret = visitors.secret_name(TRAINED / VISITORS, name)
    save(model, TRAINED / VISITORS / secret)
    return secret


def describe(folder: Path, config: ModelConfig) -> None:
    """Writes `config.json` and the card of a checkpoint anew; the weights stay."""
    write_folder(folder, lambda draft: write_text(draft, config))


def write_text(folder: Path, config: ModelConfig) -> None:
    (folder / CONFIG).write_text(config.model_dump_json(indent=1, exclude_none=True) + "\n")
    (folder / CARD).write_text(card(config))
