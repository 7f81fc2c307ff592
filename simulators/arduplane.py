"""ArduPlane, a second airframe. Experimental: from its documentation, for no flight of one was recorded."""

from __future__ import annotations

import math

from fleet.missions import MissionItem
from simulators.arducopter_safety import SEVERITY_WARNING, ArduCopterSafety
from simulators.arduplane_flight import ClimbOut, Landing, Rounds, Track
from simulators.autopilot_arducopter import ArduCopter
from simulators.autopilot_auto import MissionRun
from simulators.autopilot_failsafes import GroundWatch
from simulators.autopilot_flavour import Mode
from simulators.autopilot_guidance import Descent, Point, SpeedLimits
from simulators.autopilot_manoeuvres import Manoeuvre
from simulators.autopilot_parameters import Parameters

MIN_CLIMB_M = 20.0
"""Above the ground, where a circle is flown whose height is not given, m."""
CONTINUES = 0
"""FS_LONG_ACTN that leaves a mission alone."""


class PlaneParameters(Parameters):
    """ArduPlane's by their names of 4.6; those it shares with ArduCopter as they were recorded of that."""

    TABLE, SET_UP = "arduplane_parameters.tsv", {
        name: value for name, value in Parameters.SET_UP.items() if not name.startswith("FS_")
    }  # fmt: skip
    spool_s = 0.0

    def limits(self) -> SpeedLimits:
        """What the navigation asks for by itself."""
        p = self._values
        return SpeedLimits(p["AIRSPEED_CRUISE"], p["TECS_CLMB_MAX"], p["TECS_SINK_MAX"], 3.0, 4.0, 10.0)

    def descent(self) -> Descent:
        """How it lands: the flare alone is like that."""
        return Descent(2.0, 0.5, self._values["LAND_FLARE_ALT"])

    def faces_way(self) -> bool:
        """It cannot but."""
        return True

    def radius_m(self) -> float:
        """How near a waypoint it has to come, m."""
        return self._values["WP_RADIUS"]


class PlaneRun(MissionRun):
    """A mission flown without ever stopping."""

    def landing(self) -> bool:
        """Whether it is on its last metres."""
        return isinstance(self._manoeuvre, Landing)

    def taking_off(self) -> bool:
        """Whether it climbs from the ground."""
        return isinstance(self._manoeuvre, ClimbOut)

    def pause(self) -> bool:
        """DO_PAUSE_CONTINUE is not known."""
        return False

    def _finish(self) -> None:
        self.complete = True
        self._manoeuvre = Rounds(self._controls.motion.point(), self._parameters["WP_LOITER_RAD"])

    def _manoeuvre_for(self, item: MissionItem, previous: Manoeuvre | None) -> Manoeuvre:
        controls, command, place = self._controls, item.command, self._place(item)
        start = previous.end if isinstance(previous, Track) else controls.motion.point()
        radius = item.params[2] or self._parameters["WP_LOITER_RAD"]
        if command == 22:
            return ClimbOut(controls, place.u)
        if command == 20:
            return way_home(self._controls.home, self._parameters)
        if command == 21:
            ground = place._replace(u=controls.body.ground_u)
            return Landing(controls, start, ground)
        if command == 17:
            return Rounds(place, radius)
        if command == 18:
            return Rounds(place, radius, turns=item.params[0])
        if command == 19:
            return Rounds(place, radius, for_s=item.params[0])
        return Track(controls, start, place)


class ArduPlaneSafety(ArduCopterSafety):
    """Without a way down but the home: failsafes lead there."""

    def __init__(self, pilot: ArduPlane) -> None:
        """All is well."""
        super().__init__(pilot)
        self.ground = GroundWatch(pilot.parameters, enable="FS_GCS_ENABL", timeout="FS_LONG_TIMEOUT")

    def _watch_ground(self) -> None:
        pilot = self._pilot
        lost = self.ground.step(pilot.ground_time_s())
        if lost is False:
            pilot.say(SEVERITY_WARNING, "GCS Failsafe Cleared")
        if lost:
            if pilot.mode is not Mode.AUTO or pilot.parameters["FS_LONG_ACTN"] != CONTINUES:
                self._escape(Mode.RTL)
            pilot.say(SEVERITY_WARNING, f"GCS Failsafe On: {pilot.mode.value}")

    def _watch_position(self, dt_s: float) -> None:
        """It flies on by dead reckoning, and says nothing."""
        self.position.step(dt_s, fix=self._pilot.has_fix(), diverging=self._pilot.estimate.diverging)

    def _escape(self, mode: Mode | None) -> None:
        super()._escape(None if mode is None else Mode.RTL)


