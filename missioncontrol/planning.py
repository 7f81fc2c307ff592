"""From an area and a camera to a survey that vehicles can fly, with what it takes and what it shows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from fleet.endurance import Airframe
from fleet.missions import MOST_ITEMS, MissionItem, mission_hash
from fleet.qgc import plan_json, to_plan
from geo.areas import Area, read_area
from geo.camera_library import CameraModel, camera
from geo.coverage import cover
from geo.heights import above_ground_m
from geo.legs import Leg
from geo.location import locate
from geo.parts import Atoms, share
from geo.photos import read_photo
from geo.positions import Altitude, Datum, Position
from geo.terrain import FlatTerrain, GridTerrain, Terrain, TerrainTiles
from missioncontrol.errors import InputInvalid
from missioncontrol.sorties import Flight, Flying, Start
from missioncontrol.surveys import Plan, VehiclePlan, plan_hash

Array = NDArray[np.float64]

USUAL_SPEED_M_S = 10.0
"""Ground speed on lines where none is asked for."""
LAYER_M = 5.0
"""Each further vehicle flies to its first line so much higher than the one before."""


def plan_survey(
    area: Area | dict[str, Any] | Path | str,
    *,
    camera_slug: str,
    starts: Sequence[Start],
    terrain: Terrain | None,
    gsd_cm: float | None = None,
    height_m: float | None = None,
    swath_m: float | None = None,
    front_overlap: float = 75.0,
    side_overlap: float = 65.0,
    speed_m_s: float | None = None,
    airframe: Airframe | None = None,
    one_sortie_each: bool = False,
) -> Plan:
    """A survey of an area by the vehicles that stand at `starts`.

    Give `gsd_cm` or `height_m` (above ground); overlaps are percent; `swath_m` sets the line spacing instead of
    the side overlap. `terrain` None means flat ground at the height of the start, which is said in the warnings.
    A vehicle whose battery does not last appears once for each of its flights, unless `one_sortie_each`, which
    then raises InputInvalid. Raises AreaInvalid, CameraUnknown, TerrainMissing, InputInvalid.
    """
    began_s = time.perf_counter()
    if not starts:
        raise InputInvalid("vehicles: a survey needs at least one")
    model = camera(camera_slug)
    if not isinstance(area, Area):
        area = read_area(area, near=(starts[0].lon, starts[0].lat))
    survey = _Survey(area, model, terrain, airframe or Airframe())
    survey.choose(gsd_cm, height_m, swath_m, front_overlap, side_overlap, speed_m_s)
    survey.lay(starts, one_sortie_each=one_sortie_each)
    return survey.plan(began_s)


class _Survey:
    """A plan in the making."""

    def __init__(self, area: Area, model: CameraModel, terrain: Terrain | None, airframe: Airframe) -> None:
        self.warnings: list[str] = []
        if terrain is None:
            terrain = FlatTerrain(0.0)
            self.warnings.append("no terrain given: the ground is taken as flat, at the height of the take-off")
        self.model, self.terrain, self.airframe = model, terrain, airframe
        corners = np.asarray(area.polygon.exterior.coords)
        self.area = area.at_height(float(np.mean(terrain.amsl_m(corners[:, 0], corners[:, 1]))))
        self.flights: list[Flight] = []

    def choose(
        self,
        gsd_cm: float | None,
        height_m: float | None,
        swath_m: float | None,
        front_overlap: float,
        side_overlap: float,
        speed_m_s: float | None,
    ) -> None:
        """Height, line spacing, distance between pictures and speed."""
        for name, overlap in (("front_overlap", front_overlap), ("side_overlap", side_overlap)):
            if not 0 <= overlap <= 95:
                raise InputInvalid(f"{name}: {overlap:g} percent is not between 0 and 95")
        for name, value in (("gsd_cm", gsd_cm), ("height_m", height_m), ("swath_m", swath_m), ("speed_m_s", speed_m_s)):
            if value is not None and not (value > 0 and np.isfinite(value)):
                raise InputInvalid(f"{name}: {value:g} must be above 0")
        if (gsd_cm is None) == (height_m is None):
            raise InputInvalid("gsd_cm, height_m: give one of the two")
        height_m = height_m if height_m is not None else self.model.height_m((gsd_cm or 0.0) / 100.0)
        across_m, along_m = self.model.footprint_m(height_m)
        self.swath_m = swath_m or across_m * (1.0 - side_overlap / 100.0)
        trigger_m = along_m * (1.0 - front_overlap / 100.0)
        if self.swath_m > across_m:
            self.warnings.append(
                f"lines {self.swath_m:.0f} m apart leave gaps: a picture is {across_m:.0f} m wide at {height_m:.0f} m"
            )
        fastest_m_s = trigger_m / self.model.shutter_interval_s
        wanted_m_s = speed_m_s or USUAL_SPEED_M_S
        if wanted_m_s > fastest_m_s:
            self.warnings.append(
                f"speed lowered from {wanted_m_s:.1f} to {fastest_m_s:.1f} m/s: {self.model.name} needs "
                f"{self.model.shutter_interval_s:g} s for a picture, and one is wanted every {trigger_m:.1f} m"
            )
        if height_m > 120:
            self.warnings.append(f"{height_m:.0f} m above ground is higher than the 120 m usual without a permit")
        self.flying = Flying(
            height_m=height_m,
            tolerance_m=max(2.0, 0.05 * height_m),
            speed_m_s=min(wanted_m_s, fastest_m_s),
            trigger_m=trigger_m,
            airframe=self.airframe,
        )

    def lay(self, starts: Sequence[Start], *, one_sortie_each: bool) -> None:
        """Lines, each vehicle's part of them, and its flights."""
        path = cover(self.area.metric, self.swath_m)
        self.covered = path.covered
        if path.covered < 0.999:
            self.warnings.append(f"{100 * (1 - path.covered):.2f} % of the area lies between or beyond the lines")
        places = np.array([self.area.plane.to_plane(start.lon, start.lat) for start in starts])
        parts = share(path.legs, places, swath_m=self.swath_m)
        self.lines = len(path.legs)
        for number, (start, part) in enumerate(zip(starts, parts, strict=True)):
            if not part:
                self.warnings.append(f"vehicle {start.sysid} has nothing to do: the area is too small to share")
                continue
            flights = self._flights(part, start, LAYER_M * number)
            if len(flights) > 1:
                said = f"vehicle {start.sysid} needs {len(flights)} flights: {self.airframe.usable_wh:.0f} Wh usable"
                if one_sortie_each:
                    raise InputInvalid(f"area: {said}; take more vehicles, a smaller area or a coarser GSD")
                self.warnings.append(said)
            self.flights.extend(flights)

    def _flights(self, legs: tuple[Leg, ...], start: Start, layer_m: float) -> list[Flight]:
        """The part of one vehicle in as few flights as the battery and the autopilot's memory allow."""
        whole = self._flight(legs, start, layer_m)
        if self._fits(whole):
            return [whole]
        atoms = Atoms.of(legs, max(4 * self.swath_m, 250.0))
        flights: list[Flight] = []
        first = 0
        while first < len(atoms.legs):
            last = self._furthest(atoms, first, start, layer_m)
            if last == first:
                x, y = atoms.legs[first].start
                lon, lat = self.area.plane.to_lonlat(x, y)
                needed_wh = self._flight(atoms.join(first, first + 1), start, layer_m).cost().energy_wh
                raise InputInvalid(
                    f"area: vehicle {start.sysid} cannot reach lon {float(lon):.5f}, lat {float(lat):.5f} and return: "
                    f"{needed_wh:.0f} Wh needed, {self.airframe.usable_wh:.0f} Wh usable; start nearer"
                )
            flights.append(self._flight(atoms.join(first, last), start, layer_m))
            first = last
        return flights

    def _furthest(self, atoms: Atoms, first: int, start: Start, layer_m: float) -> int:
        """The last piece (plus one) that a flight from the first one can end with."""
        low, high = first, first + 1
        while high <= len(atoms.legs) and self._fits(self._flight(atoms.join(first, high), start, layer_m)):
            low, high = high, first + 2 * (high - first)
        high = min(high, len(atoms.legs) + 1)
        while high - low > 1:
            middle = (low + high) // 2
            if self._fits(self._flight(atoms.join(first, middle), start, layer_m)):
                low = middle
            else:
                high = middle
        return low

    def _flight(self, legs: tuple[Leg, ...], start: Start, layer_m: float) -> Flight:
        return Flight(legs, start, self.flying, self.area.plane, self.terrain, layer_m=layer_m)

    def _fits(self, flight: Flight) -> bool:
        return flight.cost().energy_wh <= self.airframe.usable_wh and len(flight.items()) <= MOST_ITEMS

    def plan(self, began_s: float) -> Plan:
        """Everything summed up."""
        parts = tuple(self._part(flight, number) for number, flight in enumerate(self.flights, start=1))
        durations: dict[int, float] = {}
        for part in parts:
            durations[part.sysid] = durations.get(part.sysid, 0.0) + part.duration_s
        heights_m = np.concatenate([self._heights_m(flight) for flight in self.flights])
        gsd_cm = 100 * self.model.gsd_m(1.0) * heights_m
        return Plan(
            hash=plan_hash(parts),
            lines=self.lines,
            path_m=round(sum(part.path_m for part in parts), 2),
            photos=sum(flight.photos for flight in self.flights),
            duration_s=round(max(durations.values()), 1),
            energy_wh=round(sum(part.energy_wh for part in parts), 2),
            sorties=len(parts),
            area_m2=round(self.area.area_m2, 1),
            gsd_cm={
                "min": round(float(gsd_cm.min()), 3),
                "median": round(float(np.median(gsd_cm)), 3),
                "max": round(float(gsd_cm.max()), 3),
            },
            plan_s=round(time.perf_counter() - began_s, 4),
            warnings=tuple(self.warnings),
            vehicles=parts,
        )

    def _part(self, flight: Flight, number: int) -> VehiclePlan:
        items = flight.items()
        cost = flight.cost()
        return VehiclePlan(
            sysid=flight.start.sysid,
            items=tuple(items),
            hash=mission_hash(items),
            path=flight.feature(f"flight {number}"),
            path_m=round(flight.path_m, 2),
            duration_s=round(cost.duration_s, 1),
            energy_wh=round(cost.energy_wh, 2),
            battery_percent=round(100 * cost.energy_wh / self.airframe.battery_wh, 1),
        )

    def _heights_m(self, flight: Flight) -> Array:
        """Heights above the ground along the lines, below and to both sides as far as the next line."""
        if isinstance(self.terrain, FlatTerrain):
            return np.array([self.flying.height_m])
        heights_m = above_ground_m(
            flight.survey_path, self.area.plane, self.terrain, step_m=self.swath_m / 2, aside_m=self.swath_m / 2
        )
        return heights_m.ravel()


