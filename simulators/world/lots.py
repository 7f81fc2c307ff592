"""What stands in each block: houses and gardens, apartments, garages, parks and the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from simulators.world.layout import Block
from simulators.world.meshes import Color
from simulators.world.scene import Building, Parked, Prop, Ring, Scene, Tree, band, ragged, rectangle
from simulators.world.terrain import Ground

Point = tuple[float, float]
WALLS: tuple[Color, ...] = (
    (222, 214, 196), (200, 178, 150), (178, 96, 72), (190, 190, 186), (232, 226, 208), (160, 120, 96),
)  # fmt: skip
ROOFS: tuple[Color, ...] = (
    (128, 56, 44), (96, 62, 52), (66, 92, 70), (138, 140, 142), (74, 84, 104), (168, 160, 150), (110, 44, 40),
    (58, 60, 66), (150, 88, 60),
)  # fmt: skip
FLAT_ROOFS: tuple[Color, ...] = ((92, 92, 96), (120, 118, 114), (76, 76, 80), (146, 142, 134))


@dataclass
class Spot:
    """A place fit for an incident."""

    x: float
    y: float
    radius_m: float
    kind: str
    """dump, site, square."""
    block: Block


@dataclass
class Filler:
    """Fills blocks and remembers the places fit for incidents."""

    scene: Scene
    ground: Ground
    rng: np.random.Generator
    spots: list[Spot] = field(default_factory=list)

    def fill(self, block: Block) -> None:
        """Put into the block what its use asks for."""
        FILLINGS[block.use](self, block)

    def building(
        self, ring: Ring, height_m: float, use: str, *, roof: str = "flat", windows: bool = False,
        wall: Color | None = None, top: Color | None = None, older: bool = True,
    ) -> Building:  # fmt: skip
        """Add one on the lowest ground under it."""
        base = float(np.min(self.ground.amsl_m(ring[:, 0], ring[:, 1])))
        colors = FLAT_ROOFS if roof == "flat" else ROOFS
        made = Building(
            number=len(self.scene.buildings) + 1,
            ring=ring,
            base_amsl_m=base,
            height_m=round(height_m, 2),
            use=use,
            roof=roof,
            wall_rgb=wall or WALLS[self.rng.integers(len(WALLS))],
            roof_rgb=top or colors[self.rng.integers(len(colors))],
            windows=windows,
            older=older,
        )
        self.scene.buildings.append(made)
        return made

    def tree(self, x: float, y: float, kind: int, scale: float = 1.0) -> None:
        """Add a tree of about the kind's size."""
        radius, height = ((2.4, 6.0), (1.3, 12.0), (1.8, 9.0), (0.8, 1.1))[kind]
        size = float(scale * np.exp(self.rng.normal(0, 0.22)))
        self.scene.trees.append(Tree(x, y, radius * size, height * size, kind, int(self.rng.integers(1 << 30))))

    def scatter_trees(self, block: Block, count: int, margin: float = 0.04) -> None:
        """Trees anywhere in a block where nothing stands yet."""
        for _ in range(count):
            x, y = block.at(*self.rng.uniform(margin, 1 - margin, 2))
            self.tree(x, y, int(self.rng.choice(4, p=[0.55, 0.1, 0.15, 0.2])))

    def park_cars(self, start: Point, end: Point, *, across: bool, share: float) -> None:
        """Cars side by side (`across`) or nose to tail along a line."""
        along = np.subtract(end, start)
        length = float(np.linalg.norm(along))
        yaw = float(np.arctan2(along[1], along[0]))
        pitch = 2.7 if across else 6.2
        for k in range(int(length / pitch)):
            if self.rng.random() < share:
                x, y = np.asarray(start) + along * (k + 0.5) * pitch / length
                self.car(x, y, yaw + (np.pi / 2 if across else 0.0))

    def car(self, x: float, y: float, yaw_rad: float, kind: int | None = None) -> None:
        """Add one parked car, a little askew."""
        chosen = int(self.rng.choice(5, p=[0.5, 0.3, 0.12, 0.08, 0.0])) if kind is None else kind
        yaw = yaw_rad + self.rng.normal(0, 0.04) + np.pi * self.rng.integers(2)
        instance = self.scene.label("vehicle")
        self.scene.parked.append(Parked(x, y, float(yaw), chosen, int(self.rng.integers(1 << 16)), instance))

    def prop(
        self, kind: str, x: float, y: float, yaw_rad: float, size: tuple[float, float, float], **more: bool
    ) -> None:
        """Add a thing."""
        self.scene.props.append(Prop(kind, x, y, yaw_rad, size, int(self.rng.integers(1 << 30)), **more))

    def fence(self, a: Ring, b: Ring) -> None:
        """A fence from point to point."""
        (x, y), along = (a + b) / 2, b - a
        size = (float(np.linalg.norm(along)), 0.1, 1.7)
        self.prop("fence", float(x), float(y), float(np.arctan2(along[1], along[0])), size)

    def parcel(self, ring: Ring, use: str) -> None:
        """Register a parcel."""
        self.scene.parcels.append({"ring": ring, "use": use})

    def spot(self, x: float, y: float, radius_m: float, kind: str, block: Block) -> None:
        """Remember a place."""
        self.spots.append(Spot(float(x), float(y), radius_m, kind, block))


