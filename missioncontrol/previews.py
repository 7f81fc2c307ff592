"""Previews: a plan flown in a simulator before anybody flies it, and how that compares with what was planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Protocol

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

from fleet.air import CALM, Conditions
from fleet.airframes import Airframe
from geo.cameras import BrownCamera
from geo.poses import PoseSigmas
from geo.positions import LocalPlane
from geo.seen import Conditions as LookConditions
from geo.seen import Seen
from geo.terrain import FlatTerrain, Terrain
from geo.visibility import Cells, Exposures, Margin
from missioncontrol.errors import AdapterUnknown
from missioncontrol.plans import Plan, VehiclePlan

Array = NDArray[np.float64]

SIMULATORS = "missioncontrol.previews"
"""Entry points of simulators: called without arguments, they give a PlanSimulator."""
NEAR_HOME_M = 10.0
"""Closer to the take-off than this a vehicle may be low."""
AHEAD_M = 80.0
"""So far along the planned way the place is looked for that a vehicle is at."""
ANY_LOOK = LookConditions(off_nadir_most_deg=90.0, blur_most_px=np.inf, sun_least_deg=-90.0, apart=0.0)


class FlightPreview(msgspec.Struct, frozen=True, kw_only=True):
    """One flight of a plan, as flown in the simulator."""

    sysid: int
    """Who flew it."""
    sortie: int
    """Its number among the flights of this vehicle, from 1."""
    landed: bool
    """On the ground near its take-off or a rally point, motors off, with every item behind it; a fixed wing: circling
    above its take-off, since a person lands it."""
    duration_s: float
    """From arming to the landing, simulated s."""
    planned_duration_s: float
    """What the plan says, s."""
    energy_wh: float
    """Drawn from the battery, Wh."""
    planned_energy_wh: float
    """What the plan says, Wh."""
    battery_percent: float
    """Charge left after the landing, 0 to 100."""
    photos: int
    """Pictures taken."""
    cross_track_m: float
    """Greatest horizontal distance from the planned way while flying the mission, m."""
    height_error_m: float
    """Greatest difference from the planned height while flying the mission, m."""
    least_height_m: float
    """Lowest above the ground anywhere but near the take-off, m."""
    failed: tuple[str, ...] = ()
    """What went wrong, in words."""
    texts: tuple[str, ...] = ()
    """What the autopilot said of weight: warnings and worse."""


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """A plan as flown in the simulator."""

    plan_hash: str
    """Of the plan that was flown."""
    autopilot: str
    """Whose habits the vehicles had."""
    wind_m_s: float
    """Mean wind at the height of the work, m/s."""
    flights: tuple[FlightPreview, ...]
    """In the order of the plan."""
    duration_s: float
    """Of the longest vehicle's flights, without what lies between them, s."""
    energy_wh: float
    """Of all flights, Wh."""
    photos: int
    """Of all flights."""
    planned_photos: int
    """What the plan says."""
    seen_share: float | None = None
    """Share of the area that the pictures show at least once, 0 to 1; None where no area or camera is known."""
    words: tuple[str, ...] = ()
    """How it differs from the plan, and what failed: what a person should read first."""


@dataclass(frozen=True)
class Flown:
    """What a simulator tells of one flight; arrays of one length n, and m for the pictures."""

    time_s: Array
    """(n,) since arming, simulated s."""
    lon: Array
    """(n,) true longitude, deg."""
    lat: Array
    """(n,) true latitude, deg."""
    up_m: Array
    """(n,) true height above the take-off, m."""
    item: NDArray[np.int64]
    """(n,) number of the plan's item that is being flown; -1 where it does not fly the mission."""
    shots: Array
    """(m, 10) UTC s, lon, lat (deg), m AMSL, roll, pitch, yaw (deg) of the mount, velocity east, north, up (m/s)."""
    energy_wh: float
    """Drawn from the battery."""
    battery_percent: float
    """Charge left, 0 to 100."""
    disarmed: bool
    """Whether it ended on the ground, motors off."""
    done: bool
    """Whether every item of the plan was flown."""
    failed: tuple[str, ...]
    """Refusals, failsafes, breaches."""
    texts: tuple[str, ...]
    """Warnings and worse."""
    circles: bool = False
    """A fixed wing that is back above its take-off, where it circles until a person lands it."""


