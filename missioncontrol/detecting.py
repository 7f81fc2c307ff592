"""Detection in pictures and video files, written as GeoJSON: located where the pose is known, boxes in px where not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from aerial_models.detecting import AnySizeDetector, detect
from aerial_models.detections import Detections
from aerial_models.detectors import OnnxDetector
from aerial_models.errors import SourceEnded
from aerial_models.frames import Frame, TimeSource
from aerial_models.sources import PICTURE_SUFFIXES, VIDEO_SUFFIXES, open_source
from geo.camera_library import camera as library_camera
from geo.cameras import BrownCamera
from geo.errors import PhotoInvalid
from geo.klv import pose_of
from geo.photos import read_photo
from geo.poses import PoseSigmas
from geo.terrain import Terrain
from missioncontrol.clocks import iso_utc
from missioncontrol.errors import InputInvalid
from missioncontrol.looks import Look, Looker
from missioncontrol.perception import boxes
from missioncontrol.sites import terrain_of


def detect_to_file(
    source: str,
    *,
    out: Path,
    model: str,
    runtime: str,
    dem: Sequence[Path],
    ground_amsl_m: float | None,
    camera: str | None = None,
    frames: int | None = None,
    clock_ahead_h: float | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Detect in a source and write a GeoJSON FeatureCollection; what was counted.

    `camera` is the slug of the one that took the video, where the video's own field of view is missing or wrong.
    `clock_ahead_h` is how far a DJI .srt's clock is ahead of UTC, h: without it what it times has no UTC, and its own
    `clock` instead.
    A stream that ends after its first frame is done. Nothing is written where the source cannot be opened. Raises
    ModelError, InputInvalid, TerrainMissing, CameraUnknown.
    """
    if not out.parent.is_dir():
        raise InputInvalid(f"--out {out}: there is no folder {out.parent}")
    terrain = terrain_of(dem, ground_amsl_m)
    lens = None if camera is None else library_camera(camera).brown_camera()
    detector = AnySizeDetector(OnnxDetector(model, runtime))
    features: list[dict[str, Any]] = []
    seen = located = 0
    try:
        opened = open_source(source, utc_offset_s=3600.0 * (clock_ahead_h or 0.0))
        for frame, detections in detect(opened, detector, track=Path(source).suffix.lower() in VIDEO_SUFFIXES):
            looks = [] if terrain is None else _looks(frame, detections, terrain, lens, ground_is_flat=not dem)
            local = clock_ahead_h is None and frame.time_source is TimeSource.SUBTITLES
            features += _features(frame, detections, looks, local_time=local)
            located += len(looks)
            seen += 1
            on_frame()
            if frames is not None and seen >= frames:
                break
    except SourceEnded:
        if not seen:
            raise
    out.write_bytes(msgspec.json.encode({"type": "FeatureCollection", "features": features}))
    return {"source": source, "model": model, "frames": seen, "detections": len(features), "located": located}


def _looks(
    frame: Frame, detections: Detections, terrain: Terrain, lens: BrownCamera | None, *, ground_is_flat: bool
) -> list[Look]:
    """Places of the detections, from the metadata in the video or in the photograph; none where there is no pose."""
    height, width = frame.image.shape[:2]
    if frame.metadata is not None and (pose := pose_of(frame.metadata)) is not None:
        camera = _camera(frame.metadata.hfov_deg, lens, width, height)
        return [] if camera is None else Looker(camera, terrain, sigmas=PoseSigmas()).looks(detections, pose)
    if Path(frame.name).suffix.lower() not in PICTURE_SUFFIXES:
        return []
    try:
        shot = read_photo(Path(frame.name))
        pose, _ = shot.pose_above(terrain, ground_is_flat=ground_is_flat)
    except PhotoInvalid:
        return []
    assert isinstance(shot.camera, BrownCamera)  # as its own tags give it
    sigmas = shot.sigmas_above(terrain, ground_is_flat=ground_is_flat)
    return Looker(shot.camera, terrain, sigmas=sigmas).looks(detections, pose)


def _camera(hfov_deg: float | None, lens: BrownCamera | None, width_px: int, height_px: int) -> BrownCamera | None:
    if lens is None:
        return (
            None
            if hfov_deg is None
            else BrownCamera.from_fov(width_px=width_px, height_px=height_px, hfov_deg=hfov_deg)
        )
    try:
        return lens.resized(width_px, height_px)
    except ValueError as exc:
        raise InputInvalid(f"--camera: {exc}") from exc


def _features(frame: Frame, detections: Detections, looks: list[Look], *, local_time: bool) -> list[dict[str, Any]]:
    located = {look.index: look for look in looks}
    told = None if frame.utc_s is None else iso_utc(frame.utc_s)
    times = {"utc": None, "clock": told.removesuffix("Z")} if told and local_time else {"utc": told}
    return [_feature(frame, {**box, **times}, located.get(index)) for index, box in enumerate(boxes(detections))]


def _feature(frame: Frame, box: dict[str, Any], look: Look | None) -> dict[str, Any]:
    properties = {
        **box,
        "frame": frame.index,
        "picture": frame.name,
    }
    if look is None:
        return {"type": "Feature", "geometry": None, "properties": properties}
    position = look.location.position
    properties |= {
        "height_m": round(position.altitude.value_m, 2),
        "datum": position.altitude.datum.value,
        "ellipse": msgspec.to_builtins(look.location.ellipse),
        "slant_range_m": round(look.location.slant_range_m, 2),
        "area_m2": round(look.area_m2, 2),
    }
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [position.lon, position.lat]},
        "properties": properties,
    }
