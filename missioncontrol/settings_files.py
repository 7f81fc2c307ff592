"""Settings as one TOML file, overridden by `MC__...` variables.

`MC__FLEET__HEARTBEAT_TIMEOUT_S=3` sets `heartbeat_timeout_s` of `[fleet]`; lists and
tables are given as JSON. A key that does not exist is an error that names it.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import textwrap
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
import tomli_w

from fleet.errors import LinkInvalid
from fleet.links import open_link
from missioncontrol.docstrings import field_docs
from missioncontrol.errors import SettingsInvalid
from missioncontrol.settings import Settings

PREFIX = "MC__"
MASK = "********"
_SECRET_KEY = re.compile(r"password|secret|token|private_key|api_key", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(?<=://)([^/@:]*):([^/@]+)@")


def load(path: Path | str | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings of a TOML file and of the environment, which wins. Raises SettingsInvalid.

    Relative paths in the file are relative to the file's folder.
    """
    tree: dict[str, Any] = {}
    where = "the environment"
    if path is not None:
        where = str(path)
        try:
            tree = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as exc:
            raise SettingsInvalid(f"{path}: cannot be read: {exc.strerror}") from exc
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            raise SettingsInvalid(f"{path}: is not TOML: {exc}") from exc
        _check_keys(tree, Settings, (), where)
    for key, value in sorted((os.environ if environ is None else environ).items()):
        if key.startswith(PREFIX):
            _override(tree, key, value)
    try:
        settings = msgspec.convert(tree, Settings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as exc:
        raise SettingsInvalid(f"{where}: {_readable(exc)}") from exc
    if path is not None:
        settings = _anchored(settings, Path(path).resolve().parent, tree)
    _check_names(settings, where)
    return settings


def masked(settings: Settings) -> dict[str, Any]:
    """The settings as plain values, secrets masked."""
    tree: dict[str, Any] = _masked(msgspec.to_builtins(settings, enc_hook=str))
    return tree


def to_toml(settings: Settings) -> str:
    """The settings as TOML text, secrets masked; what is not set is left out."""
    return tomli_w.dumps(_without_none(masked(settings)))


def explained() -> str:
    """All settings as TOML: what each key is, and its default; what has none is commented out."""
    return "\n".join(_explained(Settings, (), {}, "")) + "\n"


def _explained(struct: type[msgspec.Struct], path: tuple[str, ...], given: Mapping[str, Any], off: str) -> list[str]:
    """The keys of a struct, then its tables; `given` is before its own defaults, `off` before what need not be."""
    keys: list[str] = []
    tables: list[str] = []
    docs, kinds = field_docs(struct), _fields(struct)
    for field in msgspec.structs.fields(struct):
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        own = None if default is msgspec.NODEFAULT else msgspec.to_builtins(default, enc_hook=str)
        value, here = given.get(field.name, own), (*path, field.name)
        said = textwrap.wrap(docs.get(field.name, ""), 110, initial_indent="# ", subsequent_indent="# ")
        inner = _struct_of(kinds[field.name])
        if inner is not None:
            name, mark = ".".join(here), off if isinstance(value, dict) else "# "
            head = f"[[{name}]]" if get_origin(kinds[field.name]) is tuple else f"[{name}]"
            inside = value if isinstance(value, dict) else {}
            tables += ["", *said, f"{mark}{head}", *_explained(inner, here, inside, mark)]
        elif isinstance(value, dict):
            entries = [f"{off}{key} = {json.dumps(each)}" for key, each in value.items()]
            tables += ["", *said, f"{off}[{'.'.join(here)}]", *entries]
        elif value is None:
            keys += [*said, f"# {field.name} ="]
        else:
            keys += [*said, f"{off}{field.name} = {json.dumps(value)}"]
    return [*keys, *tables]


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError("expected a path")


def _readable(exc: msgspec.ValidationError) -> str:
    text, _, place = str(exc).partition(" - at `$.")
    return f"{place.rstrip('`')}: {text}" if place else text


def _struct_of(kind: Any) -> type[msgspec.Struct] | None:
    """The Struct inside a field's type, looking through Optional, Annotated and tuple."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    if get_origin(kind) in (Union, types.UnionType, Annotated, tuple):
        return next((found for part in get_args(kind) if (found := _struct_of(part))), None)
    return None


def _fields(struct: type[msgspec.Struct]) -> dict[str, Any]:
    hints = typing.get_type_hints(struct, include_extras=True)
    return {name: hints[name] for name in struct.__struct_fields__}


def _unknown(key: str, path: tuple[str, ...], known: list[str], where: str) -> SettingsInvalid:
    full = ".".join((*path, key))
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    table = f"[{'.'.join(path)}]" if path else "the top level"
    hint = f"did you mean {'.'.join((*path, near[0]))}?" if near else f"{table} has: {', '.join(known)}"
    return SettingsInvalid(f"{where}: unknown key {full}; {hint}")


def _check_keys(tree: Any, kind: Any, path: tuple[str, ...], where: str) -> None:
    if get_origin(kind) is dict and isinstance(tree, dict):
        for key, value in tree.items():
            _check_keys(value, get_args(kind)[1], (*path, key), where)
        return
    struct = _struct_of(kind)
    if struct is None:
        return
    if isinstance(tree, list):
        for index, item in enumerate(tree):
            _check_keys(item, struct, (*path[:-1], f"{path[-1]}[{index}]"), where)
    elif isinstance(tree, dict):
        known = _fields(struct)
        for key, value in tree.items():
            if key not in known:
                raise _unknown(key, path, list(known), where)
            _check_keys(value, known[key], (*path, key), where)


def _override(tree: dict[str, Any], variable: str, text: str) -> None:
    """Put one `MC__A__B=text` into the tree."""
    parts = tuple(variable[len(PREFIX) :].lower().split("__"))
    kind: Any = Settings
    node = tree
    for depth, part in enumerate(parts):
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            struct = kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None
            if struct is None or part not in (known := _fields(struct)):
                options = list(_fields(struct)) if struct else []
                raise _unknown(part, parts[:depth], options, f"environment variable {variable}")
            kind = known[part]
        if depth < len(parts) - 1:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise SettingsInvalid(f"environment variable {variable}: {'.'.join(parts[: depth + 1])} is not a table")
            kind = _struct_of(kind) if get_origin(kind) is not dict and get_origin(kind) is not tuple else kind
    value: Any = text
    if text[:1] in ("[", "{"):
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError as exc:
            raise SettingsInvalid(f"environment variable {variable}: is not JSON: {exc}") from exc
        _check_keys(value, kind, parts, f"environment variable {variable}")
    node[parts[-1]] = value


def _anchored(settings: Settings, folder: Path, tree: dict[str, Any]) -> Settings:
    def at(path: Path | None) -> Path | None:
        return None if path is None else folder / path

    replace = msgspec.structs.replace
    city, weather = settings.city, settings.weather
    if "path" in weather.options:
        weather = replace(weather, options={**weather.options, "path": str(folder / str(weather.options["path"]))})
    return replace(
        settings,
        data=folder / settings.data,
        weather=weather,
        fleet=replace(
            settings.fleet,
            key_store=at(settings.fleet.key_store),
            key_identity=at(settings.fleet.key_identity),
        ),
        terrain=replace(
            settings.terrain,
            dem=at(settings.terrain.dem),
            geoids=at(settings.terrain.geoids),
            obstacles=tuple(folder / path for path in settings.terrain.obstacles),
        ),
        city=replace(city, buildings=at(city.buildings), cadastre=at(city.cadastre), permits=at(city.permits)),
        layers=tuple(replace(layer, path=folder / layer.path) for layer in settings.layers),
        vehicles=tuple(replace(vehicle, calibration=at(vehicle.calibration)) for vehicle in settings.vehicles),
        recording=replace(settings.recording, folder=at(settings.recording.folder)),
    )


def _check_names(settings: Settings, where: str) -> None:
    """Names that must be unique are, links are such, and routes lead to receivers that exist."""
    for link in settings.fleet.links:
        try:
            open_link(link)  # nothing is opened yet
        except LinkInvalid as exc:
            raise SettingsInvalid(f"{where}: fleet.links: {exc}") from exc
    lists: dict[str, list[Any]] = {
        "vehicles: sysid": [vehicle.sysid for vehicle in settings.vehicles],
        "sinks: name": [sink.name for sink in settings.sinks],
        "layers: name": [layer.name for layer in settings.layers],
    }
    for what, names in lists.items():
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise SettingsInvalid(f"{where}: {what} {', '.join(map(str, sorted(twice)))} is given twice")
    for vehicle in settings.vehicles:
        for link in vehicle.links:
            if link not in settings.fleet.links:
                there = ", ".join(settings.fleet.links)
                raise SettingsInvalid(f"{where}: vehicles: {vehicle.name}: links: no link {link!r}; there are: {there}")
    for link in settings.fleet.trusted_links:
        if link not in settings.fleet.links:
            raise SettingsInvalid(f"{where}: fleet.trusted_links: no link {link!r} among fleet.links")
    if (settings.fleet.key_store is None) != (settings.fleet.key_identity is None):
        raise SettingsInvalid(f"{where}: fleet.key_store, fleet.key_identity: give both or none")
    known = [sink.name for sink in settings.sinks]
    for kind, routed in settings.routes.items():
        for name in routed:
            if name not in known:
                raise SettingsInvalid(
                    f"{where}: routes.{kind}: no sink {name!r}; there are: {', '.join(known) or 'none'}"
                )


def _without_none(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _without_none(value) for key, value in tree.items() if value is not None}
    if isinstance(tree, list | tuple):
        return [_without_none(item) for item in tree]
    return tree


def _masked(tree: Any, key: str = "") -> Any:
    if isinstance(tree, dict):
        return {name: _masked(value, name) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_masked(item, key) for item in tree]
    if isinstance(tree, str):
        if tree and _SECRET_KEY.search(key):
            return MASK
        return _URL_PASSWORD.sub(rf"\1:{MASK}@", tree)
    return tree
