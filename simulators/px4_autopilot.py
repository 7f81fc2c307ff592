"""PX4: how it boots, arms, changes modes and saves itself."""

from __future__ import annotations

import math

from fleet.missions import MissionItem
from simulators.autopilot import Autopilot, Hardware, SensorBits
from simulators.autopilot_fence import Fence
from simulators.autopilot_flavour import PX4, Mode
from simulators.autopilot_guidance import Leg, Point
from simulators.autopilot_manoeuvres import Circle, Drive, Facing, Hold, Land, Manoeuvre, TakeOff
from simulators.autopilot_missions import FENCE, MISSION, RALLY
from simulators.px4_arming import failing_checks, report
from simulators.px4_events import Event
from simulators.px4_land_detector import LandDetector
from simulators.px4_mission_run import Outcome, Px4MissionRun
from simulators.px4_missions import Px4Transfers
from simulators.px4_orders import OwnOrders
from simulators.px4_parameters import Px4Parameters
from simulators.px4_reports import ItemReports
from simulators.px4_return import Px4Return, return_goal
from simulators.px4_safety import Px4Safety
from simulators.px4_voice import Px4Voice

FIRST_FIX_S = 0.3
"""After power-on, s."""
RUNS_IN_AUTO = {Mode.TAKEOFF, Mode.HOLD, Mode.AUTO, Mode.RTL, Mode.LAND}
NAMES = {Mode.AUTO: "Mission", Mode.RTL: "Return", Mode.POSITION: "Position"}
"""What PX4 calls a mode in its texts, where that is not our name."""


