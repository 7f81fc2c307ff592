"""The autopilot of a simulated vehicle: what it believes, its mode, and what it does about it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.missions import MissionItem
from simulators.autopilot_arming import NEEDS_POSITION, Boot, refusals
from simulators.autopilot_auto import MissionRun
from simulators.autopilot_camera import CameraTrigger, camera_feedback, perform_payload
from simulators.autopilot_failsafes import BatteryWatch, Charge, GroundWatch, PositionWatch
from simulators.autopilot_flavour import Flavour, Mode
from simulators.autopilot_gimbal import Gimbal
from simulators.autopilot_guidance import Leg, LocalFrame, Point
from simulators.autopilot_manoeuvres import (
    Drift,
    FlightControls,
    FlyTo,
    Hold,
    Land,
    Manoeuvre,
    ReturnHome,
    Sink,
    TakeOff,
)
from simulators.autopilot_missions import FENCE, MISSION, RALLY, ItemList
from simulators.autopilot_parameters import Parameters
from simulators.autopilot_sensors import Sensors
from simulators.battery import Battery
from simulators.dynamics import Airframe, Multirotor, wrap_rad

SEVERITY_CRITICAL, SEVERITY_WARNING, SEVERITY_INFO = 2, 4, 6
"""MAV_SEVERITY."""


class Autopilot:
    """Everything on board but the radio: step it, give it orders, read what it believes.

    `emit` takes each MAVLink message it sends by itself, `utc_s` is simulated time. `ground_rate` is
    how many simulated seconds pass in one of the ground's: what waits for the ground (failsafe,
    mission upload) counts the ground's seconds, since the ground does not run faster with us.
    """

    def __init__(
        self,
        *,
        frame: LocalFrame,
        airframe: Airframe,
        body: Multirotor,
        battery: Battery,
        sensors: Sensors,
        parameters: Parameters,
        flavour: Flavour,
        emit: Callable[[Any], None],
        utc_s: Callable[[], float],
        boot: Boot,
        ground_rate: float,
        gimbal_pitch_deg: float,
    ) -> None:
        """Power on."""
        self.frame, self.body, self.battery, self.sensors = frame, body, battery, sensors
        self.airframe = airframe
        self.parameters, self.flavour, self.boot = parameters, flavour, boot
        self.emit, self.utc_s = emit, utc_s
        self._texts: list[Any] = []
        self.time_s = 0.0
        self.mode = Mode.STABILIZE
        self.armed = False
        self.flying = False
        self.home_set = False
        self.controls = FlightControls(body, parameters)
        self.gimbal = Gimbal(gimbal_pitch_deg)
        self.camera = CameraTrigger(self._camera_feedback)
        self.lists = {kind: ItemList(kind, flavour, emit, self.say) for kind in (MISSION, FENCE, RALLY)}
        self.run = MissionRun(
            self.lists[MISSION], self.controls, self.place_of, self.perform, self.say, self._item_reached
        )
        self.ground = GroundWatch(parameters)
        self.position_watch = PositionWatch()
        self.battery_watch = BatteryWatch(parameters, battery)
        self._ground_rate = ground_rate
        self._manoeuvre: Manoeuvre | None = None
        self._idle_s = 0.0
        self._boot_texts = boot.texts(frame.amsl_m)
        self._prearm_s = 0.0
        self._wire_lists()

    def _wire_lists(self) -> None:
        mission = self.lists[MISSION]
        mission.home_item = self._home_item
        mission.running = lambda: self.mode is Mode.AUTO and self.run.started
        mission.changed = self._mission_changed
        self.lists[RALLY].changed = self._rally_changed

    # -- what it believes ----------------------------------------------------------------------------------------

    def ground_time_s(self) -> float:
        """Seconds of the ground's clock since power-on."""
        return self.time_s / self._ground_rate

    def position(self) -> tuple[float, float, float]:
        """Lon, lat, deg, and AMSL, m, as it believes."""
        motion = self.controls.motion
        lon, lat = self.frame.lonlat(motion.n, motion.e)
        return lon, lat, self.frame.amsl_m + motion.u

    def home(self) -> tuple[float, float, float]:
        """Lon, lat, deg, and AMSL, m, of its home."""
        place = self.controls.home
        lon, lat = self.frame.lonlat(place.n, place.e)
        return lon, lat, self.frame.amsl_m + place.u

    def relative_m(self) -> float:
        """Height above its home, m."""
        return self.controls.motion.u - self.controls.home.u

    def has_fix(self) -> bool:
        """Whether the satellite receiver has a position."""
        return self.satellites() and self.time_s >= self.boot.gps_s

    def satellites(self) -> bool:
        """Whether the receiver hears any: SIM_GPS_DISABLE takes them away, as in SITL."""
        return self.parameters["SIM_GPS_DISABLE"] == 0

    def has_position(self) -> bool:
        """Whether it knows where it is."""
        return not self.position_watch.lost and self.time_s >= self.boot.ready_s

    def refusals(self) -> list[str]:
        """Why it would not arm now."""
        return refusals(
            boot=self.boot,
            time_s=self.time_s,
            mode=self.mode,
            gps=self.has_position(),
            mission_items=self.lists[MISSION].total(),
            auto_options=int(self.parameters["AUTO_OPTIONS"]),
            ground_lost=self.ground.lost,
            battery_failsafe=self.battery_watch.charge is not Charge.OK,
            voltage_low=self.battery_watch.voltage_low(),
        )

    def system_status(self) -> int:
        """MAV_STATE."""
        if self.time_s < self.boot.running_s:
            return 1
        if self.ground.lost or self.position_watch.lost or self.battery_watch.charge is not Charge.OK:
            return 5
        return 4 if self.flying else 3

    def base_mode(self) -> int:
        """MAV_MODE_FLAG: custom, stabilized, manual input; guided where it holds a position; armed."""
        guided = self.mode is not Mode.STABILIZE or self.time_s < self.boot.running_s
        return 0x51 | (0x08 if guided else 0) | (0x80 if self.armed else 0)

    def landed_state(self) -> int:
        """MAV_LANDED_STATE."""
        if not self.flying:
            return 1
        if isinstance(self._manoeuvre, TakeOff) or (self.mode is Mode.AUTO and self.run.taking_off()):
            return 3
        if self.mode is Mode.AUTO and self.run.landing():
            return 4
        landing = isinstance(self._manoeuvre, Land)
        if isinstance(self._manoeuvre, ReturnHome):
            landing = self._manoeuvre.landing is not None
        return 4 if landing else 2

    def leg(self) -> Leg | None:
        """The leg being flown, if one is."""
        if self.mode is Mode.AUTO:
            return self.run.leg()
        return self._manoeuvre.leg if isinstance(self._manoeuvre, FlyTo) else None

    # -- orders --------------------------------------------------------------------------------------------------

    def say(self, severity: int, text: str) -> None:
        """A STATUSTEXT; texts wait for `say_now`, so that they come after the acknowledgement they explain."""
        self._texts.append(mavlink.MAVLink_statustext_message(severity, text[:50].encode("ascii", "replace"), 0, 0))

    def say_now(self) -> None:
        """Send the texts that wait."""
        texts, self._texts = self._texts, []
        for text in texts:
            self.emit(text)

    def set_mode(self, mode: Mode) -> bool:
        """Change the flight mode; False with a text if it cannot be."""
        lacks_position = mode in NEEDS_POSITION - {Mode.AUTO} and not self.has_position()
        if lacks_position and (self.flying or self.time_s >= self.boot.ready_s):
            self.say(SEVERITY_WARNING, f"Mode change to {mode.value} failed: requires position")
            return False
        if mode is self.mode:
            return True
        if mode is Mode.AUTO and not self._may_enter_auto():
            return False
        if self.mode is Mode.AUTO:
            self.run.leave()
        self.controls.default_speeds()
        self.controls.heading_rad = None
        self.mode = mode
        self._idle_s = 0.0
        self._manoeuvre = self._manoeuvre_of(mode) if self.flying else None
        if mode is Mode.AUTO:
            self.run.enter()
            if self.flying:
                self.run.start()
        self.heartbeat()
        return True

    def _may_enter_auto(self) -> bool:
        if not self.armed:
            return True
        if self.lists[MISSION].total() == 0:
            self.say(SEVERITY_WARNING, "Mode change to AUTO failed: init failed")
            return False
        if not self.flying and not self.run.lifts_off():
            self.say(SEVERITY_CRITICAL, "Auto: Missing Takeoff Cmd")
            self.say(SEVERITY_WARNING, "Mode change to AUTO failed: init failed")
            return False
        return True

    def _manoeuvre_of(self, mode: Mode) -> Manoeuvre | None:
        controls = self.controls
        if mode is Mode.AUTO:
            return None
        if mode is Mode.RTL:
            return ReturnHome(controls)
        if mode is Mode.LAND:
            return Land(controls)
        if mode is Mode.LOITER:
            return Sink(controls, 1.1)
        return Drift() if mode is Mode.STABILIZE else Hold(controls)

    def arm(self, *, force: bool = False) -> bool:
        """Arm; False with a text for each reason against it."""
        if self.armed:
            return True
        reasons = [] if force else self.refusals()
        for reason in reasons:
            self.say(SEVERITY_CRITICAL, f"Arm: {reason}")
        if reasons:
            return False
        self.armed = True
        self._idle_s = 0.0
        self._set_home()
        self.say(SEVERITY_INFO, "Arming motors")
        return True

    def disarm(self, *, force: bool = False) -> bool:
        """Stop the motors; in the air only by force."""
        if not self.armed:
            return True
        if self.flying and not force:
            return False
        self._stop()
        return True

    def take_off(self, height_m: float) -> bool:
        """In GUIDED, armed and on the ground: climb to a height above the home."""
        if not self.armed or self.mode is not Mode.GUIDED or self.flying or not 0.0 < height_m < 1e5:
            return False
        self._launch(TakeOff(self.controls.home.u + height_m))
        return True

    def go_to(self, place: Point, *, speed_m_s: float | None = None) -> bool:
        """Fly to a place in GUIDED."""
        if not self.armed or not self.flying or not self.set_mode(Mode.GUIDED):
            return False
        if speed_m_s is not None and speed_m_s > 0.0:
            self.controls.speed_m_s = speed_m_s
        motion = self.controls.motion
        leg = Leg(motion.point(), place, self.controls.limits())
        entry = leg.entry_speed_m_s((motion.vn, motion.ve, motion.vu))
        leg = Leg(motion.point(), place, self.controls.limits(), speed_m_s=entry)
        self._manoeuvre = FlyTo(leg, precise=True, radius_m=1.0)
        return True

    def start_mission(self) -> bool:
        """MISSION_START: choose AUTO and, when armed, take off."""
        if not self.set_mode(Mode.AUTO):
            return False
        if self.armed and not self.run.started and self.lists[MISSION].total():
            if not self.flying and not self.run.lifts_off():
                self.say(SEVERITY_CRITICAL, "Auto: Missing Takeoff Cmd")
                return False
            self._idle_s = 0.0
            self.run.start()
        return True

    def place_of(self, item: MissionItem) -> Point:
        """Where a mission item is, in the local frame; 0, 0 is here and no height is the present one."""
        at = self.controls.motion
        if item.frame == 0:
            up = item.z - self.frame.amsl_m
        elif item.frame == 10:
            up = item.z + self.body.ground_u
        else:
            up = self.controls.home.u + item.z
        if item.x == 0 and item.y == 0:
            return Point(at.n, at.e, up if item.z or item.command == 22 else at.u)
        return self.frame.point(item.y / 1e7, item.x / 1e7, up)

    def perform(self, item: MissionItem) -> None:
        """Do a mission command that is not flown."""
        p1, p2, _, p4 = item.params
        if item.command == 178:
            self.controls.change_speed(p1, p2)
        elif item.command == 115:
            self.controls.yaw_to(p1, p2, item.params[2], relative=p4 == 1)
        else:
            place = self.place_of(item) if item.x or item.y else None
            perform_payload(item, self.camera, self.gimbal, self.controls.motion, place)

    # -- time ----------------------------------------------------------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Move on by `dt_s`: decide on what was sensed, fly, sense, draw from the battery."""
        before = self.time_s
        self.time_s += dt_s
        self._boot(before)
        self._watch(dt_s)
        demand = self.controls.demand
        if self.armed:
            self._fly(dt_s)
        else:
            demand.motors = False
        self.body.step(dt_s, demand)
        self._sense(dt_s)
        if self.armed and not self.body.on_ground:
            self.flying = True
        self.gimbal.step(dt_s, self.controls.motion)
        self.camera.step(dt_s, self.controls.motion)
        body = self.body
        self.battery.step(
            dt_s,
            self.battery.pack.power_w(
                thrust_g=body.thrust_g,
                airspeed_m_s=body.airspeed_m_s,
                climb_m_s=body.vu,
                mass_kg=self.airframe.mass_kg,
                drag_w=body.drag_power_w,
            ),
        )
        now_s = self.ground_time_s()
        for items in self.lists.values():
            if items.receiving():
                items.step(now_s)

    def _sense(self, dt_s: float) -> None:
        body, sensors, motion = self.body, self.sensors, self.controls.motion
        sensors.step(dt_s)
        motion.n, motion.e = body.n + sensors.north.value, body.e + sensors.east.value
        motion.u = body.u + sensors.up.value
        motion.vn, motion.ve, motion.vu = (
            body.vn + sensors.north.rate,
            body.ve + sensors.east.rate,
            body.vu + sensors.up.rate,
        )
        motion.yaw = wrap_rad(body.yaw + sensors.yaw.value)

    def _boot(self, before_s: float) -> None:
        now = self.time_s
        while self._boot_texts and self._boot_texts[0][0] <= now:
            self.say(SEVERITY_INFO, self._boot_texts.pop(0)[1])
        if before_s < self.boot.running_s <= now:
            self.mode = Mode.STABILIZE
            self.heartbeat()
        if not self.home_set and now >= self.boot.home_s and self.satellites():
            self._set_home()
        if not self.armed and before_s // 30.0 != now // 30.0:
            for reason in self.refusals():
                if not reason.endswith(("not armable", "mission")):
                    self.say(SEVERITY_CRITICAL, f"PreArm: {reason}")

    def _watch(self, dt_s: float) -> None:
        lost = self.ground.step(self.ground_time_s())
        if lost is False:
            self.say(SEVERITY_WARNING, "GCS Failsafe Cleared")
        elif lost:
            self._ground_lost()
        if self.time_s > self.boot.ready_s:
            blind = self.position_watch.step(dt_s, fix=self.has_fix())
            if blind is False:
                self.say(SEVERITY_CRITICAL, "EKF Failsafe Cleared")
            elif blind and self.flying:
                self.say(SEVERITY_CRITICAL, "EKF variance")
                self._escape(Mode.LAND)
                self.say(SEVERITY_CRITICAL, "EKF Failsafe: changed to LAND Mode")
        worse = self.battery_watch.step(dt_s) if self.armed else None
        if worse is not None:
            word = "low" if worse is Charge.LOW else "critical"
            volts, used = self.battery.voltage_v, self.battery.used_mah
            self.say(SEVERITY_WARNING, f"Battery 1 is {word} {volts:.2f}V used {used:.0f} mAh")
            self.say(SEVERITY_WARNING, "Battery Failsafe")
            action = self.parameters["BATT_FS_LOW_ACT" if worse is Charge.LOW else "BATT_FS_CRT_ACT"]
            self._escape(Mode.RTL if action in (2, 3, 4) else Mode.LAND if action == 1 else None)

    def _ground_lost(self) -> None:
        action, options = int(self.parameters["FS_GCS_ENABLE"]), int(self.parameters["FS_OPTIONS"])
        if self.armed and self.flying and (action == 2 or options & 2) and self.mode is Mode.AUTO:
            self.say(SEVERITY_WARNING, "GCS Failsafe - Continuing Auto Mode")
            return
        self._escape(Mode.LAND if action == 5 else Mode.RTL)
        self.say(SEVERITY_WARNING, "GCS Failsafe")

    def _escape(self, mode: Mode | None) -> None:
        """Take a failsafe's way out; on the ground that is to stop the motors."""
        if mode is None or not self.armed:
            return
        if not self.flying:
            self._stop()
        elif not (self.mode is Mode.LAND or (self.mode is Mode.RTL and mode is Mode.RTL)):
            self.set_mode(mode if self.has_position() else Mode.LAND)

    def _fly(self, dt_s: float) -> None:
        if self.mode is Mode.AUTO:
            if self.run.started and self.run.step(dt_s):
                self._stop()
            elif not self.run.started:
                self._wait(dt_s)
            return
        if self._manoeuvre is None:
            self._wait(dt_s)
            return
        done = self._manoeuvre.step(self.controls, dt_s)
        if done and isinstance(self._manoeuvre, Land | ReturnHome | Sink | Drift):
            self._stop()
        elif done and isinstance(self._manoeuvre, TakeOff):
            self._manoeuvre = Hold(self.controls)

    def _wait(self, dt_s: float) -> None:
        self.controls.idle()
        delay = self.parameters["DISARM_DELAY"]
        self._idle_s += dt_s
        if delay > 0 and self._idle_s >= delay:
            self._stop()

    def _launch(self, manoeuvre: Manoeuvre) -> None:
        self._manoeuvre = manoeuvre
        self._idle_s = 0.0

    def _stop(self) -> None:
        self.armed = self.flying = False
        self._manoeuvre = None
        self.run.reset()
        self.camera.every_metres(0.0, self.controls.motion, at_once=False)
        self.controls.default_speeds()
        self.say(SEVERITY_INFO, "Disarming motors")

    # -- what it sends by itself -----------------------------------------------------------------------------------

    def heartbeat(self) -> None:
        """A HEARTBEAT now."""
        self.emit(
            mavlink.MAVLink_heartbeat_message(
                2, self.flavour.autopilot, self.base_mode(), self.flavour.modes[self.mode], self.system_status(), 3
            )
        )

    def _set_home(self) -> None:
        self.home_set = True
        self.controls.home = self.controls.motion.point()
        lon, lat, amsl_m = self.home()
        where = (round(lat * 1e7), round(lon * 1e7), round(amsl_m * 1e3))
        now_us = round(self.time_s * 1e6)
        self.emit(mavlink.MAVLink_gps_global_origin_message(*where, now_us))
        self.emit(mavlink.MAVLink_home_position_message(*where, 0, 0, 0, [math.nan] * 4, 0, 0, 0, now_us))

    def _home_item(self) -> MissionItem:
        lon, lat, amsl_m = self.home()
        return MissionItem(frame=0, command=16, x=round(lat * 1e7), y=round(lon * 1e7), z=round(amsl_m, 2))

    def _item_reached(self, seq: int) -> None:
        self.emit(mavlink.MAVLink_mission_item_reached_message(seq))

    def _mission_changed(self) -> None:
        self.parameters.set("MIS_TOTAL", len(self.lists[MISSION].items))
        self.run.changed()

    def _rally_changed(self) -> None:
        self.controls.rally = [self.place_of(item) for item in self.lists[RALLY].items]

    def _camera_feedback(self, shot: int) -> None:
        body, sensors = self.body, self.sensors
        angles = (body.roll + sensors.roll.value, body.pitch + sensors.pitch.value, self.controls.motion.yaw)
        self.emit(camera_feedback(shot, self.utc_s(), self.position(), self.relative_m(), angles))
