"""One vehicle, one plan, from the first heartbeat to the landing."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from fleet.autopilots import FlightMode
from fleet.commands import holds
from fleet.errors import CommandError, CommandUnknown, LinkLost, LinkUnreachable, VehicleRefused, VehicleUnknown
from fleet.fleet import Fleet
from fleet.mavlink_vehicle import MavlinkVehicle
from fleet.missions import (
    ENDING_COMMANDS,
    FLYING_COMMANDS,
    MAV_CMD_NAV_TAKEOFF,
    MissionItem,
    check_mission,
    mission_hash,
)
from fleet.telemetry import Condition, TelemetryState
from fleet.transfers import TransferProgress
from fleet.vehicle import VehicleRecord
from geo.positions import LocalPlane

CONNECT_S = 15.0
"""Wait for the first heartbeat, s of the wall."""
OTHERS_S = 1.5
"""Wait for further vehicles on the link where none is named, s of the wall."""
ARMABLE_S = 180.0
"""Wait until the autopilot lets itself be armed, s of the wall (ArduCopter needs 41 s after boot)."""
RETRY_ARM_S = 2.0
UNANSWERED_START_S = 10.0
"""A vehicle that did not answer the start of its mission is watched so long for its taking off, s of the wall."""
LOOK_S = 0.05
DISARMED_S = 10.0
"""Disarmed for so long (wall), a flight is over even if the vehicle does not say that it stands on the ground."""
ARMED_SHOWS_S = 3.0
"""Arming shows in the next heartbeat only, s of the wall."""


class FlightProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a flight stands."""

    stage: str
    """`connect`, `upload`, `read-back`, `arm`, `fly` or `landed`."""
    done: int = 0
    """Items through, of this stage."""
    total: int = 0
    """Items in all."""
    text: str = ""
    """What the autopilot or we have to say."""


class FlightResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a flight."""

    autopilot: str
    """`ardupilot` or `px4`."""
    sysid: int
    """The vehicle."""
    items: int
    """Of the plan."""
    upload_s: float
    """Upload and read-back, s of the wall."""
    hash: str
    """Of the plan, and of what was read back."""
    reached: int
    """Items of the plan that the vehicle worked through, counted from the first."""
    flight_s: float
    """From the start of the mission to the landing, s of the vehicle's clock."""
    landed: bool
    """On the ground and disarmed."""
    max_cross_track_m: float
    """Farthest from the planned legs, between the first and the last waypoint, horizontally, m."""


Report = Callable[[FlightProgress], None]


def ignore_report(progress: FlightProgress) -> None:
    """For who does not want to know."""


async def fly(
    items: list[MissionItem],
    link: str,
    *,
    sysid: int | None = None,
    progress: Report = ignore_report,
    connect_s: float = CONNECT_S,
    armable_s: float = ARMABLE_S,
) -> FlightResult:
    """Fly a plan with the one vehicle on a link (or the one of `sysid`), and come back when it has landed.

    Raises MissionInvalid before connecting, LinkInvalid, LinkUnreachable, VehicleUnknown (several vehicles, none
    named), TransferFailed, MissionMismatch, VehicleRefused with the autopilot's words, LinkLost. If the caller
    gives up in flight, the vehicle goes on with its mission.
    """
    check_mission(items)
    async with Fleet([link]) as fleet:
        progress(FlightProgress(stage="connect", text=f"waiting for a heartbeat on {link}"))
        vehicle = await connect(fleet, sysid=sysid, connect_s=connect_s)
        vehicle.refuse_armed()

        def report(transfer: TransferProgress) -> None:
            progress(FlightProgress(stage=transfer.stage, done=transfer.done, total=transfer.total))

        started_s = time.monotonic()
        plan_hash = await vehicle.upload_mission(items, progress=report)
        upload_s = time.monotonic() - started_s
        await launch(fleet, vehicle, plan_hash, progress=progress, armable_s=armable_s)
        boot_s = vehicle.state.boot_s or 0.0
        watch = FlightWatch(items, vehicle)
        await watch.until_landed(progress)
        return FlightResult(
            autopilot=vehicle.autopilot.name,
            sysid=vehicle.sysid,
            items=len(items),
            upload_s=round(upload_s, 3),
            hash=mission_hash(items),
            reached=watch.reached,
            flight_s=round((vehicle.state.boot_s or 0.0) - boot_s, 2),
            landed=vehicle.state.landed is not False and not vehicle.state.armed,
            max_cross_track_m=round(watch.max_cross_track_m, 2),
        )


