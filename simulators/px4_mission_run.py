"""The mission as PX4 flies it: items counted from 0, the reached ones told again and again."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum

from fleet.missions import MissionItem
from simulators.autopilot_auto import LandAt
from simulators.autopilot_fence import Fence
from simulators.autopilot_guidance import Leg, Point, corner_speed_m_s
from simulators.autopilot_manoeuvres import FlightControls, FlyTo, Hold, Land, Manoeuvre, TakeOff
from simulators.px4_events import Event

NAVIGATION = {16, 17, 19, 20, 21, 22, 31, 84, 85, 93}
"""Commands that are flown; the others are done on the way."""
POSITIONS = {16, 17, 19, 21, 22, 31, 84, 85}
"""Commands that lead to a place."""
TAKEOFF, LAND, RTL, JUMP, DELAY, LOITER, LOITER_TIME = 22, 21, 20, 177, 93, 17, 19
"""MAV_CMD."""
CHECK_S = 0.5
"""From the acknowledgement of a mission to the verdict on it, s."""


class Outcome(Enum):
    """What a step of a mission led to."""

    GOES_ON = 1
    FINISHED = 2
    RETURNS = 3
    LANDED = 4


class Px4MissionRun:
    """Runs the items of a list; `current` is the item now flown."""

    def __init__(
        self, items: Callable[[], list[MissionItem]], controls: FlightControls, place: Callable[[MissionItem], Point],
        perform: Callable[[MissionItem], None], reached: Callable[[int], None], say: Callable[[int, str], None],
        event: Callable[[Event], None],
    ) -> None:  # fmt: skip
        """`place` finds an item in the local frame, `perform` does a command that is not flown."""
        self._items, self._controls, self._place = items, controls, place
        self._perform, self._reached, self._say, self._event = perform, reached, say, event
        self.current = 0
        self.valid = False
        self.paused = self.complete = False
        self._goes_back = False
        self._unchecked_s: float | None = None
        self._manoeuvre: Manoeuvre | None = None
        self._waits_s: float | None = None
        self._lifts_first = False
        self._jumps: dict[int, int] = {}

    def report(self, *, leads: bool) -> tuple[int, int, int, int]:
        """Item, total, MISSION_STATE and mission_mode of MISSION_CURRENT; `leads`: in a mode that goes by items."""
        if not self.valid:
            state = 1
        elif self.complete:
            state = 5
        elif leads:
            state = 3
        else:
            state = 4 if self.paused else 2
        return self.current, self.total(), state, 1 if leads else 2

    def total(self) -> int:
        """As MISSION_CURRENT says it: 65535 for none."""
        return len(self._items()) or 65535

    def leg(self) -> Leg | None:
        """The leg being flown, if one is."""
        return self._manoeuvre.leg if isinstance(self._manoeuvre, FlyTo) else None

    def taking_off(self) -> bool:
        """Whether it climbs from the ground."""
        return isinstance(self._manoeuvre, TakeOff)

    def landing(self) -> bool:
        """Whether it comes down."""
        return isinstance(self._manoeuvre, Land | LandAt)

    # -- before and between flights ------------------------------------------------------------------------------

    def changed(self) -> None:
        """Another list: from its first item; what is wrong with it is said later."""
        self.current = 0
        self.paused = self.complete = self._goes_back = False
        self.valid = bool(self._items())
        self._unchecked_s = CHECK_S if self.valid else None
        self._manoeuvre, self._jumps = None, {}

    def check(self, dt_s: float, fence: Fence) -> bool:
        """Pass the verdict when it is due; True in the step in which a mission turns out not to be flyable."""
        if self._unchecked_s is None:
            return False
        self._unchecked_s -= dt_s
        if self._unchecked_s > 0.0:
            return False
        self._unchecked_s = None
        items = self._items()
        flown = [item.command for item in items if item.command in NAVIGATION]
        if TAKEOFF in flown[1:] and flown[0] != TAKEOFF:
            self.valid = False
            self._event(Event.TAKEOFF_NOT_FIRST)
        for seq, item in enumerate(items):
            if fence and item.command in POSITIONS and not fence.allows(*self._place(item)[:2]):
                self.valid = False
                self._say(2, f"Geofence violation for waypoint {seq + 1}")
                break
        return not self.valid

    def set_current(self, seq: int) -> bool:
        """Make an item the current one; False if there is no such item."""
        if not 0 <= seq < len(self._items()):
            return False
        self.current = seq
        self.paused = self.complete = self._goes_back = False
        return True

    def go(self) -> None:
        """Fly to the current item without a word."""
        self._begin(self.current)

    def enter(self) -> None:
        """Fly, from the current item on.

        With triggering by distance it goes back, so as to lose no picture: behind the position item before the
        current one, as recorded (from item 4 to the take-off at 0).
        """
        if self._goes_back:
            places = [seq for seq, item in enumerate(self._items()) if item.command in POSITIONS]
            self.current = max((seq for seq in places if seq < self.current - 1), default=0)
        self._goes_back = False
        if self.complete:
            self.current = 0
        self.paused = self.complete = False
        self._say(6, "Executing Mission")
        self._begin(self.current)

    def leave(self, *, triggering: bool) -> None:
        """Another mode: the current item is kept for later."""
        self.paused = not self.complete
        self._goes_back = triggering and not self.complete
        self._manoeuvre = None

    # -- flying --------------------------------------------------------------------------------------------------

    def step(self, dt_s: float) -> Outcome:
        """Fly one step."""
        manoeuvre = self._manoeuvre
        if manoeuvre is None:
            return Outcome.FINISHED
        if not manoeuvre.step(self._controls, dt_s):
            return Outcome.GOES_ON
        if isinstance(manoeuvre, TakeOff) and self._lifts_first:
            self._lifts_first = False
            self._manoeuvre = self._manoeuvre_for(self._items()[self.current], None)
            return Outcome.GOES_ON
        if isinstance(manoeuvre, Land | LandAt):
            self._reached(self.current)
            self.complete = True
            return Outcome.LANDED
        if self._waits_s is not None:
            self._waits_s -= dt_s
            if self._waits_s > 0.0:
                return Outcome.GOES_ON
        return self._begin(self.current + 1, arrived=True)

    def _begin(self, seq: int, *, arrived: bool = False) -> Outcome:
        """Do what is not flown from `seq` on, then take the next item that is; only the last one done is told."""
        items = self._items()
        last = seq - 1 if arrived else None
        if last is not None and self._is_told_apart(items[last]):
            self._reached(last)
        for _ in range(1000):
            if seq >= len(items) or items[seq].command in NAVIGATION:
                break
            if items[seq].command == JUMP:
                seq = self._jump(seq, items[seq])
                continue
            self._perform(items[seq])
            last, seq = seq, seq + 1
        returns = seq < len(items) and items[seq].command == RTL
        if seq >= len(items) or returns:
            self.complete = True
            self.current = min(seq, len(items) - 1)
            self._manoeuvre = Hold(self._controls)
            self._say(6, "Mission finished, loitering")
            self._reached(self.current)
            return Outcome.RETURNS if returns else Outcome.FINISHED
        if last is not None and not (last == self.current and self._is_told_apart(items[last])):
            self._reached(last)
        previous = self._manoeuvre
        self.current, self._waits_s = seq, None
        self._controls.heading_rad = None
        self._manoeuvre = self._manoeuvre_for(items[seq], previous)
        return Outcome.GOES_ON

    def _is_told_apart(self, item: MissionItem) -> bool:
        """A waypoint with a stay, or a take-off flown to in the air, is told before what is done behind it."""
        return self._waits_s is not None or (item.command == TAKEOFF and isinstance(self._manoeuvre, FlyTo))

    def _jump(self, seq: int, item: MissionItem) -> int:
        goal, times = int(item.params[0]), int(item.params[1])
        done = self._jumps.get(seq, 0)
        if 0 <= times <= done or not 0 <= goal < len(self._items()):
            return seq + 1
        self._jumps[seq] = done + 1
        return goal

    def _manoeuvre_for(self, item: MissionItem, previous: Manoeuvre | None) -> Manoeuvre:
        controls, command = self._controls, item.command
        if command == DELAY:
            self._waits_s = item.params[0]
            return Hold(controls)
        place = self._place(item)
        if controls.body.on_ground and command != LAND and math.isfinite(place.u):
            self._say(6, f"Climb to {place.u - controls.home.u:.1f} meters above home")
            self._lifts_first = command != TAKEOFF
            return TakeOff(place.u)
        if not all(map(math.isfinite, place)):
            place = Point(
                *(
                    there if math.isfinite(there) else here
                    for there, here in zip(place, controls.motion.point(), strict=True)
                )
            )
        came_by = previous.leg if isinstance(previous, FlyTo) else None
        start = came_by.end if came_by is not None else controls.motion.point()
        if command == LAND:
            place = place._replace(u=start.u)
        motion, limits = controls.motion, controls.limits()
        end_speed = self._end_speed_m_s(start, place, item)
        entry = came_by.v_m_s if came_by is not None else None
        if entry is None:
            entry = Leg(start, place, limits).entry_speed_m_s((motion.vn, motion.ve, motion.vu))
        if command == LOITER:
            self._waits_s = math.inf
        elif command in (16, LOITER_TIME) and item.params[0] > 0:
            self._waits_s = item.params[0]
        leg = Leg(start, place, limits, speed_m_s=entry, end_speed_m_s=end_speed)
        fly = FlyTo(leg, precise=end_speed <= 0.0, radius_m=controls.settings.radius_m())
        return LandAt(fly) if command == LAND else fly

    def _end_speed_m_s(self, start: Point, place: Point, item: MissionItem) -> float:
        items = self._items()
        if item.command != 16 or item.params[0] > 0:
            return 0.0
        after = next((i for i in items[self.current + 1 :] if i.command in NAVIGATION), None)
        if after is None or after.command not in POSITIONS:
            return 0.0
        return corner_speed_m_s(start, place, self._place(after), self._controls.limits().acceleration_m_s2)
