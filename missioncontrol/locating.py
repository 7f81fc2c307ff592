"""Where pixels of single pictures lie on the ground, as GeoJSON with error ellipses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import msgspec
import numpy as np
from PIL import Image

from geo.calibrations import Lens
from geo.camera_library import camera as library_camera
from geo.cameras import BrownCamera
from geo.errors import GeoError, NoGround, NotRegistered, PhotoInvalid
from geo.fisheye import FisheyeCamera
from geo.geoids import HeightDatum
from geo.location import Location, locate, locate_those_on_ground
from geo.mountings import Boresight, Mounting
from geo.photos import read_photo
from geo.poses import Attitude, Pose, PoseSigmas
from geo.positions import Position
from geo.references import Reference
from geo.registration import register
from geo.shutters import Motion, RollingShutter, locate_rolling
from geo.terrain import FlatTerrain, Terrain, TerrainTiles
from missioncontrol.bounds import Positive
from missioncontrol.errors import InputInvalid

Pixel = tuple[float, float]
Coefficient = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]
Side = Annotated[int, msgspec.Meta(ge=16, le=100_000)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]

DEM_SIGMA_M, FLAT_SIGMA_M = 3.0, 2.0
"""One sigma of terrain heights where nothing is said: of a DEM, of ground given as one height, m."""
MOST_PIXELS = 100_000
"""Of one picture at once."""


class Aim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known beyond picture and pose."""

    sigmas: dict[str, NotNegative] = {}
    """One-sigma errors of the pose that replace the file's or the usual ones, by the names of `PoseSigmas`."""
    pixel_sigma_px: Positive = 2.0
    """How well the pixel is known, px."""
    dem_sigma_m: Positive | None = None
    """Of the terrain heights, one sigma, m; 3 of a DEM, 2 of ground of one height where absent."""
    datum_sigma_m: NotNegative = 0.0
    """Of the vertical datum that terrain and camera are brought to, one sigma, m."""
    target_height_m: float = 0.0
    """Of the aimed point above the ground, m."""
    target_height_sigma_m: NotNegative = 0.0
    """Its one-sigma error, m."""
    max_range_m: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 20_000.0
    """Ground further away is not looked for, m."""
    boresight: Boresight = Boresight()
    """How the camera sits askew in its mount."""
    shutter: RollingShutter | None = None
    """Of a camera that reads its rows one after the other."""
    motion: Motion | None = None
    """How the camera moves and turns; of photographs what they state where absent."""


class LensFigures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A camera of one's own; coefficients as OpenCV names them."""

    width_px: Side
    """Of the picture."""
    height_px: Side
    """Of the picture."""
    focal_px: Positive
    """Focal length along the width, px."""
    focal_y_px: Positive | None = None
    """Along the height, px; the same where absent."""
    center_px: Pixel | None = None
    """Principal point; the middle of the picture where absent."""
    fisheye: bool = False
    """Whether k1 to k4 are of a fisheye (Kannala and Brandt) rather than of Brown."""
    k1: Coefficient = 0.0
    """Distortion."""
    k2: Coefficient = 0.0
    """Distortion."""
    k3: Coefficient = 0.0
    """Distortion."""
    k4: Coefficient = 0.0
    """Distortion."""
    k5: Coefficient = 0.0
    """Distortion of a rational model."""
    k6: Coefficient = 0.0
    """Distortion of a rational model."""
    p1: Coefficient = 0.0
    """Tangential distortion."""
    p2: Coefficient = 0.0
    """Tangential distortion."""

    def lens(self) -> Lens:
        """The camera. Raises InputInvalid for coefficients that a fisheye has not."""
        figures = msgspec.structs.asdict(self)
        fisheye = figures.pop("fisheye")
        if not fisheye:
            return BrownCamera(**figures)
        others = {name: figures.pop(name) for name in ("k5", "k6", "p1", "p2")}
        if any(others.values()):
            raise InputInvalid(f"camera: a fisheye has no {', '.join(others)}")
        return FisheyeCamera(**figures)


