"""Everything ever seen of one thing, over flights and days, in sums that do not grow.

The same model as `geo.fusion`, with the biases of a flight written out: of the variance that
a flight's looks share, a part lasts as long as the flight and the rest is new in each. The sums are the
normal equations of place and biases, so the order of looks does not matter; flights have the
ground in common, nothing else. Looks that scatter more than their covariances say widen the result by Birge's ratio
(R. T. Birge, Phys. Rev. 40, 207, 1932).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from geo.fusion import LASTING, OWN, Scope
from geo.location import CAUSES
from geo.positions import LocalPlane

GATE_D2 = 9.21
"""Chi-square, 2 degrees of freedom, 99 %."""

Array = NDArray[np.float64]

_OF_GROUND = [n for n, cause in enumerate(CAUSES) if LASTING[cause].scope in (Scope.GROUND, Scope.SITE)]
_OF_FLIGHT = [n for n, cause in enumerate(CAUSES) if LASTING[cause].scope is Scope.FLIGHT]
_SHARED = 2 + len(_OF_GROUND)
"""Unknowns that flights have in common: the place and the ground's biases; a flight's own biases follow."""
_SIZE = _SHARED + len(_OF_FLIGHT)
_LEAST_SIGMA_M = 1e-3


class FlightLooks(msgspec.Struct, frozen=True):
    """Sums over the looks of one flight, in m on the plane of the gathering."""

    looks: int = 0
    """How many."""
    information: tuple[float, ...] = (0.0,) * (_SIZE * (_SIZE + 1) // 2)
    """Normal matrix of place and biases: its upper triangle, row by row."""
    vector: tuple[float, ...] = (0.0,) * _SIZE
    """Right-hand side of the normal equations."""
    quadratic: float = 0.0
    """Sum of place times inverse covariance times place."""
    place: tuple[float, float] = (0.0, 0.0)
    """Sum of places, m."""
    square: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Sum of outer products of places (ee, en, nn), m2."""
    covariance: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Sum of covariances (ee, en, nn), m2."""


class Gathering(msgspec.Struct, frozen=True, kw_only=True):
    """All looks at one thing."""

    lon: float
    """Longitude of the plane's origin, deg."""
    lat: float
    """Latitude of the plane's origin, deg."""
    height_m: float
    """Height of the plane, m."""
    lasting: float
    """Share of a flight's common variance that lasts as long as the flight, 0 to 1."""
    by_flight: dict[str, FlightLooks] = {}
    """Looks by flight."""

    @property
    def looks(self) -> int:
        """How many looks there are."""
        return sum(flight.looks for flight in self.by_flight.values())

    @property
    def current(self) -> bool:
        """Whether the sums are of the causes that locations have today: stored ones may be older."""
        return self.looks > 0 and all(len(flight.vector) == _SIZE for flight in self.by_flight.values())

    def with_look(
        self,
        *,
        lon: float,
        lat: float,
        covariance_m2: ArrayLike,
        flight: str,
        moves_m: Sequence[tuple[float, float]] | None = None,
    ) -> Gathering:
        """One look more; `covariance_m2` is 2 x 2, east and north.

        `moves_m`, in the order of CAUSES, say what makes up the covariance; without them all of it is taken
        for errors of position.
        """
        place = _on_plane(self, lon, lat)
        covariance = np.asarray(covariance_m2, float)
        moves = _root_moves(covariance) if moves_m is None else np.asarray(moves_m, float)
        of_flight, of_ground = moves[_OF_FLIGHT], moves[_OF_GROUND]
        design = np.concatenate([np.eye(2), of_ground.T, np.sqrt(self.lasting) * of_flight.T], axis=1)
        new = moves[OWN].T @ moves[OWN] + (1.0 - self.lasting) * of_flight.T @ of_flight + _LEAST_SIGMA_M**2 * np.eye(2)
        weighted = design.T @ np.linalg.inv(new)
        before = self.by_flight.get(flight, FlightLooks())
        after = FlightLooks(
            looks=before.looks + 1,
            information=_added(before.information, (weighted @ design)[_UPPER]),
            vector=_added(before.vector, weighted @ place),
            quadratic=before.quadratic + float(place @ weighted[:2] @ place),
            place=_pair(np.asarray(before.place) + place),
            square=_packed(_square(before.square) + np.outer(place, place)),
            covariance=_packed(_square(before.covariance) + covariance),
        )
        return msgspec.structs.replace(self, by_flight={**self.by_flight, flight: after})

    def estimate(self, *, floor_m: float, extended: bool) -> tuple[float, float, Array]:
        """Lon, lat, deg, and the 2 x 2 covariance (east, north; m2); `floor_m` is the error that stays for ever.

        `extended` things are seen piece by piece: the scatter beyond the looks' own errors is
        then the thing's extent and is added, rather than taken for error and scaled.
        """
        flights = list(self.by_flight.values())
        reduced = [_without_biases(flight) for flight in flights]
        place, covariance, cost = _solved(reduced)
        if extended:
            covariance = covariance + _extent(flights)
        else:
            covariance = covariance * _birge(reduced, [flight.looks for flight in flights], cost)
        lon, lat = LocalPlane(lon=self.lon, lat=self.lat, height_m=self.height_m).to_lonlat(place[0], place[1])
        return float(lon), float(lat), covariance + np.eye(2) * floor_m**2


