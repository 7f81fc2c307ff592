"""What a preview makes of a flight, whoever simulated it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from shapely.geometry import shape

from geo.camera_library import camera
from geo.terrain import FlatTerrain, Terrain
from missioncontrol.errors import AdapterUnknown
from missioncontrol.planning import plan
from missioncontrol.plans import Plan, VehiclePlan
from missioncontrol.previews import Circumstances, Flown, deviations_m, fly_preview, simulator
from tests.missioncontrol.test_patterns import GROUND_M, PLANE, REQUESTS, request, site


@dataclass
class AsPlanned:
    """Flies exactly what was planned, shifted by what a test sets; pictures every 10 m, straight down."""

    east_m: float = 0.0
    up_m: float = 0.0
    change: Callable[[Flown], Flown] = lambda flown: flown

    def fly(
        self, part: VehiclePlan, terrain: Terrain, circumstances: Circumstances, report: Callable[[float], None]
    ) -> Flown:
        path = np.array(part.path["geometry"]["coordinates"])
        x, y = PLANE.to_plane(path[:, 0], path[:, 1])
        along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
        at = np.append(np.arange(0.0, along[-1], 10.0), along[-1])
        x, y, up = (np.interp(at, along, column) for column in (x + self.east_m, y, path[:, 2] - GROUND_M + self.up_m))
        lon, lat = PLANE.to_lonlat(x, y)
        time_s = np.linspace(0.0, part.duration_s, len(at))
        report(part.duration_s / 2)
        down = np.column_stack([np.zeros(len(at)), np.full(len(at), -90.0), np.zeros((len(at), 4))])
        lon[-1], lat[-1] = path[0, :2]
        flown = Flown(
            time_s=time_s,
            lon=lon,
            lat=lat,
            up_m=up,
            item=np.full(len(at), 3),
            shots=np.column_stack([time_s, lon, lat, up + GROUND_M, down]),
            energy_wh=1.1 * part.energy_wh,
            battery_percent=50.0,
            disarmed=True,
            done=True,
            failed=(),
            texts=(),
        )
        return self.change(flown)


@pytest.fixture(scope="module")
def survey() -> Plan:
    return plan(request("survey"), site())


def test_a_flight_as_planned_deviates_by_nothing(survey: Plan) -> None:
    shares: list[float] = []
    preview = fly_preview(survey, Circumstances(), by=AsPlanned(), report=shares.append)
    (flight,) = preview.flights
    assert preview.plan_hash == survey.hash
    assert flight.landed
    assert flight.cross_track_m < 0.1
    assert flight.height_error_m < 0.1
    assert flight.least_height_m == pytest.approx(50.0, abs=0.2)
    assert shares == [pytest.approx(0.5), 1.0]
    assert any("energy" in said and "(+10 %)" in said for said in preview.words)
    assert any("time" in said and "(+0 %)" in said for said in preview.words)


def test_what_is_off_the_path_is_found_as_far_as_it_is(survey: Plan) -> None:
    (flight,) = fly_preview(survey, Circumstances(), by=AsPlanned(up_m=-7.0)).flights
    assert flight.height_error_m == pytest.approx(7.0, abs=0.1)
    assert flight.least_height_m == pytest.approx(43.0, abs=0.3)
    (flight,) = fly_preview(survey, Circumstances(), by=AsPlanned(east_m=4.0)).flights
    assert flight.cross_track_m == pytest.approx(4.0, abs=0.3)


def test_hills_below_count_for_the_least_height(survey: Plan) -> None:
    class Hill:
        def amsl_m(self, lon: object, lat: object) -> np.ndarray:
            lons, lats = np.broadcast_arrays(np.asarray(lon, float), np.asarray(lat, float))
            x, y = PLANE.to_plane(lons, lats)
            return np.where(np.hypot(x - 200.0, y - 150.0) < 60.0, GROUND_M + 35.0, GROUND_M)

    (flight,) = fly_preview(survey, Circumstances(terrain=Hill()), by=AsPlanned()).flights
    assert flight.least_height_m == pytest.approx(15.0, abs=0.3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda flown: replace(flown, disarmed=False), "still in the air"),
        (lambda flown: replace(flown, done=False), "before its last item"),
        (lambda flown: replace(flown, lon=flown.lon + 0.001), "from its take-off"),
        (lambda flown: replace(flown, failed=("battery low: returns",)), "battery low"),
    ],
)
def test_what_went_wrong_is_said_first(survey: Plan, change: Callable[[Flown], Flown], words: str) -> None:
    preview = fly_preview(survey, Circumstances(), by=AsPlanned(change=change))
    assert preview.flights[0].failed
    assert words in preview.words[0]


def test_the_share_of_the_area_that_the_pictures_show(survey: Plan) -> None:
    lens = camera("sim-wide").brown_camera()
    over = Circumstances(terrain=FlatTerrain(GROUND_M), area=shape(REQUESTS["survey"]["area"]), camera=lens)
    whole = fly_preview(survey, over, by=AsPlanned())
    assert whole.seen_share == pytest.approx(1.0, abs=0.005)
    half = fly_preview(
        survey, over, by=AsPlanned(change=lambda flown: replace(flown, shots=flown.shots[: len(flown.shots) // 2]))
    )
    assert half.seen_share is not None
    assert 0.3 < half.seen_share < 0.75
    none = fly_preview(survey, over, by=AsPlanned(change=lambda flown: replace(flown, shots=flown.shots[:0])))
    assert none.seen_share == 0.0
    assert fly_preview(survey, Circumstances(), by=AsPlanned()).seen_share is None


def test_a_path_that_crosses_itself_is_followed_in_order() -> None:
    path = np.array([[0, 0, 50], [200, 0, 50], [200, 100, 50], [100, 100, 50], [100, -100, 50.0]])
    places = np.concatenate([np.linspace(a, b, 50) for a, b in pairwise(path)])
    across, off = deviations_m(places + np.array([0.0, 0.0, 2.0]), path)
    assert across.max() < 0.1
    assert off == pytest.approx(2.0)


def test_a_simulator_that_is_not_there_is_named() -> None:
    with pytest.raises(AdapterUnknown, match="'nowhere'; there are: simulated"):
        simulator("nowhere")


def test_previews_travel_as_json(survey: Plan) -> None:
    preview = fly_preview(survey, Circumstances(), by=AsPlanned())
    assert msgspec.json.decode(msgspec.json.encode(preview), type=type(preview)) == preview
