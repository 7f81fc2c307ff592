"""Movers: people and vehicles are followed over the ground, with speed and heading where they surely move."""

from __future__ import annotations

import numpy as np
import pytest

from geo.positions import LocalPlane
from missioncontrol.movers import Moved, Movers
from missioncontrol.perception import boxes
from tests.missioncontrol.test_sightings import LOOKER, pose, seen

NORTH_EAST = 7.0


def filmed(speed_m_s: float, label: str = "vehicle", frames: int = 12) -> list[dict[int, Moved]]:
    """A thing that goes north-east under a vehicle that flies east, at two frames a second."""
    movers, told = Movers(), []
    for number in range(frames):
        utc_s = 100.0 + 0.5 * number
        at = pose(3.0 * number, 0.0, utc_s)
        gone_m = speed_m_s * 0.5 * number / np.sqrt(2)
        detections = seen(at, [(-8.0 + gone_m, -8.0 + gone_m), (20.0, 12.0)], label)
        told.append(movers.add(LOOKER.looks(detections, at, velocity_enu_m_s=(6.0, 0.0, 0.0)), utc_s))
    return told


def test_a_vehicle_that_drives_has_speed_and_heading_and_one_that_stands_has_none() -> None:
    told = filmed(NORTH_EAST)
    assert {index: moved.track for index, moved in told[0].items()} == {0: 1, 1: 2}
    last = told[-1]
    assert (last[0].track, last[1].track) == (1, 2)
    assert last[1].motion is None
    motion = last[0].motion
    assert motion is not None
    assert motion.speed_m_s == pytest.approx(NORTH_EAST, abs=3 * motion.speed_sigma_m_s)
    assert motion.speed_sigma_m_s < 2.0
    assert motion.heading_deg == pytest.approx(45.0, abs=3 * motion.heading_sigma_deg)
    assert motion.heading_sigma_deg < 20.0
    began, ended = told[4][0].lonlat, last[0].lonlat
    assert began is not None
    assert ended is not None
    plane = LocalPlane(lon=began[0], lat=began[1])
    gone_m = np.array(plane.to_plane(*ended)).ravel()
    assert gone_m == pytest.approx([NORTH_EAST * 3.5 / np.sqrt(2)] * 2, abs=4.0)


def test_what_cannot_move_is_not_followed() -> None:
    assert filmed(0.0, "dump", frames=2) == [{}, {}]


def test_headers_tell_the_motion_with_the_box() -> None:
    at = pose(0.0, 0.0, 0.0)
    detections = seen(at, [(0.0, 0.0), (9.0, 9.0)], "vehicle")
    moved = filmed(NORTH_EAST)[-1]
    driving, standing = boxes(detections, moved)
    assert driving["track"] == 1
    assert set(driving["motion"]) == {"speed_m_s", "speed_sigma_m_s", "heading_deg", "heading_sigma_deg"}
    assert driving["place"] == moved[0].lonlat
    assert not {"motion", "place"} & set(standing)
    assert [box["track"] for box in boxes(detections)] == [-1, -1]
