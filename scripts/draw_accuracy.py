"""Draws the errors of recorded fixes as SVG, for docs/accuracy.md: python scripts/draw_accuracy.py FOLDER

FOLDER holds fixes_half.csv and gcps_half.csv, as `measure_accuracy.py` reads them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geo.accuracy import circular_error_m
from integrations.fix_trials import identified
from integrations.openathena import read_fixes, read_markers

OUT = Path(__file__).parents[1] / "docs" / "images" / "accuracy"
SIDE, REACH_M = 360.0, 30.0
INK, GRID, DOT = "#3a3f47", "#c9ced6", "#1f5fbf"


def main() -> None:
    """Write errors.svg."""
    folder = Path(sys.argv[1])
    picks = identified(read_fixes(folder / "fixes_half.csv"), read_markers(folder / "gcps_half.csv"))
    panels = [
        panel(0.0, f"published, n = {len(picks.published_m)}", picks.published_m),
        panel(SIDE + 20, f"ours, the same pixels, n = {len(picks.errors_m)}", picks.errors_m),
    ]
    OUT.mkdir(parents=True, exist_ok=True)
    view = f"0 0 {2 * SIDE + 20:g} {SIDE + 40:g}"
    text = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view}" font-family="sans-serif" font-size="13">'
    (OUT / "errors.svg").write_text(text + "".join(panels) + "</svg>\n", encoding="utf-8")


def panel(left: float, title: str, errors_m: NDArray[np.float64]) -> str:
    """Errors east and north of surveyed points, with the circles that hold half and nine tenths of them."""
    middle = left + SIDE / 2, SIDE / 2 + 30
    scale = SIDE / 2 / REACH_M
    parts = [f'<text x="{middle[0]:g}" y="18" text-anchor="middle" fill="{INK}">{title}</text>']
    for radius_m in (10.0, 20.0, 30.0):
        parts.append(circle(middle, radius_m * scale, GRID, ""))
        parts.append(
            f'<text x="{middle[0] + 3:g}" y="{middle[1] - radius_m * scale + 13:g}" fill="{GRID}">{radius_m:g} m</text>'
        )
    for share, dash in ((0.5, ""), (0.9, "6 4")):
        parts.append(circle(middle, circular_error_m(errors_m, share) * scale, INK, dash))
    for east_m, north_m in errors_m[np.hypot(*errors_m.T) < REACH_M]:
        x, y = middle[0] + east_m * scale, middle[1] - north_m * scale
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{DOT}" fill-opacity="0.55"/>')
    return "".join(parts)


def circle(middle: tuple[float, float], radius: float, stroke: str, dash: str) -> str:
    """A ring."""
    x, y = middle
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:.1f}" fill="none" stroke="{stroke}" stroke-dasharray="{dash}"/>'


if __name__ == "__main__":
    main()
