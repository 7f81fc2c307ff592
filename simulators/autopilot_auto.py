"""The mission as it is flown: items one after the other, reported as ArduCopter reports them."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum

from fleet.missions import MissionItem
from simulators.autopilot_guidance import Leg, Point, corner_speed_m_s
from simulators.autopilot_manoeuvres import (
    Circle,
    Facing,
    FlightControls,
    FlyTo,
    Hold,
    Land,
    Manoeuvre,
    ReturnHome,
    TakeOff,
)
from simulators.autopilot_missions import ItemList
from simulators.autopilot_parameters import Parameters

NAMES = {
    16: "WP", 17: "LoitUnlim", 18: "LoitTurns", 19: "LoitTime", 20: "RTL", 21: "Land", 22: "Takeoff", 82: "SplineWP",
    93: "Delay", 112: "CondDelay", 114: "CondDist", 115: "CondYaw", 177: "Jump", 178: "ChangeSpeed", 179: "SetHome",
    181: "SetRelay", 183: "SetServo", 195: "SetROI", 197: "SetROINone", 201: "SetROI", 203: "DigiCamCtrl",
    204: "MountConfig", 205: "MountControl", 206: "SetCamTrigDst", 207: "Fence", 211: "Gripper",
    1000: "GimbalPitchYaw", 2000: "ImageStartCapture", 2001: "ImageStopCapture",
}  # fmt: skip
"""What ArduPilot calls a command in its texts."""
NAVIGATION = {16, 17, 18, 19, 20, 21, 22, 82, 92, 93}
"""Commands that are flown; the others are done on the way."""
DO_FENCE_ENABLE = 207
THROUGH = {16, 82}
"""Commands whose place is flown through."""


class MissionState(IntEnum):
    """MISSION_STATE of MISSION_CURRENT."""

    NO_MISSION = 1
    NOT_STARTED = 2
    ACTIVE = 3
    PAUSED = 4
    COMPLETE = 5


class MissionRun:
    """Runs the items of a list; `current` is the item now flown, 0 before the start."""

    def __init__(
        self,
        items: ItemList,
        controls: FlightControls,
        parameters: Parameters,
        place: Callable[[MissionItem], Point],
        perform: Callable[[MissionItem], None],
        say: Callable[[int, str], None],
        reached: Callable[[int], None],
    ) -> None:
        """`place` finds an item in the local frame, `perform` does a command that is not flown."""
        self._items, self._controls, self._parameters, self._place = items, controls, parameters, place
        self._perform, self._say, self._reached = perform, say, reached
        self._first = 1
        self.current = 0
        self.started = False
        self.paused = False
        self.complete = False
        self._manoeuvre: Manoeuvre | None = None
        self._waits_s: float | None = None
        self._jumps: dict[int, int] = {}
        self._announced: int | None = None

    # -- what the ground may ask ---------------------------------------------------------------------------------

    def state(self, *, in_auto: bool) -> MissionState:
        """As MISSION_CURRENT says it."""
        if self._items.total() == 0:
            return MissionState.NO_MISSION
        if self.complete:
            return MissionState.COMPLETE
        if not in_auto or not self.started:
            return MissionState.NOT_STARTED
        return MissionState.PAUSED if self.paused else MissionState.ACTIVE

    def landing(self) -> bool:
        """Whether it is on its last metres."""
        manoeuvre = self._manoeuvre
        return isinstance(manoeuvre, Land) or (isinstance(manoeuvre, ReturnHome) and manoeuvre.landing is not None)

    def taking_off(self) -> bool:
        """Whether it climbs from the ground."""
        return isinstance(self._manoeuvre, TakeOff)

    def lifts_off(self) -> bool:
        """Whether the first item that would be flown is a take-off."""
        flown = self._next_flown(self._first, count_jumps=False)
        return flown is not None and self._items.items[flown].command == 22

    def leg(self) -> Leg | None:
        """The leg being flown, if one is."""
        return self._manoeuvre.leg if isinstance(self._manoeuvre, FlyTo) else None

    def set_current(self, seq: int, *, flying: bool) -> bool:
        """Jump to an item: 0 means 1, a command that is not flown means the next that is; False if too high."""
        if not 0 <= seq < len(self._items.items):
            return False
        found = self._next_flown(max(seq, self._first))
        self.current = max(seq, self._first) if found is None else found
        self.complete = False
        if flying:
            self._begin(self.current, previous=None)
        return True

    def enter(self) -> None:
        """AUTO was chosen; in the air the mission goes on at the current item."""
        self.paused = False
        self._announced = None
        if not self._items.items or self._items.total() == 0:
            return
        if self.complete or self.current == 0:
            self.current, self.complete = 0, False

    def start(self) -> None:
        """MISSION_START, or AUTO in the air: fly."""
        if self.started or self._items.total() == 0:
            return
        if self.complete:
            self.current, self.complete = 0, False
        self.started = True
        seq = max(self.current, self._first)
        flown = self._next_flown(seq)
        if flown is None:
            self._finish()
            return
        self._begin(flown, previous=None, commands=self._between(seq, flown))

    def leave(self) -> None:
        """Another mode was chosen: the current item is kept for later."""
        self.started = self.paused = False
        self._manoeuvre = None
        self._waits_s = None

    def reset(self) -> None:
        """The motors stopped: the next start is from the first item."""
        done = self.complete
        self.leave()
        self.current, self.complete, self._jumps = 0, done, {}

    def pause(self) -> bool:
        """DO_PAUSE_CONTINUE 0."""
        if not self.started or self._manoeuvre is None or self.taking_off():
            return False
        self.paused = True
        self._manoeuvre = Hold(self._controls)
        return True

    def resume(self) -> bool:
        """DO_PAUSE_CONTINUE 1."""
        if not self.paused:
            return self.started
        self.paused = False
        self._begin(self.current, previous=None, announce=False)
        return True

    def changed(self) -> None:
        """The list was written to while the mission is flown."""
        if not self.started or self._manoeuvre is None or self.current >= len(self._items.items):
            return
        self._begin(self.current, previous=None)
        self._say(2, "Auto mission changed, restarted command")

    # -- flying --------------------------------------------------------------------------------------------------

    def step(self, dt_s: float) -> bool:
        """Fly one step; True when the mission has brought the vehicle to the ground."""
        manoeuvre = self._manoeuvre
        if manoeuvre is None:
            self._controls.idle()
            return False
        done = manoeuvre.step(self._controls, dt_s)
        if self.paused or not done:
            return False
        if self.complete:
            return False
        if self._waits_s is not None:
            self._waits_s -= dt_s
            if self._waits_s > 0.0:
                return False
        return self._arrive()

    def _arrive(self) -> bool:
        seq = self.current
        item = self._items.items[seq] if seq < len(self._items.items) else None
        command = item.command if item is not None else 16
        if command == 22:
            self._reached(seq + 1)
        else:
            self._reached(seq)
            if command in (16, 17, 18, 19, 82):
                self._say(6, f"Reached command #{seq}")
        if command in (20, 21):
            self.complete = True
            return True
        following = self._next_flown(seq + 1)
        if following is None:
            for other in self._between(seq + 1, len(self._items.items)):
                self._do(other)
            self._finish()
            return False
        self._begin(following, previous=self._manoeuvre, commands=self._between(seq + 1, following))
        return False

    def _finish(self) -> None:
        self.complete = True
        self._manoeuvre = Hold(self._controls)

    def _begin(
        self, seq: int, *, previous: Manoeuvre | None, commands: list[int] | None = None, announce: bool = True
    ) -> None:
        item = self._items.items[seq]
        self.current, self._waits_s = seq, None
        self._controls.heading_rad = None
        commands = commands or []
        if commands:
            self._announce(commands[0])
        if announce:
            self._announce(seq)
        self._manoeuvre = self._manoeuvre_for(item, previous)
        for index, other in enumerate(commands):
            self._do(other, announce=index > 0)

    def _manoeuvre_for(self, item: MissionItem, previous: Manoeuvre | None) -> Manoeuvre:
        controls, command = self._controls, item.command
        if command == 22:
            return TakeOff(self._place(item).u)
        if command == 20:
            return ReturnHome(controls, self._parameters)
        if command == 21 and item.x == 0 and item.y == 0:
            return Land(controls)
        if command in (92, 93):
            self._waits_s = item.params[0]
            return Hold(controls)
        place = self._place(item)
        came_by = previous.leg if isinstance(previous, FlyTo) else None
        start = came_by.end if came_by is not None else controls.motion.point()
        if command == 21:
            place = place._replace(u=start.u)
        motion, limits = controls.motion, controls.limits()
        end_speed = self._end_speed_m_s(start, place)
        leg = Leg(start, place, limits, end_speed_m_s=end_speed)
        entry = came_by.v_m_s if came_by is not None else leg.entry_speed_m_s((motion.vn, motion.ve, motion.vu))
        leg = Leg(start, place, limits, speed_m_s=entry, end_speed_m_s=end_speed)
        if command in (16, 19, 82) and item.params[0] > 0:
            self._waits_s = item.params[0]
        elif command == 18:
            return Turns(controls, place, item, self._parameters)
        elif command == 17:
            self._waits_s = float("inf")
        precise = command not in THROUGH or end_speed <= 0.0
        fly = FlyTo(leg, precise=precise, radius_m=controls.settings.radius_m())
        return LandAt(fly) if command == 21 else fly

    def _end_speed_m_s(self, start: Point, place: Point) -> float:
        item = self._items.items[self.current]
        if item.command not in THROUGH or item.params[0] > 0:
            return 0.0
        following = self._next_flown(self.current + 1, count_jumps=False)
        if following is None:
            return 0.0
        after = self._items.items[following]
        if after.command not in (16, 17, 18, 19, 82):
            return 0.0
        return corner_speed_m_s(start, place, self._place(after), self._controls.limits().acceleration_m_s2)

    def _next_flown(self, seq: int, *, count_jumps: bool = True) -> int | None:
        for _ in range(1000):
            if seq >= len(self._items.items):
                return None
            item = self._items.items[seq]
            if item.command in NAVIGATION:
                return seq
            seq = self._jump(seq, item, count_jumps=count_jumps) if item.command == 177 else seq + 1
        return None

    def _jump(self, seq: int, item: MissionItem, *, count_jumps: bool) -> int:
        goal, times = int(item.params[0]), int(item.params[1])
        done = self._jumps.get(seq, 0)
        if 0 <= times <= done or not 0 < goal < len(self._items.items):
            return seq + 1
        if count_jumps:
            self._jumps[seq] = done + 1
        return goal

    def _between(self, first: int, flown: int) -> list[int]:
        return [seq for seq in range(first, flown) if self._items.items[seq].command not in NAVIGATION | {177}]

    def _do(self, seq: int, *, announce: bool = True) -> None:
        if announce:
            self._announce(seq)
        item = self._items.items[seq]
        if item.command == DO_FENCE_ENABLE:
            self._parameters.set("FENCE_ENABLE", item.params[0])
        self._perform(item)

    def _announce(self, seq: int) -> None:
        self._say(6, f"Mission: {seq} {NAMES.get(self._items.items[seq].command, 'Unknown')}")


class LandAt:
    """Fly to a place, then land there."""

    def __init__(self, fly: FlyTo) -> None:
        """After `fly`."""
        self._fly: FlyTo | None = fly
        self._land: Land | None = None

    def step(self, controls: FlightControls, dt_s: float) -> bool:
        """Fly on, land."""
        if self._land is not None:
            return self._land.step(controls, dt_s)
        if self._fly is not None and self._fly.step(controls, dt_s):
            self._land = Land(controls, self._fly.leg.end)
        return False


class Turns:
    """NAV_LOITER_TURNS: so many rounds about a place, by CIRCLE_RATE."""

    def __init__(self, controls: FlightControls, place: Point, item: MissionItem, parameters: Parameters) -> None:
        """`item` says how many, and the radius, m; below 0 is counterclockwise, 0 takes CIRCLE_RADIUS."""
        radius = item.params[2] or parameters["CIRCLE_RADIUS"] / 100.0
        speed = math.radians(abs(parameters["CIRCLE_RATE"])) * radius
        self._circle = Circle(controls, place, abs(radius), speed, Facing.CENTRE)
        self._turns = item.params[0]

    def step(self, controls: FlightControls, dt_s: float) -> bool:
        """Fly on; True when the rounds are done."""
        self._circle.step(controls, dt_s)
        return self._circle.turns >= self._turns