class ArduPlane(ArduCopter):
    """ArduPlane 4.6 as documented: it flies circles where a copter hovers."""

    def _new_run(self, parameters: Parameters) -> MissionRun:
        return PlaneRun(*self._run_parts(parameters))

    def _new_safety(self) -> ArduCopterSafety:
        return ArduPlaneSafety(self)

    def _arms_in_auto(self) -> bool:
        return True

    def landed_state(self) -> int:
        """MAV_LANDED_STATE."""
        if not self.flying:
            return 1
        if isinstance(self._manoeuvre, ClimbOut) or (self.mode is Mode.AUTO and self.run.taking_off()):
            return 3
        return 4 if self.mode is Mode.AUTO and self.run.landing() else 2

    def set_mode(self, mode: Mode) -> bool:
        """Change the flight mode; armed on the ground, AUTO and TAKEOFF go at once."""
        if not super().set_mode(mode):
            return False
        if self.armed and not self.flying:
            if mode is Mode.AUTO:
                self.run.start()
            elif mode is Mode.TAKEOFF:
                self._launch(ClimbOut(self.controls, self.controls.home.u + self.parameters["TKOFF_ALT"]))
        return True

    def _manoeuvre_of(self, mode: Mode) -> Manoeuvre | None:
        here, radius = self.controls.motion.point(), self.parameters["WP_LOITER_RAD"]
        if mode is Mode.AUTO:
            return None
        if mode is Mode.RTL:
            return way_home(min([*self.controls.rally, self.controls.home], key=self._far_m), self.parameters)
        return Rounds(here, radius)

    def _far_m(self, place: Point) -> float:
        return math.dist(place[:2], self.controls.motion.point()[:2])

    def take_off(self, height_m: float) -> bool:
        """NAV_TAKEOFF is for missions; the mode TAKEOFF does it."""
        return False

    def go_to(self, place: Point, *, speed_m_s: float | None = None) -> bool:
        """Fly to a place in GUIDED, and circle there."""
        if not self.flying or self.safety.breach_at(place) or not self.set_mode(Mode.GUIDED):
            return False
        if speed_m_s is not None and speed_m_s > 0.0:
            self.controls.speed_m_s = speed_m_s
        up = max(place.u, self.body.ground_u + MIN_CLIMB_M)
        self._manoeuvre = Rounds(place._replace(u=up), self.parameters["WP_LOITER_RAD"])
        return True

    def drive(self, north: float, east: float, up: float) -> None:
        """Velocities are not obeyed."""

    def _fly(self, dt_s: float) -> None:
        if self.mode is Mode.AUTO:
            if not self.run.started:
                self._wait(dt_s)
            elif self.run.step(dt_s):
                self._stop()
            return
        if self._manoeuvre is None:
            self._wait(dt_s)
        elif self._manoeuvre.step(self.controls, dt_s) and isinstance(self._manoeuvre, ClimbOut):
            self._manoeuvre = Rounds(self.controls.motion.point(), self.parameters["WP_LOITER_RAD"])

    def _wait(self, dt_s: float) -> None:
        self.controls.demand.motors = False


def way_home(goal: Point, parameters: Parameters) -> Rounds:
    """RTL: circles above a place at RTL_ALTITUDE."""
    radius = parameters["RTL_RADIUS"] or parameters["WP_LOITER_RAD"]
    return Rounds(goal._replace(u=goal.u + parameters["RTL_ALTITUDE"]), radius)
