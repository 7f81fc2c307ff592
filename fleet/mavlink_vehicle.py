"""A vehicle on our own MAVLink links."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.afterwords import heed_afterwords
from fleet.autopilots import Autopilot, FlightMode
from fleet.channels import Channel
from fleet.commands import CommandResult, Commands, CommandState, Urgency, holds
from fleet.errors import MissionMismatch, VehicleRefused, VehicleUnknown
from fleet.failsafes import LostLinkPolicy, PolicyAboard, raise_return, read_policy, set_policy
from fleet.fences import (
    FENCE_TYPE,
    RALLY_TYPE,
    FenceArea,
    RallyPoint,
    fence_areas,
    fence_hash,
    fence_items,
    rally_hash,
    rally_items,
    rally_points,
)
from fleet.history import PoseHistory
from fleet.missions import (
    ENDING_COMMANDS,
    FLYING_COMMANDS,
    MissionItem,
    check_mission,
    first_difference,
    mission_hash,
)
from fleet.parameters import Parameters
from fleet.plan_ids import id_in_count, id_in_current
from fleet.snapshots import Telemetry
from fleet.streams import StreamKeeper
from fleet.telemetry import TelemetryState
from fleet.transfers import MISSION_TYPE, Progress, download, ignore_progress, upload
from fleet.vehicle import VehicleRecord
from geo.positions import Altitude

READ_BACK_VALID_S = 30.0
"""A read-back older than this is taken again before arming, unless the vehicle says that it is still the same."""
SAID_BEFORE_S = 2.0
"""What is said so soon after a read-back may be of before it, s of the wall: it is read again when it matters."""
MODE_SHOWS_S = 3.0
"""A mode that was accepted must show in the heartbeat within this, s of the wall."""
CERTAIN_S = 1.0
"""A vehicle that said no longer ago that its mission is still the same may be armed by that."""
JUMP_SHOWS_S = 3.0
"""A jump to another item shows in MISSION_CURRENT within this, s of the wall."""
TAKEOFF_SHOWS_S = 8.0
"""A mission started without an acknowledgement shows by the vehicle's taking off within this, s of the wall."""
FLOWN = FLYING_COMMANDS | ENDING_COMMANDS
"""Items that a vehicle flies; it moves on from others."""
FORCED = 21196.0
"""MAVLink's number for disarming in the air."""
Upload = Callable[[list[MissionItem], int, Progress], Awaitable[None]]
"""Sends a list as it goes on the wire: items, MAV_MISSION_TYPE, who hears of progress. Raises TransferFailed."""