class Sight(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pixels of a camera whose pose is given."""

    position: Position
    """Of the perspective centre; height AMSL, W84 or AGL."""
    attitude: Attitude
    """Of the boresight: forward is the way the camera looks."""
    camera: str | LensFigures
    """Slug of a camera of the library, or one's own."""
    size_px: tuple[Side, Side] | None = None
    """Width and height of the picture, where the camera of the library read it out in another size."""
    utc_s: float = 0.0
    """When, s since 1970 UTC."""
    pixels: Annotated[tuple[Pixel, ...], msgspec.Meta(min_length=1, max_length=MOST_PIXELS)]
    """Across and down, from the middle of the top left pixel."""
    ground_amsl_m: float | None = None
    """Height of flat ground, m AMSL; the terrain of the installation where absent."""
    aim: Aim | None = None
    """What is known beyond that."""


@dataclass(frozen=True)
class Frame:
    """A picture with its camera and pose."""

    name: str
    """Of the file; empty where the pose was given."""
    model: str
    """Of the camera."""
    camera: Lens
    """Interior orientation."""
    pose: Pose
    """Exterior orientation, boresight applied."""
    sigmas: PoseSigmas
    """One-sigma errors of the pose."""
    motion: Motion
    """How the camera moves and turns."""
    notes: tuple[str, ...]
    """What was assumed."""

    def check(self, pixels: Sequence[Pixel]) -> None:
        """Raises InputInvalid for a pixel outside the picture."""
        for u, v in pixels:
            if not (-0.5 <= u <= self.camera.width_px - 0.5 and -0.5 <= v <= self.camera.height_px - 0.5):
                size = f"{self.camera.width_px} x {self.camera.height_px} px"
                raise InputInvalid(f"pixel {u:g},{v:g}: outside the picture {self.name} of {size}")


def frame_of_photo(
    path: Path, terrain: Terrain, *, ground_is_flat: bool, lens: Lens | None = None, aim: Aim | None = None
) -> Frame:
    """A photograph with its pose; `lens` instead of what the file tells of its own.

    Raises PhotoInvalid, TerrainMissing, GeoidMissing, InputInvalid.
    """
    aim = aim or Aim()
    shot = read_photo(path, lens=lens)
    pose, notes = shot.pose_above(terrain, ground_is_flat=ground_is_flat)
    motion = aim.motion or Motion(velocity_enu_m_s=shot.velocity_enu_m_s)
    return Frame(
        name=path.name,
        model=shot.model,
        camera=shot.camera,
        pose=Mounting(boresight=aim.boresight).camera_pose(pose, pose.attitude),
        sigmas=sigmas_of(shot.sigmas_above(terrain, ground_is_flat=ground_is_flat), aim),
        motion=motion,
        notes=(*shot.notes, *notes, *_unmoved(aim, motion)),
    )


def frame_of_sight(sight: Sight) -> Frame:
    """A camera whose pose is given. Raises CameraUnknown, InputInvalid."""
    if isinstance(sight.camera, str):
        lens: Lens = library_camera(sight.camera).brown_camera()
        name = sight.camera
    else:
        lens, name = sight.camera.lens(), "given"
    if sight.size_px is not None:
        try:
            lens = lens.resized(*sight.size_px)
        except ValueError as exc:
            raise InputInvalid(f"size_px: {exc}") from exc
    aim = sight.aim or Aim()
    pose = Pose(utc_s=sight.utc_s, position=sight.position, attitude=sight.attitude)
    return Frame(
        name="",
        model=name,
        camera=lens,
        pose=Mounting(boresight=aim.boresight).camera_pose(pose, pose.attitude),
        sigmas=sigmas_of(PoseSigmas(), aim),
        motion=aim.motion or Motion(),
        notes=_unmoved(aim, aim.motion or Motion()),
    )


def _unmoved(aim: Aim, motion: Motion) -> tuple[str, ...]:
    """What is said where a rolling shutter is to be corrected and nothing is known to move."""
    if aim.shutter is None or motion != Motion():
        return ()
    return ("rolling shutter: not corrected, for neither the picture nor the request says how the camera moves",)


def sigmas_of(sigmas: PoseSigmas, aim: Aim) -> PoseSigmas:
    """With those that are given in their place. Raises InputInvalid for a name that is none."""
    for name in aim.sigmas:
        if name not in PoseSigmas.__struct_fields__:
            known = ", ".join(PoseSigmas.__struct_fields__)
            raise InputInvalid(f"sigmas: {name!r} is none of: {known}")
    return msgspec.structs.replace(sigmas, **aim.sigmas)


@dataclass(frozen=True)
class Ground:
    """What the rays meet."""

    terrain: Terrain
    """Heights."""
    is_flat: bool
    """Whether it is one height that was given."""

    @classmethod
    def of(
        cls,
        *,
        dsm: Sequence[Path] = (),
        dem: Sequence[Path] = (),
        ground_amsl_m: float | None = None,
        height_datum: HeightDatum | None = None,
    ) -> Ground:
        """Surface models, where they reach with what stands on the ground, then ground models, or one height.

        Raises TerrainMissing, DatumUnknown; InputInvalid unless there are models or a height.
        """
        models = [*dsm, *dem]
        if bool(models) == (ground_amsl_m is not None):
            raise InputInvalid(
                "--dem, --dsm, --ground-amsl-m: give terrain or one height: that of the ground is not in a picture"
            )
        if ground_amsl_m is not None:
            return cls(FlatTerrain(ground_amsl_m), True)
        return cls(TerrainTiles.from_files(models, height_datum=height_datum), False)


def located(frame: Frame, pixels: Sequence[Pixel], ground: Ground, aim: Aim) -> list[Location | None]:
    """The places of pixels; None where one shows no ground of known height. Raises InputInvalid, DatumUnknown."""
    frame.check(pixels)
    options = _options(frame, ground, aim)
    if aim.shutter is not None:
        return locate_rolling(
            frame.camera, frame.pose, pixels, ground.terrain, shutter=aim.shutter, motion=frame.motion, **options
        )
    velocity = frame.motion.velocity_enu_m_s
    return locate_those_on_ground(
        frame.camera, frame.pose, pixels, ground.terrain, velocity_enu_m_s=velocity, **options
    )


def _options(frame: Frame, ground: Ground, aim: Aim) -> dict[str, Any]:
    return {
        "sigmas": frame.sigmas,
        "pixel_sigma_px": aim.pixel_sigma_px,
        "dem_sigma_m": aim.dem_sigma_m or (FLAT_SIGMA_M if ground.is_flat else DEM_SIGMA_M),
        "datum_sigma_m": aim.datum_sigma_m,
        "turn_rate_enu_deg_s": frame.motion.turn_enu_deg_s,
        "target_height_m": aim.target_height_m,
        "target_height_sigma_m": aim.target_height_sigma_m,
        "max_range_m": aim.max_range_m,
    }


def collection_of(frame: Frame, pixels: Sequence[Pixel], ground: Ground, aim: Aim) -> dict[str, Any]:
    """The places of pixels as a GeoJSON FeatureCollection, and the pictures they were seen in."""
    found = located(frame, pixels, ground, aim)
    features = [
        feature_of(frame, pixel, location) if location is not None else _missed(frame, pixel, ground, aim)
        for pixel, location in zip(pixels, found, strict=True)
    ]
    return {"type": "FeatureCollection", "features": features, "pictures": [picture_of(frame)]}


def feature_of(frame: Frame, pixel: Pixel, location: Location) -> dict[str, Any]:
    """One place: lon, lat, height AMSL; its error ellipses at 90 and 95 %, CE90 and LE90."""
    position = location.position
    height_m = round(position.altitude.value_m, 3)
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [round(position.lon, 9), round(position.lat, 9), height_m]},
        "properties": {
            "picture": frame.name,
            "pixel": list(pixel),
            "height": {"value_m": height_m, "datum": position.altitude.datum.value},
            "ellipse": msgspec.to_builtins(location.ellipse_at(0.9)),
            "ellipse_95": msgspec.to_builtins(location.ellipse_at(0.95)),
            "ce90_m": round(location.ce90_m, 3),
            "le90_m": round(location.le90_m, 3),
            "slant_range_m": round(location.slant_range_m, 3),
        },
    }


