"""A vehicle that mavsdk commands, on the links, under the identity and with the checks of our own fleet."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import msgspec
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.afterwords import heed_afterwords
from fleet.autopilots import RELATIVE_INT, FlightMode
from fleet.channels import Inbox
from fleet.commands import (
    IN_PROGRESS,
    LEAST_SEVERE_WARNING,
    REFUSALS,
    SECOND_ACK_S,
    SETTLE_S,
    WORDS_S,
    CommandResult,
    CommandState,
    command_name,
    holds,
)
from fleet.errors import FleetError, TransferFailed, VehicleRefused
from fleet.failsafes import LostLinkPolicy, PolicyAboard
from fleet.fences import FENCE_TYPE, RALLY_TYPE, FenceArea, RallyPoint
from fleet.fleet import Fleet
from fleet.history import PoseHistory
from fleet.mavlink_vehicle import MODE_SHOWS_S, TAKEOFF_SHOWS_S
from fleet.mavsdk_bridge import SUPERSEDED, MavsdkBridge
from fleet.mavsdk_files import MavsdkFiles
from fleet.mavsdk_process import NO_GIMBAL
from fleet.missions import MissionItem
from fleet.parameters import Parameters
from fleet.telemetry import TelemetryState
from fleet.transfers import MISSION_TYPE, PAUSES_S, Progress, TransferProgress, ignore_progress
from geo.positions import Altitude, Datum

SET_MODE, ARM, START = 176, 400, 300
"""MAV_CMD_DO_SET_MODE, MAV_CMD_COMPONENT_ARM_DISARM, MAV_CMD_MISSION_START."""
LAND, REPOSITION, CHANGE_SPEED, GIMBAL_OWNER, GIMBAL_ANGLES = 21, 192, 178, 1001, 1000
"""MAV_CMD_NAV_LAND, ..DO_REPOSITION, ..DO_CHANGE_SPEED, ..DO_GIMBAL_MANAGER_CONFIGURE, ..DO_GIMBAL_MANAGER_PITCHYAW."""
UNANSWERED = frozenset(("TIMEOUT", "NO_SYSTEM", "CONNECTION_ERROR", "UNKNOWN"))
"""mavsdk's failures after which the vehicle may have obeyed all the same."""
REFUSED = frozenset(
    ("COMMAND_DENIED", "COMMAND_DENIED_LANDED_STATE_UNKNOWN", "COMMAND_DENIED_NOT_LANDED", "UNSUPPORTED", "BUSY")
)
"""mavsdk's failures that are a refusal; others are failures, or refusals where the autopilot gives words."""
WORTH_ANOTHER_TRY = frozenset(("ERROR", "BUSY", "TIMEOUT", "DENIED", "TRANSFER_CANCELLED"))
"""mavsdk's failures of an upload that may be repeated as a whole."""
UPLOADS = {MISSION_TYPE: "upload_mission", FENCE_TYPE: "upload_geofence", RALLY_TYPE: "upload_rally_points"}
UPLOAD_MESSAGES = frozenset(("MISSION_COUNT", "MISSION_ITEM_INT", "MISSION_ITEM", "MISSION_ACK", "MISSION_CLEAR_ALL"))
CANCEL_S = 2.0
MODE_POLL_S = 0.02


