"""Who speaks to each vehicle: our own adapter, or another one that its settings name."""

from __future__ import annotations

from contextlib import AsyncExitStack
from importlib.metadata import entry_points

from fleet.fleet import Fleet
from fleet.vehicle import Vehicle
from missioncontrol.errors import AdapterUnknown
from missioncontrol.settings import Settings

GROUP = "missioncontrol.vehicles"
"""Entry points of adapters: called with `fleet` and `sysid`, they give an async context manager that is a Vehicle."""


async def enter_adapters(stack: AsyncExitStack, settings: Settings, fleet: Fleet) -> None:
    """Enter the adapters that the settings name; the fleet then commands those vehicles by them.

    Raises AdapterUnknown, LinkUnreachable where an adapter cannot work here.
    """
    for vehicle in settings.vehicles:
        if vehicle.adapter is None:
            continue
        found = {point.name: point for point in entry_points(group=GROUP)}
        if vehicle.adapter not in found:
            known = ", ".join(sorted(found)) or "none"
            raise AdapterUnknown(f"vehicles: {vehicle.name}: no adapter {vehicle.adapter!r}; there are: {known}")
        adapter = found[vehicle.adapter].load()(fleet=fleet, sysid=vehicle.sysid)
        commander: Vehicle = await stack.enter_async_context(adapter)
        fleet.commanders[vehicle.sysid] = commander
