"""PX4: how it boots, arms, changes modes and saves itself."""

from __future__ import annotations

import math
from collections import deque

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from simulators.autopilot import Autopilot, Hardware, SensorBits
from simulators.autopilot_fence import Fence
from simulators.autopilot_flavour import PX4, Mode
from simulators.autopilot_guidance import Leg, Point
from simulators.autopilot_manoeuvres import TOUCHED_S, Circle, Drive, Facing, Hold, Land, Manoeuvre, TakeOff
from simulators.autopilot_missions import FENCE, MISSION, RALLY
from simulators.fault_schedule import GpsOff, VehicleFault
from simulators.px4_events import Event, event_message
from simulators.px4_failsafes import BatteryLevel, GroundLink, PositionLoss, Warning
from simulators.px4_mission_run import Outcome, Px4MissionRun
from simulators.px4_missions import Px4Transfers
from simulators.px4_parameters import Px4Parameters
from simulators.px4_return import Px4Return

FIRST_FIX_S, FIRST_TEXT_S = 0.3, 2.2
"""After power-on, s."""
STALE_S = 5.0
"""A text that no ground was there to read for so long is dropped, s of the ground's clock."""
SINKS_M_S2 = -0.3
"""On the ground and asked for less than that, it is felt to have landed, m/s2 upward."""
CHUNK = 50
"""Characters of a STATUSTEXT."""
TOLD_TIMES = 10
"""How often MISSION_ITEM_REACHED comes again, at 1 Hz."""
OFFBOARD_S = 1.0
"""How old a target of the ground may be for OFFBOARD, s."""
HOME_ALONE, HOME_LAST = (2, 4), (1, 5)
"""RTL_TYPE: rally points do not count; the home counts only where there are none."""
RALLY_AGAIN_S = 2.06
"""How often a rally point that cannot be read is complained of, s."""
SENSORS_PRESENT, SENSORS_ENABLED, SENSORS_HEALTHY = 0x1200402F, 0x1201402F, 0x1320C83F
COMPASS, GPS, POSITION_CONTROL, BATTERY, PREARM_CHECK = 0x4, 0x20, 0x4000, 0x2000000, 0x10000000
"""MAV_SYS_STATUS_SENSOR, and SYS_STATUS as recorded when all is well."""
SATELLITES_NEEDED = 4
RECEIVER_GONE_S = 4.0
"""A receiver that has said nothing for so long is no longer called present, s."""
RUNS_IN_AUTO = {Mode.TAKEOFF, Mode.HOLD, Mode.AUTO, Mode.RTL, Mode.LAND}
NAMES = {Mode.AUTO: "Mission", Mode.RTL: "Return", Mode.POSITION: "Position"}
"""What PX4 calls a mode in its texts, where that is not our name."""
NOT_SUPPORTED_FRAME = 6
"""A rally point sent in this frame is taken and cannot be read."""


