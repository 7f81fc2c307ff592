"""A link that does what links and their ends should not: lose, delay, repeat, freeze, forge, by hand or by schedule."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import Counter
from collections.abc import Callable, Sequence

from fleet.framing import Frame, Framer
from simulators.autopilot_links import Link, link_of
from simulators.clock import SimClock
from simulators.errors import FaultInvalid
from simulators.failures import VehicleFaultCall
from simulators.fault_forgery import Forger, burst, displaced
from simulators.fault_frames import renumbered
from simulators.fault_missions import MissionFilter
from simulators.fault_schedule import (
    DuplicateSysid,
    Fault,
    ForgedFrames,
    Garbage,
    Mission,
    VehicleFault,
    Way,
    check_fault,
)
from simulators.fault_wire import Passing, Stage, source_stage, wire_stage

SHORTEST_WAIT_S = 0.001
"""Of the wall, between two looks at what is due."""


class FaultyLink:
    """A vehicle's link with faults in it; the vehicle knows nothing of them.

    What happens follows from the seed, the order of injection and the frames, and each way has chances of its own.
    Frames that a mission failure swallows or adds leave no gap in the sequence numbers, as if the vehicle had not
    (or had) sent them; frames that the wire loses do.
    """

    def __init__(
        self,
        link: str | Link,
        *,
        clock: SimClock,
        faults: Sequence[Fault] = (),
        seed: int = 0,
        vehicle_fault: VehicleFaultCall | None = None,
        key: bytes | None = None,
    ) -> None:
        """Around `link`, an address or a Link; `clock` is the vehicle's.

        `faults` begin by themselves once the link is open. `vehicle_fault(name, options)` carries out faults of the
        vehicle itself. `key` (32 bytes) is the vehicle's signing key, without which what is signed cannot be altered
        unnoticed. Raises FaultInvalid, LinkUnusable.
        """
        self._address = link if isinstance(link, str) else None
        self._inner: Link = link_of(link) if isinstance(link, str) else link
        self._clock, self._schedule, self._seed, self._key = clock, tuple(faults), seed, key
        self._vehicle_fault = vehicle_fault
        self.counts: Counter[str] = Counter()
        """Frames that each fault lost, changed, repeated or made, by the fault's name."""
        self._receive: Callable[[bytes], None] = lambda data: None
        self._framers = {Way.UP: Framer(), Way.DOWN: Framer()}
        self._offsets: dict[tuple[Way, int, int], int] = {}
        self._sources: dict[int, tuple[str, Stage]] = {}
        self._missions: dict[int, MissionFilter] = {}
        self._wires: dict[Way, dict[int, tuple[str, Stage]]] = {Way.UP: {}, Way.DOWN: {}}
        self._seconds: dict[int, tuple[DuplicateSysid, Link]] = {}
        self._running: dict[int, Fault] = {}
        self._waiting: set[int] = set()
        self._injected = 0
        self._vehicle_sysid = 0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._broke: Exception | None = None
        for fault in self._schedule:
            self._check(fault)

    # -- faults ------------------------------------------------------------------------------------------------------

    def inject(self, fault: Fault) -> int:
        """Begin a fault `at_s` from now, for `for_s`; returns what `lift` takes. Raises FaultInvalid."""
        self._check(fault)
        self._injected += 1
        number = self._injected
        self._waiting.add(number)
        self._at(self._clock.utc_s() + fault.at_s, lambda: self._begin(number, fault))
        self.pump()
        return number

    def lift(self, number: int) -> None:
        """End a fault now, or before it has begun."""
        self._waiting.discard(number)
        self._end(number)

    def clear(self) -> None:
        """End all faults; what is under way still arrives."""
        for number in (*self._waiting, *self._running):
            self.lift(number)

    @property
    def active(self) -> list[Fault]:
        """The faults at work now, in the order they began."""
        return list(self._running.values())

    def _check(self, fault: Fault) -> None:
        check_fault(fault, "fault")
        if isinstance(fault, VehicleFault) and self._vehicle_fault is None:
            raise FaultInvalid(f"fault {fault.name()}: nobody is there to carry out faults of the vehicle itself")
        if isinstance(fault, DuplicateSysid):
            if fault.link is None and self._address is None:
                raise FaultInvalid("fault duplicate_sysid: name the link of the second source")
            link_of(fault.link or self._address or "")

    def _begin(self, number: int, fault: Fault) -> None:
        if number not in self._waiting:
            return
        self._waiting.discard(number)
        self._running[number] = fault
        name = fault.name()
        if fault.for_s is not None:
            self._at(self._clock.utc_s() + fault.for_s, lambda: self._end(number))
        if isinstance(fault, VehicleFault) and self._vehicle_fault is not None:
            self._vehicle_fault(name, fault.options())
        elif isinstance(fault, Mission):
            self._missions[number] = MissionFilter(fault, key=self._key)
        elif isinstance(fault, DuplicateSysid):
            self._open_second(number, fault)
        elif isinstance(fault, ForgedFrames):
            forger = Forger(fault, random.Random(f"{self._seed} {number}"))
            self._every(number, 1.0 / fault.rate_hz, lambda: self._forge(fault, forger))
        elif isinstance(fault, Garbage):
            for way in (Way.UP, Way.DOWN):
                if fault.way in (way, Way.BOTH):
                    self._scatter(number, fault, way)
        elif (source := source_stage(fault, self._key)) is not None:
            self._sources[number] = (name, source)
        else:
            for way in (Way.UP, Way.DOWN):
                stage = wire_stage(fault, way, random.Random(f"{self._seed} {number} {way}"))
                if stage is not None:
                    self._wires[way][number] = (name, stage)

    def _end(self, number: int) -> None:
        fault = self._running.pop(number, None)
        if fault is None:
            return
        self._sources.pop(number, None)
        self._missions.pop(number, None)
        for stages in self._wires.values():
            stages.pop(number, None)
        if number in self._seconds:
            self._seconds.pop(number)[1].close()
        if isinstance(fault, VehicleFault) and self._vehicle_fault is not None:
            self._vehicle_fault(fault.name(), None)

    def _scatter(self, number: int, fault: Garbage, way: Way) -> None:
        chance = random.Random(f"{self._seed} {number} {way}")

        def once() -> None:
            self.counts["garbage"] += 1
            self._out(way, burst(fault, chance))

        self._every(number, 1.0 / fault.rate_hz, once)

    def _forge(self, fault: ForgedFrames, forger: Forger) -> None:
        if self._vehicle_sysid:
            frame = forger.frame(vehicle_sysid=self._vehicle_sysid, utc_s=self._clock.utc_s())
            self.counts[fault.name()] += 1
            self._out(fault.way, frame.data)

    def _open_second(self, number: int, fault: DuplicateSysid) -> None:
        second = link_of(fault.link or self._address or "")
        self._seconds[number] = (fault, second)

        async def open_it() -> None:
            await second.open(lambda data: None)
            if number not in self._seconds:
                second.close()

        task = asyncio.get_running_loop().create_task(open_it(), name="second source")
        self._tasks.add(task)
        task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._broke = error

    # -- time --------------------------------------------------------------------------------------------------------

    def _at(self, due_s: float, work: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._due, (due_s, self._order, work))
        self._arm()

    def _every(self, number: int, pause_s: float, work: Callable[[], None]) -> None:
        """Now and every `pause_s`, as long as the fault lasts."""

        def once(due_s: float) -> None:
            if number in self._running:
                work()
                self._at(due_s + pause_s, lambda: once(due_s + pause_s))

        once(self._clock.utc_s())

    def pump(self) -> None:
        """Do what is due; called by itself as frames come from the ground and, once open, by a timer."""
        while self._due and self._due[0][0] <= self._clock.utc_s():
            heapq.heappop(self._due)[2]()
        self._arm()

    def _arm(self) -> None:
        if self._loop is None or not self._due:
            return
        wait_s = max(SHORTEST_WAIT_S, (self._due[0][0] - self._clock.utc_s()) / self._clock.speedup)
        when_s = self._loop.time() + wait_s
        if self._timer is not None and not self._timer.cancelled():
            if abs(self._timer.when() - when_s) < SHORTEST_WAIT_S and self._timer.when() > self._loop.time():
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when_s, self._woken)

    def _woken(self) -> None:
        self._timer = None
        try:
            self.pump()
        except Exception as exc:  # noqa: BLE001 - whoever sends next gets it
            self._broke = exc

    # -- the link ----------------------------------------------------------------------------------------------------

    async def open(self, receive: Callable[[bytes], None]) -> None:
        """Start; `receive` is called with the frames from the ground that get through. Raises LinkUnusable."""
        self._receive = receive
        await self._inner.open(self._from_ground)
        self._loop = asyncio.get_running_loop()
        for fault in self._schedule:
            self.inject(fault)
        self._arm()

    def close(self) -> None:
        """Stop; what is still under way is lost."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop = None
        self._due.clear()
        for task in self._tasks:
            task.cancel()
        for _, second in self._seconds.values():
            second.close()
        self._inner.close()

    def send(self, data: bytes) -> None:
        """One frame of the vehicle. Raises what broke a fault meanwhile: FaultInvalid, LinkUnusable.

        Nothing that is due arrives from in here: a vehicle in the midst of a step is not ready to receive.
        """
        if self._broke is not None:
            broke, self._broke = self._broke, None
            raise broke
        if not self._running and not self._offsets and not self._due and self._vehicle_sysid:
            self._inner.send(data)
            return
        for frame in self._framers[Way.UP].feed(data):
            self._vehicle_sysid = frame.sysid
            passing = self._filtered(self._sourced(frame), Way.UP)
            for spoken in passing:
                for fault, second in self._seconds.values():
                    self.counts[fault.name()] += 1
                    second.send(displaced(spoken, fault).data)
            self._through_wire(passing, Way.UP)

    def _from_ground(self, data: bytes) -> None:
        self.pump()
        for frame in self._framers[Way.DOWN].feed(data):
            self._through_wire([frame], Way.DOWN)

    def _sourced(self, frame: Frame) -> Frame:
        """What the vehicle says instead."""
        passing = Passing(frame, 0.0)
        for name, stage in self._sources.values():
            (changed,) = stage.carry(passing)
            self.counts[name] += changed.frame.data != passing.frame.data
            passing = changed
        return passing.frame

    def _filtered(self, frame: Frame, way: Way) -> list[Frame]:
        """A frame after the mission failures, numbered as if nothing else had been."""
        frames = [frame]
        for mission in self._missions.values():
            passed: list[Frame] = []
            for each in frames:
                instead = mission.alter(each, way)
                self.counts[Mission.name()] += instead is not None and instead != [each]
                passed += [each] if instead is None else instead
            frames = passed
        sender = (way, frame.sysid, frame.compid)
        offset = self._offsets.get(sender, 0)
        if offset or len(frames) != 1:
            frames = [
                renumbered(each, (frame.seq + offset + index) % 256, key=self._key) for index, each in enumerate(frames)
            ]
            self._offsets[sender] = offset + len(frames) - 1
        return frames

    def _through_wire(self, frames: list[Frame], way: Way) -> None:
        now_s = self._clock.utc_s()
        passing = [Passing(frame, now_s) for frame in frames]
        for name, stage in self._wires[way].values():
            passed = [out for each in passing for out in stage.carry(each)]
            self.counts[name] += passed != passing
            passing = passed
        for each in passing:
            if each.due_s <= now_s:
                self._arrive(each.frame, way)
            else:
                self._at(each.due_s, lambda frame=each.frame: self._arrive(frame, way))  # type: ignore[misc]

    def _arrive(self, frame: Frame, way: Way) -> None:
        if way is Way.UP:
            self._inner.send(frame.data)
            return
        for passed in self._filtered(frame, Way.DOWN):
            self._receive(passed.data)

    def _out(self, way: Way, data: bytes) -> None:
        """To the end of a way, past all faults."""
        if way is Way.UP:
            self._inner.send(data)
        else:
            self._receive(data)
