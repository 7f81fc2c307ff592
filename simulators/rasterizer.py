"""Kernels that turn ground, triangles and smoke into pixels; all release the GIL."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from simulators.ground_texture import LEVELS_M_PX, ORIGIN_M, TILE_PX
from simulators.world.painting import fractal_noise
from simulators.world.terrain import height_at

NOISE = fractal_noise(512, 0.55, 21)
NOISE_SIZE = 512
CELL_PX = 8
FAR_M = 2600.0
"""Beyond this distance there is only haze."""

_M0, _M1, _M2 = LEVELS_M_PX


@numba.njit(nogil=True, cache=True, fastmath=True)
def _march(grid: NDArray[np.float32], eye: NDArray[np.float64], dx: float, dy: float, dz: float, start: float) -> float:
    """Distance along a unit ray to the ground, m, looked for from `start` on; -1 if there is none before FAR_M."""
    t: float
    above: float
    t, above = start, eye[2] + start * dz - height_at(grid, eye[0] + start * dx, eye[1] + start * dy)
    before, above_before = 0.0, 1.0
    if above < 0.0:
        t, above = 0.0, eye[2] - height_at(grid, eye[0], eye[1])
    for _ in range(500):
        if above < 0.004:
            break
        before, above_before = t, above
        t += max(above / (0.9 - dz) if dz < 0.4 else above, 0.05 + 0.006 * t)
        if t > FAR_M:
            return -1.0
        above = eye[2] + t * dz - height_at(grid, eye[0] + t * dx, eye[1] + t * dy)
    if above > 0.004:
        return -1.0
    low, high, above_low, above_high = before, t, above_before, above
    for _ in range(12):
        if above_high > -0.004:
            return high
        t = high - above_high * (high - low) / (above_high - above_low)
        above = eye[2] + t * dz - height_at(grid, eye[0] + t * dx, eye[1] + t * dy)
        if abs(above) < 0.003:
            return t
        if above > 0:
            low, above_low = t, above
            above_high *= 0.5
        else:
            high, above_high = t, above
    return t


@numba.njit(nogil=True, cache=True, fastmath=True)
def meet_ground(
    grid: NDArray[np.float32], eye: NDArray[np.float64], rays: NDArray[np.float64], out: NDArray[np.float32]
) -> None:
    """Where unit rays (n, m, 3) from `eye` meet the ground: out (n, m, 3) = x, y, distance; distance < 0 if nowhere."""
    for i in range(rays.shape[0]):
        guess = 0.0
        for j in range(rays.shape[1]):
            dx, dy, dz = rays[i, j, 0], rays[i, j, 1], rays[i, j, 2]
            t = _march(grid, eye, dx, dy, dz, guess)
            guess = 0.93 * t if t > 0 and dz < -0.4 else 0.0
            out[i, j, 0] = eye[0] + t * dx
            out[i, j, 1] = eye[1] + t * dy
            out[i, j, 2] = t


@numba.njit(nogil=True, cache=True)
def wanted_tiles(meets: NDArray[np.float32], level: NDArray[np.int8], wanted: NDArray[np.uint8]) -> None:
    """Mark in `wanted` (levels, rows, columns) the tiles that cells of the coarse grid touch."""
    for i in range(level.shape[0]):
        for j in range(level.shape[1]):
            k = level[i, j]
            if k < 0:
                continue
            side = TILE_PX * (_M0 if k == 0 else (_M1 if k == 1 else _M2))
            for di in range(2):
                for dj in range(2):
                    column = int((meets[i + di, j + dj, 0] - ORIGIN_M) / side)
                    row = int((meets[i + di, j + dj, 1] - ORIGIN_M) / side)
                    if 0 <= column < wanted.shape[2] and 0 <= row < wanted.shape[1]:
                        wanted[k, row, column] = 1


@numba.njit(nogil=True, cache=True, fastmath=True)
def draw_ground(
    meets: NDArray[np.float32],
    depth_share: NDArray[np.float32],
    level: NDArray[np.int8],
    slots: NDArray[np.uint8],
    tables: NDArray[np.int32],
    haze: NDArray[np.float32],
    image: NDArray[np.uint8],
    nearness: NDArray[np.float32],
) -> None:
    """Fill image and nearness (1 / depth along the boresight, 1/m) from the coarse grid of ground points."""
    height, width = nearness.shape
    last = TILE_PX - 1
    for i in range(meets.shape[0] - 1):
        for j in range(meets.shape[1] - 1):
            top, left = i * CELL_PX, j * CELL_PX
            bottom, right = min(top + CELL_PX, height), min(left + CELL_PX, width)
            k = level[i, j]
            if k < 0:
                for y in range(top, bottom):
                    for x in range(left, right):
                        nearness[y, x] = 0.0
                        for ch in range(3):
                            image[y, x, ch] = haze[ch]
                continue
            per_m = 1.0 / (_M0 if k == 0 else (_M1 if k == 1 else _M2))
            d0, d1 = meets[i, j, 2] * depth_share[i, j], meets[i, j + 1, 2] * depth_share[i, j + 1]
            d2, d3 = meets[i + 1, j, 2] * depth_share[i + 1, j], meets[i + 1, j + 1, 2] * depth_share[i + 1, j + 1]
            fog = int(256 * (1.0 - np.exp(-0.25 * (d0 + d1 + d2 + d3) / 2200.0)))
            hazes = (int(haze[0]) * fog, int(haze[1]) * fog, int(haze[2]) * fog)
            for y in range(top, bottom):
                v = (y - top) / CELL_PX
                near, end = (1 - v) / d0 + v / d2, (1 - v) / d1 + v / d3
                wx = (1 - v) * meets[i, j, 0] + v * meets[i + 1, j, 0]
                wy = (1 - v) * meets[i, j, 1] + v * meets[i + 1, j, 1]
                step_x = ((1 - v) * meets[i, j + 1, 0] + v * meets[i + 1, j + 1, 0] - wx) / CELL_PX * per_m
                step_y = ((1 - v) * meets[i, j + 1, 1] + v * meets[i + 1, j + 1, 1] - wy) / CELL_PX * per_m
                wx, wy = (wx - ORIGIN_M) * per_m - 0.5, (wy - ORIGIN_M) * per_m - 0.5
                step = (end - near) / CELL_PX
                for x in range(left, right):
                    cx, cy = int(wx), int(wy)
                    column, row = cx // TILE_PX, cy // TILE_PX
                    nearness[y, x] = near
                    slot = -1
                    if 0 <= column < tables.shape[2] and 0 <= row < tables.shape[1]:
                        slot = tables[k, row, column]
                    if slot >= 0:
                        fx, fy = int((wx - cx) * 128), int((wy - cy) * 128)
                        px, py = cx & last, cy & last
                        qx, qy = min(px + 1, last), min(py + 1, last)
                        w11 = fx * fy
                        w01, w10 = fx * 128 - w11, fy * 128 - w11
                        w00 = 16384 - w01 - w10 - w11
                        for ch in range(3):
                            value = (
                                w00 * slots[slot, py, px, ch]
                                + w01 * slots[slot, py, qx, ch]
                                + w10 * slots[slot, qy, px, ch]
                                + w11 * slots[slot, qy, qx, ch]
                            ) >> 14
                            image[y, x, ch] = (value * (256 - fog) + hazes[ch]) >> 8
                    else:
                        for ch in range(3):
                            image[y, x, ch] = haze[ch]
                    wx += step_x
                    wy += step_y
                    near += step


@numba.njit(nogil=True, cache=True, fastmath=True)
def project(
    vertices: NDArray[np.float32],
    eye: NDArray[np.float64],
    turn: NDArray[np.float64],
    lens: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Pixels and nearness (n, 3) of world points; nearness 0 behind the camera.

    `lens`: f, cx, cy, k1, k2, p1, p2, k3, limit of r2.
    """
    f, cx, cy, k1, k2, p1, p2, k3, limit = lens
    for i in range(vertices.shape[0]):
        dx, dy, dz = vertices[i, 0] - eye[0], vertices[i, 1] - eye[1], vertices[i, 2] - eye[2]
        depth = turn[2, 0] * dx + turn[2, 1] * dy + turn[2, 2] * dz
        if depth < 0.3:
            out[i, 0], out[i, 1], out[i, 2] = 0.0, 0.0, 0.0
            continue
        x = (turn[0, 0] * dx + turn[0, 1] * dy + turn[0, 2] * dz) / depth
        y = (turn[1, 0] * dx + turn[1, 1] * dy + turn[1, 2] * dz) / depth
        r2 = min(x * x + y * y, limit)
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        tx, ty = 0.0, 0.0
        if r2 < limit:
            tx = 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
            ty = p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        out[i, 0] = (x * radial + tx) * f + cx
        out[i, 1] = (y * radial + ty) * f + cy
        out[i, 2] = 1.0 / depth


