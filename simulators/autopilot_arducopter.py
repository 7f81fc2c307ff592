"""ArduCopter: how it boots, arms, changes modes and saves itself."""

from __future__ import annotations

import math
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.missions import MissionItem
from simulators.arducopter_safety import BREACHES, SEVERITY_CRITICAL, SEVERITY_INFO, SEVERITY_WARNING, ArduCopterSafety
from simulators.arducopter_sensors import sensor_bits, told_failures
from simulators.autopilot import Autopilot, Hardware, SensorBits
from simulators.autopilot_arming import NEEDS_POSITION, Boot, refusals
from simulators.autopilot_auto import MissionRun
from simulators.autopilot_failsafes import Charge
from simulators.autopilot_fence import Fence
from simulators.autopilot_flavour import ARDUCOPTER, Flavour, Mode
from simulators.autopilot_guidance import Leg, Point
from simulators.autopilot_manoeuvres import (
    Circle,
    Drift,
    Drive,
    Facing,
    Hold,
    Land,
    Manoeuvre,
    ReturnHome,
    Sink,
    TakeOff,
)
from simulators.autopilot_missions import FENCE, MISSION, RALLY, TYPES_MIS_TOTAL, ItemList, ItemTransfers
from simulators.autopilot_parameters import Parameters

INSISTS_ON_REMOTE_ID = 1
"""Of DID_OPTIONS."""
FACES_ALONG, CENTRE_IS_HERE = 2, 4
"""Of CIRCLE_OPTIONS."""


