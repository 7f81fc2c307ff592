"""PX4's failsafes: what it watches, what it says then, and where it flees to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simulators.autopilot import SensorBits
from simulators.autopilot_fence import Fence
from simulators.autopilot_flavour import Mode
from simulators.autopilot_missions import RALLY
from simulators.fault_schedule import GpsOff, VehicleFault
from simulators.position_watch import PositionWatch
from simulators.px4_events import Event
from simulators.px4_failsafes import BatteryLevel, GroundLink, Warning

if TYPE_CHECKING:
    from simulators.px4_autopilot import Px4Autopilot

RALLY_AGAIN_S = 2.06
"""How often a rally point that cannot be read is complained of, s."""
TARGET_LOST_WAYS = {4: Mode.LAND, 5: Mode.HOLD, 6: Mode.TERMINATION}
"""By COM_OBL_RC_ACT, when the ground's targets for OFFBOARD stop coming; others: RTL, for want of a stick."""
NOT_SUPPORTED_FRAME = 6
"""A rally point sent in this frame is taken and cannot be read."""
SENSORS_PRESENT, SENSORS_ENABLED, SENSORS_HEALTHY = 0x0200402F, 0x0201402F, 0x1320C83F
COMPASS, GPS, POSITION_CONTROL, BATTERY, PREARM_CHECK = 0x4, 0x20, 0x4000, 0x2000000, 0x10000000
"""MAV_SYS_STATUS_SENSOR, and SYS_STATUS as recorded when all is well: the bit of the pre-flight check is healthy alone,
and neither present nor enabled."""
SATELLITES_NEEDED = 4
RECEIVER_GONE_S = 4.0
"""A receiver that has said nothing for so long is no longer called present, s."""