@numba.njit(nogil=True, cache=True, fastmath=True, inline="always")
def _noise(noise: NDArray[np.float32], u: float, v: float) -> float:
    value: float = noise[int(np.floor(v)) & (NOISE_SIZE - 1), int(np.floor(u)) & (NOISE_SIZE - 1)]
    return value


@numba.njit(nogil=True, cache=True, fastmath=True)
def _pattern(material: int, u: float, v: float, noise: NDArray[np.float32]) -> tuple[float, float]:
    """Factor on the colour, and how much of window glass (0 to 1) covers it."""
    if material == 4:  # foliage
        return 1.0 + 0.24 * _noise(noise, u * 9, v * 9) + 0.12 * _noise(noise, u * 2.5, v * 2.5), 0.0
    if material == 1:  # windows
        fu, fv = u / 2.7 - np.floor(u / 2.7), v / 2.8 - np.floor(v / 2.8)
        if 0.22 < fu < 0.72 and 0.3 < fv < 0.8:
            return 0.9 + 0.3 * _noise(noise, np.floor(u / 2.7) * 7, np.floor(v / 2.8) * 5), 1.0
        line = 0.86 if fv < 0.04 else 1.0
        return line + 0.04 * _noise(noise, u * 5, v * 5), 0.0
    if material == 2:  # corrugated
        rib = u * 3.3 - np.floor(u * 3.3)
        return 0.94 + 0.12 * (1.0 if rib < 0.5 else 0.0) + 0.05 * _noise(noise, u * 1.7, v * 1.7), 0.0
    if material == 3:  # bitumen
        seam = v - np.floor(v)
        dark = 0.9 if seam < 0.06 else 1.0
        return dark + 0.07 * _noise(noise, u * 1.3, v * 1.3) + 0.03 * _noise(noise, u * 9, v * 9), 0.0
    if material == 5:  # trash
        return 1.0 + 0.3 * _noise(noise, u * 8, v * 8), 0.0
    if material == 6:  # earth
        return 1.0 + 0.10 * _noise(noise, u * 10, v * 10) + 0.05 * _noise(noise, u * 2, v * 2), 0.0
    if material == 8:  # stripes
        return (1.0 if (u * 1.4 - np.floor(u * 1.4)) < 0.5 else 1.5), 0.0
    if material == 7:  # glass
        return 1.0 + 0.1 * _noise(noise, u * 3, v * 3), 0.0
    return 1.0 + 0.04 * _noise(noise, u * 6, v * 6), 0.0


