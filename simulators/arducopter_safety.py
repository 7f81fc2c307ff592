"""ArduCopter's failsafes: what it watches, what it says then, and where it flees to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simulators.autopilot_arming import NEEDS_POSITION
from simulators.autopilot_failsafes import BatteryWatch, Charge, GroundWatch
from simulators.autopilot_fence import Fence
from simulators.autopilot_flavour import Mode
from simulators.autopilot_guidance import Point
from simulators.position_watch import PositionWatch

if TYPE_CHECKING:
    from simulators.autopilot_arducopter import ArduCopter

SEVERITY_CRITICAL, SEVERITY_WARNING, SEVERITY_NOTICE, SEVERITY_INFO = 2, 4, 5, 6
"""MAV_SEVERITY."""
MINIMUM_HEIGHT, MAXIMUM_HEIGHT, BOUNDARY, RADIUS = 1, 2, 3, 4
"""FENCE_BREACH; RADIUS is not of that enumeration, and told as BOUNDARY."""
BREACHES = {MINIMUM_HEIGHT: "Min Alt", MAXIMUM_HEIGHT: "Max Alt", BOUNDARY: "Polygon", RADIUS: "Circle"}
"""What ArduPilot calls them in its texts."""
FENCE_WAYS = {2: Mode.LAND, 4: Mode.BRAKE, 5: Mode.LAND}
GROUND_WAYS = {4: Mode.LAND, 5: Mode.LAND, 7: Mode.BRAKE}
BATTERY_WAYS = {1: Mode.LAND, 2: Mode.RTL, 3: Mode.RTL, 4: Mode.LAND, 6: Mode.RTL, 7: Mode.BRAKE}
"""Ways out by FENCE_ACTION, FS_GCS_ENABLE (others: RTL) and BATT_FS_..._ACT (others: none). SmartRTL is not here: where
it is the first choice, the second is taken."""
TERMINATES = 5
"""BATT_FS_..._ACT that stops the motors."""
CONTINUE_AUTO, CONTINUE_LANDING, CONTINUE_PILOT = 2, 8, 16
"""Of FS_OPTIONS, for a lost ground: modes that are left alone."""
EKF_LANDS = {True: (1, 3), False: (3,)}
"""FS_EKF_ACTION that lands, in modes that need a position and in others; else it only says so."""


class ArduCopterSafety:
    """Watches the ground, the position, the battery and the fence of one vehicle."""

    def __init__(self, pilot: ArduCopter) -> None:
        """All is well."""
        self._pilot = pilot
        self.ground = GroundWatch(pilot.parameters)
        self.position = PositionWatch(lost_s=8.0, back_s=1.2)
        self.battery = BatteryWatch(pilot.parameters, pilot.battery)
        self.fence = Fence([], pilot.frame)
        self._glitching = False

    def well(self) -> bool:
        """Whether no failsafe stands that would keep it from arming."""
        return not self.ground.lost and self.battery.charge is Charge.OK

    def critical(self) -> bool:
        """Whether a failsafe stands."""
        return self.position.lost or not self.well()

    def step(self, dt_s: float) -> None:
        """Look at everything; flee where that is due."""
        pilot = self._pilot
        self._watch_ground()
        if pilot.time_s > pilot.boot.ready_s:
            self._watch_position(dt_s)
        self._watch_fence()
        worse = self.battery.step(dt_s) if pilot.armed else None
        if worse is not None:
            self._battery_worse(worse)

    def _watch_ground(self) -> None:
        pilot = self._pilot
        lost = self.ground.step(pilot.ground_time_s())
        if lost is False:
            pilot.say(SEVERITY_WARNING, "GCS Failsafe Cleared")
        if not lost:
            return
        action, options = int(pilot.parameters["FS_GCS_ENABLE"]), int(pilot.parameters["FS_OPTIONS"])
        if pilot.armed and pilot.flying:
            if pilot.mode is Mode.AUTO and (action == 2 or options & CONTINUE_AUTO):
                pilot.say(SEVERITY_WARNING, "GCS Failsafe - Continuing Auto Mode")
                return
            if pilot.landed_state() == 4 and options & CONTINUE_LANDING:
                pilot.say(SEVERITY_WARNING, "GCS Failsafe - Continuing Landing")
                return
            if pilot.mode in (Mode.STABILIZE, Mode.LOITER) and options & CONTINUE_PILOT:
                pilot.say(SEVERITY_WARNING, "GCS Failsafe - Continuing Pilot Control")
                return
        self._escape(GROUND_WAYS.get(action, Mode.RTL))
        pilot.say(SEVERITY_WARNING, "GCS Failsafe")

    def _watch_position(self, dt_s: float) -> None:
        pilot = self._pilot
        blind = self.position.step(dt_s, fix=pilot.has_fix(), diverging=pilot.estimate.diverging)
        if blind is False:
            pilot.say(SEVERITY_CRITICAL, "EKF Failsafe Cleared")
        elif blind and pilot.flying:
            pilot.say(SEVERITY_CRITICAL, "EKF variance")
            if pilot.parameters["FS_EKF_ACTION"] in EKF_LANDS[pilot.mode in NEEDS_POSITION]:
                self._escape(Mode.LAND)
                pilot.say(SEVERITY_CRITICAL, "EKF Failsafe: changed to LAND Mode")
        if pilot.estimate.glitching is not self._glitching:
            self._glitching = pilot.estimate.glitching
            pilot.say(SEVERITY_CRITICAL, "GPS Glitch or Compass error" if self._glitching else "Glitch cleared")

    def _battery_worse(self, charge: Charge) -> None:
        pilot = self._pilot
        word = "low" if charge is Charge.LOW else "critical"
        volts, used = pilot.battery.voltage_v, pilot.battery.used_mah
        pilot.say(SEVERITY_WARNING, f"Battery 1 is {word} {volts:.2f}V used {used:.0f} mAh")
        pilot.say(SEVERITY_WARNING, "Battery Failsafe")
        action = int(pilot.parameters["BATT_FS_LOW_ACT" if charge is Charge.LOW else "BATT_FS_CRT_ACT"])
        if action == TERMINATES:
            pilot.disarm(force=True)
        else:
            self._escape(BATTERY_WAYS.get(action))

    def breach_at(self, place: Point) -> int:
        """FENCE_BREACH at a place, of the kinds that FENCE_TYPE switches on; 0 for none."""
        p, home = self._pilot.parameters, self._pilot.controls.home
        if not p["FENCE_ENABLE"]:
            return 0
        kinds = int(p["FENCE_TYPE"])
        if kinds & 1 and place.u - home.u > p["FENCE_ALT_MAX"]:
            return MAXIMUM_HEIGHT
        if kinds & 8 and self._pilot.flying and place.u - home.u < p["FENCE_ALT_MIN"]:
            return MINIMUM_HEIGHT
        if kinds & 2 and math.hypot(place.n - home.n, place.e - home.e) > p["FENCE_RADIUS"]:
            return RADIUS
        return BOUNDARY if kinds & 4 and not self.fence.allows(place.n, place.e) else 0

    def _watch_fence(self) -> None:
        pilot = self._pilot
        breach = self.breach_at(pilot.controls.motion.point()) if pilot.home_set else 0
        if breach == pilot.breach:
            return
        was, pilot.breach = pilot.breach, breach
        if not breach:
            pilot.say(SEVERITY_NOTICE, "Fence breach cleared")
        elif not was and pilot.flying:
            pilot.breaches += 1
            action = int(pilot.parameters["FENCE_ACTION"])
            if action:
                self._escape(FENCE_WAYS.get(action, Mode.RTL))
            pilot.say(SEVERITY_NOTICE, f"{BREACHES[breach]} fence breached")
            pilot.say(SEVERITY_INFO, "Manual recovery started")

    def _escape(self, mode: Mode | None) -> None:
        """Take a failsafe's way out; on the ground that is to stop the motors."""
        pilot = self._pilot
        if mode is None or not pilot.armed:
            return
        if not pilot.flying:
            pilot.disarm(force=True)
        elif not (pilot.mode is Mode.LAND or (pilot.mode is Mode.RTL and mode is Mode.RTL)):
            pilot.set_mode(mode if pilot.has_position() else Mode.LAND)