async def connect(fleet: Fleet, *, sysid: int | None, connect_s: float) -> MavlinkVehicle:
    """The one vehicle on the fleet's links, or the one named, registered."""
    deadline_s = time.monotonic() + connect_s
    names = ", ".join(link.name for link in fleet.links)
    while not (fleet.strangers if sysid is None else sysid in fleet.strangers):
        if time.monotonic() > deadline_s:
            who = "a vehicle" if sysid is None else f"sysid {sysid}"
            others = f" (heard: {sorted(fleet.strangers)})" if fleet.strangers else ""
            raise LinkUnreachable(f"{names}: no heartbeat of {who} within {connect_s:g} s{others}")
        await asyncio.sleep(LOOK_S)
    if sysid is None:
        await asyncio.sleep(OTHERS_S)
        if len(fleet.strangers) > 1:
            raise VehicleUnknown(f"{names} carries several vehicles, sysid {sorted(fleet.strangers)}; name one")
        sysid = next(iter(fleet.strangers))
    return fleet.register(VehicleRecord(sysid=sysid, name=f"vehicle {sysid}"))


async def launch(
    fleet: Fleet,
    vehicle: MavlinkVehicle,
    plan_hash: str,
    *,
    progress: Report = ignore_report,
    armable_s: float = ARMABLE_S,
) -> None:
    """Arm as soon as the autopilot lets itself be armed, and start the mission at once.

    A start that is not answered is not asked for again: the vehicle may fly any moment. It counts as started where
    the vehicle takes off all the same.

    Raises MissionMismatch, VehicleRefused with the autopilot's last words after `armable_s` s of the wall,
    CommandUnknown.
    """
    deadline_s, armed = time.monotonic() + armable_s, False
    while True:
        try:
            if vehicle.state.prearm_good is False:
                words = tuple(text.text for text in vehicle.state.texts if "arm" in text.text.lower())[-3:]
                said = "; ".join(words) or "its own pre-arm check does not pass yet"
                raise VehicleRefused(f"sysid {vehicle.sysid}: not ready to arm: {said}", texts=words)
            progress(FlightProgress(stage="arm", text="arming"))
            armed = armed and vehicle.state.armed
            if not armed:
                await vehicle.arm(plan_hash)
                armed = True
            await vehicle.start_mission()
        except (VehicleRefused, CommandError) as exc:
            if armed and isinstance(exc, CommandUnknown):
                if await holds(lambda: vehicle.state.in_the_air, UNANSWERED_START_S):
                    return
                raise
            if time.monotonic() > deadline_s:
                raise
            progress(FlightProgress(stage="arm", text=str(exc)))
            await asyncio.sleep(RETRY_ARM_S / fleet.clock_rate(vehicle.sysid))
        else:
            return