@numba.njit(nogil=True, cache=True, fastmath=True)
def draw_triangles(
    points: NDArray[np.float32],
    triangles: NDArray[np.int32],
    rgb: NDArray[np.float32],
    material: NDArray[np.uint8],
    uv: NDArray[np.float32],
    instance: NDArray[np.int32],
    noise: NDArray[np.float32],
    haze: NDArray[np.float32],
    image: NDArray[np.uint8],
    nearness: NDArray[np.float32],
    owner: NDArray[np.int32],
) -> None:
    """Paint triangles of points (px, px, 1/m) where they are nearer than what is there; `owner` gets the instance."""
    height, width = nearness.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        na, nb, nc = points[a, 2], points[b, 2], points[c, 2]
        if na <= 0.0 or nb <= 0.0 or nc <= 0.0:
            continue
        ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        left, right = max(0, int(np.ceil(min(ax, bx, cx)))), min(width - 1, int(np.floor(max(ax, bx, cx))))
        top, bottom = max(0, int(np.ceil(min(ay, by, cy)))), min(height - 1, int(np.floor(max(ay, by, cy))))
        if left > right or top > bottom:
            continue
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-6:
            continue
        inverse = 1.0 / area
        kind = material[t]
        fog = 1.0 - np.exp(-1.0 / (na * 2200.0))
        red, green, blue = rgb[t, 0], rgb[t, 1], rgb[t, 2]
        step_b, step_c = -(cy - ay) * -inverse, -(by - ay) * inverse
        for y in range(top, bottom + 1):
            wb = ((left - ax) * (cy - ay) - (y - ay) * (cx - ax)) * inverse - step_b
            wc = ((bx - ax) * (y - ay) - (by - ay) * (left - ax)) * inverse - step_c
            for x in range(left, right + 1):
                wb += step_b
                wc += step_c
                wa = 1.0 - wb - wc
                if wa < 0.0 or wb < 0.0 or wc < 0.0:
                    continue
                near = wa * na + wb * nb + wc * nc
                if near <= nearness[y, x]:
                    continue
                pa, pb, pc = wa * na / near, wb * nb / near, wc * nc / near
                u = pa * uv[t, 0, 0] + pb * uv[t, 1, 0] + pc * uv[t, 2, 0]
                v = pa * uv[t, 0, 1] + pb * uv[t, 1, 1] + pc * uv[t, 2, 1]
                factor, glass = _pattern(kind, u, v, noise)
                r, g, bl = red * factor, green * factor, blue * factor
                if glass > 0.0:
                    r, g, bl = 52 * factor, 60 * factor, 72 * factor
                nearness[y, x] = near
                owner[y, x] = instance[t]
                image[y, x, 0] = min(max(r + (haze[0] - r) * fog, 0.0), 255.0)
                image[y, x, 1] = min(max(g + (haze[1] - g) * fog, 0.0), 255.0)
                image[y, x, 2] = min(max(bl + (haze[2] - bl) * fog, 0.0), 255.0)