class ArduCopter(Autopilot):
    """ArduCopter 4.6 as recorded."""

    def __init__(self, hardware: Hardware, parameters: Parameters, flavour: Flavour = ARDUCOPTER) -> None:
        """Power on."""
        super().__init__(hardware, flavour, parameters, Mode.STABILIZE)
        self.parameters = parameters
        self._texts: list[Any] = []
        self.boot = Boot.until(hardware.ready_after_s)
        self.lists = {kind: ItemList(kind, flavour, self.emit, self.say) for kind in (MISSION, FENCE, RALLY)}
        self.run = self._new_run(parameters)
        self.safety = self._new_safety()
        self.transfers = ItemTransfers(self.lists, self.emit, self.ground_time_s, self._list_counted)
        self._idle_s = 0.0
        self._driven_s = 0.0
        self._boot_texts = self.boot.texts(self.frame.amsl_m)
        self._wire_lists()
        self.parameters_changed()

    def _new_run(self, parameters: Parameters) -> MissionRun:
        return MissionRun(*self._run_parts(parameters))

    def _run_parts(self, parameters: Parameters) -> tuple[Any, ...]:
        mission = self.lists[MISSION]
        return mission, self.controls, parameters, self.place_of, self.perform, self.say, self._item_reached

    def _new_safety(self) -> ArduCopterSafety:
        return ArduCopterSafety(self)

    def _arms_in_auto(self) -> bool:
        return bool(int(self.parameters["AUTO_OPTIONS"]) & 1)

    def _wire_lists(self) -> None:
        mission = self.lists[MISSION]
        mission.home_item = self._home_item
        mission.running = lambda: self.mode is Mode.AUTO and self.run.started
        mission.changed = self._mission_changed
        self.lists[RALLY].changed = self._rally_changed
        self.lists[FENCE].changed = self._fence_changed

    # -- what it believes ----------------------------------------------------------------------------------------

    def _fix_s(self) -> float:
        return self.boot.gps_s

    def hear_ground(self, sysid: int) -> None:
        """A heartbeat of a ground station; only SYSID_MYGCS counts."""
        self.safety.ground.heard(sysid, self.ground_time_s())

    def obeys(self, sysid: int) -> bool:
        """SYSID_ENFORCE leaves the ground that counts alone."""
        return not self.parameters["SYSID_ENFORCE"] or sysid == int(self.parameters["SYSID_MYGCS"])

    def remote_id_on(self) -> bool:
        """By DID_ENABLE; a real one wants a reboot then."""
        return self.parameters["DID_ENABLE"] != 0

    def parameters_changed(self) -> None:
        """SIM_ parameters break things."""
        self.failures.told(told_failures(self.parameters, lat=self.frame.lat))

    def sensor_bits(self) -> SensorBits:
        """As recorded; of a lost satellite receiver nothing is said here."""
        return sensor_bits(self)

    def has_position(self) -> bool:
        """Whether it knows where it is."""
        return not self.safety.position.lost and self.time_s >= self.boot.ready_s

    def refusals(self) -> list[str]:
        """Why it would not arm now."""
        reasons = [f"Vehicle breaching {BREACHES[self.breach]} fence"] if self.breach else []
        if self.remote_id_on() and int(self.parameters["DID_OPTIONS"]) & INSISTS_ON_REMOTE_ID:
            refusal = self.remote_id.refusal()
            reasons += [f"OpenDroneID: {refusal}"] if refusal is not None else []
        reasons += ["Compass not healthy"] if self.failures.compass and self.time_s >= self.boot.running_s else []
        return reasons + refusals(
            boot=self.boot,
            time_s=self.time_s,
            mode=self.mode,
            gps=self.has_position(),
            mission_items=self.lists[MISSION].total(),
            arms_in_auto=self._arms_in_auto(),
            ground_lost=self.safety.ground.lost,
            battery_failsafe=self.safety.battery.charge is not Charge.OK,
            voltage_low=self.safety.battery.voltage_low(),
        )

    def system_status(self) -> int:
        """MAV_STATE."""
        if self.time_s < self.boot.running_s:
            return 1
        if self.safety.critical():
            return 5
        return 4 if self.flying else 3

    def base_mode(self) -> int:
        """MAV_MODE_FLAG: custom, stabilized, manual input; guided where it holds a position; armed."""
        guided = self.mode is not Mode.STABILIZE or self.time_s < self.boot.running_s
        return 0x51 | (0x08 if guided else 0) | (0x80 if self.armed else 0)

    def mission_current(self) -> tuple[int, int, int, int]:
        """Item, total, MISSION_STATE and whether it is in AUTO, as MISSION_CURRENT says them."""
        auto = self.mode is Mode.AUTO
        return self.run.current, self.lists[MISSION].total(), int(self.run.state(in_auto=auto)), int(auto)

    def checks_pass(self) -> bool:
        """Whether SYS_STATUS says that it could be armed."""
        return self.time_s >= self.boot.ready_s and self.safety.well() and not self.failures.compass

    def charge_state(self) -> int:
        """MAV_BATTERY_CHARGE_STATE."""
        return self.safety.battery.charge.value

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
        return self.run.leg() if self.mode is Mode.AUTO else super().leg()

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
            return ReturnHome(controls, self.parameters)
        if mode is Mode.LAND:
            return Land(controls)
        if mode is Mode.LOITER:
            return Sink(controls, 1.1)
        if mode is Mode.CIRCLE:
            return self._circle()
        return Drift() if mode is Mode.STABILIZE else Hold(controls)

    def _circle(self) -> Circle:
        """CIRCLE: about a point ahead, or about here, facing the centre or along, by CIRCLE_OPTIONS."""
        p, at = self.parameters, self.controls.motion
        radius, options = p["CIRCLE_RADIUS"] / 100.0, int(p["CIRCLE_OPTIONS"])
        ahead = 0.0 if options & CENTRE_IS_HERE else radius
        centre = Point(at.n + ahead * math.cos(at.yaw), at.e + ahead * math.sin(at.yaw), at.u)
        facing = Facing.ALONG if options & FACES_ALONG else Facing.CENTRE
        return Circle(self.controls, centre, radius, math.radians(p["CIRCLE_RATE"]) * radius, facing)

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

    def takes_key(self) -> bool:
        """Whether it would take a signing key now: not when armed."""
        if self.armed:
            self.say(SEVERITY_CRITICAL, "ERROR: Won't setup signing when armed")
        return not self.armed

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
        if not self.armed or not self.flying or self.safety.breach_at(place) or not self.set_mode(Mode.GUIDED):
            return False
        if speed_m_s is not None and speed_m_s > 0.0:
            self.controls.speed_m_s = speed_m_s
        self._manoeuvre = self._towards(place)
        return True

    def drive(self, north: float, east: float, up: float) -> None:
        """A velocity over ground, m/s, in GUIDED; GUID_TIMEOUT s after the last one it stops."""
        if not self.flying:
            return
        if not isinstance(self._manoeuvre, Drive):
            self._manoeuvre = Drive(north, east, up)
        self._manoeuvre.velocity = (north, east, up)
        self._driven_s = self.time_s

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

    # -- time ----------------------------------------------------------------------------------------------------

    def _decide(self, before_s: float, dt_s: float) -> None:
        self._boot(before_s)
        self.safety.step(dt_s)
        self.transfers.step()

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
        if isinstance(self._manoeuvre, Drive) and self.time_s - self._driven_s > self.parameters["GUID_TIMEOUT"]:
            self._manoeuvre = Hold(self.controls)
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

    def _list_counted(self, kind: int) -> None:
        self.parameters.set(TYPES_MIS_TOTAL[kind], len(self.lists[kind].items))
        if kind != RALLY:
            self.emit_parameter(TYPES_MIS_TOTAL[kind])

    def _mission_changed(self) -> None:
        self.parameters.set("MIS_TOTAL", len(self.lists[MISSION].items))
        self.run.changed()

    def _fence_changed(self) -> None:
        self.safety.fence = Fence(self.lists[FENCE].items, self.frame)

    def _rally_changed(self) -> None:
        self.controls.rally = [self.place_of(item) for item in self.lists[RALLY].items]
