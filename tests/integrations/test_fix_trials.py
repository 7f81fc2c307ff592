"""Real single-picture fixes: the published answer is reckoned again, and ours lies nearer to surveyed points."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from geo.accuracy import SigmaFit, circular_error_m
from geo.positions import distance_m
from integrations.fix_trials import Picks, fitted, fused_gain, identified, impossible_joins, unbiased
from integrations.openathena import Fix, Marker, published_angles_deg, published_place, read_fixes, read_markers
from missioncontrol.errors import InputInvalid

FOLDER = Path(os.environ.get("MC_DATA", Path(__file__).parents[3] / "shared" / "data")) / "flight/openathena_accuracy"
needs_records = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no records of fixes in {FOLDER}")


@pytest.fixture(scope="module")
def fixes() -> list[Fix]:
    return read_fixes(FOLDER / "fixes_half.csv")


@pytest.fixture(scope="module")
def markers() -> list[Marker]:
    return read_markers(FOLDER / "gcps_half.csv")


@pytest.fixture(scope="module")
def picks(fixes: list[Fix], markers: list[Marker]) -> Picks:
    return identified(fixes, markers)


@pytest.fixture(scope="module")
def fit(picks: Picks) -> SigmaFit:
    """Sigmas fitted on the part that is not for testing."""
    return fitted(picks[~picks.test])


@needs_records
def test_the_published_answer_follows_from_pose_ray_and_lens(fixes: list[Fix]) -> None:
    angles = np.abs([np.subtract(published_angles_deg(fix), fix.angles_deg) for fix in fixes])
    assert np.median(angles) < 0.005
    assert angles.max() < 0.03
    away_m = [float(distance_m(*published_place(fix), fix.found.lon, fix.found.lat)) for fix in fixes]
    assert np.median(away_m) < 0.1
    assert max(away_m) < 0.7


@needs_records
def test_heights_are_right_against_the_survey_once_the_geoid_is_put_right(
    fixes: list[Fix], markers: list[Marker]
) -> None:
    """Ground is where the survey has it, to what a global terrain model can."""
    surveyed = np.median([marker.position.altitude.value_m for marker in markers])
    found = np.array([fix.found.altitude.value_m for fix in fixes])
    assert np.median(found) == pytest.approx(surveyed, abs=8.0)
    assert {fix.flight for fix in fixes} == {"0", "1"}


@needs_records
def test_rows_are_joined_to_markers_that_they_cannot_all_show(fixes: list[Fix]) -> None:
    assert impossible_joins(fixes) == 54


@needs_records
def test_our_places_lie_at_less_than_half_the_published_distance(picks: Picks) -> None:
    assert len(picks.sights) > 100
    for part in (picks[picks.test], picks[~picks.test]):
        assert circular_error_m(part.errors_m, 0.5) < 0.5 * circular_error_m(part.published_m, 0.5)
        assert circular_error_m(part.errors_m, 0.9) < 0.5 * circular_error_m(part.published_m, 0.9)


@needs_records
def test_ellipses_hold_surveyed_points_nine_times_in_ten(picks: Picks, fit: SigmaFit) -> None:
    train, test = picks[~picks.test], picks[picks.test]
    for coverage in (picks.coverage(), test.scaled(fit).coverage()):
        assert coverage.low < 0.9 < coverage.high
    assert len(set(train.photos) & set(test.photos)) == 0


@needs_records
def test_telling_the_biases_and_fusing_looks_bring_places_nearer(picks: Picks, fit: SigmaFit) -> None:
    train, test = picks[~picks.test], picks[picks.test]
    test, train = test.scaled(fit), train.scaled(fit)
    found, _ = unbiased(test, train, fit)
    assert circular_error_m(found, 0.5) < circular_error_m(test.errors_m, 0.5)
    gain = fused_gain(test, fit)
    assert np.median(gain.fused_m) < 0.7 * np.median(gain.single_m)


def test_what_is_no_table_of_fixes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputInvalid, match="cannot be read"):
        read_fixes(tmp_path / "none.csv")
    path = tmp_path / "fixes.csv"
    path.write_text("lat,lon\n1,2\n")
    with pytest.raises(InputInvalid, match="no column droneElevationHAE"):
        read_fixes(path)
    path.write_text("ID,Latitude,Longitude,Elevation\n1,31.6,-110.4,high\n")
    with pytest.raises(InputInvalid, match="row 2, column Elevation: 'high' is no number"):
        read_markers(path)
