"""From the pictures of a flight to a map: photographs, or recorded video with its metadata, laid on the terrain."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import cv2
import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

from aerial_models.frames import Frame, TimeSource
from aerial_models.sources import PICTURE_SUFFIXES, VIDEO_SUFFIXES, PictureSource, open_source
from geo import geoids
from geo.camera_library import camera as library_camera
from geo.cameras import BrownCamera, Camera
from geo.cogs import CogWriter, Compression
from geo.errors import PhotoInvalid
from geo.geoids import HeightDatum
from geo.klv import pose_of
from geo.location import camera_amsl_m
from geo.mosaics import Mosaic, Part, View
from geo.photos import read_photo
from geo.poses import Pose
from geo.positions import Altitude, Datum, distance_m
from geo.terrain import Terrain
from geo.tiff import Described
from missioncontrol.clocks import iso_utc
from missioncontrol.errors import AdapterUnknown, InputInvalid
from missioncontrol.sites import terrain_of

PHOTOGRAMMETRY = "missioncontrol.photogrammetry"
"""Entry points of adapters: called with `url` and `token`, they give a Photogrammetry."""
GSD_SCALE = 0.01
"""Centimetres in one of the numbers that the sources' first band holds."""
LOCAL_TIME = "moments are those of the .srt's own clock, which tells no zone: --clock-ahead-h makes them UTC"
"""A note of a map whose times are no UTC."""
VIDEO_STEP = 0.15
"""How far the camera goes between two frames taken from a video, as a share of what the shorter side shows."""
VIDEO_TURN_DEG = 15.0
"""How far it turns at most between them."""
Image = NDArray[np.uint8]


class MapReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a map was made of, and where it lies."""

    map: str
    """File of the orthomosaic: COG of RGB, clear where no frame looks."""
    sources: str
    """File of the COG that tells of each pixel the GSD (cm, scaled), the moment (s since 1970 UTC) and the number of
    its frame; 0 where there is none."""
    frames: str
    """File of the frames: GeoJSON of what each shows, with number, name and moment."""
    used: int
    """Frames that were laid."""
    unused: dict[str, str]
    """Names of those that were not, and why."""
    notes: tuple[str, ...]
    """What was assumed."""
    crs: str
    """Coordinate reference system."""
    width: int
    """Columns."""
    height: int
    """Rows."""
    pixel_m: float
    """Side of a pixel, m."""
    bounds: tuple[float, float, float, float]
    """West, south, east, north, deg."""
    covered_m2: float
    """Area that frames show, m2."""
    gsd_cm: float | None
    """Mean GSD of it, cm; none where nothing is covered."""
    first_utc: str
    """Moment of the first frame used."""
    last_utc: str
    """Moment of the last frame used."""


class Reconstruction(msgspec.Struct, frozen=True, kw_only=True):
    """What a photogrammetry made of photographs, as COGs that layers can draw."""

    map: str
    """File of the orthophoto."""
    surface: str | None
    """File of the surface model (DSM), if one was made; of the vertical datum of the photographs' heights."""


class Photogrammetry(Protocol):
    """A photogrammetry somewhere else, an async context manager, found by entry point missioncontrol.photogrammetry."""

    async def __aenter__(self) -> Self:
        """Open it."""

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""

    async def reconstruct(
        self,
        photographs: Sequence[Path],
        *,
        out: Path,
        compress: Compression,
        on_progress: Callable[[str, float], None],
    ) -> Reconstruction:
        """Write an orthophoto to `out`, and a surface model beside it. Raises PhotogrammetryFailed."""


