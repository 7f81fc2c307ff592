"""Where a thing is, from many looks at it, and how sure that is.

Looks of one flight share errors (the GNSS fix drifts slowly, boresight and yaw offsets stay),
so n of them are not worth n independent ones. With a correlation rho between looks of a flight
the variance of their mean is sigma^2 / n * (1 + (n - 1) * rho) (Kish's design effect); flights are taken
as independent of each other. Looks that scatter more than their covariances say widen the result by
Birge's ratio (R. T. Birge, Phys. Rev. 40, 207, 1932). All sums, so the order of looks does not matter.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from geo.positions import LocalPlane

GATE_D2 = 9.21
"""Chi-square, 2 degrees of freedom, 99 %."""

Matrix = NDArray[np.float64]


class FlightLooks(msgspec.Struct, frozen=True):
    """Sums over the looks of one flight, in m on the plane of the fusion; matrices as (ee, en, nn)."""

    looks: int = 0
    """How many."""
    information: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Sum of inverse covariances, 1/m2."""
    vector: tuple[float, float] = (0.0, 0.0)
    """Sum of inverse covariance times place, 1/m."""
    quadratic: float = 0.0
    """Sum of place times inverse covariance times place."""
    place: tuple[float, float] = (0.0, 0.0)
    """Sum of places, m."""
    square: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Sum of outer products of places, m2."""
    covariance: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Sum of covariances, m2."""


class Fusion(msgspec.Struct, frozen=True, kw_only=True):
    """All looks at one thing."""

    lon: float
    """Longitude of the plane's origin, deg."""
    lat: float
    """Latitude of the plane's origin, deg."""
    height_m: float
    """Height of the plane, m."""
    flights: dict[str, FlightLooks] = {}
    """Looks by flight."""

    @property
    def looks(self) -> int:
        """How many looks there are."""
        return sum(flight.looks for flight in self.flights.values())

    def with_look(self, *, lon: float, lat: float, covariance_m2: ArrayLike, flight: str) -> Fusion:
        """One look more; `covariance_m2` is 2 x 2, east and north."""
        place = _on_plane(self, lon, lat)
        covariance = np.asarray(covariance_m2, float)
        information = np.linalg.inv(covariance)
        weighted = information @ place
        before = self.flights.get(flight, FlightLooks())
        after = FlightLooks(
            looks=before.looks + 1,
            information=_packed(_square(before.information) + information),
            vector=_pair(np.asarray(before.vector) + weighted),
            quadratic=before.quadratic + float(place @ weighted),
            place=_pair(np.asarray(before.place) + place),
            square=_packed(_square(before.square) + np.outer(place, place)),
            covariance=_packed(_square(before.covariance) + covariance),
        )
        return msgspec.structs.replace(self, flights={**self.flights, flight: after})

    def estimate(self, *, correlation: float, floor_m: float, extended: bool) -> tuple[float, float, Matrix]:
        """Lon, lat, deg, and the 2 x 2 covariance (east, north; m2).

        `extended` things are seen piece by piece: the scatter beyond the looks' own errors is
        then the thing's extent and is added, rather than taken for error and scaled.
        """
        places, covariances = [], []
        for flight in self.flights.values():
            place, covariance = _of_flight(flight, correlation, scaled=not extended)
            places.append(place)
            covariances.append(covariance)
        inverses = [np.linalg.inv(covariance) for covariance in covariances]
        covariance = np.linalg.inv(np.sum(inverses, axis=0))
        place = covariance @ np.sum([i @ p for i, p in zip(inverses, places, strict=True)], axis=0)
        if extended:
            covariance = covariance + _extent(list(self.flights.values()))
        elif len(places) > 1:
            chi2 = sum(float((p - place) @ i @ (p - place)) for i, p in zip(inverses, places, strict=True))
            covariance = covariance * max(1.0, chi2 / (2 * (len(places) - 1)))
        lon, lat = LocalPlane(lon=self.lon, lat=self.lat, height_m=self.height_m).to_lonlat(place[0], place[1])
        return float(lon), float(lat), covariance + np.eye(2) * floor_m**2


def d2(
    lon: float, lat: float, covariance_m2: ArrayLike, other_lon: float, other_lat: float, other_covariance_m2: ArrayLike
) -> tuple[float, float]:
    """Squared Mahalanobis distance between two independent places, and their distance in m."""
    offset = np.array(LocalPlane(lon=lon, lat=lat).to_plane(other_lon, other_lat))
    total = np.asarray(covariance_m2, float) + np.asarray(other_covariance_m2, float)
    return float(offset @ np.linalg.solve(total, offset)), float(np.hypot(*offset))


def _of_flight(flight: FlightLooks, correlation: float, *, scaled: bool) -> tuple[Matrix, Matrix]:
    independent = np.linalg.inv(_square(flight.information))
    vector = np.asarray(flight.vector)
    place = independent @ vector
    covariance = independent * (1 + (flight.looks - 1) * correlation)
    if scaled and flight.looks > 1:
        chi2 = flight.quadratic - float(place @ vector)
        covariance = covariance * max(1.0, chi2 / (2 * (flight.looks - 1)))
    return np.asarray(place), np.asarray(covariance)


def _extent(flights: list[FlightLooks]) -> Matrix:
    """Scatter of all looks beyond what their covariances explain, m2."""
    looks = sum(flight.looks for flight in flights)
    mean = np.sum([flight.place for flight in flights], axis=0) / looks
    scatter = np.sum([_square(flight.square) for flight in flights], axis=0) / looks - np.outer(mean, mean)
    excess = scatter - np.sum([_square(flight.covariance) for flight in flights], axis=0) / looks
    values, vectors = np.linalg.eigh(excess)
    return np.asarray(vectors @ np.diag(np.maximum(values, 0.0)) @ vectors.T)


def _on_plane(fusion: Fusion, lon: float, lat: float) -> Matrix:
    east, north = LocalPlane(lon=fusion.lon, lat=fusion.lat, height_m=fusion.height_m).to_plane(lon, lat)
    return np.array([float(east), float(north)])


def _square(packed: tuple[float, float, float]) -> Matrix:
    ee, en, nn = packed
    return np.array([[ee, en], [en, nn]])


def _packed(matrix: Matrix) -> tuple[float, float, float]:
    return float(matrix[0, 0]), float(matrix[0, 1]), float(matrix[1, 1])


def _pair(vector: Matrix) -> tuple[float, float]:
    return float(vector[0]), float(vector[1])