@numba.njit(nogil=True, cache=True, fastmath=True)
def darken(
    points: NDArray[np.float32],
    triangles: NDArray[np.int32],
    done: NDArray[np.uint8],
    owner: NDArray[np.int32],
    image: NDArray[np.uint8],
) -> None:
    """Shade the ground once under triangles that are shadows; `done` remembers where."""
    height, width = owner.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        if points[a, 2] <= 0.0 or points[b, 2] <= 0.0 or points[c, 2] <= 0.0:
            continue
        ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        left, right = max(0, int(np.ceil(min(ax, bx, cx)))), min(width - 1, int(np.floor(max(ax, bx, cx))))
        top, bottom = max(0, int(np.ceil(min(ay, by, cy)))), min(height - 1, int(np.floor(max(ay, by, cy))))
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0.0:
            continue
        sign = 1.0 if area > 0 else -1.0
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                if (
                    owner[y, x] == 0
                    and done[y, x] == 0
                    and sign * ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) >= 0
                    and sign * ((cx - bx) * (y - by) - (cy - by) * (x - bx)) >= 0
                    and sign * ((ax - cx) * (y - cy) - (ay - cy) * (x - cx)) >= 0
                ):
                    done[y, x] = 1
                    for ch in range(3):
                        image[y, x, ch] = image[y, x, ch] * 0.52


@numba.njit(nogil=True, cache=True, fastmath=True)
def draw_puffs(
    puffs: NDArray[np.float32], noise: NDArray[np.float32], nearness: NDArray[np.float32], image: NDArray[np.uint8]
) -> None:
    """Blend soft round puffs, far ones first: rows x px, y px, nearness, radius px, red, green, blue, alpha, salt."""
    height, width = nearness.shape
    for k in range(puffs.shape[0]):
        cx, cy, near, radius = puffs[k, 0], puffs[k, 1], puffs[k, 2], puffs[k, 3]
        if near <= 0.0 or radius < 0.5:
            continue
        left, right = max(0, int(cx - radius)), min(width - 1, int(cx + radius) + 1)
        top, bottom = max(0, int(cy - radius)), min(height - 1, int(cy + radius) + 1)
        scale = 60.0 / radius
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                d2 = ((x - cx) ** 2 + (y - cy) ** 2) / (radius * radius)
                if d2 >= 1.0 or nearness[y, x] > near:
                    continue
                grain = _noise(noise, (x - cx) * scale + puffs[k, 8], (y - cy) * scale + puffs[k, 8] * 0.37)
                alpha = puffs[k, 7] * (1.0 - d2) ** 1.5 * (1.0 + 0.22 * grain)
                alpha = min(max(alpha, 0.0), 0.97)
                for ch in range(3):
                    value = image[y, x, ch] + (puffs[k, 4 + ch] * (1.0 + 0.05 * grain) - image[y, x, ch]) * alpha
                    image[y, x, ch] = min(max(value, 0.0), 255.0)