def terrain_of(dem: Sequence[Path], ground_amsl_m: float | None = None) -> Terrain | None:
    """Terrain from GeoTIFFs, or flat ground of a height, or None where neither is given. Raises TerrainMissing."""
    if dem:
        return TerrainTiles([GridTerrain.from_file(path) for path in dem])
    return None if ground_amsl_m is None else FlatTerrain(ground_amsl_m)


def plan_survey_files(
    *,
    area: Path,
    camera: str,
    out: Path,
    gsd_cm: float | None = None,
    height_m: float | None = None,
    swath_m: float | None = None,
    front_overlap: float = 75.0,
    side_overlap: float = 65.0,
    speed_m_s: float | None = None,
    vehicles: int = 1,
    dem: Sequence[Path] = (),
    qgc_plan: Path | None = None,
) -> dict[str, Any]:
    """Plan, write plan.json (and a QGroundControl plan), and give back the summary without the items.

    All vehicles start at the first corner of the area, as nothing better is known without a running service.
    """
    read = read_area(area)
    lon, lat = (float(value) for value in read.polygon.exterior.coords[0][:2])
    starts = [Start(sysid=number, lon=lon, lat=lat) for number in range(1, vehicles + 1)]
    plan = plan_survey(
        read,
        camera_slug=camera,
        starts=starts,
        terrain=terrain_of(dem),
        gsd_cm=gsd_cm,
        height_m=height_m,
        swath_m=swath_m,
        front_overlap=front_overlap,
        side_overlap=side_overlap,
        speed_m_s=speed_m_s,
    )
    write_plan(plan, out)
    if qgc_plan is not None:
        _write_qgc(plan, qgc_plan)
    summary = plan.public(items=False)
    for part in summary["vehicles"]:
        part.pop("path")
    return summary