def fill_houses(filler: Filler, block: Block) -> None:
    """Two rows of lots with a house, garden, shed and fence each."""
    rng, (wide, deep) = filler.rng, block.size_m
    count = max(2, round(wide / rng.uniform(17, 23)))
    filler.scene.flat(block.corners, f"grass{rng.integers(4)}")
    for row in range(2):
        for k in range(count):
            u0, u1, v0, v1 = k / count, (k + 1) / count, row / 2, (row + 1) / 2
            ring = block.quad(u0, v0, u1, v1)
            filler.parcel(ring, "residential")
            _fill_lot(filler, block, ring, (u0, u1), row, wide / count, deep / 2)
    if rng.random() < 0.35:
        u = float(rng.choice([-0.015, 1.015]))
        x, y = block.at(u, rng.uniform(0.3, 0.7))
        filler.spot(x, y, 2.5, "dump", block)


def _fill_lot(
    filler: Filler, block: Block, ring: Ring, u: tuple[float, float], row: int, wide: float, deep: float
) -> None:
    rng, scene = filler.rng, filler.scene
    scene.flat(ring, str(rng.choice(["grass", "drygrass", "soil"], p=[0.45, 0.3, 0.25])) + str(rng.integers(3)))
    for side in range(4):
        a, b = ring[side], ring[(side + 1) % 4]
        filler.fence(a, b)

    def at(across: float, inwards: float) -> Point:
        v = inwards / 2 if row == 0 else 1 - inwards / 2
        return block.at(u[0] + (u[1] - u[0]) * across, v)

    yaw = block.yaw_rad
    length, width = min(rng.uniform(8, 14), wide - 5), rng.uniform(7, 10)
    x, y = at(rng.uniform(0.4, 0.5), (5 + width / 2) / deep)
    turn = yaw + (np.pi / 2 if rng.random() < 0.3 and width > length - 3 else 0)
    roof = str(rng.choice(["gable", "hip", "flat"], p=[0.45, 0.45, 0.1]))
    height = float(rng.choice([3.0, 3.4, 6.2], p=[0.45, 0.3, 0.25]))
    filler.building(rectangle(x, y, length, width, turn), height, "house", roof=roof, windows=True)
    drive = at(0.88, 0.16)
    scene.flat(rectangle(*drive, 3.4, deep * 0.3, yaw), str(rng.choice(["concrete", "gravel", "pavement"])))
    if rng.random() < 0.5:
        filler.car(*at(0.88, rng.uniform(0.1, 0.2)), yaw + np.pi / 2)
    _fill_garden(filler, at, yaw)


def _fill_garden(filler: Filler, at: Callable[[float, float], Point], yaw: float) -> None:
    rng, scene = filler.rng, filler.scene
    if rng.random() < 0.65:
        x, y = at(rng.choice([0.2, 0.8]), 0.88)
        filler.building(rectangle(x, y, rng.uniform(3, 6), rng.uniform(2.5, 4), yaw), 2.3, "shed",
                        roof=str(rng.choice(["flat", "gable"])))  # fmt: skip
    if rng.random() < 0.5:
        for k in range(int(rng.integers(2, 6))):
            bed = rectangle(*at(0.35 + 0.09 * k, 0.65), 1.1, 6.0, yaw)
            scene.flat(bed, str(rng.choice(["soil0", "soil2", "grass1", "grass3"])))
    extra = rng.random()
    if extra < 0.07:
        filler.prop("pool", *at(0.5, 0.7), yaw, (rng.uniform(4, 8), 3.4, 0.3), older=True)
    elif extra < 0.16:
        filler.prop("compost", *at(0.85, 0.75), yaw, (1.8, 1.4, 0.8))
    elif extra < 0.28:
        filler.prop("woodpile", *at(0.15, 0.6), yaw, (rng.uniform(2, 4), 1.0, 1.3))
    elif extra < 0.34:
        filler.prop("greenhouse", *at(0.5, 0.68), yaw + np.pi / 2, (6.0, 3.0, 2.2), older=True)
    for _ in range(int(rng.integers(2, 7))):
        kind = int(rng.choice([0, 2, 3], p=[0.7, 0.05, 0.25]))
        filler.tree(*at(rng.uniform(0.06, 0.94), rng.uniform(0.5, 0.95)), kind, 0.75)


