"""Layers that were added: each a file, and beside it a record of what it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec
import structlog

from missioncontrol.errors import NotFound
from missioncontrol.map_settings import LayerSettings

log = structlog.get_logger(__name__)


class LayerFolder:
    """A folder of layers. Whoever may write to it may add to it; a service that runs notices."""

    def __init__(self, folder: Path) -> None:
        """Made when the first layer is added."""
        self._folder = folder

    def layers(self) -> tuple[LayerSettings, ...]:
        """What is there now, by name; a record that cannot be read is left out, which is logged."""
        found = []
        for record in sorted(self._folder.glob("*.layer.json")):
            try:
                layer = msgspec.json.decode(record.read_bytes(), type=LayerSettings, dec_hook=_path)
            except (OSError, msgspec.DecodeError) as exc:
                log.warning("record of a layer cannot be read", file=str(record), why=str(exc))
                continue
            found.append(msgspec.structs.replace(layer, path=self._folder / layer.path.name))
        return tuple(found)

    def add(self, layer: LayerSettings) -> LayerSettings:
        """Copy the file of a layer in and record it, in the place of one of the same name."""
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = msgspec.structs.replace(layer, path=self._folder / f"{layer.name}{layer.path.suffix.lower()}")
        part = kept.path.with_name(f".{kept.path.name}.part")
        try:
            shutil.copyfile(layer.path, part)
            os.replace(part, kept.path)
        finally:
            part.unlink(missing_ok=True)
        record = self._record(layer.name)
        waiting = record.with_name(f".{record.name}.part")
        waiting.write_bytes(msgspec.json.encode(msgspec.structs.replace(kept, path=Path(kept.path.name)), enc_hook=str))
        os.replace(waiting, record)
        return kept

    def remove(self, name: str) -> None:
        """Forget a layer and its file. Raises NotFound."""
        for layer in self.layers():
            if layer.name == name:
                self._record(name).unlink(missing_ok=True)
                layer.path.unlink(missing_ok=True)
                return
        names = ", ".join(layer.name for layer in self.layers()) or "none"
        raise NotFound(f"no layer {name!r} was added; there are: {names}")

    def _record(self, name: str) -> Path:
        return self._folder / f"{name}.layer.json"


def _path(kind: type, value: object) -> Path:
    if kind is not Path or not isinstance(value, str):
        raise NotImplementedError(kind)
    return Path(value)
