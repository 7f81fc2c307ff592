"""Who saw a place: a year of a fleet's clips in SQLite, asked for random places; a row per frame as the peer.

The year is made up and seeded: 50 vehicles fly 2 h on each of 250 days over a city of 20 x 20 km, in lines over areas
of which some are flown far more often than others, 60 s a clip, one sight a second: 1.5 million clips, 90 million
sights, some 3 GB. The peer holds every 20th day of it.
"""

from __future__ import annotations

import asyncio
import sqlite3
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from run import Peers, line, say

from missioncontrol.geometry import SQLITE_FUNCTIONS
from missioncontrol.sights import FOCAL_PX, HEIGHT_M, ROW, TIME_S, UNIT_DEG, metres_per_degree
from missioncontrol.store import Store
from missioncontrol.views import Views

VEHICLES, DAYS, HOURS, CLIP_S = 50, 250, 2, 60
LON, LAT, CITY_M, AREAS = 76.9, 43.25, 20_000.0, 400
PLACES, PEER_DAYS, BEGIN_UTC_S, DAY_S = 300, 20, 1_790_000_000.0, 86_400.0
SPEED_M_S, AGL_M, FOCAL = 10.0, 100.0, 1000.0
EAST_M, NORTH_M = (float(value) for value in metres_per_degree(LAT))
SCALE = np.array([1 / EAST_M, 1 / NORTH_M])
Floats = NDArray[np.float64]