def _missed(frame: Frame, pixel: Pixel, ground: Ground, aim: Aim) -> dict[str, Any]:
    """A pixel that shows no ground, and why."""
    why = "shows no ground of known height"
    try:
        locate(frame.camera, frame.pose, [pixel], ground.terrain, **_options(frame, ground, aim))
    except GeoError as exc:
        why = str(exc)
    return {
        "type": "Feature",
        "geometry": None,
        "properties": {"picture": frame.name, "pixel": list(pixel), "why": why},
    }


def picture_of(frame: Frame) -> dict[str, Any]:
    """What a picture was taken to be."""
    return {
        "picture": frame.name,
        "camera": frame.model,
        "position": msgspec.to_builtins(frame.pose.position),
        "attitude": msgspec.to_builtins(frame.pose.attitude),
        "sigmas": msgspec.to_builtins(frame.sigmas),
        "notes": list(frame.notes),
    }


class Locator:
    """Locates pixels of single pictures on the terrain of an installation."""

    def __init__(self, terrain: Terrain | None) -> None:
        """`terrain` is None where an installation has none: requests then give the height of the ground."""
        self._terrain = terrain

    def of_sight(self, sight: Sight) -> dict[str, Any]:
        """A FeatureCollection of the pixels of a camera whose pose is given.

        Raises InputInvalid, CameraUnknown, DatumUnknown, TerrainMissing.
        """
        ground = self._ground(sight.ground_amsl_m)
        return collection_of(frame_of_sight(sight), sight.pixels, ground, sight.aim or Aim())

    def of_photo(
        self,
        content: bytes,
        pixels: Sequence[Pixel],
        *,
        name: str = "photo",
        camera: str | None = None,
        ground_amsl_m: float | None = None,
        aim: Aim | None = None,
    ) -> dict[str, Any]:
        """A FeatureCollection of the pixels (the middle where there are none) of a photograph.

        Raises PhotoInvalid, InputInvalid, CameraUnknown, TerrainMissing, GeoidMissing.
        """
        aim, ground = aim or Aim(), self._ground(ground_amsl_m)
        lens = None if camera is None else library_camera(camera).brown_camera()
        with TemporaryDirectory() as folder:
            path = Path(folder) / "photo"
            path.write_bytes(content)
            try:
                frame = frame_of_photo(path, ground.terrain, ground_is_flat=ground.is_flat, lens=lens, aim=aim)
            except PhotoInvalid as exc:
                raise PhotoInvalid(str(exc).replace(str(path), name)) from exc
        frame = replace(frame, name=name)
        return collection_of(frame, pixels or [middle_of(frame)], ground, aim)

    def _ground(self, ground_amsl_m: float | None) -> Ground:
        if ground_amsl_m is not None:
            return Ground(FlatTerrain(ground_amsl_m), True)
        if self._terrain is None:
            raise InputInvalid("ground_amsl_m: is needed, for this installation has no terrain")
        return Ground(self._terrain, False)


