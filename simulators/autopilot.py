"""The autopilot of a simulated vehicle: what all of them have in common; each flavour adds how it decides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.missions import MissionItem
from simulators.autopilot_camera import CameraTrigger, camera_feedback, perform_payload
from simulators.autopilot_estimate import Estimate
from simulators.autopilot_flavour import Flavour, Mode
from simulators.autopilot_gimbal import Gimbal
from simulators.autopilot_guidance import Leg, LocalFrame, Point
from simulators.autopilot_manoeuvres import FlightControls, FlightSettings, FlyTo, Manoeuvre
from simulators.autopilot_sensors import Sensors
from simulators.battery import Battery
from simulators.battery_temperature import PackTemperature
from simulators.dynamics import Airframe, Multirotor, wrap_rad
from simulators.failures import Failures
from simulators.fixed_wing import Body
from simulators.opendroneid import RemoteIdTransmitter


class OnboardParameters(FlightSettings, Protocol):
    """An autopilot's parameters, as the wire sees them."""

    def __len__(self) -> int:
        """How many there are."""

    def __contains__(self, name: str) -> bool:
        """Whether there is one of this name."""

    def name_at(self, index: int) -> str | None:
        """The name at an index, None if there is none."""

    def listed(self) -> Iterator[tuple[str, int]]:
        """Name and index of each answer to PARAM_REQUEST_LIST."""

    def answer_index(self, name: str) -> int:
        """The index in an answer by name."""

    def wire(self, name: str) -> tuple[float, int]:
        """Value and type as they stand in PARAM_VALUE."""

    def take(self, name: str, value: float, kind: int) -> bool:
        """From PARAM_SET; False where there is no answer."""


class Transfers(Protocol):
    """An autopilot's side of the mission protocol; a ground is its system and component."""

    def count(self, ground: tuple[int, int], kind: int, count: int) -> None:
        """MISSION_COUNT."""

    def item(self, ground: tuple[int, int], message: Any, *, as_float: bool) -> None:
        """MISSION_ITEM_INT, or MISSION_ITEM if `as_float`."""

    def request_list(self, ground: tuple[int, int], kind: int) -> None:
        """MISSION_REQUEST_LIST."""

    def request(self, ground: tuple[int, int], kind: int, seq: int, *, as_float: bool) -> None:
        """MISSION_REQUEST_INT, or MISSION_REQUEST if `as_float`."""

    def clear(self, ground: tuple[int, int], kind: int) -> None:
        """MISSION_CLEAR_ALL."""

    def write_partial(self, ground: tuple[int, int], kind: int, first: int, last: int) -> None:
        """MISSION_WRITE_PARTIAL_LIST."""

    def acknowledged(self, ground: tuple[int, int], kind: int) -> None:
        """MISSION_ACK."""

    def step(self) -> None:
        """Ask again, or give up."""


class Hardware:
    """What an autopilot is bolted to, and the clock it runs by."""

    def __init__(
        self,
        *,
        frame: LocalFrame,
        airframe: Airframe,
        body: Body,
        battery: Battery,
        sensors: Sensors,
        emit: Callable[[Any], None],
        utc_s: Callable[[], float],
        ready_after_s: float,
        ground_rate: float,
        gimbal_pitch_deg: float,
        air_c: float,
    ) -> None:
        """`emit` takes each MAVLink message it sends by itself, `utc_s` is simulated time. `ready_after_s` is when it
        can be armed, s after power-on. `ground_rate` is how many simulated seconds pass in one of the ground's: what
        waits for the ground (failsafe, mission upload) counts the ground's seconds, since the ground does not run
        faster with us. `air_c` is the temperature of the air, deg C.
        """
        self.frame, self.airframe, self.body, self.battery, self.sensors = frame, airframe, body, battery, sensors
        self.emit, self.utc_s, self.air_c = emit, utc_s, air_c
        self.ready_after_s, self.ground_rate, self.gimbal_pitch_deg = ready_after_s, ground_rate, gimbal_pitch_deg


