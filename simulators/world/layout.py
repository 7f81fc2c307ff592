"""Streets, the river and the blocks between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

from simulators.world.scene import Ring

CITY_M = 1000.0
"""Half side of the built square, m."""
RIVER_WIDTH_M = 13.0


@dataclass
class Block:
    """Ground between streets: a bent quadrangle."""

    corners: Ring
    """(4, 2): south-west, south-east, north-east, north-west, at the inner edge of the sidewalks, m."""
    use: str
    column: int
    row: int

    @property
    def center(self) -> tuple[float, float]:
        """Mean of the corners, m."""
        x, y = self.corners.mean(axis=0)
        return float(x), float(y)

    @property
    def size_m(self) -> tuple[float, float]:
        """Smaller of the two lengths along east, and along north, m."""
        a, b, c, d = self.corners
        return (
            float(min(np.linalg.norm(b - a), np.linalg.norm(c - d))),
            float(min(np.linalg.norm(d - a), np.linalg.norm(c - b))),
        )

    @property
    def yaw_rad(self) -> float:
        """Direction of the block's own east from east."""
        a, b, c, d = self.corners
        ahead = (b - a) + (c - d)
        return float(np.arctan2(ahead[1], ahead[0]))

    def at(self, u: float, v: float) -> tuple[float, float]:
        """Point at shares u (west to east) and v (south to north), each 0 to 1, m."""
        a, b, c, d = self.corners
        x, y = (a * (1 - u) + b * u) * (1 - v) + (d * (1 - u) + c * u) * v
        return float(x), float(y)

    def quad(self, u0: float, v0: float, u1: float, v1: float) -> Ring:
        """The part between two shares in each direction, (4, 2), counter-clockwise."""
        return np.array([self.at(u0, v0), self.at(u1, v0), self.at(u1, v1), self.at(u0, v1)])


@dataclass
class Street:
    """A street's center line."""

    line: Ring
    width_m: float
    main: bool


@dataclass
class Layout:
    """The plan of the city."""

    streets: list[Street]
    blocks: list[Block]
    river: Ring
    """Center line (n, 2) from south to north, m."""