async def reconstruct_to_file(
    source: str,
    *,
    out: Path,
    adapter: str,
    url: str,
    token: str = "",
    compress: Compression = "jpeg",
    on_progress: Callable[[str, float], None] = lambda stage, percent: None,
) -> Reconstruction:
    """Have a folder of photographs mapped by the photogrammetry `adapter` at `url`.

    Raises InputInvalid, AdapterUnknown, PhotogrammetryFailed, RasterInvalid.
    """
    _check_out(out)
    files = _pictures(Path(source))
    found = {point.name: point for point in entry_points(group=PHOTOGRAMMETRY)}
    if adapter not in found:
        raise AdapterUnknown(f"no photogrammetry {adapter!r}; there are: {', '.join(sorted(found)) or 'none'}")
    try:
        opening: Photogrammetry = found[adapter].load()(url=url, token=token)
    except ValueError as exc:
        raise InputInvalid(f"--url: {exc}") from exc
    async with opening as opened:
        return await opened.reconstruct(files, out=out, compress=compress, on_progress=on_progress)


def map_to_file(
    source: str,
    *,
    out: Path,
    dem: Sequence[Path] = (),
    ground_amsl_m: float | None = None,
    camera: str | None = None,
    pixel_m: float | None = None,
    feather: float = 0.0,
    occlusion: bool = False,
    compress: Compression = "jpeg",
    quality: int = 85,
    threads: int = 2,
    clock_ahead_h: float | None = None,
    on_frame: Callable[[], None] = lambda: None,
    on_window: Callable[[int, int], None] = lambda done, total: None,
) -> MapReport:
    """Map a folder of photographs with poses, one photograph, or a recorded video with ST 0601 or DJI metadata.

    Writes `out`, and beside it `STEM_sources.tif` and `STEM_frames.geojson`. `camera` is the slug of what took a
    video, where its own field of view is missing or wrong; `pixel_m` the pixel of the map, else the frames' own;
    `clock_ahead_h` how far a DJI .srt's clock is ahead of UTC, h.
    Raises InputInvalid, RasterInvalid, TerrainMissing, DatumUnknown, CameraUnknown, ModelError.
    """
    terrain = terrain_of(dem, ground_amsl_m)
    if terrain is None:
        raise InputInvalid("--dem, --ground-amsl-m: give one of the two, the ground is not in a picture")
    _check_out(out)
    if pixel_m is not None and not 0.001 <= pixel_m <= 100:
        raise InputInvalid(f"--pixel-m {pixel_m:g}: from 0.001 to 100 m")
    if not 0 <= feather <= 1:
        raise InputInvalid(f"--feather {feather:g}: from 0 to 1")
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        if Path(source).suffix.lower() in VIDEO_SUFFIXES:
            views, unused, notes = video_views(
                source, terrain, Path(folder), camera=camera, clock_ahead_h=clock_ahead_h, on_frame=on_frame
            )
        else:
            views, unused, notes = photo_views(source, terrain, ground_is_flat=not dem, on_frame=on_frame)
        if not views:
            reasons = "; ".join(f"{name}: {why}" for name, why in list(unused.items())[:3])
            raise InputInvalid(f"{source}: no frame has a pose that can be used: {reasons or 'there is none at all'}")
        mosaic = Mosaic(views, terrain, pixel_m=pixel_m, feather=feather, occlusion=occlusion)
        return _write(mosaic, out, {**unused, **mosaic.unused}, notes, compress, quality, threads, on_window)


def photo_views(
    source: str, terrain: Terrain, *, ground_is_flat: bool, on_frame: Callable[[], None] = lambda: None
) -> tuple[list[View], dict[str, str], tuple[str, ...]]:
    """Photographs of a folder as views, why others are none, and what was assumed. Raises InputInvalid."""
    files = _pictures(Path(source))
    views: list[View] = []
    unused: dict[str, str] = {}
    notes: dict[str, None] = {}
    for file in files:
        on_frame()
        try:
            photo = read_photo(file)
            pose, how = photo.pose_above(terrain, ground_is_flat=ground_is_flat)
        except PhotoInvalid as exc:
            unused[file.name] = str(exc)
            continue
        notes |= dict.fromkeys([*photo.notes, *(note for note in how if "camera" not in note)])
        views.append(View(file.name, photo.camera, pose, partial(_picture, file)))
    return views, unused, tuple(notes)