def registered(frame: Frame, path: Path, reference: Reference, terrain: Terrain) -> Frame:
    """A picture laid on a reference orthophoto; unchanged, with the reason in its notes, where it does not fit there.

    Raises TerrainMissing, RasterInvalid.
    """
    with Image.open(path) as picture:
        image = np.asarray(picture.convert("RGB"))
    try:
        found = register(frame.camera, frame.pose, image, reference, terrain, sigmas=frame.sigmas)
    except (NotRegistered, NoGround) as exc:
        return replace(frame, notes=(*frame.notes, f"not laid on {reference.path}: {exc}"))
    told = f"laid on {reference.path} by {found.ties} points that fit to {found.rms_px:.1f} px"
    return replace(frame, pose=found.pose, sigmas=found.sigmas, notes=(*frame.notes, told))


def middle_of(frame: Frame) -> Pixel:
    """The pixel in the middle of a picture."""
    return (frame.camera.width_px - 1) / 2, (frame.camera.height_px - 1) / 2


def aim_of(tree: dict[str, Any]) -> Aim:
    """What is given as plain values. Raises InputInvalid, which names the field."""
    try:
        return msgspec.convert(tree, Aim, strict=False)
    except msgspec.ValidationError as exc:
        raise InputInvalid(str(exc)) from exc


def pixels_of(texts: Sequence[str]) -> list[Pixel]:
    """Pixels written as `960,540`. Raises InputInvalid."""
    found = []
    for text in texts:
        try:
            u, v = (float(part) for part in text.split(","))
        except ValueError:
            raise InputInvalid(f"--pixel {text!r}: give two numbers, as in --pixel 960,540") from None
        if not (np.isfinite(u) and np.isfinite(v)):
            raise InputInvalid(f"--pixel {text!r}: not a number")
        found.append((u, v))
    return found
