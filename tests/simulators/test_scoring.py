from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from geo.positions import LocalPlane
from simulators.demo import counters, receipts
from simulators.scoring import KindScore, PositionScore, Truth, in_words, score_incidents, score_positions

PLANE = LocalPlane(lon=76.945, lat=43.2, height_m=850.0)


def square(x: float, y: float, half_m: float) -> dict[str, Any]:
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]) * half_m + (x, y)
    lon, lat = PLANE.to_lonlat(corners[:, 0], corners[:, 1])
    return {"type": "Polygon", "coordinates": [np.stack([lon, lat], axis=-1).tolist()]}


def thing(kind: str, x: float, y: float) -> dict[str, Any]:
    return {"type": "Feature", "id": f"{kind}-{x}", "geometry": square(x, y, 2.0), "properties": {"kind": kind}}


def incident(kind: str, x: float, y: float) -> dict[str, Any]:
    lon, lat = PLANE.to_lonlat(x, y)
    return {"geometry": {"type": "Point", "coordinates": [float(lon), float(lat)]}, "properties": {"kind": kind}}


TRUTH = Truth([thing("dump", 0, 0), thing("dump", 60, 0), thing("fire", 0, 60), thing("dump", 900, 0)])
AREA = square(0, 0, 200.0)


def test_found_missed_and_false_are_told_apart() -> None:
    seen = [incident("dump", 3, 1), incident("dump", 0, 60), incident("fire", 2, 55)]
    scores = score_incidents(seen, TRUTH, AREA)
    dump, fire = scores["dump"], scores["fire"]
    assert (dump.truth, dump.found, dump.missed, dump.false) == (2, 1, 1, 1)
    assert (fire.truth, fire.found, fire.missed, fire.false) == (1, 1, 0, 0)


def test_a_second_incident_of_one_thing_is_false() -> None:
    scores = score_incidents([incident("dump", 0, 0), incident("dump", 1, 0)], TRUTH, AREA)
    assert (scores["dump"].found, scores["dump"].false) == (1, 1)


def test_a_thing_outside_the_area_is_neither_missed_nor_false() -> None:
    scores = score_incidents([incident("dump", 900, 0)], TRUTH, AREA)
    assert (scores["dump"].truth, scores["dump"].missed, scores["dump"].false) == (2, 2, 0)


def test_coverage_is_the_share_of_ellipses_that_hold_the_truth() -> None:
    ellipse = {"semi_major_m": 3.0, "semi_minor_m": 1.0, "orientation_deg": 90.0, "confidence": 0.9}
    reports = []
    for x, y in [(2.9, 0.0), (0.0, 0.9), (0.0, 2.9), (60.0, -4.0)]:
        lon, lat = PLANE.to_lonlat(x, y)
        reports.append({"kind": "dump", "lon": float(lon), "lat": float(lat), "ellipse": ellipse})
    score = score_positions(reports, TRUTH)
    assert score.n == 4
    assert score.ellipse90_coverage == pytest.approx(0.5)
    assert score.median_m == pytest.approx(2.9, abs=0.02)


def test_the_ellipse_of_an_area_must_hold_its_middle_too() -> None:
    truth = Truth([thing("flooding", 0, 0)])
    lon, lat = PLANE.to_lonlat(0.0, 4.0)
    ellipse = {"semi_major_m": 3.0, "semi_minor_m": 3.0, "orientation_deg": 0.0, "confidence": 0.9}
    report = {"kind": "flooding", "lon": float(lon), "lat": float(lat), "ellipse": ellipse}
    assert score_positions([report], truth).ellipse90_coverage == 0.0


def test_nothing_reported_has_no_coverage() -> None:
    assert score_positions([], TRUTH).ellipse90_coverage is None


def test_receipts_count_losses_and_duplicates_at_the_receivers() -> None:
    sent = [{"sink": "a", "id": "1:1:a"}, {"sink": "a", "id": "2:1:a"}, {"sink": "b", "id": "1:1:b"}]
    arrivals = {"a": [{"handoff_id": "1:1:a"}, {"handoff_id": "1:1:a"}], "b": [{"handoff_id": "1:1:b"}]}
    assert receipts(sent, arrivals) == {"sent": 3, "received": 2, "duplicates": 1, "lost": 1}


def test_counters_are_summed_over_their_labels() -> None:
    text = '# HELP x\nframes_total{vehicle="a"} 3.0\nframes_total{vehicle="b"} 4.0\nup 1.0\n'
    assert counters(text) == {"frames_total": 7, "up": 1}


def test_a_round_is_told_in_words() -> None:
    figures: dict[str, Any] = {
        "incidents": {"dump": KindScore(truth=3, found=2, missed=1), "fire": KindScore(truth=1, found=1, false=1)},
        "incident_positions": PositionScore(n=4, median_m=1.24, p90_m=3.0, ellipse90_coverage=0.75),
        "receipts": {"sent": 5, "received": 5, "lost": 0, "duplicates": 0},
        "call_to_first_frame_s": 41.4,
    }
    assert in_words(figures) == [
        "found 3 of 4 (dump 2 of 3, fire 1 of 1); 1 where nothing is",
        "places: half within 1.2 m of the truth, nine in ten within 3.0 m; 3 of 4 inside their 90 % ellipse",
        "hand-offs: 5 sent, 5 received, 0 lost, 0 twice",
        "call: first picture after 41 s",
    ]
    figures["incident_positions"] = score_positions([], TRUTH)
    assert len(in_words(figures)) == 3