class Px4Autopilot(Autopilot):
    """PX4 1.17 as recorded."""

    def __init__(self, hardware: Hardware, parameters: Px4Parameters) -> None:
        """Power on."""
        super().__init__(hardware, PX4, parameters, Mode.HOLD)
        self.parameters = parameters
        self.voice = Px4Voice(self.emit, self.ground_time_s)
        self.orders = OwnOrders(self.emit, lambda: self.time_s, int(parameters["MAV_SYS_ID"]))
        self.reports = ItemReports(self._item_reached, lambda: self.time_s)
        self.transfers: Px4Transfers = Px4Transfers(self.emit, self.say, self.ground_time_s, self._list_replaced)
        self.run = Px4MissionRun(
            lambda: self.transfers.items[MISSION], self.controls, self.place_of, self.perform, self.reports.reached,
            self.say, self.event,
        )  # fmt: skip
        self.transfers.current = lambda: self.run.current
        self.safety = Px4Safety(self)
        self.land_detector = LandDetector(self)
        self._took_off_to_m: float | None = None
        self._back_to = Mode.HOLD
        self._idle_s, self._enters_mission = 0.0, False
        self._target_s = -math.inf
        self._drive = Drive(0.0, 0.0, 0.0)
        self.parameters_changed()

    # -- what it believes ----------------------------------------------------------------------------------------

    def _fix_s(self) -> float:
        return FIRST_FIX_S

    def hear_ground(self, sysid: int) -> None:
        """A heartbeat of a ground station; all count alike."""
        self.safety.ground.heard(self.ground_time_s())

    def remote_id_on(self) -> bool:
        """By COM_ARM_ODID, which warns or insists."""
        return self.parameters["COM_ARM_ODID"] > 0

    def parameters_changed(self) -> None:
        """SIM_ parameters break things, as in SITL."""
        self.safety.break_as_told()

    def remaining(self) -> float:
        """Part of the battery's charge that it believes to be left, 0 to 1."""
        return self.safety.battery.left()

    def sensor_bits(self) -> SensorBits:
        """As recorded."""
        return self.safety.sensor_bits()

    def has_position(self) -> bool:
        """Whether it knows where it is."""
        return not self.safety.position.lost and self.time_s >= self.ready_s

    def checks_pass(self) -> bool:
        """Whether it could be armed in a mode that can be."""
        return not failing_checks(self)

    def may_arm(self) -> bool:
        """Whether it could be armed now, in the mode it is in."""
        runs = self.mode in (Mode.HOLD, Mode.TAKEOFF) or (self.mode is Mode.AUTO and self.run.valid)
        return runs and self.checks_pass()

    def system_status(self) -> int:
        """MAV_STATE: UNINIT wherever it could not be armed."""
        if self.mode is Mode.TERMINATION:
            return 8
        if self.armed:
            return 5 if self.safety.active else 4
        return 3 if self.may_arm() else 0

    def base_mode(self) -> int:
        """MAV_MODE_FLAG, as recorded for the kinds of modes."""
        flags = 0x1D if self.mode in RUNS_IN_AUTO else 0x51 if self.mode is Mode.POSITION else 0x01
        flags |= 0x10 if self.armed and self.mode in (Mode.OFFBOARD, Mode.ORBIT) else 0
        return flags | (0x80 if self.armed else 0)

    def mission_current(self) -> tuple[int, int, int, int]:
        """Item, total (65535 for none), MISSION_STATE, and 1 in modes that lead by items, else 2."""
        return self.run.report(leads=self.mode in (Mode.AUTO, Mode.TAKEOFF, Mode.LAND))

    def charge_state(self) -> int:
        """MAV_BATTERY_CHARGE_STATE."""
        return 1 + int(self.safety.battery.warning)

    def landed_state(self) -> int:
        """MAV_LANDED_STATE."""
        if not self.flying or self.land_detector.landed_s is not None:
            return 1
        manoeuvre = self._manoeuvre
        if self.mode is Mode.AUTO:
            return 3 if self.run.taking_off() else 4 if self.run.landing() else 2
        if isinstance(manoeuvre, TakeOff):
            return 3
        comes_down = isinstance(manoeuvre, Land) or (isinstance(manoeuvre, Px4Return) and manoeuvre.landing)
        return 4 if comes_down else 2

    def leg(self) -> Leg | None:
        """The leg being flown, if one is."""
        return self.run.leg() if self.mode is Mode.AUTO else super().leg()

    # -- what it says --------------------------------------------------------------------------------------------

    def say(self, severity: int, text: str) -> None:
        """A text that is an event too."""
        self.voice.say(severity, text)

    def say_now(self) -> None:
        """Send what waits, if a ground is there to read it."""
        self.voice.say_now(self.time_s, heard=self.safety.ground.present(self.ground_time_s()))

    def event(self, event: Event, arguments: bytes | None = None) -> None:
        """An EVENT, whether a ground is there or not."""
        self.voice.event(event, boot_ms=int(self.time_s * 1e3), arguments=arguments)

    def report(self) -> None:
        """What speaks against arming, in events."""
        for event, arguments in report(self):
            self.event(event, arguments)

    # -- orders --------------------------------------------------------------------------------------------------

    def set_mode(self, mode: Mode, words: str = "") -> bool:
        """By the ground; armed, it must be able to run it. Ends a failsafe, which then does not act again."""
        if self.armed and not self._can_run(mode):
            self.say(2, f"Switching to {NAMES.get(mode, mode.value.capitalize())} is currently not available")
            return False
        self.safety.overruled(mode)
        if mode in (Mode.RTL, Mode.LAND) and self.mode in (Mode.HOLD, Mode.AUTO):
            self._back_to = self.mode
        if words:
            self.say(6, words)
        self.enter(mode)
        return True

    def _can_run(self, mode: Mode) -> bool:
        if mode is Mode.AUTO and not self.run.valid:
            return False
        if mode is Mode.OFFBOARD:
            return self.time_s - self._target_s < self.parameters["COM_OF_LOSS_T"]
        return mode is Mode.TERMINATION or mode is Mode.LAND or self.has_position()

    def enter(self, mode: Mode) -> None:
        """Be in a mode, without a question."""
        if mode is self.mode and self._manoeuvre is not None and mode is not Mode.TAKEOFF:
            return
        if self.mode is Mode.AUTO and mode is not Mode.AUTO:
            self.run.leave(triggering=self.armed and self.camera.distance_m > 0.0)
        entered, was = mode is not self.mode, self.mode
        self.mode = mode
        if entered and self.flying and (was is Mode.AUTO or mode in (Mode.RTL, Mode.LAND)):
            self.orders.mode_left(mission=was is Mode.AUTO)
        self.controls.heading_rad = None
        self._idle_s = 0.0
        if not self.armed:
            self._manoeuvre = None
        elif mode is Mode.AUTO:
            self._manoeuvre = None
            self._enters_mission = self._enters_mission or entered
        else:
            self._manoeuvre = self._manoeuvre_of(mode)

    def _manoeuvre_of(self, mode: Mode) -> Manoeuvre | None:
        controls = self.controls
        if mode is Mode.TAKEOFF:
            return self._climb()
        if not self.flying:
            return None
        if mode is Mode.RTL:
            return Px4Return(controls, self.parameters, self._way_back(), self.frame.amsl_m, self.say)
        if mode is Mode.LAND:
            return Land(controls)
        return self._drive if mode is Mode.OFFBOARD else Hold(controls)

    def _climb(self) -> Manoeuvre:
        at, target = self.controls.motion.point(), self._took_off_to_m
        if target is None:
            height = self.parameters["MIS_TAKEOFF_ALT"]
            self.say(6, f"Using default takeoff altitude: {height:.1f} m")
            target = at.u + height
        self._took_off_to_m = None
        if self.flying:
            return self._towards(Point(at.n, at.e, max(target, at.u)))
        return TakeOff(target)

    def _way_back(self) -> Point | None:
        rally = [self.place_of(item) for item in self.transfers.items[RALLY]]
        unread = self.safety.complain_of_rally()
        return None if unread else return_goal(self.controls, rally, int(self.parameters["RTL_TYPE"]))

    def arm(self, *, force: bool = False) -> bool:
        """Arm; the reasons against it are in events, the text is always the same."""
        if self.armed:
            return True
        if not force and not self.may_arm():
            self.report()
            self.event(Event.ARMING_DENIED)
            self.say(2, "Arming denied: Resolve system health failures first")
            return False
        self.armed = True
        self._idle_s = 0.0
        self.land_detector.landed_s = None
        self._set_home()
        self.event(Event.ARMED)
        self.say(6, "Armed by external command")
        if self.mode is Mode.AUTO:
            self._enters_mission = True
        elif self.mode is Mode.TAKEOFF:
            self._manoeuvre = self._climb()
        return True

    def disarm(self, *, force: bool = False) -> bool:
        """Stop the motors; in the air only by force."""
        if not self.armed:
            return True
        if self.flying and self.land_detector.landed_s is None and not force:
            self.say(2, "Disarming denied: not landed")
            return False
        self._stop("external command")
        return True

    def take_off(self, amsl_m: float) -> bool:
        """NAV_TAKEOFF: change to TAKEOFF, disarmed and in the air too; NaN means the default height."""
        self._took_off_to_m = amsl_m - self.frame.amsl_m if math.isfinite(amsl_m) else None
        return self.set_mode(Mode.TAKEOFF)

    def go_to(self, place: Point, *, speed_m_s: float | None = None) -> bool:
        """DO_REPOSITION: HOLD somewhere else. Beyond the fence it stays, and says so afterwards."""
        if self.armed and not self.has_position():
            return False
        if self.parameters["GF_ACTION"] > 0 and not self.safety.allows(*place):
            self.say(2, "Reposition is outside geofence")
            return True
        self.set_mode(Mode.HOLD)
        if speed_m_s is not None:
            self.controls.speed_m_s = speed_m_s
        if self.flying:
            self._manoeuvre = self._towards(place)
        return True

    def orbit(self, centre: Point, radius_m: float, speed_m_s: float, facing: Facing) -> bool:
        """DO_ORBIT: round a centre at its height; a radius below 0 is counterclockwise."""
        if not self.set_mode(Mode.ORBIT):
            return False
        if self.flying:
            speed = math.copysign(speed_m_s, radius_m * speed_m_s)
            self._manoeuvre = Circle(self.controls, centre, abs(radius_m), speed, facing)
        return True

    def circle(self) -> Circle | None:
        """The orbit being flown, if one is."""
        return self._manoeuvre if isinstance(self._manoeuvre, Circle) else None

    def drive(self, north: float, east: float, up: float) -> None:
        """A velocity over ground, m/s, from the ground: OFFBOARD flies it as long as it keeps coming."""
        self._target_s = self.time_s
        self._drive.velocity = (north, east, up)

    def terminate(self) -> None:
        """DO_FLIGHTTERMINATION: the motors stop, and it stays armed."""
        self.say(2, "Failsafe activated")
        self.voice.say_plainly(2, "Preflight Fail: Flight termination active")
        self.terminated = True
        self.orders.parachute()
        self.enter(Mode.TERMINATION)

    def perform(self, item: MissionItem) -> None:
        """Do a mission command that is not flown, and tell the part that it is for."""
        super().perform(item)
        self.orders.performed(item)

    # -- time ----------------------------------------------------------------------------------------------------

    def _decide(self, before_s: float, dt_s: float) -> None:
        now_s = self.time_s
        if not self.armed and self.has_fix() and (not self.home_set or before_s // 2.0 != now_s // 2.0):
            self._set_home()
        self.transfers.step()
        self.reports.step()
        self.orders.step()
        if self.run.check(dt_s, self.safety.fence) and self.mode is Mode.AUTO and self.flying:
            self.enter(Mode.HOLD)
        self.safety.step(dt_s)

    def _fly(self, dt_s: float) -> None:
        landed = self.land_detector
        if landed.landed_s is not None:
            self.controls.idle()
            landed.landed_s += dt_s
            if landed.landed_s >= self.parameters["COM_DISARM_LAND"]:
                self._stop("landing")
            return
        if not (self.flying or self._manoeuvre is not None or self.mode is Mode.AUTO):
            self._wait(dt_s)
            return
        if self.mode is Mode.AUTO:
            self._fly_mission(dt_s)
        elif self._manoeuvre is None:
            self._manoeuvre = Hold(self.controls)
        elif self._manoeuvre.step(self.controls, dt_s) and self.mode is Mode.TAKEOFF:
            self.enter(Mode.HOLD)
        if self.mode is Mode.OFFBOARD and not self._can_run(Mode.OFFBOARD):
            self.safety.target_lost()
        self.land_detector.step(dt_s)

    def _fly_mission(self, dt_s: float) -> None:
        if self._enters_mission:
            self._enters_mission = False
            self.run.enter()
        outcome = self.run.step(dt_s)
        if outcome is Outcome.RETURNS:
            self.say(6, "Returning to launch")
            self.enter(Mode.RTL)
        elif outcome is Outcome.FINISHED:
            self.enter(Mode.HOLD)

    def _wait(self, dt_s: float) -> None:
        self.controls.idle()
        delay = self.parameters["COM_DISARM_PRFLT"]
        self._idle_s += dt_s
        if delay > 0 and self._idle_s >= delay + 1.0:
            self._stop("auto preflight disarming")

    def _stop(self, by: str) -> None:
        landed_alone = self.mode in (Mode.RTL, Mode.LAND, Mode.AUTO) and self.land_detector.landed_s is not None
        self.armed = self.flying = False
        self.land_detector.rest()
        self._manoeuvre = None
        self.terminated = False
        self.safety.rest()
        self.camera.every_metres(0.0, self.controls.motion, at_once=False)
        self.controls.default_speeds()
        self.event(Event.DISARMED)
        self.say(6, f"Disarmed by {by}")
        if landed_alone:
            self.enter(self._back_to if self.mode is not Mode.AUTO and not self.run.complete else Mode.HOLD)
            self._back_to = Mode.HOLD

    # -- lists and reports -----------------------------------------------------------------------------------------

    def _list_replaced(self, kind: int, another: bool) -> None:
        if kind == MISSION:
            self.reports.forget()
        if not another:
            return
        if kind == FENCE:
            self.safety.fence = Fence(self.transfers.items[FENCE], self.frame)
        elif kind == MISSION:
            self.run.changed()
            if self.mode is Mode.AUTO and self.armed:
                self._enters_mission = self.run.valid
                if not self.run.valid:
                    self.say(2, "No valid mission available, loitering")
                    self.enter(Mode.HOLD)

    def jump(self, seq: int) -> bool:
        """MISSION_SET_CURRENT; False if there is no such item."""
        if not self.run.set_current(seq):
            return False
        self.reports.forget()
        if self.armed and self.mode is Mode.AUTO and not self._enters_mission:
            self.run.go()
        return True

    def _set_home(self) -> None:
        self.home_set = True
        self.controls.home = self.controls.motion.point()