def write_plan(plan: Plan, out: Path) -> None:
    """Write plan.json: the summary, and for every flight its mission items (seq first) and its path as GeoJSON."""
    tree = plan.public(items=True)
    for part in tree["vehicles"]:
        part["items"] = part.pop("mission_items")
    _write(out, msgspec.json.format(msgspec.json.encode(tree), indent=1))


def read_plan_items(path: Path, *, vehicle: int = 1) -> list[MissionItem]:
    """The items of one flight of a plan.json, counted from 1. Raises InputInvalid if they are not what was planned."""
    try:
        tree = msgspec.json.decode(path.read_bytes())
        parts = tree["vehicles"]
        if not 1 <= vehicle <= len(parts):
            raise InputInvalid(f"{path}: holds {len(parts)} flights, there is no number {vehicle}")
        part = parts[vehicle - 1]
        rows = sorted(part["items"], key=lambda row: row["seq"])
        items = [
            msgspec.convert({name: value for name, value in row.items() if name != "seq"}, MissionItem) for row in rows
        ]
        stated = part["hash"]
    except OSError as exc:
        raise InputInvalid(f"{path}: cannot be read: {exc.strerror}") from exc
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as exc:
        raise InputInvalid(f"{path}: not a plan written by `plan survey`: {exc}") from exc
    if mission_hash(items) != stated:
        raise InputInvalid(f"{path}: the items do not hash to {stated[:12]}...: the file was changed after planning")
    return items


