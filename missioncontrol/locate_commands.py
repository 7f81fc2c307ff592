"""`missioncontrol locate`: where pixels of photographs lie, and how that compares with control points."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from missioncontrol.errors import InputInvalid
from missioncontrol.terminal import Json, answer, bars

if TYPE_CHECKING:
    from geo.calibrations import Lens

MOST_NOTES = 12
"""Notes that are shown to people."""


def locate(
    photo: Annotated[Path, typer.Argument(help="A photograph with its pose (EXIF and XMP), or a folder of them.")],
    pixel: Annotated[
        list[str] | None, typer.Option(help="Pixel X,Y from the top left; may be repeated. The middle where absent.")
    ] = None,
    dem: Annotated[list[Path] | None, typer.Option(help="Terrain as GeoTIFF or SRTM tile; may be repeated.")] = None,
    dsm: Annotated[
        list[Path] | None, typer.Option(help="Surface with what stands on the ground; comes before --dem.")
    ] = None,
    height_datum: Annotated[
        str | None, typer.Option(help="What DEM and DSM count from: EGM96, EGM2008, W84; else as the files state.")
    ] = None,
    ground_amsl_m: Annotated[float | None, typer.Option(help="Height of flat ground instead, m AMSL.")] = None,
    camera: Annotated[str | None, typer.Option(help="Camera of the library instead of the file's own.")] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Calibration instead: of OpenCV, OpenDroneMap or Pix4D.")
    ] = None,
    calibration_name: Annotated[str | None, typer.Option(help="Which camera of the calibration file.")] = None,
    sigma: Annotated[
        list[str] | None, typer.Option(help="One-sigma error of the pose, as yaw_deg=1.5; may be repeated.")
    ] = None,
    pixel_sigma_px: Annotated[float, typer.Option(help="How well the pixel is known, px.")] = 2.0,
    dem_sigma_m: Annotated[float | None, typer.Option(help="Of the terrain heights, one sigma, m.")] = None,
    target_height_m: Annotated[float, typer.Option(help="Of the aimed point above the ground, m.")] = 0.0,
    boresight: Annotated[
        str | None, typer.Option(help="How the camera sits askew in its mount: ROLL,PITCH,YAW, deg.")
    ] = None,
    readout_s: Annotated[
        float | None, typer.Option(help="Of a rolling shutter, from the top row to the bottom row, s.")
    ] = None,
    velocity_m_s: Annotated[
        str | None, typer.Option(help="Of the camera, for --readout-s: EAST,NORTH,UP, m/s; else as the file states.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Orthophoto (GeoTIFF) of the place, to lay the pictures on.")
    ] = None,
    gcp: Annotated[
        Path | None, typer.Option(help="Control points (gcp_list.txt of OpenDroneMap) to compare with.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where the places are written too (GeoJSON).")] = None,
    as_json: Json = False,
) -> None:
    """Say where on the ground pixels of photographs lie, and how sure that is, as GeoJSON.

    With control points: the error of each, CE50, CE90, and how many lie inside their ellipses.

    Example: missioncontrol locate DJI_0001.JPG --pixel 2000,1125 --ground-amsl-m 3 --json
    """
    from geo.errors import PhotoInvalid
    from geo.photos import photos_in
    from geo.references import Reference
    from missioncontrol.locating import Ground, aim_of, collection_of, frame_of_photo, middle_of, pixels_of, registered

    if reference is not None and gcp is not None:
        raise InputInvalid("--reference, --gcp: give one of the two: control points judge pictures as they are")
    if out is not None and not out.parent.is_dir():
        raise InputInvalid(f"--out {out}: there is no folder {out.parent}")
    tree: dict[str, Any] = {
        "sigmas": dict(_named(text) for text in sigma or []),
        "pixel_sigma_px": pixel_sigma_px,
        "dem_sigma_m": dem_sigma_m,
        "target_height_m": target_height_m,
        "boresight": _boresight(boresight),
        "shutter": None if readout_s is None else {"readout_s": readout_s},
        "motion": None if velocity_m_s is None else {"velocity_enu_m_s": _three("--velocity-m-s", velocity_m_s)},
    }
    aim, lens = aim_of(tree), _lens(camera, calibration, calibration_name)
    on_nothing = gcp is not None and not dem and not dsm and ground_amsl_m is None
    ground = None
    if not on_nothing:
        ground = Ground.of(dsm=dsm or [], dem=dem or [], ground_amsl_m=ground_amsl_m, height_datum=_datum(height_datum))
    laid_on = None if reference is None else Reference(reference)
    files = photos_in(photo) if photo.is_dir() else [photo]
    found: dict[str, Any]
    with bars() as progress:
        task = progress.add_task("pictures", total=len(files))
        if gcp is not None:
            from missioncontrol.control_points import compare, read_control_points

            compared = compare(
                read_control_points(gcp), files, ground, lens=lens, aim=aim, on_picture=lambda: progress.advance(task)
            )
            found = compared.collection | {"report": msgspec.to_builtins(compared.report)}
            text = compared.report.text()
        elif ground is not None:
            found = {"type": "FeatureCollection", "features": [], "pictures": []}
            for file in files:
                try:
                    frame = frame_of_photo(file, ground.terrain, ground_is_flat=ground.is_flat, lens=lens, aim=aim)
                except PhotoInvalid as exc:
                    if len(files) == 1:
                        raise
                    found["pictures"].append({"picture": file.name, "why": str(exc)})
                    continue
                if laid_on is not None:
                    frame = registered(frame, file, laid_on, ground.terrain)
                part = collection_of(frame, pixels_of(pixel or []) or [middle_of(frame)], ground, aim)
                found["features"] += part["features"]
                found["pictures"] += part["pictures"]
                progress.advance(task)
            unused = [f"{told['picture']}: {told['why']}" for told in found["pictures"] if "why" in told]
            text = "\n".join(
                [*(_line(feature) for feature in found["features"]), *unused, *_assumed(found["pictures"])]
            )
    if out is not None:
        out.write_bytes(msgspec.json.encode(found))
    answer(found, as_json, text)


def _line(feature: dict[str, Any]) -> str:
    """One place for people."""
    told = feature["properties"]
    where = f"{told['picture']} {told['pixel'][0]:g},{told['pixel'][1]:g}"
    if feature["geometry"] is None:
        return f"{where}: {told['why']}"
    lon, lat, height_m = feature["geometry"]["coordinates"]
    ellipse = told["ellipse"]
    return (
        f"{where}: lon {lon:.7f}, lat {lat:.7f}, {height_m:.1f} m AMSL; 90 % ellipse {ellipse['semi_major_m']:.1f} x "
        f"{ellipse['semi_minor_m']:.1f} m towards {ellipse['orientation_deg']:.0f} deg, CE90 {told['ce90_m']:.1f} m, "
        f"LE90 {told['le90_m']:.1f} m"
    )


def _assumed(pictures: list[dict[str, Any]]) -> list[str]:
    """What was assumed of pictures, for people: each note once, with how many pictures it is true of."""
    counts = Counter(note for told in pictures for note in told.get("notes", ()))
    lines = [f"assumed: {note}" + (f" ({count} pictures)" if count > 1 else "") for note, count in counts.most_common()]
    rest = [f"and {len(lines) - MOST_NOTES} notes more, see --json"] if len(lines) > MOST_NOTES else []
    return lines[:MOST_NOTES] + rest


def _lens(camera: str | None, calibration: Path | None, name: str | None) -> Lens | None:
    from geo.calibrations import read_calibration
    from geo.camera_library import camera as library_camera

    if camera is not None and calibration is not None:
        raise InputInvalid("--camera, --calibration: give one of the two")
    if camera is not None:
        return library_camera(camera).brown_camera()
    return None if calibration is None else read_calibration(calibration, name=name)


def _named(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        sigma = float(value)
    except ValueError:
        sigma = math.nan
    if not sigma >= 0:
        raise InputInvalid(f"--sigma {text!r}: give name and a number from 0 on, as in --sigma yaw_deg=1.5")
    return name, sigma


def _boresight(text: str | None) -> dict[str, float]:
    if text is None:
        return {}
    roll, pitch, yaw = _three("--boresight", text)
    return {"roll_deg": roll, "pitch_deg": pitch, "yaw_deg": yaw}


def _three(option: str, text: str) -> tuple[float, float, float]:
    try:
        one, two, three = (float(part) for part in text.split(","))
    except ValueError:
        raise InputInvalid(f"{option} {text!r}: give three numbers, as in {option} 0,0.4,-1.2") from None
    return one, two, three


def _datum(text: str | None) -> Any:
    from geo.geoids import HeightDatum

    if text is None:
        return None
    try:
        return HeightDatum(text.upper())
    except ValueError:
        raise InputInvalid(f"--height-datum {text!r}: one of {', '.join(HeightDatum)}") from None
