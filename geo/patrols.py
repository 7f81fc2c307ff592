"""Rounds along the boundary of an area."""

from __future__ import annotations

import numpy as np
import shapely
from shapely import Polygon

from geo.areas import polygon_parts
from geo.chains import begun_near, chain
from geo.errors import AreaInvalid
from geo.legs import Leg
from geo.limits import above_zero, few_enough, finite, outline, place

FINEST_M = 0.2
"""Corners that make less difference than this are left out, m."""


def perimeter(
    polygon: Polygon,
    *,
    inset_m: float = 0.0,
    rounds: int = 1,
    clockwise: bool = True,
    pitch_deg: float = -90.0,
    near: tuple[float, float] | None = None,
) -> tuple[Leg, ...]:
    """Closed rounds along the outer boundary of a polygon, `inset_m` inside it (outside where below 0).

    It begins at the boundary's place nearest to `near`, or at its first corner. The camera looks ahead at
    `pitch_deg`. Raises AreaInvalid: an inset that leaves nothing or several pieces, no rounds, too many legs.
    """
    outline("polygon", polygon)
    finite(inset_m=inset_m, pitch_deg=pitch_deg)
    above_zero(rounds=rounds)
    parts = polygon_parts(Polygon(polygon.exterior).buffer(-round(inset_m, 3), join_style="mitre", mitre_limit=2.0))
    if len(parts) != 1:
        left = "nothing" if not parts else f"{len(parts)} separate pieces"
        raise AreaInvalid(f"inset_m: {inset_m:g} m inside its boundary the area leaves {left}: patrol nearer to it")
    simple = parts[0].simplify(FINEST_M)
    ring = shapely.get_coordinates(shapely.orient_polygons(simple, exterior_cw=clockwise).exterior)
    ring = begun_near(ring, place("near", polygon.exterior.coords[0][:2] if near is None else near))
    few_enough(rounds * len(ring), f"rounds: {rounds} along {len(ring) - 1} edges are {rounds * (len(ring) - 1)} legs")
    return chain(np.vstack([ring, *[ring[1:]] * (rounds - 1)]), pitch_deg=pitch_deg)