def _write_qgc(plan: Plan, path: Path) -> None:
    """One QGroundControl plan per flight; from the second on, the file's name is numbered."""
    for number, part in enumerate(plan.vehicles, start=1):
        target = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        lon, lat, amsl_m = part.path["geometry"]["coordinates"][0]
        home = Position(lon=lon, lat=lat, altitude=Altitude(amsl_m - part.items[0].z, Datum.AMSL))
        _write(target, plan_json(to_plan(list(part.items), home=home)).encode())


def _write(path: Path, content: bytes) -> None:
    """All or nothing."""
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as exc:
        raise InputInvalid(f"{path}: cannot be written: {exc.strerror}") from exc


def locate_photo(
    photo: Path, *, pixel: tuple[float, float], dem: Sequence[Path] = (), ground_amsl_m: float | None = None
) -> dict[str, Any]:
    """Where a pixel of a photograph lies: lon, lat, height with datum, ellipse, slant_range_m, and the pose used.

    Raises PhotoInvalid, NoGround, TerrainMissing, DatumUnknown; InputInvalid for a pixel outside the picture or
    where neither terrain nor a ground height is given and the photograph does not state its height above ground.
    """
    shot = read_photo(photo)
    terrain = terrain_of(dem, ground_amsl_m)
    u, v = pixel
    if not (-0.5 <= u <= shot.camera.width_px - 0.5 and -0.5 <= v <= shot.camera.height_px - 0.5):
        raise InputInvalid(
            f"--pixel {u:g},{v:g}: outside the picture of {shot.camera.width_px} x {shot.camera.height_px} px"
        )
    if terrain is None:
        raise InputInvalid(
            "--dem, --ground-amsl-m: give one of the two, the height of the ground is not in a photograph"
        )
    pose, notes = shot.pose_above(terrain, ground_is_flat=not dem)
    (found,) = locate(
        shot.camera, pose, [pixel], terrain, sigmas=shot.sigmas, dem_sigma_m=3.0 if dem else 2.0, max_range_m=20_000.0
    )
    return {
        "lon": found.position.lon,
        "lat": found.position.lat,
        "height": {"value_m": round(found.position.altitude.value_m, 3), "datum": found.position.altitude.datum.value},
        "ellipse": msgspec.to_builtins(found.ellipse),
        "slant_range_m": round(found.slant_range_m, 3),
        "height_sigma_m": round(found.height_sigma_m, 3),
        "camera": {
            "model": shot.model,
            "lon": pose.position.lon,
            "lat": pose.position.lat,
            "height": msgspec.to_builtins(pose.position.altitude),
            "attitude": msgspec.to_builtins(pose.attitude),
        },
        "notes": [*shot.notes, *notes],
    }