class Px4Safety:
    """Watches the ground, the position, the battery, the fence and the attitude of one vehicle."""

    def __init__(self, pilot: Px4Autopilot) -> None:
        """All is well."""
        self._pilot = pilot
        self.ground = GroundLink(pilot.parameters)
        self.position = PositionWatch(lost_s=5.2, back_s=2.5)
        self.battery = BatteryLevel(pilot.parameters, pilot.battery)
        self.fence = Fence([], pilot.frame)
        self.active = False
        """A failsafe has taken over."""
        self.blind = False
        """It lands because it has lost its position."""
        self.outside = False
        """It is outside of its fence."""
        self._escape_s: float | None = None
        self._escape = Mode.RTL
        self._rally_s = 0.0
        self._said_no_ground = self._said_fall = False
        self._injected: list[VehicleFault] = []

    # -- what breaks, and how it looks -----------------------------------------------------------------------------

    def inject(self, fault: VehicleFault, *, ends: bool) -> None:
        """INJECT_FAILURE of a unit that is handled."""
        self._injected = [other for other in self._injected if type(other) is not type(fault)]
        self._injected += [] if ends else [fault]
        self.break_as_told()

    def break_as_told(self) -> None:
        """By INJECT_FAILURE, and by SIM_GPS_USED, which takes the satellites away, as in SITL."""
        pilot = self._pilot
        blind = [GpsOff()] if pilot.parameters["SIM_GPS_USED"] < SATELLITES_NEEDED else []
        pilot.failures.told([*blind, *self._injected])

    def sensor_bits(self) -> SensorBits:
        """What SYS_STATUS says."""
        pilot = self._pilot
        present, healthy = SENSORS_PRESENT, SENSORS_HEALTHY
        if not pilot.has_position():
            healthy &= ~POSITION_CONTROL
        if self.position.without_s > RECEIVER_GONE_S:
            present &= ~GPS
        if pilot.failures.compass:
            healthy &= ~COMPASS
        if self.battery.warning > Warning.NONE:
            healthy &= ~BATTERY
        if not pilot.checks_pass():
            healthy &= ~PREARM_CHECK
        return SensorBits(present, present & SENSORS_ENABLED, healthy)

    # -- watching --------------------------------------------------------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Look at everything; flee where that is due."""
        pilot = self._pilot
        now_s = pilot.time_s
        self._watch_ground(now_s)
        self._watch_position(dt_s)
        self._watch_rally(now_s)
        self._watch_attitude()
        self.battery.voltage_v = pilot.failures.voltage_v
        if pilot.armed:
            self._watch_battery(dt_s)
        if pilot.armed and pilot.flying:
            self._watch_fence()
        if self._escape_s is not None and now_s >= self._escape_s:
            self._escape_s = None
            self.fail_to(self._escape)

    def _watch_ground(self, now_s: float) -> None:
        pilot, p = self._pilot, self._pilot.parameters
        lost = self.ground.step(pilot.ground_time_s())
        if p["NAV_DLL_ACT"] > 0 and not self._said_no_ground and now_s >= 1.3 and not self.ground.connected():
            self._said_no_ground = True
            pilot.voice.say_plainly(4, "Preflight Fail: No connection to the GCS")
        if lost is None:
            return
        if not lost:
            pilot.event(Event.GROUND_BACK)
            pilot.say(6, "GCS connection regained")
            return
        pilot.event(Event.GROUND_LOST)
        pilot.say(6, "Connection to ground station lost")
        if p["NAV_DLL_ACT"] == 0:
            return
        if not pilot.armed:
            pilot.voice.say_plainly(4, "Preflight Fail: No connection to the GCS")
        excepted = int(p["COM_DLL_EXCEPT"])
        spared = (pilot.mode is Mode.AUTO and excepted & 1) or (pilot.mode is Mode.HOLD and excepted & 2)
        if pilot.flying and not spared:
            ways = {1: Mode.HOLD, 3: Mode.LAND, 5: Mode.TERMINATION, 6: Mode.TERMINATION}
            self._hold_then(ways.get(int(p["NAV_DLL_ACT"]), Mode.RTL))

    def _watch_position(self, dt_s: float) -> None:
        pilot = self._pilot
        if pilot.time_s < pilot.ready_s:
            return
        without_s = self.position.without_s
        lost = self.position.step(dt_s, fix=pilot.has_fix(), diverging=pilot.estimate.diverging)
        if not pilot.armed and any(without_s <= mark < self.position.without_s for mark in (0.2, 5.2, 7.4)):
            pilot.voice.say_plainly(4, "Preflight: GPS fix too low")
        if lost and pilot.flying:
            self.fail_to(Mode.LAND)
            self.blind = True
        elif lost is False and self.blind:
            self.blind = self.active = False
            pilot.enter(Mode.HOLD)

    def _watch_battery(self, dt_s: float) -> None:
        level, action = self.battery.step(dt_s), int(self._pilot.parameters["COM_LOW_BAT_ACT"])
        if level is Warning.LOW:
            self._pilot.say(2, "Low battery")
        elif level is Warning.CRITICAL:
            self._pilot.say(2, "Critical battery")
            if action > 0:
                self._hold_then(Mode.LAND if action == 2 else Mode.RTL)
        elif level is Warning.EMERGENCY:
            self._pilot.say(0, "Emergency battery level")
            self._pilot.say(2, "System does not support shutdown")
            if action > 0:
                self.fail_to(Mode.LAND)

    def allows(self, n: float, e: float, u: float) -> bool:
        """Whether the fence, and the greatest distances from the home, let it be at a place."""
        p, home = self._pilot.parameters, self._pilot.controls.home
        if 0.0 < p["GF_MAX_HOR_DIST"] < math.hypot(n - home.n, e - home.e):
            return False
        if 0.0 < p["GF_MAX_VER_DIST"] < u - home.u:
            return False
        return not self.fence or self.fence.allows(n, e)

    def _watch_fence(self) -> None:
        pilot, at = self._pilot, self._pilot.controls.motion
        action = int(pilot.parameters["GF_ACTION"])
        outside = action > 0 and not self.allows(at.n, at.e, at.u)
        if outside and not self.outside:
            pilot.event(Event.OUTSIDE_GEOFENCE)
            pilot.voice.say_plainly(2, "Geofence: approaching or outside geofence")
            if action > 1:
                self._hold_then({2: Mode.HOLD, 4: Mode.TERMINATION, 5: Mode.LAND}.get(action, Mode.RTL))
        self.outside = outside

    def _watch_attitude(self) -> None:
        """Without a motor it falls and turns over, and believes itself in the air ever after."""
        falls = self._pilot.failures.falls and self._pilot.armed
        if falls and not self._said_fall:
            self._pilot.event(Event.ATTITUDE_FAILURE)
            self._pilot.voice.say_plainly(2, "Preflight Fail: Attitude failure (roll)")
        self._said_fall = falls

    # -- rally points that cannot be read ----------------------------------------------------------------------------

    def _watch_rally(self, now_s: float) -> None:
        if self._pilot.mode is Mode.RTL or now_s < self._rally_s:
            return
        self.complain_of_rally()
        self._rally_s = now_s + RALLY_AGAIN_S

    def complain_of_rally(self) -> bool:
        """Say it of each rally point that cannot be read; whether there is one."""
        unread = [item for item in self._pilot.transfers.items[RALLY] if item.frame == NOT_SUPPORTED_FRAME]
        for _ in unread:
            self._pilot.event(Event.RALLY_FRAME)
            self._pilot.say(2, "RTL: unsupported MAV_FRAME")
        return bool(unread)

    # -- the way out -----------------------------------------------------------------------------------------------

    def _hold_then(self, mode: Mode) -> None:
        """A failsafe that gives the ground COM_FAIL_ACT_T seconds to take over."""
        delay = self._pilot.parameters["COM_FAIL_ACT_T"]
        self._pilot.event(Event.FAILSAFE_HOLD)
        self._pilot.say(2, f"Failsafe activated: entering Hold for {delay:.0f} seconds")
        self.active = True
        self._pilot.enter(Mode.HOLD)
        self._escape, self._escape_s = mode, self._pilot.time_s + delay

    def fail_to(self, mode: Mode) -> None:
        """A failsafe that acts at once."""
        self._pilot.event(Event.FAILSAFE)
        self._pilot.say(2, "Failsafe activated")
        self.active = True
        self._escape_s = None
        if mode is Mode.TERMINATION:
            self._pilot.terminated = True
        self._pilot.enter(mode)

    def target_lost(self) -> None:
        """The ground's targets for OFFBOARD have stopped coming."""
        self.fail_to(TARGET_LOST_WAYS.get(int(self._pilot.parameters["COM_OBL_RC_ACT"]), Mode.RTL))

    def overruled(self, mode: Mode) -> None:
        """The ground takes over: a failsafe ends, and does not act again."""
        if self.active and mode is not self._pilot.mode:
            self._pilot.event(Event.PILOT_TOOK_OVER)
            if self.outside:
                self._pilot.voice.say_plainly(2, "Geofence: approaching or outside geofence")
        self.active, self._escape_s, self.blind = False, None, False

    def rest(self) -> None:
        """The motors stopped."""
        self.active, self._escape_s = False, None
        self.battery.rest()
