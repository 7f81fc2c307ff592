"""The port `Vehicle`: what the service needs of a vehicle, whoever speaks to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from fleet.commands import CommandResult
from fleet.failsafes import LostLinkPolicy, PolicyAboard
from fleet.fences import FenceArea, RallyPoint
from fleet.history import PoseHistory
from fleet.missions import MissionItem
from fleet.parameters import Parameters
from fleet.telemetry import TelemetryState
from fleet.transfers import Progress, ignore_progress
from geo.mountings import Mounting
from geo.positions import Altitude


class VehicleRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A registered vehicle: one that may be commanded."""

    sysid: int
    """MAVLink system id, 1 to 254."""
    name: str
    """What people call it."""
    fixed_mount_pitch_deg: float | None = None
    """Pitch of a camera fixed to the airframe (nadir -90); None where a gimbal tells its attitude."""
    mounting: Mounting | None = None
    """How far from the antenna and how askew the camera hangs."""
    links: tuple[str, ...] = ()
    """Names of the links that it may be heard on; all when empty."""


class Vehicle(Protocol):
    """What the service needs of a vehicle, whoever speaks to it."""

    sysid: int
    """MAVLink system id."""

    @property
    def state(self) -> TelemetryState:
        """The latest snapshot."""

    @property
    def history(self) -> PoseHistory:
        """Where it was and where its camera looked, by time."""

    @property
    def parameters(self) -> Parameters:
        """Its parameters, read and written one by one."""

    async def set_lost_link(self, policy: LostLinkPolicy) -> PolicyAboard:
        """Have it do so when it hears us no more; what is aboard then."""

    async def raise_return(self, height_m: float) -> float:
        """Have it return at least so high above home; the height that is aboard then, m."""

    async def read_lost_link(self) -> PolicyAboard:
        """What it does when it hears no ground."""

    async def upload_mission(self, items: list[MissionItem], *, progress: Progress = ignore_progress) -> str:
        """Send a plan, read it back and compare; the hash of what is aboard."""

    async def read_mission(self, *, progress: Progress = ignore_progress) -> list[MissionItem]:
        """The plan aboard."""

    async def upload_fence(self, areas: Sequence[FenceArea]) -> str:
        """Replace the fence aboard; its hash."""

    async def read_fence(self) -> tuple[FenceArea, ...]:
        """The fence aboard."""

    async def upload_rally(self, points: Sequence[RallyPoint]) -> str:
        """Replace the rally points aboard; their hash."""

    async def read_rally(self) -> tuple[RallyPoint, ...]:
        """The rally points aboard."""

    async def verify_mission(self, expected_hash: str) -> None:
        """Make sure that the mission aboard has this hash."""

    async def arm(self, expected_hash: str) -> None:
        """Arm, if the mission aboard has this hash."""

    async def disarm(self) -> CommandResult:
        """Stop the motors; an autopilot refuses that in the air."""

    async def start_mission(self) -> None:
        """Fly the mission from its first item."""

    async def hold(self) -> CommandResult:
        """Stand still where it is."""

    async def resume(self) -> CommandResult:
        """Go on with the mission where it was left."""

    async def jump(self, item: int) -> CommandResult:
        """Go on at another item of the plan, counted from 0."""

    async def rtl(self, *, to: RallyPoint | None = None) -> CommandResult:
        """Return to launch, or to a rally point, and land."""

    async def land(self) -> CommandResult:
        """Land where it is."""

    async def goto(self, *, lon: float, lat: float, altitude: Altitude) -> CommandResult:
        """Fly to a place and stay there."""

    async def change_height(self, altitude: Altitude) -> CommandResult:
        """Stay where it is at another height; that leaves the mission, which can be resumed."""

    async def change_speed(self, speed_m_s: float) -> CommandResult:
        """Fly so fast over ground from now on."""

    async def orbit(
        self, *, lon: float, lat: float, altitude: Altitude, radius_m: float, speed_m_s: float, clockwise: bool = True
    ) -> CommandResult:
        """Circle a place with the nose towards it."""

    async def look_at(self, *, lon: float, lat: float, altitude: Altitude) -> CommandResult:
        """Keep the camera on a place: the region of interest."""

    async def look_ahead(self) -> CommandResult:
        """Have no region of interest any more."""

    async def set_gimbal(self, *, pitch_deg: float, yaw_deg: float = 0.0) -> CommandResult:
        """Point the camera."""

    async def track_point(self, *, x: float, y: float) -> CommandResult:
        """Have the camera follow what is at a point of its picture, both 0 to 1 from the top left."""

    async def trigger_camera(self) -> CommandResult:
        """Take one picture."""

    async def stop_motors(self) -> CommandResult:
        """Stop the motors at once, also in the air: it falls."""
