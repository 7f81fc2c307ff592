"""Shapes of the things in the city, each in a frame of its own: x along, y across, z up, m."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter

from simulators.world.meshes import Color, Material, Solids

Size = tuple[float, float, float]
Shape = Callable[[Solids, Size, np.random.Generator], None]

CAR_COLORS: tuple[Color, ...] = (
    (236, 236, 236), (236, 236, 236), (38, 38, 42), (38, 38, 42), (150, 154, 158), (178, 180, 182), (96, 100, 106),
    (136, 30, 30), (32, 52, 104), (70, 92, 120), (28, 66, 50), (206, 196, 170), (190, 150, 40), (110, 70, 50),
)  # fmt: skip
CAR_SIZES: tuple[Size, ...] = (
    (4.5, 1.78, 1.45), (4.7, 1.9, 1.75), (5.4, 2.0, 2.4), (9.0, 2.5, 3.4), (12.0, 2.5, 3.1),
)  # fmt: skip
"""Saloon, estate or jeep, van, lorry, bus: length, width, height, m."""
CLOTHES: tuple[Color, ...] = (
    (30, 30, 36), (52, 58, 78), (126, 34, 34), (190, 190, 194), (70, 70, 74), (44, 84, 60), (200, 160, 60),
    (60, 90, 150), (110, 80, 60), (222, 222, 226), (156, 72, 104),
)  # fmt: skip
BAGS: tuple[Color, ...] = (
    (20, 20, 24), (26, 26, 30), (222, 222, 226), (60, 92, 160), (200, 196, 186), (44, 120, 84), (188, 60, 48),
    (226, 188, 60), (140, 116, 86), (168, 150, 124),
)  # fmt: skip


def car(solids: Solids, kind: int, color: int) -> None:
    """A car of one of CAR_SIZES, nose towards x."""
    length, width, height = CAR_SIZES[kind]
    paint = CAR_COLORS[color % len(CAR_COLORS)]
    for x in (-0.31 * length, 0.31 * length):
        solids.box((x, 0, 0.0), (0.66, width, 0.6), (24, 24, 26))
    if kind >= 3:
        _lorry_or_bus(solids, kind, paint, color)
        return
    glass = (30.0, 36.0, 42.0)
    back = 0.02 if kind == 0 else -0.12
    if kind == 2:
        back = -0.1
    belt = height * 0.58
    solids.box((0, 0, 0.25), (length, width, belt - 0.25), paint, taper=0.95)
    cabin = length * (0.5 if kind == 0 else 0.68)
    solids.box(
        (back * length, 0, belt), (cabin, width * 0.9, height - belt), glass, taper=0.76, material=Material.GLASS
    )
    roof = (cabin * 0.72, width * 0.9 * 0.74, 0.05)
    solids.box((back * length, 0, height - 0.03), roof, paint)


def _lorry_or_bus(solids: Solids, kind: int, paint: Color, color: int) -> None:
    length, width, height = CAR_SIZES[kind]
    if kind == 4:
        solids.box((0, 0, 0.35), (length, width, height - 0.35), paint, top_rgb=(226, 226, 222))
        solids.box((0, 0, 1.3), (length + 0.03, width + 0.03, 0.9), (34, 40, 46), material=Material.GLASS,
                   top_rgb=(226, 226, 222))  # fmt: skip
        for x in (-3.0, 2.6):
            solids.box((x, 0, height), (1.6, 1.2, 0.25), (196, 198, 200))
        return
    bed: Color = ((206, 206, 200), (92, 100, 66), (60, 80, 128), (150, 122, 92))[color % 4]
    solids.box((length / 2 - 1.0, 0, 0.5), (2.0, width * 0.94, 2.3), paint, taper=0.93)
    solids.box((length / 2 - 0.35, 0, 1.6), (0.75, width * 0.9, 0.8), (30, 36, 42), material=Material.GLASS)
    solids.box((-1.05, 0, 0.9), (length - 2.3, width, height - 0.9), bed)


def person(solids: Solids, color: int, stride: float = 0.0) -> None:
    """A standing or walking person, 1.7 m, shoulders along y."""
    top, legs = CLOTHES[color % len(CLOTHES)], CLOTHES[(color // 11) % len(CLOTHES)]
    hair: Color = ((32, 26, 22), (20, 18, 18), (84, 60, 40), (190, 186, 180))[(color // 121) % 4]
    for side in (-1, 1):
        solids.box((side * stride * 0.25, side * 0.1, 0), (0.2, 0.16, 0.85), legs)
        solids.box((-side * stride * 0.2, side * 0.27, 0.8), (0.15, 0.13, 0.62), top)
    solids.box((0, 0, 0.8), (0.26, 0.44, 0.65), top)
    solids.blob((0.02, 0, 1.6), (0.13, 0.12, 0.15), hair)


def tree(solids: Solids, kind: int, radius_m: float, height_m: float, rng: np.random.Generator) -> None:
    """A tree or bush; `kind` as in `Tree`."""
    green = np.array(((74, 98, 46), (66, 92, 44), (44, 70, 48), (92, 104, 58))[kind], float)
    green = green * rng.uniform(0.8, 1.2) + rng.normal(0, 5, 3)
    if kind != 3:
        solids.box((0, 0, -0.5), (0.25, 0.25, height_m * 0.5 + 0.5), (88, 70, 54))
    if kind == 2:
        for low, share in ((0.12, 1.0), (0.4, 0.72), (0.66, 0.42)):
            _cone(solids, low * height_m, (low + 0.42) * height_m, radius_m * share, green)
        return
    if kind == 1:
        radii = (radius_m, radius_m, height_m * 0.45)
        solids.blob(
            (0, 0, height_m * 0.55), radii, tuple(green), material=Material.FOLIAGE, rough=0.1, rng=rng, fine=True
        )
        return
    lobes = 4 if kind == 0 else 2
    for _ in range(lobes):
        x, y = rng.normal(0, 0.36 * radius_m, 2)
        size = radius_m * rng.uniform(0.55, 0.78)
        low = height_m * (rng.uniform(0.58, 0.74) if kind == 0 else 0.4)
        shade = green * rng.uniform(0.88, 1.14)
        solids.blob((x, y, low), (size, size, min(size, height_m - low)), tuple(shade), material=Material.FOLIAGE,
                    rough=0.12, rng=rng, fine=kind == 0)  # fmt: skip


def _cone(solids: Solids, low: float, high: float, radius_m: float, rgb: np.ndarray) -> None:
    angle = np.linspace(0, 2 * np.pi, 9)[:-1]
    ring = np.c_[np.cos(angle) * radius_m, np.sin(angle) * radius_m, np.full(8, low)]
    points = np.vstack([ring, (0, 0, high)])
    solids.add(points, [(k, (k + 1) % 8, 8) for k in range(8)], rgb, Material.FOLIAGE)


def dump(solids: Solids, size: Size, rng: np.random.Generator) -> None:
    """An irregular heap of litter, of a kind of its own: bags, rubble, tyres, mixed, green waste with plastic."""
    length, width, height = size
    theme = int(rng.choice(5, p=[0.34, 0.2, 0.1, 0.26, 0.1]))
    for middle, part in _heaps(size, rng):
        heap = Solids()
        _litter_heap(heap, (max(6, int(part[1] / 0.3)), max(6, int(part[0] / 0.3))), part, theme, rng)
        solids.include(heap, middle)
    for _ in range(int(length * width * rng.uniform(1.6, 3.4)) + 8):
        away, angle = np.sqrt(rng.random()) * rng.uniform(0.6, 1.12), rng.uniform(0, 2 * np.pi)
        x, y = away * np.cos(angle) * length / 2, away * np.sin(angle) * width / 2
        low = max(0.0, height * 0.75 * (1 - away**1.5)) * rng.uniform(0.5, 1.0)
        litter_piece(solids, (x, y, low), theme, rng)


def _heaps(size: Size, rng: np.random.Generator) -> list[tuple[tuple[float, float], Size]]:
    """One big heap, or up to four smaller ones that together fill the place."""
    length, width, height = size
    count = int(rng.choice(4, p=[0.45, 0.25, 0.2, 0.1])) + 1
    if count == 1 or length < 3:
        return [((0.0, 0.0), size)]
    share = rng.uniform(0.5, 0.72)
    heaps: list[tuple[tuple[float, float], Size]] = []
    for k in range(count):
        part = (
            length * share * rng.uniform(0.7, 1),
            width * share * rng.uniform(0.8, 1.1),
            height * rng.uniform(0.5, 1),
        )
        x = (k / (count - 1) - 0.5) * (length - part[0])
        heaps.append(((float(x), float(rng.uniform(-0.5, 0.5) * (width - part[1]))), part))
    return heaps


def _litter_heap(solids: Solids, cells: tuple[int, int], size: Size, theme: int, rng: np.random.Generator) -> None:
    rows, cols = cells
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, cols), indexing="ij")
    bumps = gaussian_filter(rng.normal(size=cells), 1.6)
    bumps /= np.abs(bumps).max() + 1e-9
    shape = np.clip(1.0 - np.hypot(x, y) ** rng.uniform(1.2, 2.2) + 0.45 * bumps, 0, 1.2)
    heights = size[2] * shape * (1 + 0.18 * rng.normal(size=cells)) - 0.02
    heights[0], heights[-1], heights[:, 0], heights[:, -1] = -0.25, -0.25, -0.25, -0.25
    ground: Color = ((128, 116, 100), (150, 146, 140), (96, 88, 78), (122, 110, 96), (110, 108, 70))[theme]
    faces = 2 * (rows - 1) * (cols - 1)
    colors = np.array(ground) * rng.uniform(0.65, 1.25, (faces, 1))
    share = (0.3, 0.1, 0.12, 0.4, 0.18)[theme]
    bright = rng.random(faces) < share
    colors[bright] = np.array(BAGS)[rng.integers(len(BAGS), size=int(bright.sum()))]
    material = Material.TRASH if theme in (0, 3) else Material.EARTH
    flat = heights.copy()
    flat[flat <= 0.0] = -0.25
    solids.heap(flat, (size[0], size[1]), colors, material)


def litter_piece(solids: Solids, at: tuple[float, float, float], theme: int, rng: np.random.Generator) -> None:
    """One bag, board, tyre, box or lump of rubble."""
    bag = BAGS[rng.integers(len(BAGS))]
    kind = rng.choice(5, p=((0.6, 0.12, 0.05, 0.18, 0.05), (0.1, 0.2, 0.02, 0.08, 0.6), (0.15, 0.1, 0.6, 0.1, 0.05),
                            (0.3, 0.22, 0.1, 0.28, 0.1), (0.3, 0.5, 0.02, 0.13, 0.05))[theme])  # fmt: skip
    if kind == 0:
        size = rng.uniform(0.2, 0.45)
        solids.blob(
            (at[0], at[1], at[2] + size * 0.4), (size, size * rng.uniform(0.6, 1), size * 0.6), bag, rough=0.1, rng=rng
        )
    elif kind == 1:
        wood: Color = ((150, 122, 88), (112, 92, 70), (186, 170, 140))[rng.integers(3)]
        solids.box((at[0], at[1], at[2]), (rng.uniform(0.6, 2.0), rng.uniform(0.08, 0.3), 0.07), wood,
                   yaw_rad=rng.uniform(0, np.pi))  # fmt: skip
    elif kind == 2:
        tyre(solids, at, rng.uniform(0.28, 0.42))
    elif kind == 3:
        solids.box(at, (*tuple(rng.uniform(0.25, 0.9, 2)), rng.uniform(0.1, 0.5)), bag, yaw_rad=rng.uniform(0, np.pi))
    else:
        gray = float(rng.uniform(110, 190))
        solids.blob(at, tuple(rng.uniform(0.12, 0.4, 3)), (gray, gray * 0.97, gray * 0.92), rough=0.2, rng=rng)


def tyre(solids: Solids, at: tuple[float, float, float], radius_m: float) -> None:
    """A tyre lying flat: a black ring about a hole."""
    angle = np.linspace(0, 2 * np.pi, 11)[:-1]
    circle = np.c_[np.cos(angle), np.sin(angle)]
    outer = np.c_[circle * radius_m, np.full(10, 0.2)] + at
    inner = np.c_[circle * radius_m * 0.5, np.full(10, 0.18)] + at
    foot = np.c_[circle * radius_m, np.zeros(10)] + at
    k = np.arange(10)
    after = (k + 1) % 10
    points = np.vstack([outer, inner, foot])
    faces = np.vstack([np.c_[k, after, after + 10], np.c_[k, after + 10, k + 10],
                       np.c_[k + 20, after + 20, after], np.c_[k + 20, after, k]])  # fmt: skip
    solids.add(points, faces, (30, 30, 32), Material.PLAIN)


def frame(solids: Solids, size: Size, rng: np.random.Generator) -> None:
    """An unfinished concrete frame: slabs on columns, starter bars, some brickwork."""
    length, width, height = size
    concrete: Color = ((168, 166, 160), (150, 148, 144), (182, 178, 168))[rng.integers(3)]
    floors = max(1, round(height / 3.1))
    columns = [(x, y) for x in np.linspace(-0.46, 0.46, max(3, int(length / 5))) * length
               for y in np.linspace(-0.46, 0.46, max(3, int(width / 5))) * width]  # fmt: skip
    solids.box((0, 0, -4.0), (length, width, 4.2), concrete)
    for k in range(floors):
        low = 0.2 + 3.1 * k
        for x, y in columns:
            solids.box((x, y, low), (0.4, 0.4, 2.9), concrete)
        share = rng.uniform(0.4, 0.75) if k == floors - 1 else 1.0
        solids.box((-(1 - share) * length / 2, 0, low + 2.85), (length * share, width, 0.25), concrete)
        if rng.random() < 0.6:
            solids.box((-0.2 * length, -width / 2 + 0.15, low), (0.55 * length, 0.25, 2.8), (168, 96, 72))
    top = 0.2 + 3.1 * floors
    for x, y in columns:
        for dx, dy in ((-0.12, -0.12), (0.12, -0.12), (0.12, 0.12), (-0.12, 0.12)):
            solids.box((x + dx, y + dy, top - 0.2), (0.05, 0.05, 1.2), (116, 74, 54))
    for _ in range(6):
        x, y = rng.uniform(-0.4, 0.1) * length, rng.uniform(-0.4, 0.4) * width
        stuff: Color = ((178, 100, 74), (196, 170, 110), (150, 120, 90), (200, 200, 196))[rng.integers(4)]
        solids.box((x, y, top), (rng.uniform(0.8, 2.2), rng.uniform(0.7, 1.2), rng.uniform(0.4, 1.0)), stuff)


def foundation(solids: Solids, size: Size, rng: np.random.Generator) -> None:
    """Strip footings with starter bars and boards, before any floor stands."""
    length, width, _ = size
    for y in np.linspace(-0.5, 0.5, 3) * width:
        solids.box((0, y, -4.0), (length, 0.6, 4.5), (172, 170, 164))
    for x in np.linspace(-0.5, 0.5, 4) * length:
        solids.box((x, 0, -4.0), (0.6, width, 4.5), (172, 170, 164))
        for y in np.linspace(-0.48, 0.48, 9) * width:
            solids.box((x, y, 0.4), (0.06, 0.06, 1.1), (122, 76, 56))
    for _ in range(14):
        x, y = rng.uniform(-0.45, 0.45, 2) * (length, width)
        solids.box((x, y, 0.0), (rng.uniform(2, 4), 0.25, 0.1), (180, 150, 104), yaw_rad=rng.uniform(0, 3))


def pile(solids: Solids, size: Size, rng: np.random.Generator) -> None:
    """A heap of sand, gravel or earth."""
    _smooth_pile(solids, size, ((206, 182, 130), (150, 146, 140), (134, 108, 80))[rng.integers(3)], rng)


def earthpile(solids: Solids, size: Size, rng: np.random.Generator) -> None:
    """A heap of bare earth: no litter."""
    _smooth_pile(solids, size, ((134, 110, 82), (120, 98, 72), (142, 128, 98))[rng.integers(3)], rng)


def _smooth_pile(solids: Solids, size: Size, rgb: Color, rng: np.random.Generator) -> None:
    y, x = np.meshgrid(np.linspace(-1, 1, 11), np.linspace(-1, 1, 11), indexing="ij")
    heights = size[2] * np.clip(1.15 - np.hypot(x, y) * 1.1 + 0.07 * rng.normal(size=x.shape), -0.1, 1.0)
    heights[[0, -1]] = -0.3
    heights[:, [0, -1]] = -0.3
    solids.heap(np.where(heights <= 0, -0.3, heights), (size[0], size[1]), rgb, Material.EARTH)


def excavator(solids: Solids, size: Size, rng: np.random.Generator) -> None:
    """A tracked excavator with its arm ahead."""
    yellow: Color = ((222, 170, 36), (214, 120, 34))[rng.integers(2)]
    for y in (-1.1, 1.1):
        solids.box((0, y, 0), (3.8, 0.6, 0.9), (44, 42, 40))
    solids.box((-0.3, 0, 0.9), (3.2, 2.6, 1.3), yellow)
    solids.box((0.6, 0.7, 2.2), (1.4, 1.0, 0.9), (40, 46, 52), material=Material.GLASS)
    solids.box((3.0, 0, 2.4), (4.2, 0.5, 0.6), yellow)
    solids.box((5.0, 0, 0.8), (0.5, 0.45, 2.2), yellow)
    solids.box((5.0, 0, 0.2), (1.0, 1.2, 0.8), (60, 58, 56))


def crane(solids: Solids, size: Size, rng: np.random.Generator) -> None:
    """A tower crane with its jib along x."""
    paint: Color = ((226, 178, 44), (206, 70, 50), (230, 230, 226))[rng.integers(3)]
    height = size[2]
    for x, y in ((-0.7, -0.7), (0.7, -0.7), (0.7, 0.7), (-0.7, 0.7)):
        solids.box((x, y, 0), (0.22, 0.22, height), paint)
    for k in range(int(height / 2)):
        solids.box((0, 0, 2.0 * k), (1.5, 0.12, 0.12), paint, yaw_rad=0.785 * (1 if k % 2 else -1))
    for y in (-0.5, 0.5):
        solids.box((size[0] / 2 - 5, y, height), (size[0], 0.16, 0.2), paint)
    for k in range(int(size[0] / 2)):
        solids.box((-4 + 2.0 * k, 0, height), (0.12, 1.1, 0.12), paint)
    solids.box((-6, 0, height - 0.6), (2.2, 1.6, 1.4), (130, 130, 130))
    solids.box((1.2, 0, height - 1.6), (1.4, 1.2, 1.6), (220, 220, 220))


def fence(solids: Solids, size: Size, rng: np.random.Generator) -> None:
    """A thin wall along x, on uneven ground."""
    paint: Color = ((118, 84, 62), (96, 128, 104), (150, 150, 146), (92, 100, 128), (140, 60, 48), (176, 160, 132))[
        rng.integers(6)
    ]
    solids.box((0, 0, -0.5), (size[0], size[1], size[2] + 0.5), paint, material=Material.CORRUGATED)


def stall(solids: Solids, size: Size, rng: np.random.Generator) -> None:
    """A market stall: goods under a bright awning."""
    cloth: Color = ((206, 54, 44), (44, 96, 178), (40, 140, 92), (230, 200, 70), (236, 236, 232), (214, 120, 40))[
        rng.integers(6)
    ]
    length, width, height = size
    solids.box((0.2, -0.9, 0), (length * 0.9, 0.9, 0.9), (150, 120, 84))
    for _ in range(6):
        x = rng.uniform(-0.4, 0.4) * length
        solids.box((x, -0.9, 0.9), (0.5, 0.6, 0.25), BAGS[rng.integers(len(BAGS))])
    points = np.array([(-length / 2, -width / 2, height - 0.4), (length / 2, -width / 2, height - 0.4),
                       (length / 2, width / 2, height), (-length / 2, width / 2, height)])  # fmt: skip
    stripes = Material.STRIPES if rng.random() < 0.5 else Material.PLAIN
    solids.add(points, [(0, 1, 2), (0, 2, 3)], cloth, stripes)


def compost(solids: Solids, size: Size, rng: np.random.Generator) -> None:
    """A boarded compost heap."""
    solids.box((0, 0, 0), size, (120, 96, 68), top_rgb=(74, 62, 40))
    solids.blob((0, 0, size[2]), (size[0] * 0.4, size[1] * 0.4, 0.25), (84, 74, 44), rough=0.1, rng=rng)


def woodpile(solids: Solids, size: Size, rng: np.random.Generator) -> None:
    """Stacked logs or planks."""
    rows = max(2, int(size[1] / 0.3))
    for k in range(rows):
        shade = rng.uniform(0.8, 1.15)
        y = (k + 0.5) / rows * size[1] - size[1] / 2
        solids.box((rng.normal(0, 0.1), y, 0), (size[0], size[1] / rows * 0.9, size[2] * rng.uniform(0.8, 1)),
                   (168 * shade, 132 * shade, 90 * shade))  # fmt: skip


def pool(solids: Solids, size: Size, rng: np.random.Generator) -> None:
    """A small swimming pool with a pale rim."""
    solids.box((0, 0, -0.4), (size[0] + 0.7, size[1] + 0.7, 0.55), (208, 204, 196))
    solids.box((0, 0, -0.3), (size[0], size[1], 0.48), (70, 158, 186))


def greenhouse(solids: Solids, size: Size, rng: np.random.Generator) -> None:
    """A film greenhouse with an arched roof."""
    angle = np.linspace(0, np.pi, 7)
    points = np.array(
        [(x, np.cos(a) * size[1] / 2, np.sin(a) * size[2]) for x in (-size[0] / 2, size[0] / 2) for a in angle]
    )
    faces = [f for k in range(6) for f in ((k, k + 7, k + 8), (k, k + 8, k + 1))]
    solids.add(points, faces, (206, 214, 212), Material.STRIPES)


def containers(solids: Solids, size: Size, rng: np.random.Generator) -> None:
    """A legal waste-collection place: a row of wheeled containers behind a screen."""
    color: Color = ((44, 104, 62), (52, 84, 140), (120, 122, 124), (220, 176, 50))[rng.integers(4)]
    for k in range(int(size[0] / 1.4)):
        x = -size[0] / 2 + 0.7 + 1.4 * k
        inside: Color = ((30, 30, 32), (90, 84, 76), (44, 104, 62))[rng.integers(3)]
        solids.box((x, 0, 0.1), (1.2, 1.05, 1.15), color, top_rgb=inside)
    solids.box((0, 1.1, 0), (size[0] + 1, 0.1, 1.6), (150, 150, 146), material=Material.CORRUGATED)


def freight(solids: Solids, size: Size, rng: np.random.Generator) -> None:
    """A freight container."""
    color: Color = ((150, 60, 44), (44, 84, 138), (60, 110, 80), (176, 170, 160), (200, 130, 50))[rng.integers(5)]
    solids.box((0, 0, 0), size, color, material=Material.CORRUGATED)


def playground(solids: Solids, size: Size, rng: np.random.Generator) -> None:
    """A slide, a swing and a hut in bright colours."""
    solids.box((-2.5, -1.5, 0), (1.6, 1.6, 2.4), (206, 60, 50))
    solids.box((-0.8, -1.5, 0), (2.4, 0.6, 0.9), (230, 190, 50))
    solids.box((2.0, 1.5, 0), (2.6, 0.15, 2.0), (50, 96, 180))
    solids.box((2.5, -1.8, 0), (1.5, 1.5, 0.3), (40, 140, 90))


def ruin(solids: Solids, size: Size, rng: np.random.Generator) -> None:
    """Charred timbers and tin where something burns."""
    for _ in range(16):
        x, y = rng.uniform(-0.5, 0.5, 2) * (size[0], size[1])
        shade = rng.uniform(14, 52)
        solids.box((x, y, 0), (rng.uniform(0.6, 2.6), rng.uniform(0.15, 0.6), rng.uniform(0.15, 0.7)),
                   (shade, shade * 0.95, shade * 0.9), yaw_rad=rng.uniform(0, np.pi))  # fmt: skip


SHAPES: dict[str, Shape] = {
    "dump": dump, "frame": frame, "foundation": foundation, "pile": pile, "earthpile": earthpile,
    "excavator": excavator, "crane": crane, "fence": fence, "stall": stall, "compost": compost, "woodpile": woodpile,
    "pool": pool, "greenhouse": greenhouse, "containers": containers, "freight": freight, "playground": playground,
    "ruin": ruin,
}  # fmt: skip