class MavsdkVehicle:
    """The port `Vehicle`, its commands and uploads done by mavsdk; an async context manager.

    Telemetry, read-backs, hashes and the decision to arm are those of the fleet's own vehicle. Left to the fleet's
    own commands, as mavsdk 4.1 was seen to do otherwise on the wire, is what would be unsafe:

    - `stop_motors`: an emergency must not hang on another process;
    - `disarm`, `hold`, `rtl` and `land` while mavsdk, or the fleet, has an older command unanswered: it ends;
    - `jump`: mavsdk repeats MISSION_SET_CURRENT every 50 ms without end where it is not confirmed;
    - `resume` on ArduPilot: mavsdk also sends MISSION_START, which on the ground takes off;
    - `orbit` and `look_at`: mavsdk sends a height above sea level in a frame above home;
    - the mode to arm in on ArduPilot: mavsdk knows no GUIDED mode without a place, and would arm in any.

    `trigger_camera` and `track_point` are refused: mavsdk knows no camera on the autopilot, and its camera plugin is
    left out, as it fetches a file from whatever URL a camera names, and its process is to speak to nobody but us.
    """

    def __init__(self, *, fleet: Fleet, sysid: int) -> None:
        """For a vehicle registered with a fleet that is entered; raises VehicleUnknown. Starts nothing yet."""
        self.sysid = sysid
        self.vehicle = fleet.vehicle(sysid)
        """The fleet's own one."""
        self.bridge = MavsdkBridge(fleet.router, sysid, alarm=lambda text: fleet.on_alarm(text))
        self.files = MavsdkFiles(self.bridge, sysid)
        """Files aboard, its logs among them."""
        self._locks: dict[int, asyncio.Lock] = {}
        self._approved: str | None = None

    async def __aenter__(self) -> Self:
        await self.bridge.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.bridge.__aexit__(kind, error, trace)

    @property
    def state(self) -> TelemetryState:
        """The latest snapshot."""
        return self.vehicle.state

    @property
    def history(self) -> PoseHistory:
        """Where it was and where its camera looked, by time."""
        return self.vehicle.history

    @property
    def parameters(self) -> Parameters:
        """Its parameters, by the fleet's own transfer; raises VehicleUnknown before its first heartbeat."""
        return self.vehicle.parameters

    async def set_lost_link(self, policy: LostLinkPolicy) -> PolicyAboard:
        """Have it do so when it hears us no more; what is aboard then, by the fleet's own transfer."""
        return await self.vehicle.set_lost_link(policy)

    async def raise_return(self, height_m: float) -> float:
        """Have it return at least so high above home, by the fleet's own transfer."""
        return await self.vehicle.raise_return(height_m)

    async def read_lost_link(self) -> PolicyAboard:
        """What it does when it hears no ground, by the fleet's own transfer."""
        return await self.vehicle.read_lost_link()

    # -- transfers ---------------------------------------------------------------------------------------------------

    async def upload_mission(self, items: list[MissionItem], *, progress: Progress = ignore_progress) -> str:
        """Have mavsdk send a plan, read it back ourselves and compare; raises as the fleet's own vehicle, LinkLost."""
        return await self.vehicle.upload_mission(items, progress=progress, by=self._upload)

    async def read_mission(self, *, progress: Progress = ignore_progress) -> list[MissionItem]:
        """The plan aboard, read by ourselves."""
        return await self.vehicle.read_mission(progress=progress)

    async def upload_fence(self, areas: Sequence[FenceArea]) -> str:
        """Have mavsdk replace the fence aboard, read it back ourselves and compare, and have it watched."""
        return await self.vehicle.upload_fence(areas, by=self._upload if areas else None)

    async def read_fence(self) -> tuple[FenceArea, ...]:
        """The fence aboard, read by ourselves."""
        return await self.vehicle.read_fence()

    async def upload_rally(self, points: Sequence[RallyPoint]) -> str:
        """Have mavsdk replace the rally points aboard, read them back ourselves and compare."""
        return await self.vehicle.upload_rally(points, by=self._upload if points else None)

    async def read_rally(self) -> tuple[RallyPoint, ...]:
        """The rally points aboard, read by ourselves."""
        return await self.vehicle.read_rally()

    async def _upload(self, items: list[MissionItem], mission_type: int, progress: Progress) -> None:
        wire = [_wire_item(seq, item, mission_type) for seq, item in enumerate(items)]
        texts_before = self.vehicle.telemetry.text_count
        for pause_s in (*PAUSES_S, None):
            failure = await self._upload_once(UPLOADS[mission_type], wire, progress)
            if failure not in WORTH_ANOTHER_TRY or pause_s is None:
                break
            await asyncio.sleep(pause_s)
        if failure is not None:
            words = "; ".join(self._warnings(texts_before)) or failure
            raise TransferFailed(f"sysid {self.sysid}: mavsdk's upload of {len(items)} items failed: {words}")
        progress(TransferProgress(stage="upload", done=len(items), total=len(items)))

    async def _upload_once(self, name: str, wire: list[tuple[Any, ...]], progress: Progress) -> str | None:
        def step(share: float) -> None:
            done = round(share * len(wire))
            progress(TransferProgress(stage="upload", done=done, total=len(wire)))

        try:
            return (await self.bridge.call(name, wire, messages=UPLOAD_MESSAGES, step=step)).failure
        except asyncio.CancelledError:
            with suppress(FleetError, TimeoutError):
                async with asyncio.timeout(CANCEL_S):
                    await self.bridge.call("cancel_mission_upload", messages=UPLOAD_MESSAGES)
            raise

    # -- arming and the mission --------------------------------------------------------------------------------------

    async def verify_mission(self, expected_hash: str) -> None:
        """Make sure that the mission aboard has this hash, by our own read-back."""
        await self.vehicle.verify_mission(expected_hash)

    async def arm(self, expected_hash: str) -> None:
        """Arm, if the mission aboard, read back by ourselves, has this hash; raises as the fleet's own vehicle."""
        await self.verify_mission(expected_hash)
        self.vehicle.refuse_armed()
        (await self.vehicle.set_mode(self.vehicle.autopilot.arming_mode)).accepted()
        await self._leaves_landing()
        await self.vehicle.verify_to_arm(expected_hash)
        result = await self._command(
            "arm", command=ARM, also={SET_MODE}, guarded=True, settled=lambda: self.state.armed
        )
        result.accepted()
        self._approved = expected_hash

    async def _leaves_landing(self) -> None:
        """Wait until mavsdk, too, has heard that the vehicle lands no more: it arms one that does from hold only."""
        for _ in range(round(MODE_SHOWS_S / MODE_POLL_S)):
            if (await self.bridge.call("flight_mode")).value not in ("LAND", "RETURN_TO_LAUNCH"):
                break
            await asyncio.sleep(MODE_POLL_S)

    async def disarm(self) -> CommandResult:
        """Stop the motors; an autopilot refuses that in the air."""
        if self._must_be_ours(ARM):
            return await self.vehicle.disarm()
        return await self._command("disarm", command=ARM)

    async def start_mission(self) -> None:
        """Fly the mission from its first item; the vehicle must have been armed here, against the approved mission.

        Raises VehicleRefused where it was not, MissionMismatch where another one is aboard by now, CommandFailed,
        CommandUnknown.
        """
        if self._approved is None:
            raise VehicleRefused(f"sysid {self.sysid}: was not armed for an approved mission by this adapter")
        await self.verify_mission(self._approved)
        autopilot, present = self.vehicle.autopilot, self.state.mission
        if present is not None and present.item not in (None, 0):
            (await self.vehicle.jump(0)).accepted()
        self.vehicle.telemetry.mission_replaced()
        separate = autopilot.needs_mission_mode
        result = await self._command(
            "start_mission",
            command=START if separate else SET_MODE,
            also={SET_MODE},
            acks=1 if separate else autopilot.mode_acks,
            guarded=True,
            settled=lambda: self.state.mode is FlightMode.MISSION and self.state.landed is False,
            settle_s=TAKEOFF_SHOWS_S,
        )
        result.accepted()

    async def hold(self) -> CommandResult:
        """Stand still where it is."""
        if self._must_be_ours(SET_MODE):
            return await self.vehicle.hold()
        return await self._mode("hold", FlightMode.HOLD)

    async def resume(self) -> CommandResult:
        """Go on with the mission where it was left. Raises VehicleRefused on the ground."""
        self.vehicle.refuse_grounded()
        if self.vehicle.autopilot.needs_mission_mode:
            return await self.vehicle.resume()
        return await self._mode("start_mission", FlightMode.MISSION)

    async def jump(self, item: int) -> CommandResult:
        """Go on at another item of the plan, counted from 0; by the fleet's own command."""
        return await self.vehicle.jump(item)

    async def rtl(self, *, to: RallyPoint | None = None) -> CommandResult:
        """Return and land: where the autopilot chooses, or, by the fleet's own command, at the rally point `to`."""
        if to is not None or self._must_be_ours(SET_MODE):
            return await self.vehicle.rtl(to=to)
        return await self._mode("return_to_launch", FlightMode.RTL)

    async def land(self) -> CommandResult:
        """Land where it is."""
        if self._must_be_ours(SET_MODE):
            return await self.vehicle.land()
        return await self._mode("land", FlightMode.LAND, command=LAND)

    # -- places, speed, camera ---------------------------------------------------------------------------------------

    async def goto(self, *, lon: float, lat: float, altitude: Altitude) -> CommandResult:
        """Fly to a place and stay there; the altitude's datum must be AMSL or HOME.

        mavsdk takes the height as AMSL for both autopilots. It has the vehicle stand still first, so one that then
        refuses the place holds, and its mission can be resumed. Raises VehicleRefused for what is no place, and for
        a height above a home that is not known.
        """
        amsl_m = self._amsl_m(altitude)
        if not (abs(lat) <= 90.0 and abs(lon) <= 180.0):
            raise VehicleRefused(f"sysid {self.sysid}: {lat:g}, {lon:g} deg is no place")
        telemetry, same_yaw = self.vehicle.telemetry, math.nan
        texts_before = telemetry.text_count
        result = await self._command("goto_location", lat, lon, amsl_m, same_yaw, command=REPOSITION, also={SET_MODE})
        heeds = self.vehicle.autopilot.forbidden_goto_is_accepted
        return await heed_afterwords(telemetry, result, texts_before) if heeds else result

    def _amsl_m(self, altitude: Altitude) -> float:
        target = self.vehicle.autopilot.reposition(altitude, self.state.home)
        home = self.state.home.altitude if self.state.home is not None else None
        z_m = math.nan if target is None else target.z_m
        if target is not None and target.frame == RELATIVE_INT:
            z_m += home.value_m if home is not None and home.datum is Datum.AMSL else math.nan
        if not math.isfinite(z_m):
            raise VehicleRefused(
                f"sysid {self.sysid}: a height of {altitude.value_m:g} m {altitude.datum} cannot be told to mavsdk;"
                " use AMSL, or HOME once its home is known"
            )
        return z_m

    async def change_height(self, altitude: Altitude) -> CommandResult:
        """Stay where it is now at another height (AMSL or HOME); that leaves the mission, which can be resumed."""
        here = self.state.position
        if here is None:
            raise VehicleRefused(f"sysid {self.sysid}: its position is not known, so it cannot keep it")
        return await self.goto(lon=here.lon, lat=here.lat, altitude=altitude)

    async def change_speed(self, speed_m_s: float) -> CommandResult:
        """Fly so fast over ground from now on, m/s. Raises VehicleRefused for what is no speed."""
        if not (math.isfinite(speed_m_s) and speed_m_s > 0):
            raise VehicleRefused(f"sysid {self.sysid}: {speed_m_s:g} m/s is no speed to fly at")
        return await self._command("set_current_speed", speed_m_s, command=CHANGE_SPEED)

    async def orbit(
        self, *, lon: float, lat: float, altitude: Altitude, radius_m: float, speed_m_s: float, clockwise: bool = True
    ) -> CommandResult:
        """Circle a place with the nose towards it; by the fleet's own command."""
        return await self.vehicle.orbit(
            lon=lon, lat=lat, altitude=altitude, radius_m=radius_m, speed_m_s=speed_m_s, clockwise=clockwise
        )

    async def look_at(self, *, lon: float, lat: float, altitude: Altitude) -> CommandResult:
        """Keep the camera on a place; by the fleet's own command."""
        return await self.vehicle.look_at(lon=lon, lat=lat, altitude=altitude)

    async def look_ahead(self) -> CommandResult:
        """Have no region of interest any more; by the fleet's own command."""
        return await self.vehicle.look_ahead()

    async def set_gimbal(self, *, pitch_deg: float, yaw_deg: float = 0.0) -> CommandResult:
        """Point the camera by the gimbal protocol v2: take control, then pitch against the horizon, yaw from the nose.

        Raises VehicleRefused where the vehicle announces no gimbal manager.
        """
        return await self._command("point_gimbal", pitch_deg, yaw_deg, command=GIMBAL_ANGLES, also={GIMBAL_OWNER})

    async def track_point(self, *, x: float, y: float) -> CommandResult:
        """Raises VehicleRefused."""
        raise VehicleRefused(f"sysid {self.sysid}: no tracking by mavsdk; command it by our own adapter")

    async def trigger_camera(self) -> CommandResult:
        """Raises VehicleRefused."""
        raise VehicleRefused(f"sysid {self.sysid}: no pictures by mavsdk; command it by our own adapter")

    async def stop_motors(self) -> CommandResult:
        """Stop the motors at once, also in the air; by the fleet's own command."""
        self.bridge.supersede()
        return await self.vehicle.stop_motors()

    def _must_be_ours(self, command: int) -> bool:
        """Before an urgent `command`: ends what mavsdk is doing; whether something older may stand in its way.

        mavsdk sends no second command of a kind while it repeats one, and would repeat it under the new call. The
        fleet's own takes the place of its own.
        """
        repeats = self.bridge.supersede()
        return repeats or self.vehicle.commands.busy(command)

    # -- how a call of mavsdk ends -----------------------------------------------------------------------------------

    async def _mode(self, call: str, mode: FlightMode, *, command: int = SET_MODE) -> CommandResult:
        """A call that changes the mode, which must show in the heartbeat."""
        acks = self.vehicle.autopilot.mode_acks if command == SET_MODE else 1
        result = await self._command(call, command=command, acks=acks, settled=lambda: self.state.mode is mode)
        if result.state is not CommandState.ACCEPTED or await holds(lambda: self.state.mode is mode, MODE_SHOWS_S):
            return result
        words = f"accepted, but still in {self.state.mode_name} after {MODE_SHOWS_S:g} s"
        return msgspec.structs.replace(result, state=CommandState.DENIED, texts=(*result.texts, words))

    async def _command(
        self,
        call: str,
        *arguments: float,
        command: int,
        also: Set[int] = frozenset(),
        acks: int = 1,
        guarded: bool = False,
        settled: Callable[[], bool] | None = None,
        settle_s: float = SETTLE_S,
    ) -> CommandResult:
        """Have mavsdk do `call`, which sends `command` and may send those of `also`; what became of it.

        The rest as in `Commands.long`. mavsdk goes by the first acknowledgement; of several, the last is true.
        """
        since = self.bridge.superseded
        async with self._locks.setdefault(command, asyncio.Lock()):
            texts_before = self.vehicle.telemetry.text_count
            with self.vehicle.channel.listen("COMMAND_ACK") as inbox:
                answer = await self.bridge.call(
                    call, *arguments, commands={command, *also}, guarded=guarded, since=since
                )
                failure = answer.failure
                result = await self._last_ack(inbox, command, acks if failure is None else 0)
            if failure == NO_GIMBAL:
                raise VehicleRefused(
                    f"sysid {self.sysid}: announces no gimbal manager, and mavsdk knows no other gimbal"
                )
            if failure == SUPERSEDED:
                unknown = self._result(command, CommandState.UNKNOWN, None, texts_before)
                return msgspec.structs.replace(unknown, superseded=True)
            if failure in UNANSWERED:
                shows = settled is not None and await holds(settled, settle_s)
                return self._result(
                    command, CommandState.ACCEPTED if shows else CommandState.UNKNOWN, None, texts_before
                )
            if failure is None and result in (None, dialect.MAV_RESULT_ACCEPTED):
                return self._result(command, CommandState.ACCEPTED, result, texts_before)
            await asyncio.sleep(WORDS_S)
            denied = failure in REFUSED or result in REFUSALS or self._warnings(texts_before)
            state = CommandState.DENIED if denied else CommandState.FAILED
            return self._result(command, state, result, texts_before)

    async def _last_ack(self, inbox: Inbox, command: int, acks: int) -> int | None:
        """MAV_RESULT of the last acknowledgement for mavsdk, waiting until there were `acks`."""
        result, heard = None, 0
        while (ack := await inbox.get(SECOND_ACK_S if heard < acks else 0.0)) is not None:
            ours = ack.target_component in (0, self.bridge.compid)
            if ours and ack.command == command and ack.result != IN_PROGRESS:
                result, heard = int(ack.result), heard + 1
        return result

    def _warnings(self, texts_before: int) -> tuple[str, ...]:
        texts = self.vehicle.telemetry.texts_since(texts_before)
        return tuple(text.text for text in texts if text.severity <= LEAST_SEVERE_WARNING)

    def _result(self, command: int, state: CommandState, result: int | None, texts_before: int) -> CommandResult:
        return CommandResult(
            sysid=self.sysid,
            command=command_name(command),
            state=state,
            result=result,
            texts=self._warnings(texts_before),
        )


def _wire_item(seq: int, item: MissionItem, mission_type: int) -> tuple[Any, ...]:
    """The fields of mavsdk's MissionItem, which wants the first one marked as current."""
    current, autocontinue = int(seq == 0), int(item.autocontinue)
    place = (item.x, item.y, item.z)
    return (seq, item.frame, item.command, current, autocontinue, *item.params, *place, mission_type)
