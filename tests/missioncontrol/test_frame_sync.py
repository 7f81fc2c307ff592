import dataclasses

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from aerial_models.frames import Frame, TimeSource
from aerial_models.sources import StillPicture
from fleet.history import PoseHistory
from geo.cameras import BrownCamera
from geo.klv import UasMetadata
from geo.positions import LocalPlane
from geo.terrain import FlatTerrain
from missioncontrol.frame_sync import FrameSync

CAMERA = BrownCamera(width_px=320, height_px=240, focal_px=256.0)
PLANE = LocalPlane(lon=76.9, lat=43.2, height_m=900.0)
GROUND_M, HEIGHT_M, UTC_S, OFFSET_S = 840.0, 60.0, 1_750_000_000.0, 0.21
TEXEL_M = 0.25


def yaw_rad(time_s: float) -> float:
    return 0.7 + sum(0.1 * np.sin(2 * np.pi * hertz * time_s + hertz) for hertz in (0.17, 0.39, 0.58))


def place_m(time_s: float) -> tuple[float, float]:
    return 5.0 * time_s, 1.5 * np.sin(0.8 * time_s)


def ground() -> NDArray[np.uint8]:
    rng = np.random.default_rng(4)
    return np.asarray(
        cv2.resize(rng.integers(0, 255, (160, 240, 3), np.uint8), (1600, 1200), interpolation=cv2.INTER_CUBIC)
    )


def seen(texture: NDArray[np.uint8], time_s: float) -> NDArray[np.uint8]:
    """What the camera, straight down, shows of flat ground: east is right in the texture, north up."""
    step_m = HEIGHT_M / CAMERA.focal_px
    sine, cosine = np.sin(yaw_rad(time_s)), np.cos(yaw_rad(time_s))
    right, down = np.array([cosine, -sine]), -np.array([sine, cosine])  # of the picture, in east and north
    east, north = place_m(time_s)
    turn = step_m / TEXEL_M * np.array([[right[0], down[0]], [-right[1], -down[1]]])
    middle = np.array([300 + east / TEXEL_M, 600 - north / TEXEL_M])
    shift = middle - turn @ [(CAMERA.width_px - 1) / 2, (CAMERA.height_px - 1) / 2]
    matrix = np.column_stack([turn, shift])
    size = (CAMERA.width_px, CAMERA.height_px)
    return np.asarray(cv2.warpAffine(texture, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP), np.uint8)


def history(end_s: float) -> PoseHistory:
    """Telemetry of the flight, 10 a second."""
    rng, kept = np.random.default_rng(8), PoseHistory(fixed_mount_pitch_deg=-90.0)
    kept.learn_utc(UTC_S, 0.0)
    for time_s in np.arange(0.0, end_s, 0.1):
        lon, lat = PLANE.to_lonlat(*place_m(float(time_s)))
        kept.add_position(
            float(time_s), lon=float(lon), lat=float(lat), amsl_m=GROUND_M + HEIGHT_M, relative_m=HEIGHT_M,
            north_m_s=0.0, east_m_s=5.0, down_m_s=0.0,
        )  # fmt: skip
        kept.add_attitude(float(time_s), 0.0, 0.0, yaw_rad(float(time_s)) + rng.normal(0, 0.002))
    return kept


def frame(texture: NDArray[np.uint8], number: int, source: TimeSource = TimeSource.ARRIVAL) -> Frame:
    time_s = 2.0 + number / 5
    return Frame(
        picture=StillPicture(seen(texture, time_s)),
        index=number,
        pts_s=time_s,
        utc_s=UTC_S + time_s - OFFSET_S,
        metadata=None,
        received_monotonic_s=time_s,
        time_source=source,
        utc_sigma_s=0.2,
    )


async def test_frames_timed_by_their_arrival_come_to_the_clock_of_telemetry() -> None:
    texture = ground()
    sync = FrameSync(name="alpha", camera=CAMERA, history=history(30.0), terrain=FlatTerrain(GROUND_M))
    first = frame(texture, 0)
    assert await sync.timed(first) is first  # nothing learnt yet
    for number in range(1, 60):
        timed = await sync.timed(frame(texture, number))
    assert sync.known is not None, sync.refused
    assert timed.utc_sigma_s is not None
    assert timed.utc_s is not None
    assert timed.utc_sigma_s < 0.012
    assert timed.utc_s - (UTC_S + 2.0 + 59 / 5) == pytest.approx(0.0, abs=3 * timed.utc_sigma_s)
    sync.restart()
    assert sync.known is None
    again = frame(texture, 60)
    assert await sync.timed(again) is again


@pytest.mark.parametrize(("behind_s", "sigma_s"), [(0.8, 0.5), (3.0, None), (-2.5, None)])
async def test_a_cameras_own_clock_is_not_believed_before_it_was_learnt(behind_s: float, sigma_s: float | None) -> None:
    told = frame(ground(), 0, TimeSource.RTCP)
    assert told.utc_s is not None
    utc_s = told.utc_s + OFFSET_S - behind_s
    told = dataclasses.replace(told, utc_s=utc_s, utc_sigma_s=0.005)
    sync = FrameSync(name="alpha", camera=CAMERA, history=history(2.1), terrain=FlatTerrain(GROUND_M))
    timed = await sync.timed(told)
    assert timed.utc_s == (None if sigma_s is None else utc_s)
    assert timed.utc_sigma_s == (None if sigma_s is None else pytest.approx(sigma_s, rel=0.01))


async def test_frames_of_the_vehicles_own_clock_stay_as_they_are() -> None:
    texture = ground()
    sync = FrameSync(name="alpha", camera=CAMERA, history=history(5.0), terrain=FlatTerrain(GROUND_M))
    for number in range(3):
        own = frame(texture, number, TimeSource.KLV)
        assert await sync.timed(own) is own
    assert sync.known is None


@pytest.mark.parametrize("ahead_s", [0.0, 3.0, -2.5])
async def test_a_clock_of_metadata_that_is_not_telemetrys_is_found_out(ahead_s: float) -> None:
    sync = FrameSync(name="alpha", camera=CAMERA, history=history(40.0), terrain=FlatTerrain(GROUND_M))
    picture = StillPicture(np.zeros((240, 320, 3), np.uint8))
    for number in range(120):
        true_s = 5.0 + number / 4
        lon, lat = PLANE.to_lonlat(*place_m(true_s))
        told = UasMetadata(utc_s=UTC_S + true_s + ahead_s, sensor_lon_deg=float(lon), sensor_lat_deg=float(lat))
        timed = await sync.timed(
            Frame(
                picture=picture, index=number, pts_s=true_s, utc_s=told.utc_s, metadata=told,
                received_monotonic_s=true_s, time_source=TimeSource.KLV, utc_sigma_s=0.001,
            )
        )  # fmt: skip
    assert timed.utc_s is not None
    assert timed.utc_sigma_s is not None
    assert abs(timed.utc_s - UTC_S - true_s) < 2 * timed.utc_sigma_s
    assert (timed.utc_sigma_s == 0.001) == (ahead_s == 0.0)


async def test_without_telemetry_of_the_time_nothing_is_learnt() -> None:
    texture = ground()
    sync = FrameSync(name="alpha", camera=CAMERA, history=history(4.0), terrain=FlatTerrain(GROUND_M))
    for number in range(45):
        as_it_is = frame(texture, number)
        assert await sync.timed(as_it_is) is as_it_is
    assert sync.refused
