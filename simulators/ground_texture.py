"""The ground as seen from above: tiles of colour baked when first looked at."""

from __future__ import annotations

import threading
from collections import OrderedDict

from simulators.world import World
from simulators.world.painting import GRAIN_M, Image, Painter
from simulators.world.standing import Standing

TILE_PX = 1024
LEVELS_M_PX = (GRAIN_M, 0.25, 1.0)
"""Ground size of a pixel at each level, m."""
ORIGIN_M = -3072.0
"""West and south edge of the first tile, m."""
KEPT_TILES = 96


class GroundTexture:
    """Colours of the ground in tiles, baked on demand and kept, and what throws shadows on it; threads may share it."""

    def __init__(self, world: World) -> None:
        """Of a world as it is now."""
        self.standing = Standing(world)
        """Meshes of all that stands still."""
        self._tiles: OrderedDict[tuple[int, int, int], Image] = OrderedDict()
        self._lock = threading.Lock()
        self._painter = Painter(world, older=False)

    def tile(self, level: int, column: int, row: int) -> Image:
        """(TILE_PX, TILE_PX, 3), rows from south to north."""
        key = (level, column, row)
        with self._lock:
            if key in self._tiles:
                self._tiles.move_to_end(key)
                return self._tiles[key]
            side = TILE_PX * LEVELS_M_PX[level]
            west, south = ORIGIN_M + column * side, ORIGIN_M + row * side
            baked = self._painter.paint(
                west, south, TILE_PX, LEVELS_M_PX[level], standing=None if level else self.standing
            )
            self._tiles[key] = baked
            while len(self._tiles) > KEPT_TILES:
                self._tiles.popitem(last=False)
            return baked