TUMBLES_RAD_S = 7.0
"""How fast a multirotor turns over that a motor has left, rad/s."""


class SensorBits(NamedTuple):
    """MAV_SYS_STATUS_SENSOR bits of SYS_STATUS."""

    present: int
    enabled: int
    healthy: int


class Autopilot(ABC):
    """Everything on board but the radio: step it, give it orders, read what it believes."""

    transfers: Transfers
    """Its side of the mission protocol."""

    def __init__(self, hardware: Hardware, flavour: Flavour, parameters: OnboardParameters, mode: Mode) -> None:
        """Power on in `mode`."""
        self.frame, self.body, self.battery = hardware.frame, hardware.body, hardware.battery
        self.sensors, self.airframe = hardware.sensors, hardware.airframe
        self.flavour, self.emit, self.utc_s = flavour, hardware.emit, hardware.utc_s
        self._parameters = parameters
        self.time_s = 0.0
        self._ground_rate = hardware.ground_rate
        self.ready_s = hardware.ready_after_s
        self.mode = mode
        self.armed = False
        self.flying = False
        self.home_set = False
        self.terminated = False
        """The motors were stopped for good."""
        self.failures = Failures()
        self.pack_temperature = PackTemperature(hardware.air_c)
        self.remote_id = RemoteIdTransmitter(self.ground_time_s, lambda: self.home_set)
        self.estimate = Estimate(believes_after_s=flavour.believes_after_s)
        self.breach = 0
        """FENCE_BREACH of now; 0 for none."""
        self.breaches = 0
        """How often a fence was breached."""
        self.controls = FlightControls(hardware.body, parameters)
        self.gimbal = Gimbal(hardware.gimbal_pitch_deg)
        self.camera = CameraTrigger(self._camera_feedback)
        self._manoeuvre: Manoeuvre | None = None

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
        return self.satellites() and self.time_s >= self._fix_s()

    @abstractmethod
    def hear_ground(self, sysid: int) -> None:
        """A heartbeat of a ground station."""

    def satellites(self) -> bool:
        """Whether the receiver hears enough of them."""
        return not (self.failures.gps_off or self.failures.gps_jammed)

    def obeys(self, sysid: int) -> bool:
        """Whether a ground of this system id is listened to."""
        return True

    @abstractmethod
    def remote_id_on(self) -> bool:
        """Whether a remote ID transmitter is switched on."""

    @abstractmethod
    def parameters_changed(self) -> None:
        """The ground has set a parameter."""

    @abstractmethod
    def sensor_bits(self) -> SensorBits:
        """What SYS_STATUS says of its sensors."""

    def remaining(self) -> float:
        """Part of the battery's charge that it believes to be left, 0 to 1."""
        return self.battery.remaining()

    @abstractmethod
    def has_position(self) -> bool:
        """Whether it knows where it is."""

    @abstractmethod
    def system_status(self) -> int:
        """MAV_STATE."""

    @abstractmethod
    def base_mode(self) -> int:
        """MAV_MODE_FLAG."""

    @abstractmethod
    def landed_state(self) -> int:
        """MAV_LANDED_STATE."""

    @abstractmethod
    def mission_current(self) -> tuple[int, int, int, int]:
        """Item, total, MISSION_STATE and mission_mode, as MISSION_CURRENT says them."""

    @abstractmethod
    def checks_pass(self) -> bool:
        """Whether SYS_STATUS says that it could be armed."""

    @abstractmethod
    def charge_state(self) -> int:
        """MAV_BATTERY_CHARGE_STATE."""

    @abstractmethod
    def _fix_s(self) -> float:
        """When the receiver has its first fix, s after power-on."""

    def leg(self) -> Leg | None:
        """The leg being flown, if one is."""
        return self._manoeuvre.leg if isinstance(self._manoeuvre, FlyTo) else None

    # -- orders --------------------------------------------------------------------------------------------------

    @abstractmethod
    def say(self, severity: int, text: str) -> None:
        """A STATUSTEXT; texts wait for `say_now`, so that they come after the acknowledgement they explain."""

    @abstractmethod
    def say_now(self) -> None:
        """Send the texts that wait."""

    @abstractmethod
    def set_mode(self, mode: Mode) -> bool:
        """Change the flight mode; False with a text if it cannot be."""

    @abstractmethod
    def arm(self, *, force: bool = False) -> bool:
        """Arm; False if it may not be."""

    @abstractmethod
    def disarm(self, *, force: bool = False) -> bool:
        """Stop the motors; in the air only by force."""

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
        self._decide(before, dt_s)
        demand = self.controls.demand
        if self.armed:
            self._fly(dt_s)
        falls = self.failures.falls
        if not self.armed or self.terminated or falls:
            demand.motors = False
        self.body.step(dt_s, demand)
        if falls and isinstance(self.body, Multirotor) and not self.body.on_ground:
            self.body.roll = wrap_rad(self.body.roll + TUMBLES_RAD_S * dt_s)
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
            )
            + self.failures.drain_w,
        )
        resistance = self.battery.pack.resistance_ohm
        self.battery.voltage_v -= self.pack_temperature.step(dt_s, self.battery.current_a, resistance)
        if self.failures.voltage_v is not None:
            self.battery.voltage_v = self.failures.voltage_v

    def _sense(self, dt_s: float) -> None:
        body, sensors, motion = self.body, self.sensors, self.controls.motion
        sensors.step(dt_s)
        estimate, failures = self.estimate, self.failures
        estimate.step(
            dt_s,
            fix=self.has_fix() or not self.home_set,
            glitch=failures.glitch,
            jammed=failures.gps_jammed,
            diverges=failures.ekf,
        )
        motion.n = body.n + sensors.north.value + estimate.north
        motion.e = body.e + sensors.east.value + estimate.east
        motion.u = body.u + sensors.up.value + estimate.up
        motion.vn, motion.ve, motion.vu = (
            body.vn + sensors.north.rate,
            body.ve + sensors.east.rate,
            body.vu + sensors.up.rate,
        )
        motion.yaw = wrap_rad(body.yaw + sensors.yaw.value)

    @abstractmethod
    def _decide(self, before_s: float, dt_s: float) -> None:
        """Boot, watch, transfer: what is due now; the last step was at `before_s`."""

    @abstractmethod
    def _fly(self, dt_s: float) -> None:
        """Write the demand of this step; it is armed."""

    def _towards(self, place: Point) -> FlyTo:
        """The way from here to a place, entered at the present speed."""
        motion, limits = self.controls.motion, self.controls.limits()
        entry = Leg(motion.point(), place, limits).entry_speed_m_s((motion.vn, motion.ve, motion.vu))
        return FlyTo(Leg(motion.point(), place, limits, speed_m_s=entry), precise=True, radius_m=1.0)

    # -- what it sends by itself -----------------------------------------------------------------------------------

    def heartbeat(self) -> None:
        """A HEARTBEAT now."""
        self.emit(
            mavlink.MAVLink_heartbeat_message(
                self.flavour.vehicle_type,
                self.flavour.autopilot,
                self.base_mode(),
                self.flavour.modes[self.mode],
                self.system_status(),
                3,
            )
        )

    def emit_parameter(self, name: str, index: int | None = None) -> None:
        """A PARAM_VALUE."""
        value, kind = self._parameters.wire(name)
        index = self._parameters.answer_index(name) if index is None else index
        count = len(self._parameters)
        self.emit(mavlink.MAVLink_param_value_message(name.encode(), value, kind, count, index))

    def _item_reached(self, seq: int) -> None:
        self.emit(mavlink.MAVLink_mission_item_reached_message(seq))

    def _camera_feedback(self, shot: int) -> None:
        body, sensors = self.body, self.sensors
        angles = (body.roll + sensors.roll.value, body.pitch + sensors.pitch.value, self.controls.motion.yaw)
        self.emit(camera_feedback(shot, self.utc_s(), self.position(), self.relative_m(), angles))