class FlightWatch:
    """Follows a vehicle through its mission until it has landed."""

    def __init__(self, items: list[MissionItem], vehicle: MavlinkVehicle) -> None:
        """`vehicle` has just started on `items`."""
        self._items, self._vehicle = items, vehicle
        self.reached = 0
        """Items worked through, counted from the first."""
        self.max_cross_track_m = 0.0
        """Farthest from the legs so far, m."""
        flown = [
            (index, item)
            for index, item in enumerate(items)
            if item.command in FLYING_COMMANDS and item.command != MAV_CMD_NAV_TAKEOFF and (item.x or item.y)
        ]
        lonlat = [(item.y / 1e7, item.x / 1e7) for _, item in flown]
        indices = [index for index, _ in flown]
        if flown and (home := vehicle.state.home or vehicle.state.position) is not None:
            lonlat, indices = [(home.lon, home.lat), *lonlat], [0, *indices]  # it takes off where it stands
        self._indices = np.array(indices, np.int64)
        self._corners = np.zeros((0, 2))
        if lonlat:
            self._plane = LocalPlane(lon=lonlat[0][0], lat=lonlat[0][1])
            self._corners = np.column_stack(self._plane.to_plane(*np.array(lonlat).T))
        self._looked_s = vehicle.state.boot_s or 0.0
        self._ends_itself = any(item.command in ENDING_COMMANDS for item in items)

    async def until_landed(self, progress: Report = ignore_report) -> None:
        """Wait for the landing; sends home a vehicle whose finished plan does not end in a landing.

        Raises LinkLost where the vehicle is lost, VehicleRefused where it disarmed without having flown.
        """
        flown, sent_home, last = False, False, -1
        down_since_s = time.monotonic()
        while True:
            state = self._vehicle.state
            flown = flown or (state.armed and state.in_the_air)
            self._look(state)
            if self.reached != last:
                last = self.reached
                text = state.texts[-1].text if state.texts else ""
                progress(FlightProgress(stage="fly", done=self.reached, total=len(self._items), text=text))
            if state.condition is Condition.LOST:
                raise LinkLost(f"sysid {state.sysid}: lost in flight at item {self.reached} of {len(self._items)}")
            down_since_s = time.monotonic() if state.armed else down_since_s
            if (
                flown
                and not state.armed
                and (state.landed is not False or time.monotonic() - down_since_s > DISARMED_S)
            ):
                break
            if not flown and time.monotonic() - down_since_s > ARMED_SHOWS_S:
                words = tuple(text.text for text in state.texts[-3:])
                raise VehicleRefused(
                    f"sysid {state.sysid}: disarmed without taking off: {'; '.join(words)}", texts=words
                )
            done = state.mission is not None and state.mission.complete
            if flown and done and not self._ends_itself and not sent_home:
                sent_home = True
                (await self._vehicle.rtl()).accepted()
            await asyncio.sleep(LOOK_S)
        await asyncio.sleep(LOOK_S)
        self._look(self._vehicle.state)
        progress(FlightProgress(stage="landed", done=self.reached, total=len(self._items)))

    def _look(self, state: TelemetryState) -> None:
        """Take the positions since the last look into account."""
        mission = state.mission
        if mission is not None:
            done = max(mission.item or 0, -1 if mission.reached is None else mission.reached + 1)
            last = len(self._items) - 1
            landed = state.landed is not False and not state.armed
            if mission.complete or (landed and done >= last and self._ends_itself):
                done = len(self._items)
            self.reached = max(self.reached, min(done, len(self._items)))
        rows = self._vehicle.history.track(30.0)
        offset_s = self._vehicle.history.utc_of(0.0) or 0.0
        rows = rows[rows[:, 0] - offset_s > self._looked_s]
        if not len(rows):
            return
        self._looked_s = float(rows[-1, 0]) - offset_s
        if mission is None or mission.item is None or state.mode is not FlightMode.MISSION or len(self._corners) < 2:
            return
        towards = int(np.searchsorted(self._indices, mission.item))
        if 1 <= towards < len(self._corners):
            east_m, north_m = self._plane.to_plane(rows[:, 1], rows[:, 2])
            corners = self._corners[max(0, towards - 3) : towards + 3]
            cross_m = off_path_m(np.column_stack([east_m, north_m]), corners)
            self.max_cross_track_m = max(self.max_cross_track_m, float(cross_m.max()))


def off_path_m(points: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each point (n, 2) from a path through corners (k, 2), k at least 2, in the unit of both."""
    starts, legs = corners[:-1], np.diff(corners, axis=0)
    lengths2 = np.maximum((legs**2).sum(axis=1), 1e-12)
    along = ((points[:, None, :] - starts) * legs).sum(axis=2) / lengths2
    nearest = starts + np.clip(along, 0.0, 1.0)[..., None] * legs
    distances = np.hypot(*np.moveaxis(points[:, None, :] - nearest, 2, 0))
    best: NDArray[np.float64] = distances.min(axis=1) if len(corners) > 1 else np.full(len(points), math.inf)
    return best