def compare(peers: Peers) -> Iterator[dict[str, Any]]:
    """The same places for both."""
    rng = np.random.default_rng(17)
    with tempfile.TemporaryDirectory(prefix="missioncontrol-archive-") as folder:
        year, frames = Path(folder) / "year.sqlite", Path(folder) / "frames.sqlite"
        start_s = time.perf_counter()
        flown = asyncio.run(_build(year, frames, rng))
        size_gb = year.stat().st_size / 1e9
        say(f"archive: {flown[1]} clips, {size_gb:.2f} GB, made in {time.perf_counter() - start_s:.0f} s")
        places = np.concatenate(
            [flown[0][rng.choice(len(flown[0]), PLACES // 2)], rng.uniform(-0.5, 0.5, (PLACES // 2, 2)) * CITY_M]
        )
        places = places * SCALE + (LON, LAT)
        ours, told = asyncio.run(_ask(year, places))
        version = peers.ask("frames_open", file=str(frames))["version"]
        theirs = [peers.ask("frames_at", lon=lon, lat=lat)["seconds"] for lon, lat in places.tolist()]
    say(f"archive: clips found, median {np.median(told):.0f}, most {max(told)}")
    for share in (50, 95, 100):
        name = f"who saw a place, {flown[1] / 1e6:.1f} million clips of a year, p{share} of {PLACES} places"
        row = line(
            job="archive", case=name, peer=f"SQLite, a row per frame, every {PEER_DAYS}th day only",
            peer_version=version, ours=[float(np.percentile(ours, share))],
            theirs=[float(np.percentile(theirs, share))], unit="s", lower=True,
        )  # fmt: skip
        yield {**row, "runs": PLACES}


async def _ask(file: Path, places: Floats) -> tuple[list[float], list[int]]:
    took, told = [], []
    async with Store(f"sqlite:///{file}") as store:
        views = Views(store)
        await views.of(shapely.Point(LON, LAT))
        for lon, lat in places:
            start_s = time.perf_counter()
            found, _ = await views.of(shapely.Point(lon, lat))
            msgspec.json.encode([view.feature() for view in found])
            took.append(time.perf_counter() - start_s)
            told.append(len(found))
    return took, told


async def _build(year: Path, frames: Path, rng: np.random.Generator) -> tuple[Floats, int]:
    async with Store(f"sqlite:///{year}"):
        pass
    return await asyncio.to_thread(_fill, year, frames, rng)


def _fill(year: Path, frames: Path, rng: np.random.Generator) -> tuple[Floats, int]:
    """Some places that were seen (n, 2; m), and how many clips there are."""
    middles = rng.uniform(-0.5, 0.5, (AREAS, 2)) * (CITY_M - 1000)
    often = 1 / np.arange(1, AREAS + 1) ** 0.5
    with closing(sqlite3.connect(year)) as database, closing(sqlite3.connect(frames)) as peer:
        for name, arguments, function in SQLITE_FUNCTIONS:
            database.create_function(name, arguments, function, deterministic=True)
        trigger = database.execute("SELECT sql FROM sqlite_master WHERE name = 'clips_place_insert'").fetchone()[0]
        database.execute("DROP TRIGGER clips_place_insert")
        database.execute("PRAGMA synchronous=OFF")
        database.execute("PRAGMA journal_mode=MEMORY")
        peer.execute("CREATE TABLE frames (clip, utc_s, min_x, max_x, min_y, max_y, corners)")
        number, seen = 0, []
        for day in range(DAYS):
            for vehicle in range(1, VEHICLES + 1):
                area = middles[rng.choice(AREAS, p=often / often.sum())]
                camera, corners = _flight(area, rng)
                begin_utc_s = BEGIN_UTC_S + day * DAY_S + rng.uniform(0, DAY_S / 3)
                number = _write(database, number, begin_utc_s, vehicle, camera, corners)
                seen.append(camera[rng.integers(len(camera))])
                if day % PEER_DAYS == 0:
                    _write_peer(peer, begin_utc_s, number, corners)
        database.execute(trigger)
        database.commit()
        database.execute("PRAGMA journal_mode=WAL")
        peer.execute("CREATE INDEX place ON frames (min_y, max_y, min_x, max_x, utc_s)")
        peer.commit()
    return np.array(seen), number


def _flight(middle: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Cameras (n, 2) and corners of pictures (n, 4, 2), each second, east and north of the city's middle, m."""
    along = np.arange(HOURS * 3600) * SPEED_M_S
    side_m, apart_m = 800.0, 60.0
    row, at = np.divmod(along, side_m)
    x = np.where(row % 2, side_m - at, at) - side_m / 2
    y = (row * apart_m) % side_m - side_m / 2
    turn, tilt_m = rng.uniform(0, 2 * np.pi), rng.choice([0.0, 60.0])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    ahead = np.where(row % 2, -1.0, 1.0)
    half = np.array([(48.0, 27.0), (48.0, -27.0), (-48.0, -27.0), (-48.0, 27.0)])[:, ::-1]
    quads = np.stack([x + ahead * tilt_m, y], axis=-1)[:, None] + half * ahead[:, None, None]
    camera = np.stack([x, y], axis=-1) @ rotation.T + middle
    return camera, quads @ rotation.T + middle


def _write(
    database: sqlite3.Connection, number: int, begin_utc_s: float, vehicle: int, camera: Floats, corners: Floats
) -> int:
    count = len(camera) // CLIP_S
    cut = corners.reshape(count, CLIP_S, 4, 2)
    low, high = cut.min(axis=(1, 2)), cut.max(axis=(1, 2))
    middle = np.round((low + high) / 2 * SCALE + (LON, LAT), 6)
    offset = (middle - (LON, LAT)) / SCALE
    rows = np.zeros((count, CLIP_S), ROW)
    rows["time"], rows["focal"] = np.round(np.arange(CLIP_S) / TIME_S), round(FOCAL / FOCAL_PX)
    rows["height"] = round(AGL_M / HEIGHT_M)
    rows["camera"] = np.round((camera.reshape(count, CLIP_S, 2) - offset[:, None]) * SCALE / UNIT_DEG)
    rows["corners"] = np.round((cut - offset[:, None, None]) * SCALE / UNIT_DEG)
    boxes = np.concatenate([low * SCALE, high * SCALE], axis=1) + np.array([LON, LAT, LON, LAT])
    shapes = shapely.to_wkb(shapely.box(*boxes.T))
    database.execute(
        "INSERT INTO flights (id, mission_id, sysid, registration, stage, item, total, text, started_utc_s, path_m) "
        "VALUES (?, 'm', ?, '', 'done', 1, 1, '', ?, 0)",
        (f"f{number}", vehicle, begin_utc_s),
    )
    numbers = range(number + 1, number + count + 1)
    database.executemany(
        "INSERT INTO clips (number, id, flight_id, sysid, registration, purpose, why, state, from_utc_s, until_utc_s, "
        "width_px, height_px, codec, camera, size, sha256, gsd_m, off_nadir_deg, place, sights) VALUES (?, ?, ?, ?, ?, "
        "'patrol', 'the weekly round of the ward', 'whole', ?, ?, 1920, 1080, 'h264', 'dji-m3e', 30000000, ?, 0.1, 0, "
        "?, ?)",
        [
            (
                each, f"{each:036d}", f"f{number}", vehicle, f"UP-{vehicle:05d}", begin_utc_s + at * CLIP_S,
                begin_utc_s + (at + 1) * CLIP_S, f"{each:064d}", shapes[at],
                struct.pack("<dd", *middle[at]) + rows[at].tobytes(),
            )
            for at, each in enumerate(numbers)
        ],
    )  # fmt: skip
    database.executemany(
        "INSERT INTO clips_place VALUES (?, ?, ?, ?, ?)",
        [(each, *box) for each, box in zip(numbers, boxes[:, [0, 2, 1, 3]].tolist(), strict=True)],
    )
    return number + count


def _write_peer(peer: sqlite3.Connection, begin_utc_s: float, clip: int, corners: Floats) -> None:
    places = corners * SCALE + (LON, LAT)
    low, high = places.min(axis=1), places.max(axis=1)
    peer.executemany(
        "INSERT INTO frames VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (clip + at // CLIP_S, begin_utc_s + at, *box, each.tobytes())
            for at, (box, each) in enumerate(
                zip(np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], axis=1).tolist(), places, strict=True)
            )
        ],
    )
