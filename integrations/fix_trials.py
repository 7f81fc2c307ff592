"""Trials of locating on OpenAthena's records: how far fixes lie from surveyed points, with sigmas fitted on a part.

Which marker a picked pixel shows is not recorded: rows are joined to the marker nearest to the place that the tool
found, so several pixels of one photo, metres apart, may be joined to one marker. Here a pixel is taken to show the
marker that lies within GATE_M of our own place, and no marker of the list where none does. Of 217 places 110 lie within
7 m of a marker, 22 between 7 and 10 m and 85 beyond: the gate cuts the tail of our errors, and the share of ellipses
that hold their marker depends on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import rasterio.transform
from numpy.typing import NDArray

from geo.accuracy import Coverage, SigmaFit, circular_error_m, errors_m, fit_sigmas
from geo.fusion import Known, Sight, fuse_jointly
from geo.location import CAUSES, Location, locate
from geo.poses import PoseSigmas
from geo.positions import LocalPlane
from geo.terrain import GridTerrain
from integrations.openathena import Fix, Marker

Array = NDArray[np.float64]

GATE_M = 8.0
SURVEY_SIGMA_M = 0.3
"""One sigma of the surveyed points, east and north, each, as the survey states it."""
SIGMAS = PoseSigmas(horizontal_m=1.5, vertical_m=2.0, tilt_deg=0.5, yaw_deg=2.0, focal_share=0.01, center_px=20.0)
PIXEL_SIGMA_PX = 4.0
SURFACE_SIGMA_M = 1.0
"""Sigmas before anything is fitted."""
GROUPS = {
    "position": ("east", "north"),
    "height": ("up",),
    "tilt": ("tilt_east", "tilt_north"),
    "yaw": ("yaw",),
    "lens": ("focal", "center_u", "center_v"),
    "pixel": ("u", "v"),
    "surface": ("surface",),
}
_SAME_PX = 50.0
"""Pixels of one photo that lie nearer show one marker, picked twice."""
_APART_S = 86_400.0
"""Between photos, whose times are not recorded: what they share is what stays for a flight."""


@dataclass(frozen=True)
class Picks:
    """Pixels whose markers are known."""

    sights: list[Sight]
    """Our places; `thing` is the marker."""
    published_m: Array
    """(n, 2) errors of the tool's own places, east and north, m."""
    known: dict[str, Known]
    """The markers."""
    photos: list[str]
    """Photo of each."""

    def __getitem__(self, chosen: NDArray[np.bool_]) -> Picks:
        rows = np.flatnonzero(chosen).tolist()
        return replace(
            self,
            sights=[self.sights[row] for row in rows],
            published_m=self.published_m[rows],
            photos=[self.photos[row] for row in rows],
        )

    @property
    def errors_m(self) -> Array:
        """(n, 2) errors of our places, m."""
        return errors_m(self.sights, self.known)

    @property
    def test(self) -> NDArray[np.bool_]:
        """(n,) which belong to the part that nothing is fitted on: by photo, by a hash."""
        return np.array([hashlib.sha256(photo.encode()).digest()[0] % 2 == 1 for photo in self.photos])

    def coverage(self, confidence: float = 0.9) -> Coverage:
        """Of our ellipses."""
        return Coverage.of(
            self.errors_m, _with_survey([sight.location.covariance_m2 for sight in self.sights]), confidence
        )

    def scaled(self, fit: SigmaFit) -> Picks:
        """With the sigmas that were fitted."""
        return replace(self, sights=[_scaled(sight, fit) for sight in self.sights])


