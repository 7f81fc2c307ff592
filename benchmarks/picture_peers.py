"""The peers of pictures: places of pixels, orthophotos, video, tiles, change, and who saw a place."""

from __future__ import annotations

import time
from typing import Any

KEPT: dict[str, Any] = {}
"""What a preparing request leaves for those that are timed."""


def orthority_scene(file: str, cell_m: float, camera: dict[str, Any]) -> None:
    """Take a DEM (.npy, north up about the origin) and a camera."""
    import numpy as np
    import orthority
    import rasterio

    heights = np.load(file).astype("float32")
    rows, cols = heights.shape
    KEPT["dem"] = heights, rasterio.Affine(cell_m, 0, -cols * cell_m / 2, 0, -cell_m, rows * cell_m / 2)
    KEPT["camera"] = orthority.camera.BrownCamera(**camera)


def orthority_locate(pixels: list[list[float]]) -> dict[str, Any]:
    """x, y, z of pixels on the DEM, and the time, s."""
    import numpy as np
    from orthority.enums import Interp

    heights, transform = KEPT["dem"]
    wanted = np.array(pixels, float).T
    start_s = time.perf_counter()
    found = KEPT["camera"]._pixel_to_world_surf(wanted, heights, transform, interp=Interp.bilinear)
    return {"seconds": time.perf_counter() - start_s, "places": found.T.tolist()}


def orthority_single(pixels: list[list[float]]) -> dict[str, Any]:
    """Time, s, of pixels one after the other, a call for each."""
    import numpy as np
    from orthority.enums import Interp

    heights, transform = KEPT["dem"]
    wanted = [np.array([pixel], float).T for pixel in pixels]
    start_s = time.perf_counter()
    for pixel in wanted:
        KEPT["camera"]._pixel_to_world_surf(pixel, heights, transform, interp=Interp.bilinear)
    return {"seconds": time.perf_counter() - start_s}