def fill_apartments(filler: Filler, block: Block) -> None:
    """Panel houses about a yard with parking, playground, containers and trees."""
    rng, (wide, deep), scene = filler.rng, block.size_m, filler.scene
    yaw = block.yaw_rad
    scene.flat(block.corners, f"grass{rng.integers(4)}")
    filler.parcel(block.corners, "apartments")
    floors = int(rng.choice([5, 9, 10], p=[0.6, 0.3, 0.1]))
    wall = WALLS[rng.integers(len(WALLS))]
    for v in (9.0 / deep, 1 - 9.0 / deep):
        ring = rectangle(*block.at(0.5, v), wide - rng.uniform(10, 24), 12.0, yaw)
        filler.building(ring, floors * 2.8 + 1.2, "apartments", windows=True, wall=wall)
    for v in (18.5 / deep, 1 - 18.5 / deep):
        start, end = block.at(0.08, v), block.at(0.92, v)
        scene.flat(band(np.array([start, end]), 6.0), f"asphalt{rng.integers(3)}")
        filler.park_cars(start, end, across=True, share=0.5)
    scene.flat(rectangle(*block.at(0.35, 0.5), 14, 10, yaw), str(rng.choice(["sand", "sportred", "dirt1"])))
    filler.prop("playground", *block.at(0.35, 0.5), yaw, (8, 6, 2.5), older=True)
    x, y = block.at(0.88, 0.5)
    scene.flat(rectangle(x, y, 7, 4, yaw + np.pi / 2), "concrete")
    filler.prop("containers", x, y, yaw + np.pi / 2, (5.0, 1.3, 1.3), older=True)
    filler.spot(*block.at(rng.uniform(0.6, 0.72), rng.uniform(0.45, 0.55)), 4.0, "dump", block)
    scene.walks.append(np.array([block.at(0.05, 0.4), block.at(0.5, 0.36), block.at(0.95, 0.6)]))
    for _ in range(int(rng.integers(10, 22))):
        filler.tree(
            *block.at(rng.uniform(0.05, 0.95), rng.uniform(0.36, 0.64)), int(rng.choice(4, p=[0.5, 0.2, 0.1, 0.2]))
        )


def fill_garages(filler: Filler, block: Block) -> None:
    """Rows of lock-ups with dirt lanes; the far end is where rubbish gathers."""
    rng, (wide, deep), scene = filler.rng, block.size_m, filler.scene
    yaw = block.yaw_rad
    scene.flat(block.corners, f"dirt{rng.integers(3)}")
    filler.parcel(block.corners, "garages")
    rows = max(2, int(deep * 0.8 / 15))
    for k in range(rows):
        v = 0.08 + 0.74 * (k + 0.5) / rows
        for part in range(int((wide - 12) / 3.6)):
            u = (6 + 3.6 * (part + 0.5)) / wide
            if rng.random() < 0.94:
                filler.building(rectangle(*block.at(u, v), 3.55, 6.0, yaw), 2.5 + rng.normal(0, 0.12), "garage")
        scene.flat(band(np.array([block.at(0.02, v + 6.5 / deep), block.at(0.98, v + 6.5 / deep)]), 5.0),
                   str(rng.choice(["gravel", "dirt1", "asphalt2"])))  # fmt: skip
        if rng.random() < 0.5:
            filler.car(*block.at(rng.uniform(0.1, 0.9), v + 5.5 / deep), yaw)
    filler.spot(*block.at(rng.uniform(0.15, 0.85), 0.945), 4.0, "dump", block)
    filler.spot(*block.at(rng.uniform(0.15, 0.85), 0.035), 3.0, "dump", block)
    filler.scatter_trees(block, 3)


