"""The catalogue of checkpoints that others trained and that can be converted: `catalogue.json`."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter

from flowdemo.config.checkpoint import HEX_40, HEX_64, Defaults, ModelConfig, Origin
from flowdemo.config.options import Name, Weight
from flowdemo.config.recipe import MethodName
from flowdemo.data import dataset
from flowdemo.nets.sizes import Strict

FILE = Path(__file__).with_name("catalogue.json")


class Entry(Strict):
    """A file of a Hub repository, and how FlowDemo reads it.

    `sha256` and `revision` are there where they are known; `bytes` may be computed. `net` holds
    the sizes that the file must have, `config` other fields of `ModelConfig`.
    """

    name: Name
    title: str
    repo: str
    file: str
    revision: str | None = Field(None, pattern=HEX_40)
    sha256: str | None = Field(None, pattern=HEX_64)
    bytes: int = Field(ge=1)
    license: str
    adapter: str
    net: dict[str, Any]
    method: MethodName
    data: Name
    guidance: tuple[Weight, Weight]
    defaults: Defaults
    config: dict[str, Any] = {}

    @property
    def spec(self) -> str:
        """NAME/MODEL@REVISION."""
        return f"{self.repo}@{self.revision or 'main'}"

    def config_of(self, origin: Origin | None) -> ModelConfig:
        """The description of the converted checkpoint."""
        info = dataset(self.data)
        fields = {"shape": info.shape, **info.normalisation} | self.config
        return ModelConfig(
            name=self.name, method=self.method, data=self.data, classes=info.classes,
            guidance=self.guidance, defaults=self.defaults, license=self.license, origin=origin,
            net={"kind": self.adapter} | self.net, **fields,
        )  # fmt: skip


@lru_cache
def entries() -> dict[str, Entry]:
    """Name -> entry."""
    found = TypeAdapter(list[Entry]).validate_json(FILE.read_text())
    return {entry.name: entry for entry in found}


@lru_cache
def configs() -> dict[str, ModelConfig]:
    """Name -> config of the checkpoint that each entry converts to."""
    return {name: entry.config_of(None) for name, entry in entries().items()}
