"""A watch over vehicles in flight: a zone that comes to lie on the way of one is told at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import numpy as np
import structlog
from sqlalchemy.exc import DBAPIError

from fleet.vehicle import Vehicle
from geo.breaches import Breach
from geo.errors import GeoError
from geo.tracks import Track
from missioncontrol.clearance import Clearance
from missioncontrol.clocks import Clock
from missioncontrol.errors import StoreUnavailable
from missioncontrol.supervision import keep_running
from missioncontrol.traffic import Traffic

LOOK_S = 2.0
"""How often vehicles and zones are held against each other, s of the wall."""
STAYS_S = 5.0
"""A vehicle is taken to stay where it is for so long, s: also one that left its plan."""

log = structlog.get_logger(__name__)


class ZoneWatch:
    """Looks at the plans of flights under way, and at where every vehicle in the air is."""

    def __init__(
        self,
        clearance: Clearance,
        traffic: Traffic,
        vehicles: Mapping[int, Vehicle],
        clock: Clock,
        *,
        on_alarm: Callable[[str], None],
    ) -> None:
        """`on_alarm` hears once of each vehicle and zone; again where the zone had gone meanwhile."""
        self._clearance, self._traffic, self._vehicles, self._clock = clearance, traffic, vehicles, clock
        self._on_alarm = on_alarm
        self._told: set[tuple[int, str]] = set()

    async def run(self) -> None:
        """Look again and again."""

        async def watch() -> None:
            while True:
                await self.look()
                await asyncio.sleep(LOOK_S)

        await keep_running("zones", watch, restart_on=(StoreUnavailable, DBAPIError, OSError))

    async def look(self) -> None:
        """Tell what is new."""
        now_s = self._clock()
        found: dict[tuple[int, str], str] = {}
        for sysid, tracks in self._ways(now_s).items():
            try:
                for breach in await self._clearance.touched(sysid, tracks, after_s=now_s):
                    name = breach.zone.title if breach.zone is not None else "outside every inclusion zone"
                    found.setdefault((sysid, name), _told(sysid, name, breach, now_s))
            except GeoError as exc:
                found[sysid, type(exc).__name__] = f"vehicle {sysid} cannot be held against zones: {exc}"
        for key in found.keys() - self._told:
            log.warning("zone on the way", sysid=key[0], zone=key[1])
            self._on_alarm(found[key])
        self._told = set(found)

    def _ways(self, now_s: float) -> dict[int, list[Track]]:
        """What lies before each vehicle: the rest of its plan, and where it is."""
        ways: dict[int, list[Track]] = {}
        for sysid, vehicle in self._vehicles.items():
            state = vehicle.state
            if state.in_air and (height_m := self._clearance.plan_height_m(state)) is not None:
                assert state.position is not None
                still = np.array([state.position.lon, state.position.lat, height_m])[:, None].repeat(2, axis=1)
                ways.setdefault(sysid, []).append(Track(np.array([now_s, now_s + STAYS_S]), *still))
        for sysid, track in self._traffic.under_way():
            ways.setdefault(sysid, []).append(track)
        return ways


def _told(sysid: int, name: str, breach: Breach, now_s: float) -> str:
    at, in_s = breach.begins, breach.begins.utc_s - now_s
    where = f"at lon {at.lon:.6f}, lat {at.lat:.6f}, {at.amsl_m:.0f} m AMSL"
    when = f"will be there in {in_s:.0f} s" if in_s >= 1.0 else "is there now"
    return f"zone {name}: vehicle {sysid} {when}, {where}"