class Px4Autopilot(Autopilot):
    """PX4 1.17 as recorded."""

    def __init__(self, hardware: Hardware, parameters: Px4Parameters) -> None:
        """Power on."""
        super().__init__(hardware, PX4, parameters, Mode.HOLD)
        self.parameters = parameters
        self._held: deque[tuple[float, int, str]] = deque()
        self._text_id = 0
        self._event_seq = 65533
        self.transfers: Px4Transfers = Px4Transfers(self.emit, self.say, self.ground_time_s, self._list_replaced)
        self.run = Px4MissionRun(
            lambda: self.transfers.items[MISSION],
            self.controls,
            self.place_of,
            self.perform,
            self._reached,
            self.say,
            self.event,
        )
        self.transfers.current = lambda: self.run.current
        self.ground = GroundLink(parameters)
        self.position_loss = PositionLoss()
        self.battery_level = BatteryLevel(parameters, self.battery)
        self.fence = Fence([], self.frame)
        self.in_failsafe = False
        self._escape_s: float | None = None
        self._escape: Mode = Mode.RTL
        self._outside = False
        self._blind = False
        self._took_off_to_m: float | None = None
        self._back_to = Mode.HOLD
        self._idle_s = self._touched_s = 0.0
        self._aloft = self._enters_mission = False
        self._landed_s: float | None = None
        self._told: tuple[int, int, float] | None = None
        self._rally_s = 0.0
        self._target_s = -math.inf
        self._drive = Drive(0.0, 0.0, 0.0)
        self._said_no_ground = False
        self._injected: list[VehicleFault] = []
        self._said_fall = False
        self.parameters_changed()

    # -- what it believes ----------------------------------------------------------------------------------------

    def _fix_s(self) -> float:
        return FIRST_FIX_S

    def hear_ground(self, sysid: int) -> None:
        """A heartbeat of a ground station; all count alike."""
        self.ground.heard(self.ground_time_s())

    def parameters_changed(self) -> None:
        """SIM_GPS_USED takes the satellites away, as in SITL."""
        self._break()

    def inject(self, fault: VehicleFault, *, ends: bool) -> None:
        """INJECT_FAILURE of a unit that is handled."""
        self._injected = [other for other in self._injected if type(other) is not type(fault)]
        self._injected += [] if ends else [fault]
        self._break()

    def _break(self) -> None:
        blind = [GpsOff()] if self.parameters["SIM_GPS_USED"] < SATELLITES_NEEDED else []
        self.failures.told([*blind, *self._injected])

    def remaining(self) -> float:
        """Part of the battery's charge that it believes to be left, 0 to 1."""
        return self.battery_level.left()

    def sensor_bits(self) -> SensorBits:
        """As recorded; the bit of the pre-flight check is among the present ones here, though not there."""
        present, healthy = SENSORS_PRESENT, SENSORS_HEALTHY
        if not self.has_position():
            healthy &= ~POSITION_CONTROL
        if self.position_loss.without_s > RECEIVER_GONE_S:
            present &= ~GPS
        if self.failures.compass:
            healthy &= ~COMPASS
        if self.battery_level.warning > Warning.NONE:
            healthy &= ~BATTERY
        if not self.checks_pass():
            healthy &= ~PREARM_CHECK
        return SensorBits(present, present & SENSORS_ENABLED, healthy)

    def has_position(self) -> bool:
        """Whether it knows where it is."""
        return not self.position_loss.lost and self.time_s >= self.ready_s

    def checks_pass(self) -> bool:
        """Whether it could be armed in a mode that can be."""
        misses_ground = self.parameters["NAV_DLL_ACT"] > 0 and not self.ground.connected()
        return self.has_position() and self.has_fix() and not misses_ground and not self.failures.compass

    def may_arm(self) -> bool:
        """Whether it could be armed now, in the mode it is in."""
        runs = self.mode in (Mode.HOLD, Mode.TAKEOFF) or (self.mode is Mode.AUTO and self.run.valid)
        return runs and self.checks_pass()

    def system_status(self) -> int:
        """MAV_STATE: UNINIT wherever it could not be armed."""
        if self.mode is Mode.TERMINATION:
            return 8
        if self.armed:
            return 5 if self.in_failsafe else 4
        return 3 if self.may_arm() else 0

    def base_mode(self) -> int:
        """MAV_MODE_FLAG, as recorded for the kinds of modes."""
        flags = 0x1D if self.mode in RUNS_IN_AUTO else 0x51 if self.mode is Mode.POSITION else 0x01
        if self.armed and self.mode in (Mode.OFFBOARD, Mode.ORBIT):
            flags |= 0x10
        return flags | (0x80 if self.armed else 0)

    def mission_current(self) -> tuple[int, int, int, int]:
        """Item, total (65535 for none), MISSION_STATE, and 1 in modes that lead by items, else 2."""
        run, leads = self.run, self.mode in (Mode.AUTO, Mode.TAKEOFF, Mode.LAND)
        if not run.valid:
            state = 1
        elif run.complete:
            state = 5
        elif leads:
            state = 3
        else:
            state = 4 if run.paused else 2
        return run.current, run.total(), state, 1 if leads else 2

    def charge_state(self) -> int:
        """MAV_BATTERY_CHARGE_STATE."""
        return 1 + int(self.battery_level.warning)

    def landed_state(self) -> int:
        """MAV_LANDED_STATE."""
        if not self.flying or self._landed_s is not None:
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
        """A text that is an event too: it ends in a TAB."""
        self.say_plainly(severity, text + "\t")

    def say_plainly(self, severity: int, text: str) -> None:
        """A text that is no event."""
        self._held.append((self.ground_time_s(), severity, text))

    def say_now(self) -> None:
        """Send what waits, if a ground is there to read it; what is older than STALE_S is lost."""
        now_s = self.ground_time_s()
        if not self._held or self.time_s < FIRST_TEXT_S or not self.ground.present(now_s):
            return
        while self._held:
            said_s, severity, text = self._held.popleft()
            if now_s - said_s > STALE_S:
                continue
            raw = text.encode("ascii", "replace")
            for chunk, start in enumerate(range(0, len(raw), CHUNK)):
                part = raw[start : start + CHUNK]
                self.emit(mavlink.MAVLink_statustext_message(severity, part, self._text_id, chunk))
            self._text_id = (self._text_id + 1) % 65536

    def event(self, event: Event) -> None:
        """An EVENT, whether a ground is there or not."""
        self.emit(event_message(event, boot_ms=int(self.time_s * 1e3), sequence=self._event_seq))
        self._event_seq += 1

    def _reasons(self) -> list[Event]:
        """Why it would not arm; said in events only."""
        reasons = []
        if not self.has_position():
            reasons += [Event.NO_LOCAL_POSITION, Event.NO_GLOBAL_POSITION]
        if not self.has_fix():
            reasons.append(Event.GPS_FIX_TOO_LOW)
        if self.parameters["NAV_DLL_ACT"] > 0 and not self.ground.connected():
            reasons.append(Event.NO_GROUND)
        if not self.run.valid:
            reasons.append(Event.NO_MISSION)
        return [Event.ARMING_SUMMARY, *reasons, Event.NO_OFFBOARD_SIGNAL, Event.NO_MANUAL_CONTROL, Event.HEALTH_SUMMARY]

    # -- orders --------------------------------------------------------------------------------------------------

    def set_mode(self, mode: Mode, words: str = "") -> bool:
        """By the ground; armed, it must be able to run it. Ends a failsafe, which then does not act again."""
        if self.armed and not self._can_run(mode):
            self.say(2, f"Switching to {NAMES.get(mode, mode.value.capitalize())} is currently not available")
            return False
        if self.in_failsafe and mode is not self.mode:
            self.event(Event.PILOT_TOOK_OVER)
            if self._outside:
                self.say_plainly(2, "Geofence: approaching or outside geofence")
        self.in_failsafe, self._escape_s, self._blind = False, None, False
        if mode in (Mode.RTL, Mode.LAND) and self.mode in (Mode.HOLD, Mode.AUTO):
            self._back_to = self.mode
        if words:
            self.say(6, words)
        self._enter(mode)
        return True

    def _can_run(self, mode: Mode) -> bool:
        if mode is Mode.AUTO and not self.run.valid:
            return False
        if mode is Mode.OFFBOARD:
            return self.time_s - self._target_s < OFFBOARD_S
        return mode is Mode.TERMINATION or mode is Mode.LAND or self.has_position()

    def _enter(self, mode: Mode) -> None:
        if mode is self.mode and self._manoeuvre is not None and mode is not Mode.TAKEOFF:
            return
        if self.mode is Mode.AUTO and mode is not Mode.AUTO:
            self.run.leave(triggering=self.armed and self.camera.distance_m > 0.0)
        entered = mode is not self.mode
        self.mode = mode
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
        """The nearest of home and rally points, as RTL_TYPE lets them count; None where one cannot be read."""
        kind = int(self.parameters["RTL_TYPE"])
        places = [self.controls.home]
        if kind in HOME_ALONE:
            return self.controls.home
        for item in self.transfers.items[RALLY]:
            if item.frame == NOT_SUPPORTED_FRAME:
                self._complain_of_rally()
                return None
            places.append(self.place_of(item))
        if kind in HOME_LAST and len(places) > 1:
            del places[0]
        at = self.controls.motion
        return min(places, key=lambda place: math.hypot(place.n - at.n, place.e - at.e))

    def arm(self, *, force: bool = False) -> bool:
        """Arm; the reasons against it are in events, the text is always the same."""
        if self.armed:
            return True
        if not force and not self.may_arm():
            for event in self._reasons():
                self.event(event)
            self.event(Event.ARMING_DENIED)
            self.say(2, "Arming denied: Resolve system health failures first")
            return False
        self.armed = True
        self._idle_s = 0.0
        self._landed_s = None
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
        if self.flying and self._landed_s is None and not force:
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
        if self.fence and self.parameters["GF_ACTION"] > 0 and not self.fence.allows(place.n, place.e):
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
        self.say_plainly(2, "Preflight Fail: Flight termination active")
        self.terminated = True
        self._enter(Mode.TERMINATION)

    def _watch_attitude(self) -> None:
        """Without a motor it falls and turns over, and believes itself in the air ever after."""
        falls = self.failures.falls
        if falls and not self._said_fall and self.armed:
            self.event(Event.ATTITUDE_FAILURE)
            self.say_plainly(2, "Preflight Fail: Attitude failure (roll)")
        self._said_fall = falls and self.armed

    # -- time ----------------------------------------------------------------------------------------------------

    def _decide(self, before_s: float, dt_s: float) -> None:
        now_s = self.time_s
        if not self.armed and self.has_fix() and (not self.home_set or before_s // 2.0 != now_s // 2.0):
            self._set_home()
        self.transfers.step()
        self._tell()
        if self.run.check(dt_s, self.fence) and self.mode is Mode.AUTO and self.flying:
            self._enter(Mode.HOLD)
        self._watch_ground(now_s)
        self._watch_position(before_s, dt_s)
        self._watch_rally(now_s)
        self._watch_attitude()
        self.battery_level.voltage_v = self.failures.voltage_v
        if self.armed:
            self._watch_battery(dt_s)
        if self.armed and self.flying:
            self._watch_fence()
        if self._escape_s is not None and now_s >= self._escape_s:
            self._escape_s = None
            self._fail_to(self._escape)

    def _watch_ground(self, now_s: float) -> None:
        p, lost = self.parameters, self.ground.step(self.ground_time_s())
        if p["NAV_DLL_ACT"] > 0 and not self._said_no_ground and now_s >= 1.3 and not self.ground.connected():
            self._said_no_ground = True
            self.say_plainly(4, "Preflight Fail: No connection to the GCS")
        if lost is None:
            return
        if not lost:
            self.event(Event.GROUND_BACK)
            self.say(6, "GCS connection regained")
            return
        self.event(Event.GROUND_LOST)
        self.say(6, "Connection to ground station lost")
        if p["NAV_DLL_ACT"] == 0:
            return
        if not self.armed:
            self.say_plainly(4, "Preflight Fail: No connection to the GCS")
        excepted = int(p["COM_DLL_EXCEPT"])
        spared = (self.mode is Mode.AUTO and excepted & 1) or (self.mode is Mode.HOLD and excepted & 2)
        if self.flying and not spared:
            self._hold_then({1: Mode.HOLD, 3: Mode.LAND}.get(int(p["NAV_DLL_ACT"]), Mode.RTL))

    def _watch_position(self, before_s: float, dt_s: float) -> None:
        if self.time_s < self.ready_s:
            return
        without_s = self.position_loss.without_s
        lost = self.position_loss.step(dt_s, fix=self.has_fix(), diverging=self.estimate.diverging)
        if not self.armed and any(without_s <= mark < self.position_loss.without_s for mark in (0.2, 5.2, 7.4)):
            self.say_plainly(4, "Preflight: GPS fix too low")
        if lost and self.flying:
            self._fail_to(Mode.LAND)
            self._blind = True
        elif lost is False and self._blind:
            self._blind = self.in_failsafe = False
            self._enter(Mode.HOLD)

    def _watch_battery(self, dt_s: float) -> None:
        level, action = self.battery_level.step(dt_s), int(self.parameters["COM_LOW_BAT_ACT"])
        if level is Warning.LOW:
            self.say(2, "Low battery")
        elif level is Warning.CRITICAL:
            self.say(2, "Critical battery")
            if action > 0:
                self._hold_then(Mode.LAND if action == 2 else Mode.RTL)
        elif level is Warning.EMERGENCY:
            self.say(0, "Emergency battery level")
            self.say(2, "System does not support shutdown")
            if action > 0:
                self._fail_to(Mode.LAND)

    def _watch_fence(self) -> None:
        at, action = self.controls.motion, int(self.parameters["GF_ACTION"])
        outside = action > 0 and bool(self.fence) and not self.fence.allows(at.n, at.e)
        if outside and not self._outside:
            self.event(Event.OUTSIDE_GEOFENCE)
            self.say_plainly(2, "Geofence: approaching or outside geofence")
            if action > 1:
                self._hold_then({2: Mode.HOLD, 4: Mode.TERMINATION, 5: Mode.LAND}.get(action, Mode.RTL))
        self._outside = outside

    def _watch_rally(self, now_s: float) -> None:
        if self.mode is Mode.RTL or now_s < self._rally_s:
            return
        if any(item.frame == NOT_SUPPORTED_FRAME for item in self.transfers.items[RALLY]):
            self._complain_of_rally()
        self._rally_s = now_s + RALLY_AGAIN_S

    def _complain_of_rally(self) -> None:
        for item in self.transfers.items[RALLY]:
            if item.frame == NOT_SUPPORTED_FRAME:
                self.event(Event.RALLY_FRAME)
                self.say(2, "RTL: unsupported MAV_FRAME")

    def _hold_then(self, mode: Mode) -> None:
        """A failsafe that gives the ground COM_FAIL_ACT_T seconds to take over."""
        delay = self.parameters["COM_FAIL_ACT_T"]
        self.event(Event.FAILSAFE_HOLD)
        self.say(2, f"Failsafe activated: entering Hold for {delay:.0f} seconds")
        self.in_failsafe = True
        self._enter(Mode.HOLD)
        self._escape, self._escape_s = mode, self.time_s + delay

    def _fail_to(self, mode: Mode) -> None:
        self.event(Event.FAILSAFE)
        self.say(2, "Failsafe activated")
        self.in_failsafe = True
        self._escape_s = None
        self._enter(mode)

    def _fly(self, dt_s: float) -> None:
        if self._landed_s is not None:
            self.controls.idle()
            self._landed_s += dt_s
            if self._landed_s >= self.parameters["COM_DISARM_LAND"]:
                self._stop("landing")
            return
        started = self._manoeuvre is not None or self.mode is Mode.AUTO
        if not self.flying and not started:
            self._wait(dt_s)
            return
        if self.mode is Mode.AUTO:
            self._fly_mission(dt_s)
        elif self._manoeuvre is None:
            self._manoeuvre = Hold(self.controls)
        elif self._manoeuvre.step(self.controls, dt_s) and self.mode is Mode.TAKEOFF:
            self._enter(Mode.HOLD)
        if self.mode is Mode.OFFBOARD and self.time_s - self._target_s > OFFBOARD_S:
            self._fail_to(Mode.RTL)
        self._feel_ground(dt_s)

    def _fly_mission(self, dt_s: float) -> None:
        if self._enters_mission:
            self._enters_mission = False
            self.run.enter()
        outcome = self.run.step(dt_s)
        if outcome is Outcome.RETURNS:
            self.say(6, "Returning to launch")
            self._enter(Mode.RTL)
        elif outcome is Outcome.FINISHED:
            self._enter(Mode.HOLD)

    def _feel_ground(self, dt_s: float) -> None:
        """Takeoff and landing, as the land detector sees them: coming down in vain, not blind, no motor dead."""
        on_ground = self.body.on_ground and self.controls.demand.up_m_s2 < SINKS_M_S2
        if self.flying and not self._aloft:
            self._aloft = True
            self.event(Event.TAKEOFF_DETECTED)
            self.say(6, "Takeoff detected")
        self._touched_s = self._touched_s + dt_s if self.flying and on_ground else 0.0
        dead = self.terminated or self.failures.falls
        if self._touched_s > TOUCHED_S and not dead and not self._blind:
            self.event(Event.LANDING_DETECTED)
            self.say(6, "Landing detected")
            self._landed_s = 0.0

    def _wait(self, dt_s: float) -> None:
        self.controls.idle()
        delay = self.parameters["COM_DISARM_PRFLT"]
        self._idle_s += dt_s
        if delay > 0 and self._idle_s >= delay + 1.0:
            self._stop("auto preflight disarming")

    def _stop(self, by: str) -> None:
        landed_alone = self.mode in (Mode.RTL, Mode.LAND, Mode.AUTO) and self._landed_s is not None
        self.armed = self.flying = self._aloft = False
        self.in_failsafe, self._escape_s, self._landed_s, self._touched_s = False, None, None, 0.0
        self._manoeuvre = None
        self.terminated = False
        self.battery_level.rest()
        self.camera.every_metres(0.0, self.controls.motion, at_once=False)
        self.controls.default_speeds()
        self.event(Event.DISARMED)
        self.say(6, f"Disarmed by {by}")
        if landed_alone:
            self._enter(self._back_to if self.mode is not Mode.AUTO and not self.run.complete else Mode.HOLD)
            self._back_to = Mode.HOLD

    # -- lists and reports -----------------------------------------------------------------------------------------

    def _list_replaced(self, kind: int, another: bool) -> None:
        if kind == MISSION:
            self._told = None
        if not another:
            return
        if kind == FENCE:
            self.fence = Fence(self.transfers.items[FENCE], self.frame)
        elif kind == MISSION:
            self.run.changed()
            if self.mode is Mode.AUTO and self.armed:
                self._enters_mission = self.run.valid
                if not self.run.valid:
                    self.say(2, "No valid mission available, loitering")
                    self._enter(Mode.HOLD)

    def jump(self, seq: int) -> bool:
        """MISSION_SET_CURRENT; False if there is no such item."""
        if not self.run.set_current(seq):
            return False
        self._told = None
        if self.armed and self.mode is Mode.AUTO and not self._enters_mission:
            self.run.go()
        return True

    def _reached(self, seq: int) -> None:
        self._item_reached(seq)
        self._told = (seq, TOLD_TIMES, self.time_s + 1.0)

    def _tell(self) -> None:
        """MISSION_ITEM_REACHED comes again and again."""
        if self._told is None or self.time_s < self._told[2]:
            return
        seq, left, _ = self._told
        self._item_reached(seq)
        self._told = (seq, left - 1, self.time_s + 1.0) if left > 1 else None

    def _set_home(self) -> None:
        self.home_set = True
        self.controls.home = self.controls.motion.point()
