"""Calls every compiled loop once, so that numba's cache is filled before anybody waits for it."""

from __future__ import annotations

import importlib

import shapely

from fleet.framing import Framer
from geo.camera_library import camera
from geo.coverage import cover
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, Position
from simulators.renderer import Renderer
from simulators.world import World


def main() -> None:
    """Plan over a shape with a hole and a bay, frame some bytes, draw two pictures."""
    hole = shapely.box(100, 60, 160, 120)
    bay = shapely.Polygon([(300, 80), (200, 110), (300, 140)])
    cover(shapely.box(0, 0, 300, 200).difference(hole).difference(bay), 25.0)
    Framer().feed(bytes(1000))
    importlib.import_module("fleet.signing")  # its loops have fixed types and compile as it is loaded
    world = World.build(1)
    renderer = Renderer(world, camera("sim-wide").brown_camera())
    for pitch_deg in (-90.0, -50.0):
        renderer.render(
            Pose(
                utc_s=world.epoch_utc_s + 100.0,
                position=Position(lon=world.plane.lon, lat=world.plane.lat, altitude=Altitude(70.0, Datum.AGL)),
                attitude=Attitude(pitch_deg=pitch_deg, yaw_deg=0.0),
            )
        )


if __name__ == "__main__":
    main()