@dataclass(frozen=True)
class Circumstances:
    """What plans are flown in."""

    terrain: Terrain | None = None
    """None: flat ground at the height of the take-off."""
    airframes: Mapping[int, Airframe] = field(default_factory=dict)
    """By sysid; others have the usual one."""
    conditions: Conditions = CALM
    """Wind, air and payload."""
    autopilot: str = "ardupilot"
    """ardupilot or px4."""
    area: shapely.Polygon | None = None
    """What is to be seen, lon, lat, deg."""
    camera: BrownCamera | None = None
    """What it is to be seen with."""
    seed: int = 0
    """Of gusts and sensor errors."""


class PlanSimulator(Protocol):
    """Where plans are flown without risk."""

    def fly(
        self, part: VehiclePlan, terrain: Terrain, circumstances: Circumstances, report: Callable[[float], None]
    ) -> Flown:
        """Fly one part to its landing; `report` gets simulated s since arming now and then.

        Raises InputInvalid for a vehicle that it does not know.
        """


def simulator(name: str = "simulated") -> PlanSimulator:
    """The simulator of that name. Raises AdapterUnknown."""
    found = {point.name: point for point in entry_points(group=SIMULATORS)}
    if name not in found:
        raise AdapterUnknown(f"preview: no simulator {name!r}; there are: {', '.join(sorted(found)) or 'none'}")
    made: PlanSimulator = found[name].load()()
    return made


def fly_preview(
    plan: Plan, circumstances: Circumstances, *, by: PlanSimulator, report: Callable[[float], None] = lambda share: None
) -> Preview:
    """Fly every part of a plan; `report` gets the share done, 0 to 1. Raises TerrainMissing, InputInvalid."""
    whole_s = max(sum(part.duration_s for part in plan.vehicles), 1e-9)
    before_s = 0.0
    flights: list[FlightPreview] = []
    shots: list[Array] = []
    for part in plan.vehicles:
        terrain = _ground(part, circumstances)

        def told(time_s: float, part: VehiclePlan = part, before_s: float = before_s) -> None:
            report((before_s + min(time_s, part.duration_s)) / whole_s)

        flown = by.fly(part, terrain, circumstances, told)
        flights.append(_judged(part, flown, terrain))
        shots.append(flown.shots)
        before_s += part.duration_s
    report(1.0)
    durations: dict[int, float] = {}
    for flight in flights:
        durations[flight.sysid] = durations.get(flight.sysid, 0.0) + flight.duration_s
    preview = Preview(
        plan_hash=plan.hash,
        autopilot=circumstances.autopilot,
        wind_m_s=round(float(np.hypot(*circumstances.conditions.wind.at(_work_height_m(plan)))), 2),
        flights=tuple(flights),
        duration_s=round(max(durations.values(), default=0.0), 1),
        energy_wh=round(sum(flight.energy_wh for flight in flights), 2),
        photos=sum(flight.photos for flight in flights),
        planned_photos=plan.photos,
        seen_share=_seen_share(np.concatenate(shots), _ground(plan.vehicles[0], circumstances), circumstances),
    )
    return msgspec.structs.replace(preview, words=tuple(_words(preview)))


def _work_height_m(plan: Plan) -> float:
    """Median height above the take-off of the places flown to, m."""
    return float(np.median([item.z for part in plan.vehicles for item in part.items if item.x or item.y]))


def _judged(part: VehiclePlan, flown: Flown, terrain: Terrain) -> FlightPreview:
    path = np.array(part.path["geometry"]["coordinates"], float)
    plane = LocalPlane(lon=path[0, 0], lat=path[0, 1])
    places = np.column_stack([*plane.to_plane(flown.lon, flown.lat), flown.up_m])
    planned_up_m = path[:, 2] - path[0, 2] + part.items[0].z
    planned = np.column_stack([*plane.to_plane(path[:, 0], path[:, 1]), planned_up_m])
    on_mission = flown.item >= 1
    across_m, off_m = deviations_m(places[on_mission], planned)
    away = np.hypot(places[:, 0], places[:, 1]) > NEAR_HOME_M
    failed = list(flown.failed)
    least_m = float("nan")
    if away.any():
        home_amsl_m = float(terrain.amsl_m(path[0, 0], path[0, 1]))
        ground_m = terrain.amsl_m(flown.lon[away], flown.lat[away])
        above_m = home_amsl_m + flown.up_m[away] - ground_m
        least_m = round(float(above_m.min()), 2)
    landings = np.array([path[0, :2], *((point.lon, point.lat) for point in part.rally)])
    off_xy = np.column_stack(plane.to_plane(landings[:, 0], landings[:, 1])) - (places[-1, :2] if len(places) else 0.0)
    from_landing_m = float(np.hypot(*off_xy.T).min())
    landed = flown.circles or (flown.disarmed and flown.done and from_landing_m < NEAR_HOME_M)
    if not landed and not failed:
        what = "is still in the air" if not flown.disarmed else "landed before its last item was flown"
        if flown.disarmed and flown.done:
            what = f"landed {from_landing_m:.0f} m from its take-off"
        failed.append("; ".join([what, *dict.fromkeys(flown.texts[-3:])]))
    return FlightPreview(
        sysid=part.sysid,
        sortie=part.sortie,
        landed=landed,
        duration_s=round(float(flown.time_s[-1]) if len(flown.time_s) else 0.0, 1),
        planned_duration_s=part.duration_s,
        energy_wh=round(flown.energy_wh, 2),
        planned_energy_wh=part.energy_wh,
        battery_percent=round(flown.battery_percent, 1),
        photos=len(flown.shots),
        cross_track_m=round(float(across_m.max(initial=0.0)), 2),
        height_error_m=round(float(off_m.max(initial=0.0)), 2),
        least_height_m=least_m,
        failed=tuple(failed),
        texts=flown.texts,
    )


