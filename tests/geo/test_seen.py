"""How looks add up, cell by cell."""

from __future__ import annotations

import time

import numpy as np
import pytest
import shapely
from msgspec.structs import replace

from geo.poses import PoseSigmas
from geo.seen import Conditions, Seen
from geo.terrain import FlatTerrain
from geo.visibility import Cells, Exposures, Margin
from tests.geo.test_visibility import LENS, PLANE, UTC_S, exposures_of, lonlat, pose_at

FLAT = FlatTerrain(800.0)
MARGIN = Margin(PoseSigmas(horizontal_m=0.5, tilt_deg=0.1, yaw_deg=0.5), 1.0)
CONDITIONS = Conditions(off_nadir_most_deg=40.0, blur_most_px=2.0, sun_least_deg=20.0, apart=0.09, exposure_s=1 / 800)
HEIGHT_M = 70.0
APART_M = 0.09 * HEIGHT_M


def _middle(poses_m: list[float], *, each_s: float = 1.0, utc_s: float = UTC_S, **change: float) -> Seen:
    """The middle of a small area after frames from these places north of it, straight down."""
    cells = Cells.over(lonlat(shapely.box(-3, -3, 3, 3)), FLAT, side_m=2.0)
    poses = [
        replace(pose_at(0, y, 800.0 + HEIGHT_M), utc_s=utc_s + number * each_s) for number, y in enumerate(poses_m)
    ]
    seen = Seen.nothing(cells, [(0.0, 0.2), (0.06, 0.075), (0.0, 0.05)])
    seen.add(exposures_of(poses, velocity=(0.0, 8.0, 0.0)), margin=MARGIN, conditions=replace(CONDITIONS, **change))
    return seen


def _runs(seen: Seen) -> list[int]:
    row, column = seen.cells.number_at(PLANE.lon, PLANE.lat) or (0, 0)
    return [int(value) for value in seen.runs[row, column]]


def test_a_pass_counts_by_how_far_the_view_turns() -> None:
    """Frames half as far apart as wanted make half as many looks; a band of finer GSD than was flown has none."""
    steps = np.arange(-3, 3.01, 0.5) * APART_M * 1.001
    assert _runs(_middle(steps.tolist())) == [7, 7, 0]


@pytest.mark.parametrize(
    "places",
    [[0.0] * 30, [0.0, 1.0] * 15, [0.0, APART_M * 1.01] * 15, [0.0, APART_M * 1.01, -APART_M * 1.01] * 10],
    ids=["hovering", "swaying", "between two places", "between three"],
)
def test_the_same_view_again_is_no_new_look(places: list[float]) -> None:
    """However often the camera comes back, it counts as what it saw from different directions once."""
    assert _runs(_middle(places, each_s=0.5))[0] <= 2


def test_a_pause_begins_a_new_run_and_the_best_run_counts() -> None:
    """Three looks, ten seconds of nothing, and two more are three looks, not five."""
    first, second = [(-3 + k) * APART_M * 1.01 for k in range(3)], [(1 + k) * APART_M * 1.01 for k in range(2)]
    cells = Cells.over(lonlat(shapely.box(-3, -3, 3, 3)), FLAT, side_m=2.0)
    poses = [replace(pose_at(0, y, 870.0), utc_s=UTC_S + number) for number, y in enumerate(first)]
    poses += [replace(pose_at(0, y, 870.0), utc_s=UTC_S + 13 + number) for number, y in enumerate(second)]
    seen = Seen.nothing(cells, [(0.0, 0.2)])
    seen.add(exposures_of(poses), margin=MARGIN, conditions=CONDITIONS)
    assert _runs(seen) == [3]
    assert _runs(_middle([*first, *second])) == [5, 5, 0]


@pytest.mark.parametrize(
    "change",
    [{"off_nadir_most_deg": 0.0}, {"blur_most_px": 0.1}, {"min_range_m": 90.0}, {"sun_least_deg": 75.0}],
)
def test_looks_unlike_the_measured_ones_do_not_count(change: dict[str, float]) -> None:
    """They are seen, and shown on the map, but nothing is claimed of them."""
    seen = _middle([-APART_M * 2, -APART_M, 0.5], **change)
    assert seen.frames.max() == 3
    assert _runs(seen) == [0, 0, 0]


def test_night_counts_nothing() -> None:
    """The same pass at local midnight."""
    seen = _middle([-APART_M * 2, -APART_M, 0.0], utc_s=UTC_S + 13 * 3600)
    assert _runs(seen) == [0, 0, 0]
    assert seen.sun_deg.max() < 0


def test_what_is_told_of_a_cell() -> None:
    """GSD, angle, blur and times of a pass at 70 m and 8 m/s."""
    seen = _middle([-20.0, 0.0, 20.0])
    row, column = seen.cells.number_at(PLANE.lon, PLANE.lat) or (0, 0)
    assert seen.frames[row, column] == 3
    assert seen.best_gsd_m[row, column] == pytest.approx(HEIGHT_M / LENS.focal_px, rel=0.01)
    assert seen.off_nadir_deg[row, column] < 1.5
    assert seen.blur_px[row, column] == pytest.approx(8.0 / 800 * LENS.focal_px / HEIGHT_M, rel=0.05)
    assert (seen.first_utc_s[row, column], seen.last_utc_s[row, column]) == (UTC_S, UTC_S + 2)


def test_flights_add_up_without_joining_their_runs() -> None:
    """Two flights of two looks each are a run of two, seen four times."""
    places = [-APART_M, 0.01]
    seen = _middle(places)
    poses = [replace(pose_at(0, -y, 870.0), utc_s=UTC_S + 2 + number) for number, y in enumerate(places)]
    seen.add(exposures_of(poses), margin=MARGIN, conditions=CONDITIONS)
    assert _runs(seen)[0] == 2
    assert seen.frames.max() == 4


def test_a_thousand_frames_over_a_square_kilometre() -> None:
    """In 2 m cells: a few seconds at most, on a busy machine too (measured 0.2 s of one core)."""
    cells = Cells.over(lonlat(shapely.box(-500, -500, 500, 500)), FLAT, side_m=2.0)
    lines = [(x, y) for x in np.linspace(-480, 480, 25) for y in np.linspace(-480, 480, 40)]
    lon, lat = PLANE.to_lonlat([x for x, _ in lines], [y for _, y in lines])
    down = pose_at(0, 0, 870.0).enu_from_camera()
    frames = Exposures(
        LENS,
        UTC_S + np.arange(1000.0),
        lon,
        lat,
        np.full(1000, 870.0),
        np.tile(down, (1000, 1, 1)),
        np.zeros((1000, 3)),
    )
    seen = Seen.nothing(cells, [(0.0, 0.1)])
    began_s = time.process_time()
    seen.add(frames, margin=MARGIN, conditions=CONDITIONS)
    assert time.process_time() - began_s < 5.0
    assert (seen.frames[cells.wanted] > 0).mean() > 0.98