def fill_waste(filler: Filler, block: Block) -> None:
    """Open ground: dry grass, paths, bare patches, bushes."""
    rng, scene = filler.rng, filler.scene
    scene.flat(block.corners, f"drygrass{rng.integers(4)}")
    filler.parcel(block.corners, "vacant")
    for _ in range(int(rng.integers(2, 6))):
        x, y = block.at(*rng.uniform(0.2, 0.8, 2))
        patch = str(rng.choice(["dirt0", "dirt1", "dirt2", "gravel", "grass2"]))
        scene.flat(ragged(x, y, rng.uniform(5, 24), rng.uniform(5, 24), rng), patch)
    ends = (
        block.at(0, rng.uniform(0.1, 0.9)),
        block.at(rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7)),
        block.at(1, rng.uniform(0.1, 0.9)),
    )
    path = np.array(ends)
    scene.flat(band(path, 1.4), "dirt1")
    scene.walks.append(path)
    if rng.random() < 0.4:
        x, y = block.at(*rng.uniform(0.25, 0.75, 2))
        scene.flat(ragged(x, y, rng.uniform(5, 14), rng.uniform(5, 14), rng), "pond")
    if rng.random() < 0.5:
        filler.prop("earthpile", *block.at(*rng.uniform(0.2, 0.8, 2)), rng.uniform(0, 3), (4.5, 3.5, 1.2))
    filler.scatter_trees(block, int(rng.integers(4, 16)))
    for u, v in ((0.25, 0.3), (0.72, 0.66), (0.5, 0.85), (0.8, 0.2)):
        filler.spot(*block.at(u + rng.uniform(-0.08, 0.08), v + rng.uniform(-0.08, 0.08)), 6.0, "dump", block)


def fill_riverside(filler: Filler, block: Block) -> None:
    """The green banks of the river."""
    rng, scene = filler.rng, filler.scene
    filler.parcel(block.corners, "water protection")
    for u in (0.12, 0.88):
        line = np.array([block.at(u, v) for v in np.linspace(0, 1, 5)])
        scene.flat(band(line + rng.normal(0, 0.5, line.shape), 2.0), str(rng.choice(["pavement", "gravel", "dirt1"])))
        scene.walks.append(line)
    for _ in range(int(rng.integers(10, 24))):
        u = rng.choice([rng.uniform(0.03, 0.28), rng.uniform(0.72, 0.97)])
        filler.tree(*block.at(u, rng.uniform(0, 1)), int(rng.choice(4, p=[0.5, 0.25, 0.05, 0.2])))
    filler.spot(*block.at(rng.choice([0.22, 0.78]), rng.uniform(0.2, 0.8)), 5.0, "dump", block)


def fill_park(filler: Filler, block: Block) -> None:
    """A paved square with paths, lawns, a fountain and trees about it."""
    rng, scene, (wide, deep) = filler.rng, filler.scene, block.size_m
    yaw = block.yaw_rad
    scene.flat(block.corners, f"grass{rng.integers(4)}")
    filler.parcel(block.corners, "public")
    for ends in (((0, 0.5), (1, 0.5)), ((0.5, 0), (0.5, 1)), ((0, 0), (1, 1)), ((0, 1), (1, 0))):
        line = np.array([block.at(*ends[0]), block.at(*ends[1])])
        scene.flat(band(line, 3.0), "pavement")
        scene.walks.append(line)
    scene.flat(rectangle(*block.center, wide * 0.5, deep * 0.5, yaw), str(rng.choice(["pavement", "concrete"])))
    corner = block.at(0.68, 0.68)
    scene.flat(rectangle(*corner, 6, 6, yaw), "pond")
    for _ in range(40):
        u, v = rng.uniform(0.03, 0.97, 2)
        if max(abs(u - 0.5), abs(v - 0.5)) > 0.3:
            filler.tree(*block.at(u, v), int(rng.choice(4, p=[0.6, 0.1, 0.2, 0.1])))
    filler.spot(*block.at(0.45, 0.45), 12.0, "square", block)


