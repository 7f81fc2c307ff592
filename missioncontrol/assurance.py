"""Assurance: what may be said of ground in which nothing was found.

For each cell: with which probability would a thing of a kind and a size have been found there, had there been one. That
is the bound of the detector's recall in passes (see `aerial_models.recall`) for the best run of looks of the cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

from aerial_models.catalogue import ModelEntry
from aerial_models.recall import PassRecall, sure_recall
from geo.seen import Conditions, Seen
from geo.terrain import Terrain
from geo.visibility import Cells, Margin, Prism
from missioncontrol.errors import InputInvalid
from missioncontrol.exposures import Watched, Watching
from missioncontrol.looks import TARGETS

Array = NDArray[np.float64]

BAND_STEP, BAND_WIDTH = 1.1, 1.25
"""Bands of GSD overlap: each begins so many times coarser than the one before, and ends so many times coarser than it
begins, so that a pass over uneven ground stays within one."""
UNSEEN_BLUR_PX = 0.5
"""Motion of less than this leaves no mark, whatever recall was measured with."""
LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
"""Probabilities for which the share of the area is always told."""


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of what is it to be said that it is not there."""

    kind: str = "dump"
    """Kind of incident."""
    area_m2: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 4.0
    """Of the smallest one, m2."""
    largest_m2: Annotated[float, msgspec.Meta(gt=0, le=1e6)] | None = None
    """Of the largest one; absent: the largest that recall was measured of, m2."""
    probability: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.95
    """With which it would have been found."""
    confidence: Annotated[float, msgspec.Meta(ge=0.5, lt=1)] = 0.95
    """Of the bounds of recall: how sure it is that the probability is not overstated."""


@dataclass(frozen=True)
class Assured:
    """What was seen of an area, and what may be said of it."""

    question: Question
    """What was asked."""
    area_m2: tuple[float, float]
    """Smallest and largest thing that it is said of."""
    seen: Seen
    """What was seen of each cell."""
    probability: Array
    """(rows, cols) with which a thing in the middle of a cell would have been found."""
    frames: int
    """Frames that counted."""
    left_out: int
    """Frames that did not, since another detector looked, or one set otherwise than it was measured."""
    conditions: Conditions
    """What looks had to be like."""
    notes: tuple[str, ...]
    """What a person should know."""

    @property
    def good(self) -> NDArray[np.bool_]:
        """(rows, cols) cells of the area that were seen well enough."""
        return np.asarray(self.seen.cells.wanted & (self.probability >= self.question.probability))

    @property
    def poor(self) -> NDArray[np.bool_]:
        """(rows, cols) cells of the area that were not."""
        return np.asarray(self.seen.cells.wanted & (self.probability < self.question.probability))

    def share(self, probability: float) -> float:
        """Share of the ground with at least this probability, 0 to 1; ground under buildings left out."""
        wanted = self.seen.cells.wanted
        return float((self.probability[wanted] >= probability).mean()) if wanted.any() else 0.0

    def summary(self) -> dict[str, Any]:
        """In numbers."""
        seen, cells = self.seen, self.seen.cells
        ever = cells.wanted & (seen.frames > 0)
        ground = max(int(cells.wanted.sum()), 1)
        return {
            **msgspec.to_builtins(self.question),
            "area_m2": self.area_m2[0],
            "largest_m2": self.area_m2[1],
            "share": round(self.share(self.question.probability), 5),
            "share_by_probability": {f"{level:g}": round(self.share(level), 5) for level in LEVELS},
            "ground_m2": round(cells.wanted_m2, 1),
            "seen_m2": round(float(self.good.sum()) * cells.side_m**2, 1),
            "built_m2": round(cells.built_m2, 1),
            "cell_m": round(cells.side_m, 3),
            "frames": self.frames,
            "frames_left_out": self.left_out,
            "seen_at_all": round(float(ever.sum()) / ground, 5),
            "hidden": round(float((cells.wanted & (seen.hidden > 0) & (seen.frames == 0)).sum()) / ground, 5),
            "times_seen": _spread(seen.frames[ever]),
            "gsd_cm": _spread(100 * seen.best_gsd_m[ever]),
            "off_nadir_deg": _spread(seen.off_nadir_deg[ever]),
            "blur_px": _spread(seen.blur_px[ever]),
            "sun_deg": _spread(seen.sun_deg[ever]),
            "conditions": msgspec.to_builtins(self.conditions),
            "notes": list(self.notes),
        }

    def unseen(self, *, least_m2: float = 0.0) -> list[shapely.Polygon]:
        """Outlines (lon, lat; deg) of what was not seen well enough, the largest first."""
        return self.seen.cells.outlines(self.poor, least_m2=least_m2)


