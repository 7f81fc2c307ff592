"""Calls every compiled loop once, so that numba's cache is filled before anybody waits for it."""

from __future__ import annotations

import importlib

import numpy as np
import shapely

from fleet.framing import Framer
from geo.camera_library import camera
from geo.coverage import cover
from geo.poses import Attitude, Pose, PoseSigmas
from geo.positions import Altitude, Datum, Position
from geo.seen import Conditions, Seen
from geo.terrain import FlatTerrain
from geo.visibility import Cells, Exposures, Margin
from simulators.renderer import Renderer
from simulators.world import World


def main() -> None:
    """Plan over a shape with a hole and a bay, frame some bytes, see some ground, draw two pictures."""
    hole = shapely.box(100, 60, 160, 120)
    bay = shapely.Polygon([(300, 80), (200, 110), (300, 140)])
    cover(shapely.box(0, 0, 300, 200).difference(hole).difference(bay), 25.0)
    Framer().feed(bytes(1000))
    importlib.import_module("fleet.signing")  # its loops have fixed types and compile as it is loaded
    see()
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


def see() -> None:
    """One frame over a small area."""
    area = shapely.box(76.9, 43.2, 76.9001, 43.2001)
    frames = Exposures.posed(
        camera("sim-wide").brown_camera(),
        np.zeros(1),
        np.array([[76.9, 43.2, 70.0]]),
        np.array([[0.0, -90.0, 0.0]]),
        np.zeros((1, 3)),
    )
    conditions = Conditions(off_nadir_most_deg=30.0, blur_most_px=1.0, sun_least_deg=-90.0, apart=0.1)
    seen = Seen.nothing(Cells.over(area, FlatTerrain(0.0)), [(0.0, 1.0)])
    seen.add(frames, margin=Margin(PoseSigmas(), 1.0), conditions=conditions)


if __name__ == "__main__":
    main()
