"""Calls every compiled loop once, so that numba's cache is filled before anybody waits for it."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path

import msgspec
import numpy as np
import rasterio
import shapely

from fleet.airframes import AEROPLANE, Airframe
from fleet.framing import Framer
from geo.airspace import Airspace, Band
from geo.camera_library import camera
from geo.cogs import CogWriter
from geo.conflicts import Airspace as Ways
from geo.conflicts import conflicts
from geo.fisheye import FisheyeCamera
from geo.location import locate
from geo.mosaics import Mosaic, View
from geo.obstacles import Obstacle
from geo.orthos import grid_of, ortho
from geo.poses import Attitude, Pose, PoseSigmas
from geo.positions import Altitude, Datum, LocalPlane, Position
from geo.seen import Conditions, Seen
from geo.styles import Style
from geo.terrain import FlatTerrain, GridTerrain
from geo.tiles import tile
from geo.tracks import Track
from geo.visibility import Cells, Exposures, Margin
from geo.volumes import Outline, Volume4D
from geo.zones import Kind, Zone
from missioncontrol.planning import plan
from missioncontrol.requests import PlanRequest
from missioncontrol.sites import Site
from missioncontrol.sorties import Start
from simulators.renderer import Renderer
from simulators.world import World


def main() -> None:
    """Plan, frame some bytes, see some ground, draw two pictures."""
    make_plans()
    Framer().feed(bytes(1000))
    importlib.import_module("fleet.signing")  # its loops have fixed types and compile as it is loaded
    see()
    map_ground()
    place()
    FisheyeCamera(width_px=64, height_px=48, focal_px=30.0, k1=-0.01).resized(32, 24).rays_from_pixels([[1.0, 2.0]])
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


def make_plans() -> None:
    """Small ones: over an area with a hole beside a zone and a wall, shared, in sorties; visits, a look, with wings."""
    lon, lat = 76.9, 43.2
    row, col = np.mgrid[0:200, 0:200]
    ground = GridTerrain(
        800 + 0.1 * col + 0.05 * row, rasterio.Affine(1e-4, 0, lon - 0.01, 0, -1e-4, lat + 0.01), name="-"
    )
    hole = shapely.box(lon + 0.001, lat + 0.001, lon + 0.002, lat + 0.0015)
    area = shapely.box(lon, lat, lon + 0.004, lat + 0.003).difference(hole)
    places = shapely.MultiPoint([(lon, lat), (lon + 0.002, lat), (lon, lat + 0.002), (lon + 0.002, lat + 0.002)])
    corner = lon + 0.0035, lat + 0.0025
    wall = shapely.box(*corner, corner[0] + 0.0002, corner[1] + 0.0001)
    x, y = lon + 0.0025, lat + 0.001
    ring = (x, y), (x + 0.0004, y), (x + 0.0004, y + 0.0004), (x, y + 0.0004), (x, y)
    zone = Zone(id="-", kind=Kind.PROHIBITED, volumes=(Volume4D(footprint=Outline(rings=(ring,))),))
    airspace = Airspace([zone], ground)
    starts = tuple(Start(sysid=number, lon=lon - 0.0005 * number, lat=lat - 0.001) for number in (1, 2))
    site = Site(
        starts,
        ground,
        {start.sysid: Airframe(battery_wh=45.0) for start in starts},
        airspace=airspace,
        obstacles=(Obstacle("-", wall, Altitude(20.0, Datum.AGL)),),
    )
    winged = Site(starts[:1], ground, {1: AEROPLANE})
    for fields, where in (
        ({"kind": "survey", "area": area}, site),
        ({"kind": "visits", "places": places}, site),
        ({"kind": "look", "place": places.geoms[0], "hold_s": 5.0}, site),
        ({"kind": "survey", "area": area.convex_hull, "side_overlap": 0.0}, winged),
    ):
        tree = {
            name: shapely.geometry.mapping(it) if isinstance(it, shapely.Geometry) else it
            for name, it in fields.items()
        }
        vehicles = [start.sysid for start in where.starts]
        plan(
            msgspec.convert({**tree, "camera": "sim-wide", "height_m": 70.0, "vehicles": vehicles}, PlanRequest), where
        )
    band = Band(0.0, 1.0, Altitude(0.0, Datum.AGL), Altitude(100.0, Datum.AGL))
    airspace.way((x - 0.001, y + 0.0002), (x + 0.0015, y + 0.0002), band, margin_m=15.0)
    track = Track(np.array([0.0, 9.0]), np.array([lon, lon + 0.001]), np.full(2, lat), np.full(2, 900.0))
    ways = Ways.of({"-": track}, LocalPlane(lon=lon, lat=lat))
    conflicts(track, ways, horizontal_m=20.0, vertical_m=8.0, time_margin_s=5.0)


def place() -> None:
    """A pixel on ground of each kind."""
    lon, lat = 76.9, 43.2
    pose = Pose(
        utc_s=0.0,
        position=Position(lon=lon, lat=lat, altitude=Altitude(80.0, Datum.AMSL)),
        attitude=Attitude(pitch_deg=-60.0, yaw_deg=0.0),
    )
    corner = rasterio.Affine(1e-4, 0, lon - 0.01, 0, -1e-4, lat + 0.01)
    for ground in (FlatTerrain(0.0), GridTerrain(np.zeros((200, 200)), corner, name="-")):
        (found,) = locate(camera("sim-wide").brown_camera(), pose, [(10.0, 10.0)], ground, sigmas=PoseSigmas())
        found.klv_errors  # noqa: B018 - its integral is compiled too


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


def map_ground() -> None:
    """A frame laid on the ground, plain and feathered, packed as a COG, its tiles in two kinds of numbers."""
    lens = camera("sim-wide").brown_camera()
    place = Position(lon=76.9, lat=43.2, altitude=Altitude(870.0, Datum.AMSL))
    pose = Pose(utc_s=0.0, position=place, attitude=Attitude(pitch_deg=-90.0, yaw_deg=0.0))
    image = np.zeros((lens.height_px, lens.width_px, 3), np.uint8)
    ground = FlatTerrain(800.0)
    ortho(image, lens, pose, grid_of(lens, pose, ground, pixel_m=1.0), ground)
    mosaic = Mosaic([View("-", lens, pose, lambda: image)], ground, pixel_m=1.0)
    with tempfile.TemporaryDirectory() as folder:
        picture, table = Path(folder) / "picture.tif", Path(folder) / "table.tif"
        with (
            CogWriter(picture, mosaic.grid, bands=3, alpha=True) as colours,
            CogWriter(table, mosaic.grid, bands=3, dtype="uint32", nodata=0, shrink="nearest") as numbers,
        ):
            for part in mosaic.parts():
                colours.write(part.row, part.col, part.rgba)
                numbers.write(part.row, part.col, np.zeros((*part.winner.shape, 3), np.uint32))
        tile(picture, 0, 0, 0)
        tile(table, 0, 0, 0, style=Style(bands=(1,), rescale=(0.0, 1.0)))


if __name__ == "__main__":
    main()
