"""From a request to a plan that vehicles can fly, with what it takes and what it shows."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from functools import partial

import msgspec
import numpy as np
from numpy.typing import NDArray

from fleet.airframes import Kind
from fleet.errors import BeyondBattery
from fleet.missions import MOST_ITEMS, mission_hash
from fleet.sortie_breaks import breaks
from geo.conflicts import separate
from geo.detours import Detours
from geo.heights import above_ground_m
from geo.legs import Leg
from geo.partition import Flyer, partition
from geo.parts import Atoms, share
from geo.pictures import USUAL_HIGHEST_M
from geo.relays import Watcher, relay, watchers_needed
from geo.terrain import FlatTerrain
from geo.turns import flyable, ordered_for_turns
from missioncontrol.errors import InputInvalid
from missioncontrol.keepouts import ABOVE_M, Keepouts, left_by_zones
from missioncontrol.patterns import Ground, Work, tolerance_m, work_of
from missioncontrol.plans import Plan, VehiclePlan, plan_hash
from missioncontrol.requests import PlanRequest, WatchRequest
from missioncontrol.sites import Site
from missioncontrol.sorties import Flight, Flying, Start

Array = NDArray[np.float64]

STAY_SHARE = 0.95
"""Of the time that the battery allows to stay at a place, what a watch plans with."""
LEAD_IN_S = 3.0
"""A fixed wing flies level for so long before a line begins."""
AT_WORK = 0.85
"""Of the endurance at the speed of the work, what is left by take-off, turns and landing."""
SLOWEST_M_S = 2.0
"""Slower over ground nothing is planned."""
FASTEST_SHARE = 0.8
"""Of its highest airspeed, what a vehicle is asked to fly."""
SWAP_S = 300.0
"""For a fresh battery between two flights."""
BREAK_TRIES = 12
"""So often breaks are looked for with a little less battery."""
ITEMS_A_PIECE, ITEMS_A_FLIGHT = 4, 12
"""Mission items of a piece of work besides the points that were inserted, and of the rest of a flight."""
APART_M, ABOVE_EACH_OTHER_M = 20.0, 8.0
"""Vehicles keep apart by one or the other."""
LATE_S = 5.0
"""By which a flight may be early or late."""
LAYER_M = 10.0
"""Each further vehicle flies to its first leg so much higher than the one before."""


def plan(request: PlanRequest, site: Site) -> Plan:
    """A plan of a request by the vehicles of a site.

    A vehicle whose battery does not last appears once for each of its flights. Raises AreaInvalid, CameraUnknown,
    TerrainMissing, InputInvalid.
    """
    began_s = time.perf_counter()
    request.check()
    if not site.starts:
        raise InputInvalid("vehicles: a plan needs at least one")
    planner = _Planner(request, site)
    if isinstance(request, WatchRequest):
        planner.watch(request)
    else:
        planner.fly()
    return planner.plan(began_s)


class _Planner:
    """A plan in the making."""

    def __init__(self, request: PlanRequest, site: Site) -> None:
        self.warnings: list[str] = []
        terrain = site.terrain
        if terrain is None:
            terrain = FlatTerrain(0.0)
            self.warnings.append("no terrain given: the ground is taken as flat, at the height of the take-off")
        self.site, self.terrain = site, terrain
        near = (site.starts[0].lon, site.starts[0].lat)
        cut = None if site.airspace is None else partial(left_by_zones, site)
        self.work: Work = work_of(request, Ground(terrain=terrain, near=near, obstacles=site.obstacles, cut=cut))
        self.plane = self.work.plane
        self.keepouts = Keepouts(site, self.work, terrain)
        self.warnings += self.work.warnings
        self.flights: list[Flight] = []
        self.delays_s: list[float] | None = None

    def _place(self, start: Start) -> tuple[float, float]:
        east_m, north_m = self.plane.to_plane(start.lon, start.lat)
        return float(east_m), float(north_m)

    def fly(self) -> None:
        """Each vehicle's part of the legs, and its flights."""
        for number, (start, trips) in enumerate(zip(self.site.starts, self._shares(), strict=True)):
            flights = [flight for trip in trips for flight in self._flights(trip, start, LAYER_M * number)]
            if not flights:
                self.warnings.append(f"vehicle {start.sysid} has nothing to do: there is too little to share")
            if len(flights) > 1:
                usable_wh = self.site.usable_wh(start.sysid)
                said = f"vehicle {start.sysid} needs {len(flights)} flights, with a change of battery between"
                if sum(flight.cost().energy_wh for flight in flights) <= usable_wh:
                    said = f"vehicle {start.sysid} needs {len(flights)} flights: an autopilot holds {MOST_ITEMS} items"
                self.warnings.append(f"{said}: {usable_wh:.0f} Wh usable")
            self.flights.extend(flights)

    def watch(self, request: WatchRequest) -> None:
        """Turns at one place, in layers, each as long as its battery allows."""
        (leg,) = self.work.legs
        assert leg.levels_amsl_m is not None
        level_m = leg.levels_amsl_m[0]
        starts = {str(start.sysid): start for start in self.site.starts}

        def flight(name: str, hold_s: float) -> Flight:
            layer_m = LAYER_M * list(starts).index(name)
            raised = replace(leg, levels_amsl_m=(level_m + layer_m, level_m + layer_m), hold_s=hold_s)
            return self._flight((raised,), starts[name], layer_m)

        watchers = []
        for name in starts:
            short, longer = flight(name, 0.0), flight(name, 100.0)
            hover_w = 36.0 * (longer.cost().energy_wh - short.cost().energy_wh)
            duration_s, out_s = short.cost().duration_s, short.arrives_s
            stay_s = STAY_SHARE * 3600.0 * (short.flying.usable_wh - short.cost().energy_wh) / hover_w
            watchers.append(
                Watcher(
                    name=name,
                    endurance_s=duration_s + stay_s,
                    out_s=out_s,
                    back_s=duration_s - out_s,
                    recharge_s=SWAP_S,
                )
            )
        needed = max(watchers_needed(watcher, overlap_s=request.overlap_s) for watcher in watchers)
        begins_s = max(watcher.out_s for watcher in watchers)
        once = [msgspec.structs.replace(watcher, recharge_s=2 * request.duration_s) for watcher in watchers]
        made = relay(once, begins_s=begins_s, ends_s=begins_s + request.duration_s, overlap_s=request.overlap_s)
        first_s = min(turn.leaves_s for turn in made.turns)
        self.flights = [flight(turn.name, turn.relieved_s - turn.arrives_s) for turn in made.turns]
        self.delays_s = [round(turn.leaves_s - first_s, 1) for turn in made.turns]
        if made.gaps:
            from_s = made.gaps[0].begins_s - begins_s
            self.warnings.append(
                f"with one flight of each vehicle nobody can watch for {made.gap_s:.0f} s of "
                f"{request.duration_s:.0f} s, first from {from_s:.0f} s on; {needed} vehicles like these, launched "
                "again with fresh batteries by turns, keep a place watched"
            )

    def _shares(self) -> list[tuple[tuple[Leg, ...], ...]]:
        """The trips of each vehicle, as far as its endurance is known before the flights are."""
        starts = self.site.starts
        places = [self._place(start) for start in starts]
        if len(starts) == 1:
            return [(self.work.legs,)]
        if not self.work.free:
            parts = share(self.work.legs, np.array(places), swath_m=self.work.piece_m)
            return [(part,) if part else () for part in parts]
        flyers = []
        for start, place in zip(starts, places, strict=True):
            speed_m_s = self._speed_m_s(start)
            power_w = self.site.airframe(start.sysid).power_w(speed_m_s, conditions=self.site.conditions)
            endurance_s = AT_WORK * 3600.0 * self.site.usable_wh(start.sysid) / power_w
            flyers.append(Flyer(place, speed_m_s=speed_m_s, endurance_s=endurance_s, swap_s=SWAP_S))
        inside = self.work.inside
        ways = None if inside is None else Detours(inside, margin_m=self.work.piece_m / 2)
        return [found.trips for found in partition(self.work.legs, flyers, ways=ways).shares]

    def _speed_m_s(self, start: Start) -> float:
        """Over ground: what is asked for, or what the vehicle can still do against the wind up there."""
        most_m_s = FASTEST_SHARE * self.site.airframe(start.sysid).max_m_s
        wind_m_s = math.hypot(*self.site.conditions.wind.at(self.work.height_m + ABOVE_M))
        against_m_s = most_m_s - wind_m_s
        if against_m_s < SLOWEST_M_S:
            raise InputInvalid(
                f"weather: a wind of {wind_m_s:.1f} m/s up there leaves vehicle {start.sysid} {against_m_s:.1f} m/s "
                f"over ground of its {most_m_s:.1f}: wait, or fly lower"
            )
        if against_m_s < min(self.work.speed_m_s, most_m_s):
            said = f"vehicle {start.sysid} flies {against_m_s:.1f} m/s over ground, not {self.work.speed_m_s:.1f}"
            if (text := f"{said}: a wind of {wind_m_s:.1f} m/s blows up there") not in self.warnings:
                self.warnings.append(text)
        return min(self.work.speed_m_s, most_m_s, against_m_s)

    def _flights(self, legs: tuple[Leg, ...], start: Start, layer_m: float) -> list[Flight]:
        """The part of one vehicle in as few flights as the battery and the autopilot's memory allow."""
        whole = self._flight(legs, start, layer_m)
        if self._fits(whole):
            return [whole]
        atoms = Atoms.of(legs, max(4 * self.work.piece_m, 250.0))
        cut = self._flight(atoms.legs, start, layer_m)
        home = np.array([[*cut.home, cut.home_amsl_m]])
        places = np.array([leg.start for leg in atoms.legs])
        items = np.array([ITEMS_A_PIECE + len(leg.approach) for leg in atoms.legs]) + cut.inserted
        usable_wh = cut.flying.usable_wh
        for _ in range(BREAK_TRIES):
            try:
                sorties = breaks(
                    cut.pieces(home),
                    usable_wh=usable_wh,
                    swap_s=SWAP_S,
                    items=items,
                    most_items=MOST_ITEMS - ITEMS_A_FLIGHT,
                    lonlat=np.column_stack(self.plane.to_lonlat(places[:, 0], places[:, 1])),
                )
            except BeyondBattery as exc:
                raise InputInvalid(f"area: vehicle {start.sysid} cannot reach {exc}; start nearer") from exc
            flights = [self._flight(atoms.join(sortie.first, sortie.last), start, layer_m) for sortie in sorties]
            if all(self._fits(flight) for flight in flights):
                return flights
            usable_wh *= 0.97  # the pieces' costs leave out what their own ways out and back differ by
        raise InputInvalid(f"area: vehicle {start.sysid} cannot do this on one battery after the other; start nearer")

    def _flight(self, legs: tuple[Leg, ...], start: Start, layer_m: float) -> Flight:
        flying = Flying(
            height_m=self.work.height_m,
            tolerance_m=tolerance_m(self.work.height_m),
            speed_m_s=self._speed_m_s(start),
            trigger_m=self.work.trigger_m,
            airframe=self.site.airframe(start.sysid),
            usable_wh=self.site.usable_wh(start.sysid),
            conditions=self.site.conditions,
        )
        legs, way_home = self.keepouts.ways(self._turned(legs, start), self._place(start))
        return Flight(
            legs,
            start,
            flying,
            self.plane,
            self.terrain,
            layer_m=layer_m,
            way_home=way_home,
            obstacles=self.keepouts.obstacles,
        )

    def _turned(self, legs: tuple[Leg, ...], start: Start) -> tuple[Leg, ...]:
        """What a fixed wing can fly: lines entered level, turns of its radius between."""
        airframe = self.site.airframe(start.sysid)
        if airframe.kind is not Kind.FIXED_WING:
            return legs
        if any(leg.levels_amsl_m is not None or leg.length_m == 0.0 for leg in legs):
            raise InputInvalid(
                f"vehicles: {start.sysid} is a fixed wing: it flies surveys, corridors, patrols and waypoints only"
            )
        speed_m_s = self._speed_m_s(start)
        self.warnings.append(
            f"vehicle {start.sysid} is a fixed wing, which is experimental: it climbs on its way home, not before, and "
            "ends circling above home, to be landed by its pilot"
        )
        radius_m, lead_m = airframe.turn_radius_m(speed_m_s), LEAD_IN_S * speed_m_s
        return flyable(ordered_for_turns(legs, radius_m, lead_in_m=lead_m), radius_m, lead_in_m=lead_m)

    def _fits(self, flight: Flight) -> bool:
        try:
            flight.check_returns()
        except BeyondBattery:
            return False
        return flight.cost().energy_wh <= flight.flying.usable_wh and len(flight.items()) <= MOST_ITEMS

    def _check(self, flight: Flight) -> None:
        """Raises InputInvalid for a flight that is not safe, naming what stands against it and where."""
        sysid = flight.start.sysid
        try:
            flight.check_returns()
        except BeyondBattery as exc:
            raise InputInvalid(f"battery: vehicle {sysid}, {exc}") from exc
        self.keepouts.check(flight)

    def plan(self, began_s: float) -> Plan:
        """Everything summed up."""
        sorties: dict[int, int] = {}
        parts: list[VehiclePlan] = []
        for flight in self.flights:
            sysid = flight.start.sysid
            sorties[sysid] = sorties.get(sysid, 0) + 1
            parts.append(_part(flight, sorties[sysid]))
        delays_s = self._delays_s(parts) if self.delays_s is None else self.delays_s
        parts = [msgspec.structs.replace(part, delay_s=delay) for part, delay in zip(parts, delays_s, strict=True)]
        durations: dict[int, float] = {}
        for part in parts:
            durations[part.sysid] = durations.get(part.sysid, 0.0) + part.delay_s + part.duration_s
        for flight in self.flights:
            self._check(flight)
        highest_m = max(
            float(above_ground_m(flight.route, self.plane, self.terrain, step_m=20.0).max()) for flight in self.flights
        )
        if highest_m > USUAL_HIGHEST_M >= self.work.height_m:
            self.warnings.append(
                f"ways out and home are up to {highest_m:.0f} m above the ground; more than {USUAL_HIGHEST_M:.0f} m "
                "usually needs a permit"
            )
        if high := [stretch for flight in self.flights for stretch in flight.too_high]:
            worst = max(high, key=lambda stretch: stretch.above_ground_m)
            self.warnings.append(
                f"{sum(stretch.length_m for stretch in high):.0f} m are flown higher than asked for, up to "
                f"{worst.above_ground_m:.0f} m above the ground at lon {worst.lon:.5f}, lat {worst.lat:.5f}: "
                "slopes or obstacles are too steep for this speed"
            )
        gsd_cm = 100 * np.concatenate([self._gsd_m(flight) for flight in self.flights])
        return Plan(
            hash=plan_hash(tuple(parts)),
            lines=len(self.work.legs),
            path_m=round(sum(part.path_m for part in parts), 2),
            photos=sum(flight.photos for flight in self.flights),
            duration_s=round(max(durations.values()), 1),
            energy_wh=round(sum(part.energy_wh for part in parts), 2),
            sorties=len(parts),
            area_m2=round(self.work.area_m2, 1),
            gsd_cm={
                "min": round(float(gsd_cm.min()), 3),
                "median": round(float(np.median(gsd_cm)), 3),
                "max": round(float(gsd_cm.max()), 3),
            },
            plan_s=round(time.perf_counter() - began_s, 4),
            warnings=tuple(self.warnings),
            vehicles=tuple(parts),
        )

    def _delays_s(self, parts: list[VehiclePlan]) -> list[float]:
        """How much later each flight takes off than the first of its round, so that none comes too close to another."""
        delays = [0.0] * len(parts)
        for sortie in {part.sortie for part in parts}:
            together = [number for number, part in enumerate(parts) if part.sortie == sortie]
            tracks = [self.flights[number].track(self.site.begins_utc_s) for number in together]
            clearances = separate(
                tracks, self.plane, horizontal_m=APART_M, vertical_m=ABOVE_EACH_OTHER_M, time_margin_s=LATE_S
            )
            for number, clearance in zip(together, clearances, strict=True):
                delays[number] = round(clearance.delay_s, 1)
        if max(delays) > 0:
            who = ", ".join(
                f"{part.sysid} by {delay:.0f} s" for part, delay in zip(parts, delays, strict=True) if delay
            )
            self.warnings.append(f"take-offs are delayed to keep {APART_M:g} m apart: vehicle {who}")
        return delays

    def _gsd_m(self, flight: Flight) -> Array:
        """GSD in the middle of the picture, m, along the legs, below and to both sides as far as the next line."""
        camera = self.work.camera
        if self.work.slant_m is not None:
            return np.array([camera.gsd_m(slant_m) for slant_m in self.work.slant_m])
        if isinstance(self.terrain, FlatTerrain):
            return np.array([camera.gsd_m(self.work.height_m)])
        aside_m, path = self.work.piece_m / 2, flight.survey_path
        path = np.repeat(path, 2, axis=0) if len(path) == 1 else path  # a stop at one place
        heights_m = above_ground_m(path, self.plane, self.terrain, step_m=aside_m, aside_m=aside_m)
        return camera.gsd_m(1.0) * heights_m.ravel()


def _part(flight: Flight, sortie: int) -> VehiclePlan:
    items, cost, airframe = flight.items(), flight.cost(), flight.flying.airframe
    return VehiclePlan(
        sysid=flight.start.sysid,
        sortie=sortie,
        items=tuple(items),
        hash=mission_hash(items),
        path=flight.feature(f"flight {sortie}"),
        return_height_m=flight.return_height_m,
        times_s=tuple(round(float(at_s), 1) for at_s in flight.times_s),
        path_m=round(flight.path_m, 2),
        duration_s=round(cost.duration_s, 1),
        energy_wh=round(cost.energy_wh, 2),
        battery_percent=round(100 * cost.energy_wh / airframe.battery_wh, 1),
    )
