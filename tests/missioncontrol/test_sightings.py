from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aerial_models.detections import Detections
from geo.cameras import BrownCamera
from geo.poses import Attitude, Pose, PoseSigmas
from geo.positions import Altitude, Datum, LocalPlane, Position, distance_m
from geo.terrain import FlatTerrain
from missioncontrol.looks import Look, Looker
from missioncontrol.sightings import Sighting, Sightings

CLASSES = ("dump", "flood", "construction", "fire", "smoke", "person", "vehicle")
CAMERA = BrownCamera.from_fov(width_px=1280, height_px=720, hfov_deg=65)
PLANE = LocalPlane(lon=76.945, lat=43.2, height_m=800.0)
LOOKER = Looker(CAMERA, FlatTerrain(800.0), sigmas=PoseSigmas(), dem_sigma_m=0.5)


def pose(x_m: float, y_m: float, utc_s: float) -> Pose:
    lon, lat = PLANE.to_lonlat(x_m, y_m)
    position = Position(lon=float(lon), lat=float(lat), altitude=Altitude(880.0, Datum.AMSL))
    return Pose(utc_s=utc_s, position=position, attitude=Attitude(pitch_deg=-90, yaw_deg=0))


def pixel_of(pose_: Pose, x_m: float, y_m: float) -> np.ndarray:
    """Where a point 0.4 m above the ground is seen."""
    east, north = PLANE.to_plane(pose_.position.lon, pose_.position.lat)
    ray = pose_.enu_from_camera().T @ np.array([x_m - float(east), y_m - float(north), 0.4 - 80.0])
    return CAMERA.pixels_from_rays(ray)


def seen(pose_: Pose, places: list[tuple[float, float]], label: str, half_px: float = 20.0) -> Detections:
    boxes = [np.concatenate([p - half_px, p + half_px]) for p in (pixel_of(pose_, *place) for place in places)]
    return Detections.of(boxes, [0.8] * len(boxes), [CLASSES.index(label)] * len(boxes), CLASSES)


def looks_at(x_m: float, y_m: float, label: str, utc_s: float, camera_x_m: float) -> list[Look]:
    at = pose(camera_x_m, 0.0, utc_s)
    return LOOKER.looks(seen(at, [(x_m, y_m)], label), at)


def test_a_detection_is_located_where_the_thing_is() -> None:
    (look,) = looks_at(12.0, -7.0, "dump", 100.0, 0.0)
    lon, lat = PLANE.to_lonlat(12.0, -7.0)
    position = look.location.position
    assert distance_m(position.lon, position.lat, float(lon), float(lat)) < 0.05
    assert look.area_m2 == pytest.approx(np.pi / 4 * (40 * 80 / CAMERA.focal_px) ** 2, rel=0.1)


@pytest.mark.parametrize(("label", "share"), [("smoke", 0.14), ("flood", 0.25), ("dump", 0.06)])
def test_many_looks_do_not_tell_where_in_what_is_seen_the_middle_is(label: str, share: float) -> None:
    """The pose is exact."""
    looker = Looker(CAMERA, FlatTerrain(800.0), sigmas=PoseSigmas(horizontal_m=0.01, vertical_m=0.01), dem_sigma_m=0.01)
    sighting = Sighting(label, 1)
    for second in range(30):
        at = pose(0.0, 0.0, float(second))
        (look,) = looker.looks(seen(at, [(0.0, 0.0)], label, half_px=120.0), at)
        sighting.add(look)
    sigma_m = float(np.sqrt(np.linalg.eigvalsh(np.array(sighting.fused.covariance_m2))[0]))
    least_m = share * np.sqrt(look.area_m2 * 4 / np.pi)
    assert 0.99 * least_m < sigma_m < 1.4 * least_m


def test_a_box_cut_by_the_edge_is_no_look_at_a_point_but_one_at_water() -> None:
    at = pose(0.0, 0.0, 0.0)
    box = [[-5.0, 100.0, 60.0, 200.0]]
    assert LOOKER.looks(Detections.of(box, [0.9], [CLASSES.index("dump")], CLASSES), at) == []
    assert len(LOOKER.looks(Detections.of(box, [0.9], [CLASSES.index("flood")], CLASSES), at)) == 1