def _pictures(source: Path) -> list[Path]:
    if source.is_dir():
        return sorted(each for each in source.iterdir() if each.suffix.lower() in PICTURE_SUFFIXES)
    if source.suffix.lower() not in PICTURE_SUFFIXES:
        raise InputInvalid(f"{source}: a folder of pictures, a picture or a video is asked for")
    return [source]


def _check_out(out: Path) -> None:
    if not out.parent.is_dir():
        raise InputInvalid(f"--out {out}: there is no folder {out.parent}")
    if out.suffix.lower() not in (".tif", ".tiff"):
        raise InputInvalid(f"--out {out}: a map is a GeoTIFF, its name ends in .tif")


def _picture(path: Path) -> Image:
    with PictureSource([path], name=str(path)) as source:
        return next(iter(source)).image


def video_views(
    source: str,
    terrain: Terrain,
    folder: Path,
    *,
    camera: str | None = None,
    clock_ahead_h: float | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> tuple[list[View], dict[str, str], tuple[str, ...]]:
    """Frames of a recorded video, one for each step of the camera, kept as JPEG in `folder` until the map is made.

    Raises ModelError for a video that cannot be read, InputInvalid for a camera that cannot have taken it.
    """
    lens = None if camera is None else library_camera(camera).brown_camera()
    views: list[View] = []
    bare = 0
    notes: dict[str, None] = {}
    for frame in _frames(source, 3600.0 * (clock_ahead_h or 0.0)):
        on_frame()
        if clock_ahead_h is None and frame.time_source is TimeSource.SUBTITLES:
            notes[LOCAL_TIME] = None
        pose = None if frame.metadata is None else pose_of(frame.metadata)
        frame_camera = _camera_of(frame, lens)
        if pose is None or frame_camera is None:
            bare += 1
            continue
        pose = above_sea(pose, terrain)
        if views and not _moved(views[-1], pose, terrain):
            continue
        file = folder / f"{frame.index:07d}.jpg"
        cv2.imwrite(str(file), cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])
        views.append(View(f"frame {frame.index}", frame_camera, pose, partial(_picture, file)))
    why = {} if not bare else {f"{bare} frames": "no pose or no field of view in the metadata (--camera may help)"}
    return views, why, tuple(notes)


def _frames(source: str, utc_offset_s: float) -> Iterator[Frame]:
    with open_source(Path(source), utc_offset_s=utc_offset_s) as frames:
        yield from frames


def _camera_of(frame: Frame, lens: BrownCamera | None) -> Camera | None:
    height, width = frame.image.shape[:2]
    if lens is not None:
        try:
            return lens.resized(width, height)
        except ValueError as exc:
            raise InputInvalid(f"--camera: {exc}") from exc
    hfov_deg = None if frame.metadata is None else frame.metadata.hfov_deg
    return None if not hfov_deg else BrownCamera.from_fov(width_px=width, height_px=height, hfov_deg=hfov_deg)


def above_sea(pose: Pose, terrain: Terrain) -> Pose:
    """The pose with its height AMSL, from AMSL, above the ellipsoid or AGL. Raises DatumUnknown, TerrainMissing."""
    position = pose.position
    if position.altitude.datum is Datum.W84:
        amsl_m = float(geoids.amsl_m(position.altitude.value_m, position.lon, position.lat, datum=HeightDatum.W84))
    else:
        amsl_m = camera_amsl_m(pose, terrain)
    return msgspec.structs.replace(
        pose, position=msgspec.structs.replace(position, altitude=Altitude(amsl_m, Datum.AMSL))
    )