def windowed_changes(before: str, after: str, contrast: float) -> dict[str, Any]:
    """How many pieces have changed, by reading both pictures in full in windows of 1024 px, and both times, s.

    The plainest measure there is: logarithms, smoothed, the window's median taken off, largest band against the
    threshold, opened, connected pieces counted. Nothing is laid over, no neighbour is looked at.
    """
    import cv2
    import numpy as np
    import rasterio
    from rasterio.windows import Window

    table = np.log((np.arange(256, dtype=np.float32) + 12) / 267).astype(np.float32)
    start_s, start_cpu_s, pieces = time.perf_counter(), time.process_time(), 0
    with rasterio.open(before) as first, rasterio.open(after) as second:
        for row in range(0, second.height, 1024):
            for col in range(0, second.width, 1024):
                window = Window(col, row, min(1024, second.width - col), min(1024, second.height - row))
                old, new = (
                    cv2.GaussianBlur(table[np.moveaxis(source.read(window=window), 0, -1)], (0, 0), 0.8)
                    for source in (first, second)
                )
                apart = new - old
                apart -= np.median(apart[::8, ::8], axis=(0, 1))
                changed = (np.abs(apart).max(axis=-1) >= contrast).astype(np.uint8)
                changed = cv2.morphologyEx(changed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
                pieces += cv2.connectedComponents(changed)[0] - 1
    spent = {"seconds": time.perf_counter() - start_s, "cpu_s": time.process_time() - start_cpu_s}
    return {**spent, "pieces": pieces}


def cv2_video(file: str, frames: int, every: int, grab: bool, core: int) -> dict[str, float]:
    """Processor time, s, of reading a video's frames as arrays, or of grabbing all and retrieving one of `every`."""
    import os

    import cv2

    cv2.setNumThreads(1)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    start_s = time.process_time()
    video = cv2.VideoCapture(file, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    count = 0
    while video.grab() if grab else video.read()[0]:
        if grab and count % every == 0:
            video.retrieve()
        count += 1
    video.release()
    spent_s = time.process_time() - start_s
    os.sched_setaffinity(0, before)
    if count != frames:
        raise ValueError(f"{count} frames of {frames} were read")
    return {"seconds": spent_s}


def frames_open(file: str) -> dict[str, Any]:
    """Take a SQLite file with a row per frame (clip, utc_s, min_x, max_x, min_y, max_y, corners; lon, lat)."""
    import sqlite3

    KEPT["frames"] = sqlite3.connect(file)
    return {"version": sqlite3.sqlite_version}


def frames_at(lon: float, lat: float, largest_deg: float = 0.002) -> dict[str, Any]:
    """Clips that show a place, and the time, s; no frame is larger than `largest_deg`."""
    import numpy as np
    import shapely

    start_s = time.perf_counter()
    rows = (
        KEPT["frames"]
        .execute(
            "SELECT clip, utc_s, corners FROM frames WHERE min_y BETWEEN ? AND ? AND max_y >= ? "
            "AND min_x <= ? AND max_x >= ? ORDER BY utc_s DESC",
            (lat - largest_deg, lat, lat, lon, lon),
        )
        .fetchall()
    )
    shapes = shapely.polygons(np.frombuffer(b"".join(row[2] for row in rows)).reshape(-1, 4, 2))
    seen = shapely.contains_xy(shapes, lon, lat)
    clips = {row[0] for row, one in zip(rows, seen, strict=True) if one}
    return {"seconds": time.perf_counter() - start_s, "clips": len(clips)}


def orthority_ortho(
    image: str, dem: str, crs: str, pixel_m: float, camera: dict[str, Any], out: str
) -> dict[str, float]:
    """An ortho as a JPEG GeoTIFF with a mask, bilinear, without overviews, and the times, s."""
    import orthority

    lens = orthority.camera.BrownCamera(**camera)
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    orthority.Ortho(image, dem, lens, crs).process(
        out, resolution=(pixel_m, pixel_m), interp="bilinear", dem_interp="bilinear", compress="jpeg", build_ovw=False,
        overwrite=True,
    )  # fmt: skip
    return {"seconds": time.perf_counter() - start_s, "cpu_seconds": time.process_time() - start_cpu_s}


def orthority_frame(image: str, dem: str, interior: str, exterior: str, out: str, pixel_m: float) -> dict[str, Any]:
    """The ortho of a frame of a known block, and the camera it was made with."""
    import orthority

    cameras = orthority.FrameCameras(interior, exterior)
    lens = cameras.get(image)
    orthority.Ortho(image, dem, lens, cameras.crs).process(
        out, resolution=(pixel_m, pixel_m), interp="bilinear", dem_interp="bilinear", compress="deflate",
        write_mask=True, build_ovw=False, overwrite=True,
    )  # fmt: skip
    matrix = lens._get_intrinsic()[0] if not hasattr(lens, "_K") else lens._K
    named = dict(
        zip(("k1", "k2", "p1", "p2", "k3"), (float(v) for v in getattr(lens, "_dist_param", [])), strict=False)
    )
    exteriors = cameras._ext_param_dict[next(name for name in cameras._ext_param_dict if name in image)]
    return {
        "crs": cameras.crs.to_wkt(), "xyz": list(exteriors["xyz"]), "opk": list(exteriors["opk"]),
        "camera": {"focal_px": float(matrix[0, 0]), "center_px": [float(matrix[0, 2]), float(matrix[1, 2])],
                   "distortion": named},
    }  # fmt: skip


def rio_tiler_tiles(file: str, tiles: list[list[int]], form: str) -> dict[str, Any]:
    """Tiles z, x, y of a COG as PNG or JPEG, the file opened for each as a tile server does; the times of each, s."""
    from rio_tiler.io import Reader

    walls, cpus = [], []
    for z, x, y in tiles:
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        with Reader(file) as reader:
            reader.tile(x, y, z).render(img_format=form)
        walls.append(time.perf_counter() - start_s)
        cpus.append(time.process_time() - start_cpu_s)
    return {"seconds": walls, "cpu_seconds": cpus}


def rio_cogeo_write(source: str, out: str, compress: str, options: dict[str, Any], threads: int) -> dict[str, float]:
    """A COG by its profile of that compression, blocks of 512 px and means as overviews; the times, s, and bytes."""
    import os

    from rio_cogeo.cogeo import cog_translate
    from rio_cogeo.profiles import cog_profiles

    profile = cog_profiles.get(compress)
    profile.update(options)
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    cog_translate(
        source, out, profile, overview_resampling="average", quiet=True,
        config={"GDAL_NUM_THREADS": str(threads), "GDAL_TIFF_OVR_BLOCKSIZE": "512"},
    )  # fmt: skip
    spent_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    return {"seconds": spent_s, "cpu_seconds": cpu_s, "bytes": os.path.getsize(out)}


def rio_cogeo_valid(file: str) -> list[Any]:
    """Whether a file is a COG, strictly; errors and warnings."""
    from rio_cogeo.cogeo import cog_validate

    return list(cog_validate(file, strict=True))