class MavlinkVehicle:
    """A vehicle on our links."""

    def __init__(self, record: VehicleRecord, channel: Channel, telemetry: Telemetry) -> None:
        """Speaks through `channel`; whoever receives for this sysid calls `receive`."""
        self.record = record
        self.sysid = record.sysid
        self.channel = channel
        self.telemetry = telemetry
        self.commands = Commands(channel, telemetry)
        self.streams = StreamKeeper(self.commands, telemetry)
        self._transfer = asyncio.Lock()
        self._mission_moves = self._mission_comes = False
        self._id: int | None = None
        self._hash: str | None = None
        self._read_monotonic_s = self._confirmed_monotonic_s = -math.inf
        self._items: list[MissionItem] | None = None

    def receive(self, message: Any, utc_s: float) -> None:
        """Take a message of its autopilot or gimbal into account, heard at `utc_s`."""
        kind = message.get_type()
        self.telemetry.receive(message, utc_s)
        self.streams.heard(kind)
        self.channel.deliver(message)
        if kind == "MISSION_COUNT":
            if self._mission_comes and message.mission_type == MISSION_TYPE and self.channel.for_us(message):
                self._id = id_in_count(message)
        elif kind in ("STATUSTEXT", "MISSION_CURRENT") and not self._mission_moves:
            self._watch_mission(message)

    @property
    def state(self) -> TelemetryState:
        """The latest snapshot."""
        return self.telemetry.state

    @property
    def history(self) -> PoseHistory:
        """Where it was and where its camera looked, by time."""
        return self.telemetry.history

    @property
    def mission_hash(self) -> str | None:
        """Hash of the mission aboard as last read back; None if unknown, as after a failed transfer."""
        return self._hash

    @property
    def mission_items(self) -> list[MissionItem] | None:
        """The mission aboard as last read back; None if unknown."""
        return self._items

    @property
    def autopilot(self) -> Autopilot:
        """How to speak to it; raises VehicleUnknown before its first heartbeat."""
        if self.telemetry.autopilot is None:
            raise VehicleUnknown(f"sysid {self.sysid} ({self.record.name}): no heartbeat heard yet")
        return self.telemetry.autopilot

    @property
    def parameters(self) -> Parameters:
        """Its parameters; raises VehicleUnknown before its first heartbeat."""
        return Parameters(self.channel, integers_as_bytes=self.autopilot.integers_as_bytes)

    async def set_lost_link(self, policy: LostLinkPolicy) -> PolicyAboard:
        """Write what it does when it hears us no more, and who we are, and read both back.

        Raises as `fleet.failsafes.set_policy` does.
        """
        return await set_policy(self.parameters, self.autopilot, policy, gcs_sysid=self.channel.ground[0])

    async def read_lost_link(self) -> PolicyAboard:
        """What it does when it hears no ground, read now; raises as `fleet.failsafes.read_policy` does."""
        return await read_policy(self.parameters, self.autopilot)

    async def raise_return(self, height_m: float) -> float:
        """Have it return at least so high above home; the height that is aboard then, m. Raises as `raise_return` of
        `fleet.failsafes` does."""
        return await raise_return(self.parameters, self.autopilot, height_m)

    async def _upload(self, items: list[MissionItem], mission_type: int, progress: Progress) -> None:
        await upload(self.channel, items, mission_type=mission_type, progress=progress)

    async def upload_mission(
        self, items: list[MissionItem], *, progress: Progress = ignore_progress, by: Upload | None = None
    ) -> str:
        """Send a plan, read it back and compare; returns the hash of what is aboard.

        `by` sends it in place of our own transfer. Raises MissionInvalid before anything is sent, TransferFailed, or
        MissionMismatch; after the last two the mission aboard counts as unknown.
        """
        check_mission(items)
        wire = self.autopilot.to_wire(items, self.state.home)
        async with self._moving_mission():
            self.forget()
            await (by or self._upload)(wire, MISSION_TYPE, progress)
            difference = first_difference(items, await self._read_back(progress))
            if difference is not None:  # a late word of the list before may have come in between: look again
                difference = first_difference(items, await self._read_back(progress))
            if difference is not None:
                self.forget()
                raise MissionMismatch(f"sysid {self.sysid}: what was read back is not what was sent: {difference}")
            self.telemetry.mission_replaced()
        return mission_hash(items)

    async def read_mission(self, *, progress: Progress = ignore_progress) -> list[MissionItem]:
        """The plan aboard, read now; raises TransferFailed."""
        async with self._moving_mission():
            return await self._read_back(progress)

    @asynccontextmanager
    async def _moving_mission(self) -> AsyncIterator[None]:
        """Alone with the vehicle's lists; what it says of its mission meanwhile is of our own doing."""
        async with self._transfer:
            self._mission_moves = True
            try:
                yield
            finally:
                self._mission_moves = self._mission_comes = False

    async def _download(self, mission_type: int, progress: Progress = ignore_progress) -> list[MissionItem]:
        """The list of this type aboard, as it is on the wire."""
        read_ahead = self.autopilot.read_ahead
        return await download(self.channel, mission_type=mission_type, read_ahead=read_ahead, progress=progress)

    async def _read_back(self, progress: Progress) -> list[MissionItem]:
        self.forget()
        self._mission_comes = True
        items = self.autopilot.from_wire(await self._download(MISSION_TYPE, progress))
        self._hash, self._items = mission_hash(items), items
        self._read_monotonic_s = self._confirmed_monotonic_s = time.monotonic()
        return items

    async def upload_fence(self, areas: Sequence[FenceArea], *, by: Upload | None = None) -> str:
        """Replace the fence aboard, read it back and compare, and have it watched; its hash. No areas clear it.

        `by` as in `upload_mission`. Raises MissionInvalid before anything is sent, TransferFailed, MissionMismatch,
        or VehicleRefused where the autopilot does not watch it.
        """
        async with self._transfer:
            await (by or self._upload)(fence_items(areas), FENCE_TYPE, ignore_progress)
            aboard = fence_hash(fence_areas(await self._download(FENCE_TYPE)))
        self._compare("fence", aboard, fence_hash(areas))
        for name, value in self.autopilot.fence_parameters.items():
            await self.parameters.write(name, value)
        if self.autopilot.fence_must_be_enabled:
            on = 1.0 if areas else 0.0
            (await self.commands.long(dialect.MAV_CMD_DO_FENCE_ENABLE, on)).accepted()
        return aboard

    async def read_fence(self) -> tuple[FenceArea, ...]:
        """The fence aboard, read now. Raises TransferFailed, MissionInvalid where it is none that we know."""
        async with self._transfer:
            return fence_areas(await self._download(FENCE_TYPE))

    async def upload_rally(self, points: Sequence[RallyPoint], *, by: Upload | None = None) -> str:
        """Replace the rally points aboard, read them back and compare; their hash. No points clear them.

        `by` as in `upload_mission`. Raises MissionInvalid before anything is sent, TransferFailed, MissionMismatch.
        """
        async with self._transfer:
            await (by or self._upload)(rally_items(points), RALLY_TYPE, ignore_progress)
            aboard = rally_hash(rally_points(await self._download(RALLY_TYPE)))
        self._compare("list of rally points", aboard, rally_hash(points))
        return aboard

    async def read_rally(self) -> tuple[RallyPoint, ...]:
        """The rally points aboard, read now. Raises TransferFailed, MissionInvalid."""
        async with self._transfer:
            return rally_points(await self._download(RALLY_TYPE))

    def _compare(self, what: str, aboard: str, sent: str) -> None:
        if aboard != sent:
            raise MissionMismatch(f"sysid {self.sysid}: the {what} read back hashes to {aboard[:12]}, sent {sent[:12]}")

    def forget(self) -> None:
        """Believe no more what was read of its mission: the next `verify_mission` reads it again."""
        self._hash = self._items = self._id = None
        self._confirmed_monotonic_s = -math.inf

    def _watch_mission(self, message: Any) -> None:
        """Somebody else may change the mission aboard; an id that stays the same says that nobody did."""
        now_s = time.monotonic()
        if message.get_type() == "STATUSTEXT":
            text = message.text if isinstance(message.text, str) else message.text.decode("utf-8", "replace")
            changed = text.startswith("Flight plan received")
        elif self._items is None or self.telemetry.autopilot is None:
            return
        else:
            total, present = self.autopilot.plan_total(message.total), id_in_current(message)
            changed = bool(total) and total != len(self._items)
            known = self._id is not None and present is not None
            changed = changed or (known and present != self._id)
            if known and not changed:
                self._confirmed_monotonic_s = now_s
        if changed and now_s - self._read_monotonic_s > SAID_BEFORE_S:
            self.forget()
        elif changed:
            self._confirmed_monotonic_s = -math.inf

    async def verify_to_arm(self, expected_hash: str) -> None:
        """As `verify_mission`, and read back anew unless the vehicle itself just said that it is still the same.

        ArduPilot never does, and does not always say that its mission was changed.
        """
        if self._id is None or time.monotonic() - self._confirmed_monotonic_s > CERTAIN_S:
            self.forget()
        await self.verify_mission(expected_hash)

    async def verify_mission(self, expected_hash: str) -> None:
        """Make sure that the mission aboard is the approved one, reading it back where that is not certain.

        Raises MissionMismatch or TransferFailed.
        """
        if self._hash is None or time.monotonic() - self._confirmed_monotonic_s > READ_BACK_VALID_S:
            await self.read_mission()
        if self._hash != expected_hash:
            known = "is not known" if self._hash is None else f"hashes to {self._hash[:12]}"
            raise MissionMismatch(f"sysid {self.sysid}: the mission aboard {known}, approved is {expected_hash[:12]}")

    async def arm(self, expected_hash: str) -> None:
        """Arm in the mode that a mission starts from.

        Raises MissionMismatch unless what was read back hashes to `expected_hash`; VehicleRefused with the
        autopilot's words, or before anything is sent where it is armed: somebody else flies it; CommandFailed;
        CommandUnknown.
        """
        urgent = self.commands.urgent
        await self.verify_mission(expected_hash)
        self.refuse_armed()
        (await self.set_mode(self.autopilot.arming_mode)).accepted()
        await self.verify_to_arm(expected_hash)
        self._refuse_overtaken(urgent)
        result = await self.commands.long(dialect.MAV_CMD_COMPONENT_ARM_DISARM, 1.0, settled=lambda: self.state.armed)
        if result.state is CommandState.DENIED:
            result = msgspec.structs.replace(result, texts=(*result.texts, *await self._arming_reasons()))
        result.accepted()

    def refuse_armed(self) -> None:
        """Raises VehicleRefused where it is armed already."""
        if self.state.armed:
            raise VehicleRefused(f"sysid {self.sysid} is armed already ({self.state.mode_name}); nothing was sent")

    def _refuse_overtaken(self, urgent: int) -> None:
        """Raises VehicleRefused where a stop, disarm, return, hold or landing was ordered since there were `urgent`."""
        if self.commands.urgent != urgent:
            raise VehicleRefused(f"sysid {self.sysid}: a later, urgent order took the place of this one")

    async def look_again(self) -> None:
        """Have it say now whether it can be armed: ArduPilot in texts, PX4 in a report; what stood before is kept."""
        await self.commands.long(dialect.MAV_CMD_RUN_PREARM_CHECKS)

    async def _arming_reasons(self) -> tuple[str, ...]:
        """Why a PX4 cannot be armed to fly its mission: it says so in events alone, and only when asked again."""
        if self.autopilot.tells_prearm:
            return ()
        await self.look_again()
        report = self.state.arming
        return () if report is None else report.reasons(self.autopilot.arming_mode)

    async def disarm(self) -> CommandResult:
        """Stop the motors; an autopilot refuses that in the air."""
        return await self.commands.long(dialect.MAV_CMD_COMPONENT_ARM_DISARM, 0.0, urgency=Urgency.SAFES)

    async def start_mission(self) -> None:
        """Fly the mission aboard from its first item; the vehicle must be armed. Raises as `arm` does."""
        urgent = self.commands.urgent
        present = self.state.mission
        if present is not None and present.item not in (None, 0):
            first = self.autopilot.wire_seq(0)
            self.channel.send(dialect.MAVLink_mission_set_current_message(self.sysid, self.channel.compid, first))
        if self.autopilot.needs_mission_mode:
            (await self.set_mode(FlightMode.MISSION, confirm=False)).accepted()
        self._refuse_overtaken(urgent)
        self.telemetry.mission_replaced()
        result = await self.commands.long(
            dialect.MAV_CMD_MISSION_START,
            repeatable=False,
            settled=lambda: self.state.mode is FlightMode.MISSION and self.state.landed is False,
            settle_s=TAKEOFF_SHOWS_S,
        )
        result.accepted()

    async def set_mode(
        self, mode: FlightMode, *, confirm: bool = True, urgency: Urgency = Urgency.WAITS
    ) -> CommandResult:
        """Change the mode; `confirm` waits until the heartbeat shows it (accepted is not yet done).

        `urgency`: whether it waits for an older change of the mode, or takes its place.
        """
        parameters = self.autopilot.mode_parameters(mode)

        def shows() -> bool:
            return self.state.mode is mode

        result = await self.commands.long(
            dialect.MAV_CMD_DO_SET_MODE, *parameters, acks=self.autopilot.mode_acks, settled=shows, urgency=urgency
        )
        if not confirm or result.state is not CommandState.ACCEPTED or await holds(shows, MODE_SHOWS_S):
            return result
        words = f"accepted, but still in {self.state.mode_name} after {MODE_SHOWS_S:g} s"
        return msgspec.structs.replace(result, state=CommandState.DENIED, texts=(*result.texts, words))

    async def hold(self) -> CommandResult:
        """Stand still where it is."""
        return await self.set_mode(FlightMode.HOLD, urgency=Urgency.SAFES)

    async def resume(self) -> CommandResult:
        """Go on with the mission where it was left.

        Raises VehicleRefused on the ground: there a PX4 would take off with whatever mission is aboard.
        """
        self.refuse_grounded()
        return await self.set_mode(FlightMode.MISSION)

    def refuse_grounded(self) -> None:
        """Raises VehicleRefused where it is not in the air."""
        if not self.state.in_the_air:
            raise VehicleRefused(f"sysid {self.sysid} is not in the air, so it has no mission to go on with")

    async def jump(self, item: int) -> CommandResult:
        """Go on at another item of the plan, counted from 0; at one without a place the vehicle moves on to the next.

        PX4 has no command for it, so the message is sent, once, and telemetry tells what became of it. Raises
        VehicleRefused for an item that the mission aboard does not have.
        """
        mission = self.state.mission
        total = len(self._items) if self._items is not None else (mission.total if mission else None) or 0
        if not 0 <= item < total:
            raise VehicleRefused(f"sysid {self.sysid}: the mission aboard has {total} items, no item {item}")
        last = item
        while self._items is not None and last < total - 1 and self._items[last].command not in FLOWN:
            last += 1

        def shows() -> bool:
            now = self.state.mission
            return now is not None and now.item is not None and item <= now.item <= last

        seq = self.autopilot.wire_seq(item)
        message = dialect.MAVLink_mission_set_current_message(self.sysid, self.channel.compid, seq)
        return await self.commands.unacknowledged(
            dialect.MAV_CMD_DO_SET_MISSION_CURRENT, message, settled=shows, settle_s=JUMP_SHOWS_S
        )

    async def rtl(self, *, to: RallyPoint | None = None) -> CommandResult:
        """Return and land: home or at the nearest rally point, as the autopilot chooses; or at the rally point `to`.

        That one then replaces the rally points aboard, and home no longer counts as one. Raises as `upload_rally` does,
        and ParameterError.
        """
        if to is not None:
            await self.upload_rally([to])
            for name, value in self.autopilot.only_rally_parameters.items():
                await self.parameters.write(name, value)
        return await self.set_mode(FlightMode.RTL, urgency=Urgency.SAFES)

    async def land(self) -> CommandResult:
        """Land where it is."""
        return await self.set_mode(FlightMode.LAND, urgency=Urgency.SAFES)

    async def goto(self, *, lon: float, lat: float, altitude: Altitude) -> CommandResult:
        """Fly to a place and stay there; the altitude's datum must be AMSL or HOME.

        Raises VehicleRefused for what is no place, and where the height cannot be told to this autopilot.
        """
        texts_before = self.telemetry.text_count
        result = await self._at_place(dialect.MAV_CMD_DO_REPOSITION, (-1.0, 1.0, 0.0, math.nan), lon, lat, altitude)
        heeds = self.autopilot.forbidden_goto_is_accepted
        return await heed_afterwords(self.telemetry, result, texts_before) if heeds else result

    async def change_height(self, altitude: Altitude) -> CommandResult:
        """Stay where it is now at another height (AMSL or HOME); that leaves the mission, which can be resumed.

        Raises VehicleRefused, also where its position is not known.
        """
        here = self.state.position
        if here is None:
            raise VehicleRefused(f"sysid {self.sysid}: its position is not known, so it cannot keep it")
        return await self.goto(lon=here.lon, lat=here.lat, altitude=altitude)

    async def change_speed(self, speed_m_s: float) -> CommandResult:
        """Fly so fast over ground from now on, m/s. Raises VehicleRefused for what is no speed."""
        if not (math.isfinite(speed_m_s) and speed_m_s > 0):
            raise VehicleRefused(f"sysid {self.sysid}: {speed_m_s:g} m/s is no speed to fly at")
        ground_speed, same_throttle = 1.0, -1.0
        return await self.commands.long(dialect.MAV_CMD_DO_CHANGE_SPEED, ground_speed, speed_m_s, same_throttle)

    async def orbit(
        self, *, lon: float, lat: float, altitude: Altitude, radius_m: float, speed_m_s: float, clockwise: bool = True
    ) -> CommandResult:
        """Circle a place with the nose towards it, at a height (AMSL or HOME), until told otherwise.

        Raises VehicleRefused as `goto` does, and for an autopilot that has no such command (ArduCopter).
        """
        if not self.autopilot.orbits:
            raise VehicleRefused(
                f"sysid {self.sysid}: {self.autopilot.name} has no command to orbit a place;"
                " plan it as a mission with turns"
            )
        if not (math.isfinite(radius_m) and radius_m > 0 and math.isfinite(speed_m_s) and speed_m_s > 0):
            raise VehicleRefused(f"sysid {self.sysid}: no orbit has {radius_m:g} m of radius at {speed_m_s:g} m/s")
        nose_to_centre = 0.0
        params = (radius_m if clockwise else -radius_m, speed_m_s, nose_to_centre, 0.0)
        return await self._at_place(dialect.MAV_CMD_DO_ORBIT, params, lon, lat, altitude)

    async def look_at(self, *, lon: float, lat: float, altitude: Altitude) -> CommandResult:
        """Keep the camera on a place (height AMSL or HOME): the region of interest. Raises VehicleRefused."""
        return await self._at_place(dialect.MAV_CMD_DO_SET_ROI_LOCATION, (0.0, 0.0, 0.0, 0.0), lon, lat, altitude)

    async def look_ahead(self) -> CommandResult:
        """Have no region of interest any more."""
        return await self.commands.long(dialect.MAV_CMD_DO_SET_ROI_NONE)

    async def _at_place(
        self, command: int, params: tuple[float, float, float, float], lon: float, lat: float, altitude: Altitude
    ) -> CommandResult:
        target = self.autopilot.reposition(altitude, self.state.home)
        if target is None or not math.isfinite(target.z_m):
            raise VehicleRefused(
                f"sysid {self.sysid}: a height of {altitude.value_m:g} m {altitude.datum} cannot be told to"
                f" {self.autopilot.name}; use AMSL, or HOME once its home is known"
            )
        if not (abs(lat) <= 90.0 and abs(lon) <= 180.0):
            raise VehicleRefused(f"sysid {self.sysid}: {lat:g}, {lon:g} deg is no place")
        return await self.commands.at_place(
            command, frame=target.frame, params=params, x=round(lat * 1e7), y=round(lon * 1e7), z=target.z_m
        )

    async def set_gimbal(self, *, pitch_deg: float, yaw_deg: float = 0.0) -> CommandResult:
        """Point the camera: pitch against the horizon (nadir -90), yaw from the nose, deg."""
        mavlink_targeting = 2.0
        return await self.commands.long(
            dialect.MAV_CMD_DO_MOUNT_CONTROL, pitch_deg, 0.0, yaw_deg, 0.0, 0.0, 0.0, mavlink_targeting
        )

    async def track_point(self, *, x: float, y: float) -> CommandResult:
        """Have the camera follow what is at a point of its picture, both 0 to 1 from the top left.

        Raises VehicleRefused for a point outside of the picture. Not every camera can; then it is denied or unknown.
        """
        if not (0.0 <= x <= 1.0 and 0.0 <= y <= 1.0):
            raise VehicleRefused(f"sysid {self.sysid}: {x:g}, {y:g} is no point of the picture, which is 0 to 1")
        return await self.commands.long(dialect.MAV_CMD_CAMERA_TRACK_POINT, x, y)

    async def trigger_camera(self) -> CommandResult:
        """Take one picture; never asked for twice. Where no camera answers (PX4 without one) it is unknown."""
        shoot = 1.0
        return await self.commands.long(dialect.MAV_CMD_DO_DIGICAM_CONTROL, 0, 0, 0, 0, shoot, repeatable=False)

    async def stop_motors(self) -> CommandResult:
        """Stop the motors at once, also in the air: it falls."""
        return await self.commands.long(
            dialect.MAV_CMD_COMPONENT_ARM_DISARM,
            0.0,
            FORCED,
            settled=lambda: not self.state.armed,
            urgency=Urgency.STOPS,
        )