def ground_of(markers: Sequence[Marker]) -> GridTerrain:
    """The ground between and around surveyed points: means of their heights, near ones weighing most."""
    lon, lat, height_m = np.array([_lonlat_height(marker) for marker in markers]).T
    margin = 0.002
    west, south, east, north = lon.min() - margin, lat.min() - margin, lon.max() + margin, lat.max() + margin
    cells = 160
    transform = rasterio.transform.from_bounds(west, south, east, north, cells, cells)
    plane = LocalPlane(lon=float(lon.mean()), lat=float(lat.mean()), height_m=float(height_m.mean()))
    columns, rows = np.meshgrid(np.arange(cells) + 0.5, np.arange(cells) + 0.5)
    x, y = plane.to_plane(*(transform @ (columns, rows)))
    marker_x, marker_y = plane.to_plane(lon, lat)
    apart2 = (x[..., None] - marker_x) ** 2 + (y[..., None] - marker_y) ** 2
    weights = 1.0 / (apart2 + 9.0) ** 1.5
    return GridTerrain((weights * height_m).sum(-1) / weights.sum(-1), transform, name="surveyed points")


def located(fixes: Sequence[Fix], markers: Sequence[Marker]) -> list[Location]:
    """Our places of the picked pixels."""
    terrain = ground_of(markers)
    return [
        locate(
            fix.camera,
            fix.pose,
            [fix.pixel],
            terrain,
            sigmas=SIGMAS,
            pixel_sigma_px=PIXEL_SIGMA_PX,
            dem_sigma_m=SURFACE_SIGMA_M,
        )[0]
        for fix in fixes
    ]


def identified(fixes: Sequence[Fix], markers: Sequence[Marker], *, gate_m: float = GATE_M) -> Picks:
    """The pixels that show a marker of the list, each marker once a photo."""
    known = {
        marker.name: Known(position=marker.position, covariance_m2=((SURVEY_SIGMA_M**2, 0.0), (0.0, SURVEY_SIGMA_M**2)))
        for marker in markers
    }
    photos = {photo: number for number, photo in enumerate(sorted({fix.photo for fix in fixes}))}
    picked: dict[str, list[tuple[float, float]]] = {}
    sights, published, kept = [], [], []
    for fix, location in zip(fixes, located(fixes, markers), strict=True):
        name, away_m = _nearest(location, markers)
        again = any(np.hypot(*np.subtract(fix.pixel, one)) < _SAME_PX for one in picked.get(fix.photo, []))
        if away_m >= gate_m or again:
            continue
        picked.setdefault(fix.photo, []).append(fix.pixel)
        sights.append(Sight(thing=name, location=location, utc_s=_APART_S * photos[fix.photo], flight=fix.flight))
        found = msgspec.structs.replace(location, position=fix.found)
        published.append(msgspec.structs.replace(sights[-1], location=found))
        kept.append(fix.photo)
    return Picks(sights=sights, published_m=errors_m(published, known), known=known, photos=kept)


def joined_errors_m(fixes: Sequence[Fix], markers: Sequence[Marker]) -> tuple[Array, Array]:
    """(n, 2) errors of the tool's places and of ours against the markers that the rows are joined to, m."""
    known = {
        fix.joined.name: Known(position=fix.joined.position, covariance_m2=((1.0, 0.0), (0.0, 1.0))) for fix in fixes
    }
    ours = [
        Sight(thing=fix.joined.name, location=location, utc_s=0.0)
        for fix, location in zip(fixes, located(fixes, markers), strict=True)
    ]
    theirs = [
        msgspec.structs.replace(sight, location=msgspec.structs.replace(sight.location, position=fix.found))
        for sight, fix in zip(ours, fixes, strict=True)
    ]
    return errors_m(theirs, known), errors_m(ours, known)


def impossible_joins(fixes: Sequence[Fix]) -> int:
    """How many rows are joined to a marker that another pixel of the same photo is joined to."""
    first: dict[tuple[str, str], tuple[float, float]] = {}
    count = 0
    for fix in fixes:
        pixel = first.setdefault((fix.photo, fix.joined.name), fix.pixel)
        count += bool(np.hypot(*np.subtract(fix.pixel, pixel)) >= _SAME_PX)
    return count