def fill_school(filler: Filler, block: Block) -> None:
    """A school with its sports field."""
    rng, scene, (wide, deep) = filler.rng, filler.scene, block.size_m
    yaw = block.yaw_rad
    scene.flat(block.corners, f"grass{rng.integers(4)}")
    filler.parcel(block.corners, "education")
    field_wide, field_deep = min(40.0, wide * 0.5), min(24.0, deep * 0.4)
    x, y = block.at(0.32, 0.3)
    scene.flat(rectangle(x, y, field_wide + 6, field_deep + 6, yaw), "sportred")
    scene.flat(rectangle(x, y, field_wide, field_deep, yaw), "sportgreen")
    for share in (0.98, 0.0):
        ring = rectangle(x, y, field_wide * share + 0.15, field_deep * 0.96, yaw)
        for a, b in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            scene.flat(band(np.array([a, b]), 0.15), "paint")
    for u, v, length, turn in ((0.5, 0.82, wide * 0.6, 0.0), (0.82, 0.55, deep * 0.45, np.pi / 2)):
        filler.building(rectangle(*block.at(u, v), length, 13.0, yaw + turn), 10.5, "school", windows=True)
    scene.flat(rectangle(*block.at(0.62, 0.55), 16, 12, yaw), "asphalt1")
    filler.scatter_trees(block, 14)


def fill_industrial(filler: Filler, block: Block) -> None:
    """Halls, containers, timber and lorries on concrete."""
    rng, scene, (wide, deep) = filler.rng, filler.scene, block.size_m
    yaw = block.yaw_rad
    scene.flat(block.corners, str(rng.choice(["concrete", "asphalt2", "gravel"])))
    filler.parcel(block.corners, "industrial")
    for v in (0.25, 0.75):
        ring = rectangle(*block.at(0.35, v), wide * 0.5, deep * 0.3, yaw)
        filler.building(ring, rng.uniform(6, 10), "industrial", roof="gable",
                        top=((150, 152, 156), (92, 110, 134), (126, 66, 54))[rng.integers(3)])  # fmt: skip
    for k in range(5):
        x, y = block.at(0.68 + 0.055 * k, 0.25)
        filler.prop("freight", x, y, yaw + np.pi / 2, (6.1, 2.44, 2.6), older=bool(k % 2))
        if rng.random() < 0.6:
            filler.car(*block.at(0.68 + 0.06 * k, 0.6), yaw + np.pi / 2, 4)
    filler.prop("woodpile", *block.at(0.8, 0.88), yaw, (7.0, 2.0, 1.6))
    filler.spot(*block.at(0.93, 0.9), 3.0, "dump", block)


def fill_market(filler: Filler, block: Block) -> None:
    """Rows of stalls under bright awnings."""
    rng, scene, wide = filler.rng, filler.scene, block.size_m[0]
    yaw = block.yaw_rad
    scene.flat(block.corners, f"asphalt{rng.integers(3)}")
    filler.parcel(block.corners, "market")
    for row in range(4):
        v = 0.2 + 0.17 * row
        for k in range(int(wide * 0.6 / 4)):
            if rng.random() < 0.85:
                filler.prop("stall", *block.at(0.12 + 4.0 * k / wide, v), yaw + rng.normal(0, 0.03), (3.2, 2.4, 2.4))
        scene.walks.append(np.array([block.at(0.06, v + 0.075), block.at(0.8, v + 0.075)]))
        scene.walks.append(np.array([block.at(0.1, v - 0.07), block.at(0.75, v - 0.07)]))
    filler.park_cars(block.at(0.84, 0.1), block.at(0.84, 0.9), across=True, share=0.7)
    filler.building(rectangle(*block.at(0.4, 0.92), wide * 0.4, 8, yaw), 4.5, "kiosk")
    filler.spot(*block.at(0.06, 0.08), 3.0, "dump", block)


def fill_site(filler: Filler, block: Block) -> None:
    """Ground about to be built on, beside an older house row: a place for construction."""
    rng, scene = filler.rng, filler.scene
    scene.flat(block.corners, f"drygrass{rng.integers(4)}")
    filler.parcel(block.corners, "development")
    scene.flat(ragged(*block.center, 18, 14, rng), f"dirt{rng.integers(3)}")
    filler.scatter_trees(block, 5, margin=0.02)
    filler.spot(*block.center, 15.0, "site", block)
    filler.spot(*block.at(0.1, 0.1), 4.0, "dump", block)


FILLINGS: dict[str, Callable[[Filler, Block], None]] = {
    "houses": fill_houses,
    "apartments": fill_apartments,
    "garages": fill_garages,
    "waste": fill_waste,
    "riverside": fill_riverside,
    "park": fill_park,
    "school": fill_school,
    "industrial": fill_industrial,
    "market": fill_market,
    "site": fill_site,
}