def plan(rng: np.random.Generator) -> Layout:
    """A grid bent by the land, a river from south to north with a road along it, and blocks with uses."""
    east, north, gap = _spacings(rng)
    nodes = _bent(east, north, rng)
    river = _river(nodes, gap, rng)
    main_columns, main_rows = {gap, len(east) // 5, 4 * len(east) // 5}, {len(north) // 3, 2 * len(north) // 3}
    streets = _streets(nodes, gap, main_columns, main_rows)
    blocks = _blocks(nodes, main_columns, main_rows)
    _assign_uses(blocks, gap, rng)
    return Layout(streets, blocks, river)


def _spacings(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    columns, rows = 19, 22
    wide, deep = rng.uniform(85, 125, columns), rng.uniform(78, 110, rows)
    gap = int(rng.integers(7, 11))
    wide[gap] = 125.0
    east = np.concatenate([[0], np.cumsum(wide)])
    north = np.concatenate([[0], np.cumsum(deep)])
    return (east / east[-1] - 0.5) * 2 * CITY_M, (north / north[-1] - 0.5) * 2 * CITY_M, gap


def _bent(east: NDArray[np.float64], north: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    knots = np.linspace(-1.5 * CITY_M, 1.5 * CITY_M, 7)
    shift_x = RectBivariateSpline(knots, knots, rng.normal(0, 17, (7, 7)))
    shift_y = RectBivariateSpline(knots, knots, rng.normal(0, 17, (7, 7)))
    turn = np.radians(rng.uniform(-6, 6))
    x, y = np.meshgrid(east, north, indexing="ij")
    bent = np.stack([x + shift_x(east, north), y + shift_y(east, north)], axis=-1)
    return np.asarray(bent @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]))


def _river(nodes: NDArray[np.float64], gap: int, rng: np.random.Generator) -> Ring:
    share = 0.5 + 0.13 * np.sin(np.arange(nodes.shape[1]) * rng.uniform(0.8, 1.2) + rng.uniform(0, 6))
    inside = nodes[gap] * (1 - share[:, None]) + nodes[gap + 1] * share[:, None]
    before = inside[0] + (inside[0] - inside[1]) * np.arange(18, 0, -1)[:, None]
    after = inside[-1] + (inside[-1] - inside[-2]) * np.arange(1, 19)[:, None]
    return smooth(np.vstack([before, inside, after]), 8)


def smooth(line: Ring, pieces: int) -> Ring:
    """A Catmull-Rom spline through the points, `pieces` for each span."""
    padded = np.vstack([2 * line[0] - line[1], line, 2 * line[-1] - line[-2]])
    t = np.linspace(0, 1, pieces, endpoint=False)[:, None]
    spans = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        spans.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.vstack([*spans, line[-1:]])


def _streets(nodes: NDArray[np.float64], gap: int, main_columns: set[int], main_rows: set[int]) -> list[Street]:
    streets = []
    for i in range(nodes.shape[0]):
        main = i in main_columns
        streets.append(Street(smooth(nodes[i], 6), 13.0 if main else 7.0, main))
    for j in range(nodes.shape[1]):
        main = j in main_rows
        width = 13.0 if main else 7.0
        if main or j % 4 == 0:
            streets.append(Street(smooth(nodes[:, j], 6), width, main))
            continue
        streets.append(Street(smooth(nodes[: gap + 1, j], 6), width, main))
        streets.append(Street(smooth(nodes[gap + 1 :, j], 6), width, main))
    return streets


def _blocks(nodes: NDArray[np.float64], main_columns: set[int], main_rows: set[int]) -> list[Block]:
    blocks = []
    for i in range(nodes.shape[0] - 1):
        for j in range(nodes.shape[1] - 1):
            west, east = (6.5 + 3.5 if k in main_columns else 3.5 + 2.5 for k in (i, i + 1))
            south, north = (6.5 + 3.5 if k in main_rows else 3.5 + 2.5 for k in (j, j + 1))
            corners = np.array([nodes[i, j], nodes[i + 1, j], nodes[i + 1, j + 1], nodes[i, j + 1]])
            wide = float(np.linalg.norm(corners[1] - corners[0]))
            deep = float(np.linalg.norm(corners[3] - corners[0]))
            whole = Block(corners, "", i, j)
            inner = whole.quad(west / wide, south / deep, 1 - east / wide, 1 - north / deep)
            blocks.append(Block(inner, "houses", i, j))
    return blocks


USES = (
    ("houses", 0.50),
    ("apartments", 0.17),
    ("waste", 0.11),
    ("garages", 0.08),
    ("park", 0.05),
    ("school", 0.03),
    ("industrial", 0.03),
    ("market", 0.03),
)


def _assign_uses(blocks: list[Block], gap: int, rng: np.random.Generator) -> None:
    """Uses at random in proportion, but each 500 m cell has waste ground, garages, apartments and a park."""
    names, shares = [u for u, _ in USES], np.array([s for _, s in USES])
    cells: dict[tuple[int, int], list[Block]] = {}
    for block in blocks:
        if block.column == gap:
            block.use = "riverside"
            continue
        block.use = str(rng.choice(names, p=shares / shares.sum()))
        x, y = block.center
        cells.setdefault((int((x + CITY_M) // 500), int((y + CITY_M) // 500)), []).append(block)
    middle = sorted((b for b in blocks if b.column != gap), key=_off_center)
    wanted = ["site", "waste", "park", "site", "garages", "apartments", "waste", "houses", "houses", "houses", "market"]
    for index, use in zip(rng.permutation(len(wanted)), wanted, strict=True):
        middle[index].use = use
    kept = {id(b) for b in middle[: len(wanted)]}
    for cell in sorted(cells):
        members = [b for b in cells[cell] if id(b) not in kept]
        if len(members) < 8:
            continue
        wanted = ["waste", "waste", "garages", "park", "apartments", "site", "market" if sum(cell) % 2 else "school"]
        for index, use in zip(rng.permutation(len(members)), wanted, strict=False):
            members[index].use = use


def _off_center(block: Block) -> float:
    """How far from the middle, in halves of a 600 x 500 m district."""
    return float(max(abs(block.center[0]) / 300, abs(block.center[1]) / 250))