def _spread(values: NDArray[Any]) -> dict[str, float] | None:
    if not values.size:
        return None
    low, middle, high = np.percentile(values, [0, 50, 100]).tolist()
    return {"min": round(low, 3), "median": round(middle, 3), "max": round(high, 3)}


def assure(
    question: Question,
    area: shapely.Polygon,
    watched: Sequence[Watched],
    model: ModelEntry,
    *,
    terrain: Terrain,
    prisms: Sequence[Prism] = (),
    side_m: float | None = None,
    exposure_s: float = 1 / 500,
) -> Assured:
    """What may be said of an area (lon, lat; deg) after frames of it were looked at by `model`.

    Nothing is said by frames that another model looked at, or at a higher threshold. Raises InputInvalid where recall
    of that kind or size was never measured, AreaInvalid, TerrainMissing.
    """
    recall = recall_for(question, model)
    area_m2 = question.area_m2, question.largest_m2 or recall.area_m2[1]
    used = [one for one in watched if _is_measured(one.watching, model, recall)]
    hits = max((one.watching.min_hits for one in used), default=1)
    conditions = Conditions(
        off_nadir_most_deg=recall.off_nadir_most_deg,
        blur_most_px=max(UNSEEN_BLUR_PX, recall.blur_most_px),
        sun_least_deg=recall.sun_least_deg,
        apart=recall.apart,
        exposure_s=exposure_s,
        min_range_m=max((one.watching.min_range_m for one in used), default=0.0),
        max_range_m=min((one.watching.max_range_m for one in used), default=600.0),
    )
    bands, bounds = bands_of(recall, area_m2, hits=hits, confidence=question.confidence)
    seen = Seen.nothing(Cells.over(area, terrain, prisms, side_m=side_m), bands)
    reach_m = float(np.sqrt(area_m2[1] / 2))  # half the diagonal of a square of that area
    for one in used:
        seen.add(one.frames, margin=Margin(one.watching.sigmas, reach_m), conditions=conditions)
    notes = []
    left_out = sum(len(one.frames) for one in watched) - sum(len(one.frames) for one in used)
    if left_out:
        notes.append(f"{left_out} frames do not count: another detector, or a higher threshold than was measured")
    best = max((float(bound.max()) for bound in bounds), default=0.0)
    if best < question.probability:
        notes.append(
            f"at {hits} findings of a thing, recall of {recall.name} is sure to be {best:.3f} at best:"
            f" {question.probability:g} can be said of no ground"
        )
    return Assured(
        question,
        area_m2,
        seen,
        _probability(seen, bounds),
        sum(len(one.frames) for one in used),
        left_out,
        conditions,
        tuple(notes),
    )


def recall_for(question: Question, model: ModelEntry) -> PassRecall:
    """What was measured of the class that stands for a kind. Raises InputInvalid where nothing was, or not so small."""
    names = [name for name, target in TARGETS.items() if target.kind == question.kind]
    found = next((recall for recall in model.recall if recall.name in names), None)
    if found is None:
        known = ", ".join(str(TARGETS[recall.name].kind) for recall in model.recall) or "none"
        raise InputInvalid(
            f"kind: recall of {question.kind!r} in passes was not measured for {model.name} ({known} was)"
        )
    least, most = found.area_m2
    if not least <= question.area_m2 <= (question.largest_m2 or most) <= most:
        raise InputInvalid(
            f"area_m2, largest_m2: recall of {question.kind} was measured from {least:g} to {most:g} m2 ({model.name})"
        )
    return found


def bands_of(
    recall: PassRecall, area_m2: tuple[float, float], *, hits: int, confidence: float
) -> tuple[Array, list[Array]]:
    """Bands of GSD (k, 2), m, and for each the bounds of the probability after 0, 1, 2, ... looks."""
    starts = [recall.gsd_m[0]]
    while starts[-1] * BAND_STEP < recall.gsd_m[1]:
        starts.append(starts[-1] * BAND_STEP)
    bands = [(start, min(start * BAND_WIDTH, recall.gsd_m[1])) for start in starts]
    low, high = np.sqrt(area_m2)
    bounds = [
        sure_recall(recall, (low / coarse, high / fine), hits=hits, confidence=confidence) for fine, coarse in bands
    ]
    return np.array(bands), bounds


def _is_measured(watching: Watching, model: ModelEntry, recall: PassRecall) -> bool:
    """Whether a detector looked that recall was measured of, and reported at least as readily."""
    threshold = watching.thresholds.get(recall.name, 1.0)
    return watching.model.sha256 == model.sha256 and threshold <= recall.threshold + 1e-6


def _probability(seen: Seen, bounds: Sequence[Array]) -> Array:
    """The best that any band of GSD says of each cell."""
    found = np.zeros(seen.frames.shape)
    for number, bound in enumerate(bounds):
        np.maximum(found, bound[np.minimum(seen.runs[..., number], len(bound) - 1)], out=found)
    return found