def passes(sightings: Sightings, label: str, times: list[float]) -> list[tuple[float, Sighting]]:
    """Fly by a thing at 8 m/s, then see nothing for six seconds."""
    due = []
    for t in times:
        due += [(t, s) for s in sightings.add(looks_at(5.0, 3.0, label, t, 8.0 * (t - times[0]) - 10), t)]
    for t in np.arange(times[-1] + 1, times[-1] + 7):
        due += [(float(t), s) for s in sightings.add([], float(t))]
    return due


def test_looks_of_one_pass_are_one_sighting_told_when_it_is_over() -> None:
    due = passes(Sightings(min_looks=2), "dump", [10.0, 11.0, 12.0, 13.0])
    assert [(t, len(s.looks)) for t, s in due] == [(17.0, 4)]


def test_an_urgent_thing_is_told_at_once_and_again_when_it_is_over() -> None:
    due = passes(Sightings(min_looks=2), "fire", [10.0, 11.0, 12.0, 13.0])
    assert [(t, len(s.looks)) for t, s in due] == [(11.0, 2), (17.0, 2)]


def test_a_single_look_is_not_told() -> None:
    assert passes(Sightings(min_looks=2), "dump", [10.0]) == []


def test_two_things_near_each_other_stay_two() -> None:
    sightings = Sightings(min_looks=2)
    due = []
    for t in (0.0, 1.0, 2.0):
        at = pose(8.0 * t, 0.0, t)
        due += sightings.add(LOOKER.looks(seen(at, [(5.0, 0.0), (5.0, 14.0)], "dump"), at), t)
    due += sightings.add([], 9.0)
    assert sorted(len(s.looks) for s in due) == [3, 3]


def test_a_thing_that_stays_in_view_is_told_every_minute() -> None:
    sightings = Sightings(min_looks=2)
    due = [t for t in np.arange(0.0, 150.0, 2.0) if sightings.add(looks_at(0.0, 0.0, "dump", float(t), 1.0), float(t))]
    assert due == [62.0, 124.0]


def test_only_the_best_look_keeps_its_picture_and_looks_are_bounded() -> None:
    sightings = Sightings(min_looks=2)
    picture = np.zeros((4, 4, 3), np.uint8)
    due = []
    for t in np.arange(0.0, 30.0, 0.5):
        seen_now = [replace(look, picture=picture) for look in looks_at(0.0, 0.0, "dump", float(t), 1.0)]
        due += sightings.add(seen_now, float(t))
    assert [len(s.looks) for s in due] == [40]
    assert [look.picture is not None for look in due[0].looks].count(True) == 1
    assert due[0].best.picture is not None


def test_what_is_open_is_told_when_the_flight_ends() -> None:
    sightings = Sightings(min_looks=2)
    for t in (0.0, 1.0, 2.0):
        sightings.add(looks_at(0.0, 0.0, "dump", t, t), t)
    assert [len(s.looks) for s in sightings.flush()] == [3]
    assert sightings.flush() == []


def test_the_region_of_a_sighting_holds_its_place() -> None:
    ((_, sighting),) = passes(Sightings(min_looks=2), "dump", [10.0, 11.0, 12.0])
    x, y = PLANE.to_plane(sighting.place.centroid.x, sighting.place.centroid.y)
    assert np.hypot(float(x) - 5.0, float(y) - 3.0) < 0.3
    assert 2.0 < np.sqrt(sighting.place.area) * 1e5 < 15.0


def test_what_moves_beside_a_thing_does_not_move_its_place() -> None:
    """A heap and somebody who walks past it, filmed from the same poses: the heap lies where it lay alone."""
    places = []
    for walks in (False, True):
        sightings = Sightings(min_looks=4)
        for number in range(12):
            at = pose(-22.0 + 4 * number, 0.0, float(number))
            looks = LOOKER.looks(seen(at, [(0.0, 0.0)], "dump"), at)
            if walks:
                looks += LOOKER.looks(seen(at, [(6.0, -9.0 + 1.5 * number)], "person"), at)
            sightings.add(looks, float(number))
        (heap,) = [sighting for sighting in sightings.flush() if sighting.label == "dump"]
        places.append((heap.fused.position.lon, heap.fused.position.lat))
    assert places[0] == places[1]
