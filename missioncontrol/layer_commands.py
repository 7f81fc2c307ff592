"""`missioncontrol layers ...`: maps and changes onto the console's map, and off it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from missioncontrol.errors import InputInvalid
from missioncontrol.terminal import Json, answer, listing

if TYPE_CHECKING:
    from missioncontrol.settings import Settings

layers_app = typer.Typer(help="Orthophotos and changes drawn on the map.", no_args_is_help=True)

Configured = Annotated[Path | None, typer.Option(help="Settings file (TOML).")]


@layers_app.command("add")
def layers_add(
    file: Annotated[Path, typer.Argument(help="A map (GeoTIFF, best a COG), or changes (GeoJSON).")],
    name: Annotated[str | None, typer.Option(help="Of the layer; else that of the file.")] = None,
    title: Annotated[str | None, typer.Option(help="What people read; else the name.")] = None,
    taken: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day it shows, if the file lacks it.")
    ] = None,
    colors: Annotated[str, typer.Option(help="Map of colours of one band: grey, heights, viridis, ...")] = "grey",
    hillshade: Annotated[float, typer.Option(help="Shaded relief of heights, so many times exaggerated.")] = 0.0,
    settings: Configured = None,
    as_json: Json = False,
) -> None:
    """Copy a map or changes into the data folder as a layer; a service that runs shows it at once.

    One of the same name is replaced.
    Example: missioncontrol layers add map.tif --title "Spring 2026" --settings missioncontrol.toml
    """
    from geo.styles import Style
    from missioncontrol.bounds import Name
    from missioncontrol.layer_folder import LayerFolder
    from missioncontrol.layers import public
    from missioncontrol.map_settings import LayerSettings

    chosen = name or file.stem.lower().replace(" ", "-")
    try:
        layer = LayerSettings(
            name=msgspec.convert(chosen, Name),
            title=title or name or file.stem,
            path=file,
            taken=None if taken is None else taken.date(),
            style=msgspec.convert({"colors": colors, "hillshade": hillshade}, Style),
        )
    except msgspec.ValidationError as exc:
        raise InputInvalid(f"layer {chosen!r}: {exc}; a name is of a-z, 0-9, _ and -") from exc
    installation = _settings(settings)
    if layer.name in {one.name for one in installation.layers}:
        raise InputInvalid(f"--name {layer.name}: the settings have a layer of that name")
    public(layer)
    told = public(LayerFolder(installation.layers_folder()).add(layer))
    answer(told, as_json, f"{layer.name}: {told['kind']}, {told['taken'] or 'no date'}")


@layers_app.command("list")
def layers_list(settings: Configured = None, as_json: Json = False) -> None:
    """List the layers of the settings and those that were added.

    Example: missioncontrol layers list --settings missioncontrol.toml
    """
    from missioncontrol.layer_folder import LayerFolder
    from missioncontrol.layers import Layers

    installation = _settings(settings)
    layers = Layers(installation.layers, LayerFolder(installation.layers_folder()))
    try:
        found: list[dict[str, Any]] = layers.public()
    finally:
        layers.close()
    lines = [f"{layer['name']}  {layer['kind']}  {layer['taken'] or 'no date'}  {layer['title']}" for layer in found]
    listing(found, as_json, lines, "no layers")


@layers_app.command("remove")
def layers_remove(
    name: Annotated[str, typer.Argument(help="Of a layer that was added.")],
    settings: Configured = None,
    as_json: Json = False,
) -> None:
    """Take a layer that was added off the map, and its copy out of the data folder.

    Example: missioncontrol layers remove spring --settings missioncontrol.toml
    """
    from missioncontrol.layer_folder import LayerFolder

    LayerFolder(_settings(settings).layers_folder()).remove(name)
    answer({"removed": name}, as_json, f"{name}: removed")


def _settings(path: Path | None) -> Settings:
    from missioncontrol.settings_files import load

    return load(path)