def _moved(last: View, pose: Pose, terrain: Terrain) -> bool:
    """Whether the camera has gone or turned far enough for another frame."""
    here, there = last.pose.position, pose.position
    above_m = max(there.altitude.value_m - float(terrain.amsl_m(there.lon, there.lat)), 1.0)
    rays = last.camera.rays_from_pixels(
        np.array([[last.camera.width_px / 2, 0.0], [last.camera.width_px / 2, last.camera.height_px - 1.0]])
    )
    shown_m = above_m * float(np.abs(np.diff(rays[:, 1] / rays[:, 2]))[0])
    turned = last.pose.enu_from_camera().T @ pose.enu_from_camera()
    turn_deg = np.degrees(np.arccos(np.clip((np.trace(turned) - 1) / 2, -1, 1)))
    return bool(
        float(distance_m(here.lon, here.lat, there.lon, there.lat)) > VIDEO_STEP * shown_m or turn_deg > VIDEO_TURN_DEG
    )


def _write(
    mosaic: Mosaic,
    out: Path,
    unused: dict[str, str],
    notes: tuple[str, ...],
    compress: Compression,
    quality: int,
    threads: int,
    on_window: Callable[[int, int], None],
) -> MapReport:
    grid = mosaic.grid
    moments = np.array([view.pose.utc_s for view in mosaic.views])
    first, last = iso_utc(float(moments.min())), iso_utc(float(moments.max()))
    dates = {"ACQUISITION_DATE": first, "ACQUISITION_END": last}
    sources, frames = out.with_name(f"{out.stem}_sources.tif"), out.with_name(f"{out.stem}_frames.geojson")
    bands = ("gsd", "cm", GSD_SCALE), ("utc", "s", 1.0), ("frame", "", 1.0)
    windows = mosaic.windows
    covered, gsd_m = 0, 0.0
    with (
        CogWriter(
            out, grid, bands=3, alpha=True, compress=compress, quality=quality, threads=threads,
            described=Described(dates),
        ) as picture,
        CogWriter(
            sources, grid, bands=3, dtype="uint32", nodata=0, shrink="nearest", threads=threads,
            described=Described(dates, bands),
        ) as table,
    ):  # fmt: skip
        for done, part in enumerate(mosaic.parts(), 1):
            picture.write(part.row, part.col, part.rgba)
            table.write(part.row, part.col, _table(part, moments))
            covered += int((part.winner >= 0).sum())
            gsd_m += float(part.gsd_m.sum(dtype=np.float64))
            on_window(done, len(windows))
    frames.write_bytes(msgspec.json.encode(_features(mosaic)))
    west, south = (
        float(np.min(each)) for each in grid.lonlat([0, grid.width, 0, grid.width], [0, 0, grid.height, grid.height])
    )
    east, north = (
        float(np.max(each)) for each in grid.lonlat([0, grid.width, 0, grid.width], [0, 0, grid.height, grid.height])
    )
    return MapReport(
        map=str(out), sources=str(sources), frames=str(frames), used=len(mosaic.views), unused=unused, notes=notes,
        crs=grid.crs, width=grid.width, height=grid.height, pixel_m=grid.pixel_m, bounds=(west, south, east, north),
        covered_m2=covered * grid.pixel_m**2, gsd_cm=100 * gsd_m / covered if covered else None, first_utc=first,
        last_utc=last,
    )  # fmt: skip


def _table(part: Part, moments: NDArray[np.float64]) -> NDArray[np.uint32]:
    """(height, width, 3): GSD, moment and number (from 1) of the frame of each pixel."""
    seen = part.winner >= 0
    table = np.zeros((*seen.shape, 3), np.uint32)
    table[..., 0] = np.where(seen, np.maximum(np.rint(part.gsd_m * (100 / GSD_SCALE)), 1), 0)
    table[..., 1] = np.where(seen, np.maximum(moments, 0)[part.winner], 0)
    table[..., 2] = part.winner + 1
    return table


def _features(mosaic: Mosaic) -> dict[str, object]:
    features = [
        {
            "type": "Feature",
            "geometry": shapely.geometry.mapping(outline),
            "properties": {"frame": number, "name": view.name, "utc": iso_utc(view.pose.utc_s)},
        }
        for number, (view, outline) in enumerate(zip(mosaic.views, mosaic.outlines, strict=True), 1)
    ]
    return {"type": "FeatureCollection", "features": features}