def deviations_m(places: Array, path: Array) -> tuple[Array, Array]:
    """How far places (n, 3) in their order are off a path (k, 3), horizontally and vertically (n,), m.

    Each is held against the nearest point of the path a little ahead of where the one before was.
    """
    starts, legs = path[:-1], np.diff(path, axis=0)
    lengths2 = np.maximum((legs**2).sum(axis=1), 1e-9)
    ends_m = np.cumsum(np.sqrt(lengths2))
    across, off = np.zeros(len(places)), np.zeros(len(places))
    at = 0
    for number, place in enumerate(places):
        last = max(at + 2, int(np.searchsorted(ends_m, ends_m[at] + AHEAD_M)))
        near = slice(at, last + 1)
        along = np.clip(((place - starts[near]) * legs[near]).sum(axis=1) / lengths2[near], 0.0, 1.0)
        gaps = place - (starts[near] + along[:, None] * legs[near])
        best = int(np.argmin((gaps**2).sum(axis=1)))
        at += best
        across[number], off[number] = np.hypot(gaps[best, 0], gaps[best, 1]), abs(gaps[best, 2])
    return across, off


def _ground(part: VehiclePlan, circumstances: Circumstances) -> Terrain:
    """The terrain, or flat ground at the height of the take-off."""
    home_amsl_m = part.path["geometry"]["coordinates"][0][2] - part.items[0].z
    return circumstances.terrain or FlatTerrain(home_amsl_m)


def _seen_share(shots: Array, terrain: Terrain, circumstances: Circumstances) -> float | None:
    """Share of the cells of the area that any picture shows."""
    area, camera = circumstances.area, circumstances.camera
    if area is None or camera is None:
        return None
    cells = Cells.over(area, terrain)
    seen = Seen.nothing(cells, [[0.0, 1e3]])
    if len(shots):
        exposures = Exposures.posed(camera, shots[:, 0], shots[:, 1:4], shots[:, 4:7], shots[:, 7:10])
        exact = PoseSigmas(horizontal_m=0.0, vertical_m=0.0, tilt_deg=0.0, yaw_deg=0.0, time_s=0.0)
        seen.add(exposures, margin=Margin(exact, 0.0), conditions=ANY_LOOK)
    return round(float((seen.frames[cells.wanted] > 0).mean()), 4)


def _words(preview: Preview) -> list[str]:
    words = []
    several = len(preview.flights) > 1
    for flight in preview.flights:
        who = f"vehicle {flight.sysid}" + (f", flight {flight.sortie}" if several else "")
        words += [f"{who}: {what}" for what in flight.failed]
    for flight in preview.flights:
        who = f"vehicle {flight.sysid}" + (f", flight {flight.sortie}" if several else "")
        for name, found, planned, unit in (
            ("time", flight.duration_s, flight.planned_duration_s, "s"),
            ("energy", flight.energy_wh, flight.planned_energy_wh, "Wh"),
        ):
            share = 100.0 * (found / planned - 1.0) if planned else 0.0
            words.append(f"{who}: {name} {found:.0f} {unit}, planned {planned:.0f} {unit} ({share:+.0f} %)")
    words.append(f"{preview.photos} photos, planned {preview.planned_photos}")
    if preview.seen_share is not None:
        words.append(f"{100 * preview.seen_share:.1f} % of the area is in at least one picture")
    return words