def fitted(train: Picks) -> SigmaFit:
    """Sigmas that make the errors of a part most probable."""
    return fit_sigmas(train.sights, train.known, GROUPS)


def unbiased(test: Picks, train: Picks, fit: SigmaFit) -> tuple[Array, Coverage]:
    """Errors (n, 2) of places of `test`, m, each photo by itself, once the looks of `train` at known markers have told
    the biases of the flights; and the coverage of their ellipses."""
    errors, covariances = [], []
    for photo in dict.fromkeys(test.photos):
        rows = [row for row, other in enumerate(test.photos) if other == photo]
        asked = [msgspec.structs.replace(test.sights[row], thing=f"? {row}") for row in rows]
        joint = fuse_jointly([*train.sights, *asked], known=train.known, lasting=fit.lasting())
        for row, one in zip(rows, asked, strict=True):
            place = joint.things[one.thing]
            errors.append(errors_m([msgspec.structs.replace(test.sights[row], location=place)], test.known)[0])
            covariances.append(place.covariance_m2)
    return np.array(errors), Coverage.of(errors, _with_survey(covariances))


@dataclass(frozen=True)
class Gain:
    """What fusing looks at one marker from several photos brings."""

    looks: NDArray[np.int64]
    """(n,) photos fused."""
    single_m: Array
    """(n,) median distance of single looks from the marker, m."""
    fused_m: Array
    """(n,) distance of the fused place, m."""
    coverage: Coverage
    """Of the fused ellipses."""


def fused_gain(picks: Picks, fit: SigmaFit) -> Gain:
    """Markers seen in several photos, each fused from its looks alone."""
    looks, single, fused, errors, covariances = [], [], [], [], []
    for name in dict.fromkeys(sight.thing for sight in picks.sights):
        sights = [sight for sight in picks.sights if sight.thing == name]
        if len(sights) < 2:
            continue
        place = fuse_jointly(sights, lasting=fit.lasting()).things[name]
        errors.append(errors_m([msgspec.structs.replace(sights[0], location=place)], picks.known)[0])
        covariances.append(place.covariance_m2)
        looks.append(len(sights))
        single.append(circular_error_m(errors_m(sights, picks.known), 0.5))
        fused.append(float(np.hypot(*errors[-1])))
    return Gain(np.array(looks), np.array(single), np.array(fused), Coverage.of(errors, _with_survey(covariances)))


def _with_survey(covariances_m2: Sequence[Sequence[Sequence[float]]]) -> Array:
    """(n, 2, 2) covariances of differences from surveyed points, m2."""
    return np.array([np.array(one)[:2, :2] for one in covariances_m2]) + SURVEY_SIGMA_M**2 * np.eye(2)


def _scaled(sight: Sight, fit: SigmaFit) -> Sight:
    scales = [next((fit.scales[name] for name, group in GROUPS.items() if cause in group), 1.0) for cause in CAUSES]
    moves = np.array(sight.location.moves_m) * np.array(scales)[:, None]
    location = msgspec.structs.replace(
        sight.location,
        moves_m=tuple(map(tuple, moves.tolist())),
        covariance_m2=tuple(map(tuple, (moves.T @ moves).tolist())),
    )
    return msgspec.structs.replace(sight, location=location)


def _nearest(location: Location, markers: Sequence[Marker]) -> tuple[str, float]:
    at = location.position
    plane = LocalPlane(lon=at.lon, lat=at.lat, height_m=at.altitude.value_m)
    lon, lat, _ = np.array([_lonlat_height(marker) for marker in markers]).T
    away_m = np.hypot(*plane.to_plane(lon, lat))
    nearest = int(np.argmin(away_m))
    return markers[nearest].name, float(away_m[nearest])


def _lonlat_height(marker: Marker) -> tuple[float, float, float]:
    at = marker.position
    return at.lon, at.lat, at.altitude.value_m