def d2(
    lon: float, lat: float, covariance_m2: ArrayLike, other_lon: float, other_lat: float, other_covariance_m2: ArrayLike
) -> tuple[float, float]:
    """Squared Mahalanobis distance between two independent places, and their distance in m."""
    offset = np.array(LocalPlane(lon=lon, lat=lat).to_plane(other_lon, other_lat))
    total = np.asarray(covariance_m2, float) + np.asarray(other_covariance_m2, float)
    return float(offset @ np.linalg.solve(total, offset)), float(np.hypot(*offset))


_UPPER = np.triu_indices(_SIZE)
_Normal = tuple[Array, Array, float]
"""Normal matrix, right-hand side and constant of a sum of squares."""


def _without_biases(flight: FlightLooks) -> _Normal:
    """The normal equations of what flights share: the flight's own biases, of unit variance, are eliminated."""
    matrix = np.zeros((_SIZE, _SIZE))
    matrix[_UPPER] = flight.information
    matrix = matrix + np.triu(matrix, 1).T
    vector = np.asarray(flight.vector)
    cross = matrix[:_SHARED, _SHARED:]
    biases = np.linalg.inv(matrix[_SHARED:, _SHARED:] + np.eye(len(_OF_FLIGHT)))
    rest = biases @ vector[_SHARED:]
    return (
        matrix[:_SHARED, :_SHARED] - cross @ biases @ cross.T,
        vector[:_SHARED] - cross @ rest,
        flight.quadratic - float(vector[_SHARED:] @ rest),
    )


def _solved(parts: Sequence[_Normal]) -> tuple[Array, Array, float]:
    """Place, its covariance, and the squared residuals that are left."""
    matrix = np.sum([part[0] for part in parts], axis=0)
    matrix = matrix + np.diag([0.0] * 2 + [1.0] * len(_OF_GROUND))
    vector = np.sum([part[1] for part in parts], axis=0)
    covariance = np.linalg.inv(matrix)
    solution = covariance @ vector
    cost = sum(part[2] for part in parts) - float(solution @ vector)
    return solution[:2], covariance[:2, :2], cost


def _birge(parts: Sequence[_Normal], looks: Sequence[int], cost: float) -> float:
    """How much wider the looks scatter than they should: within flights or between them, whichever is worse; >= 1."""
    within = sum(_solved([part])[2] for part in parts)
    again, flights = sum(looks) - len(looks), len(looks) - 1
    return max(1.0, within / (2 * again) if again else 0.0, (cost - within) / (2 * flights) if flights else 0.0)


def _root_moves(covariance: Array) -> Array:
    """Moves of an unexplained covariance: all of it an error of position."""
    values, vectors = np.linalg.eigh(covariance)
    moves = np.zeros((len(CAUSES), 2))
    moves[[CAUSES.index("east"), CAUSES.index("north")]] = (np.sqrt(np.maximum(values, 0.0)) * vectors).T
    return moves


def _extent(flights: Sequence[FlightLooks]) -> Array:
    """Scatter of all looks beyond what their covariances explain, m2."""
    looks = sum(flight.looks for flight in flights)
    mean = np.sum([flight.place for flight in flights], axis=0) / looks
    scatter = np.sum([_square(flight.square) for flight in flights], axis=0) / looks - np.outer(mean, mean)
    excess = scatter - np.sum([_square(flight.covariance) for flight in flights], axis=0) / looks
    values, vectors = np.linalg.eigh(excess)
    return np.asarray(vectors @ np.diag(np.maximum(values, 0.0)) @ vectors.T)


def _on_plane(gathering: Gathering, lon: float, lat: float) -> Array:
    plane = LocalPlane(lon=gathering.lon, lat=gathering.lat, height_m=gathering.height_m)
    east, north = plane.to_plane(lon, lat)
    return np.array([float(east), float(north)])


def _added(before: tuple[float, ...], more: Array) -> tuple[float, ...]:
    return tuple((np.asarray(before) + more).tolist())


def _square(packed: tuple[float, float, float]) -> Array:
    ee, en, nn = packed
    return np.array([[ee, en], [en, nn]])


def _packed(matrix: Array) -> tuple[float, float, float]:
    return float(matrix[0, 0]), float(matrix[0, 1]), float(matrix[1, 1])


def _pair(vector: Array) -> tuple[float, float]:
    return float(vector[0]), float(vector[1])
