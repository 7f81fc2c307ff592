"""What people tell vehicles: one type for each order, with what it needs."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from fleet.commands import CommandResult
from fleet.fences import RallyPoint
from fleet.vehicle import Vehicle
from geo.positions import Altitude, Latitude, Longitude

LEAST_HEIGHT_M, MOST_HEIGHT_M = -500.0, 10_000.0
"""Of heights that a vehicle may be told, whatever they count from."""
Speed = Annotated[float, msgspec.Meta(gt=0, le=100)]
Radius = Annotated[float, msgspec.Meta(gt=0, le=10_000)]
Height = Annotated[float, msgspec.Meta(gt=0, le=MOST_HEIGHT_M)]
Unit = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="command"):
    token: int | None = None
    """The fencing token that the sender believes in; not checked where absent."""
    emergency: ClassVar[bool] = False
    """Makes a flight safer, so that every operator may give it, whoever holds the vehicle."""


class Hold(_Order, frozen=True, kw_only=True, tag="hold"):
    """Stand still where it is."""

    emergency: ClassVar[bool] = True

    async def give(self, vehicle: Vehicle) -> CommandResult:
        """To a vehicle."""
        return await vehicle.hold()


class Resume(_Order, frozen=True, kw_only=True, tag="resume"):
    """Go on with the mission where it was left."""

    async def give(self, vehicle: Vehicle) -> CommandResult:
        """To a vehicle."""
        return await vehicle.resume()


class Rtl(_Order, frozen=True, kw_only=True, tag="rtl"):
    """Return to launch and land."""

    emergency: ClassVar[bool] = True

    async def give(self, vehicle: Vehicle) -> CommandResult:
        """To a vehicle."""
        return await vehicle.rtl()


class RtlTo(_Order, frozen=True, kw_only=True, tag="rtl_to"):
    """Return to a rally point and land there; it replaces those aboard."""

    lon: Longitude
    """Of the point, deg."""
    lat: Latitude
    """Of the point, deg."""
    height_m: Height
    """Height to arrive at, m above home."""

    async def give(self, vehicle: Vehicle) -> CommandResult:
        """To a vehicle."""
        return await vehicle.rtl(to=RallyPoint(lon=self.lon, lat=self.lat, height_m=self.height_m))


class Land(_Order, frozen=True, kw_only=True, tag="land"):
    """Land where it is."""

    emergency: ClassVar[bool] = True

    async def give(self, vehicle: Vehicle) -> CommandResult:
        """To a vehicle."""
        return await vehicle.land()


class Jump(_Order, frozen=True, kw_only=True, tag="jump"):
    """Go on at another item of the plan."""

    item: Annotated[int, msgspec.Meta(ge=0)]
    """Which, counted from 0."""

    async def give(self, vehicle: Vehicle) -> CommandResult:
        """To a vehicle."""
        return await vehicle.jump(self.item)


class _Level(_Order, frozen=True, kw_only=True):
    altitude: Altitude
    """Height, AMSL or HOME."""

    def __post_init__(self) -> None:
        """Raises ValueError for a height at which nothing flies; decoded from JSON it is a ValidationError."""
        if not LEAST_HEIGHT_M <= self.altitude.value_m <= MOST_HEIGHT_M:
            raise ValueError(f"altitude: must be {LEAST_HEIGHT_M:g} to {MOST_HEIGHT_M:g} m")


class _Place(_Level, frozen=True, kw_only=True):
    lon: Longitude
    """Longitude, deg."""
    lat: Latitude
    """Latitude, deg."""


class Goto(_Place, frozen=True, kw_only=True, tag="goto"):
    """Fly to a place and stay there."""

    async def give(self, vehicle: Vehicle) -> CommandResult:
        """To a vehicle."""
        return await vehicle.goto(lon=self.lon, lat=self.lat, altitude=self.altitude)


class Orbit(_Place, frozen=True, kw_only=True, tag="orbit"):
    """Circle a place with the nose towards it."""

    radius_m: Radius
    """Radius, m."""
    speed_m_s: Speed
    """Over ground, m/s."""
    clockwise: bool = True
    """Seen from above."""

    async def give(self, vehicle: Vehicle) -> CommandResult:
        """To a vehicle."""
        return await vehicle.orbit(
            lon=self.lon,
            lat=self.lat,
            altitude=self.altitude,
            radius_m=self.radius_m,
            speed_m_s=self.speed_m_s,
            clockwise=self.clockwise,
        )


class LookAt(_Place, frozen=True, kw_only=True, tag="look_at"):
    """Keep the camera on a place."""

    async def give(self, vehicle: Vehicle) -> CommandResult:
        """To a vehicle."""
        return await vehicle.look_at(lon=self.lon, lat=self.lat, altitude=self.altitude)


class LookAhead(_Order, frozen=True, kw_only=True, tag="look_ahead"):
    """Let the camera look where it looked before."""

    async def give(self, vehicle: Vehicle) -> CommandResult:
        """To a vehicle."""
        return await vehicle.look_ahead()


class ChangeHeight(_Level, frozen=True, kw_only=True, tag="change_height"):
    """Stay where it is at another height; that leaves the mission, which can be resumed."""

    async def give(self, vehicle: Vehicle) -> CommandResult:
        """To a vehicle."""
        return await vehicle.change_height(self.altitude)


class ChangeSpeed(_Order, frozen=True, kw_only=True, tag="change_speed"):
    """Fly so fast from now on."""

    speed_m_s: Speed
    """Over ground, m/s."""

    async def give(self, vehicle: Vehicle) -> CommandResult:
        """To a vehicle."""
        return await vehicle.change_speed(self.speed_m_s)


class Gimbal(_Order, frozen=True, kw_only=True, tag="gimbal"):
    """Point the camera."""

    pitch_deg: Annotated[float, msgspec.Meta(ge=-120, le=90)]
    """Against the horizon, nadir -90, deg."""
    yaw_deg: Annotated[float, msgspec.Meta(ge=-180, le=180)] = 0.0
    """From the nose, to the right, deg."""

    async def give(self, vehicle: Vehicle) -> CommandResult:
        """To a vehicle."""
        return await vehicle.set_gimbal(pitch_deg=self.pitch_deg, yaw_deg=self.yaw_deg)


class TrackPoint(_Order, frozen=True, kw_only=True, tag="track_point"):
    """Have the camera follow what is at a point of its picture."""

    x: Unit
    """From the left, 0 to 1."""
    y: Unit
    """From the top, 0 to 1."""

    async def give(self, vehicle: Vehicle) -> CommandResult:
        """To a vehicle."""
        return await vehicle.track_point(x=self.x, y=self.y)


class TriggerCamera(_Order, frozen=True, kw_only=True, tag="trigger_camera"):
    """Take one picture."""

    async def give(self, vehicle: Vehicle) -> CommandResult:
        """To a vehicle."""
        return await vehicle.trigger_camera()


class EmergencyStop(_Order, frozen=True, kw_only=True, tag="emergency_stop"):
    """Stop the motors at once, also in the air: it falls. The first time it is only asked back."""

    confirmation: str | None = None
    """What the first answer gave, within its time."""
    emergency: ClassVar[bool] = True

    async def give(self, vehicle: Vehicle) -> CommandResult:
        """To a vehicle."""
        return await vehicle.stop_motors()


Order = (
    Hold | Resume | Rtl | RtlTo | Land | Jump | Goto | Orbit | LookAt | LookAhead | ChangeHeight | ChangeSpeed | Gimbal
    | TrackPoint | TriggerCamera | EmergencyStop
)  # fmt: skip
"""All of them."""


class Orders(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One order to several vehicles."""

    sysids: Annotated[tuple[int, ...], msgspec.Meta(min_length=1, max_length=200)]
    """Whom."""
    order: Order
    """What."""
