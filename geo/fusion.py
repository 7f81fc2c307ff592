"""Several looks made into places: maximum a posteriori, with the biases that looks share as states.

A look at a thing gives the thing's place plus, for each cause of error, that cause's bias times the move
that one sigma of it makes (`Location.moves_m`), plus what is new in each picture. Biases are
Gauss-Markov processes of unit variance: of one flight, of the ground at a place, or of everything. Looks of one
pass therefore share most of their error, and their mean is hardly better than one of them; looks from
different directions are moved differently by the same bias, so that the bias shows and is removed; and things seen in
the same pass share it, so that one whose place is known sharpens the others.

The biases are Gaussian and enter linearly, so they are eliminated at once: the places are the generalised least-squares
solution under the covariance that the biases make, and the biases follow from what is left (the same
maximum as with every bias written out as an unknown; C. E. Rasmussen, C. Williams, "Gaussian Processes for Machine
Learning", 2006, section 2.7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from geo.location import CAUSES, Location
from geo.positions import Altitude, Datum, Ellipse, LocalPlane, Position

Array = NDArray[np.float64]


class Scope(StrEnum):
    """Which looks a bias is common to."""

    LOOK = "look"
    """To none: it is new in each look."""
    FLIGHT = "flight"
    """To the looks of one flight of one vehicle."""
    GROUND = "ground"
    """To all looks at one place, whoever looks."""
    SITE = "site"
    """To all looks."""


class Lasting(NamedTuple):
    """How far a bias reaches."""

    scope: Scope
    time_s: float = np.inf
    """Time in which a flight's bias forgets itself (to 1/e), s."""
    reach_m: float = np.inf
    """Distance over which a bias of the ground forgets itself (to 1/e), m."""
    stays: float = 0.0
    """Share of a flight's variance that does not fade, but stays as long as the flight, 0 to 1."""


LASTING = {
    "east": Lasting(Scope.FLIGHT, 60.0),
    "north": Lasting(Scope.FLIGHT, 60.0),
    "up": Lasting(Scope.FLIGHT, 60.0),
    "tilt_east": Lasting(Scope.FLIGHT, 20.0),
    "tilt_north": Lasting(Scope.FLIGHT, 20.0),
    "yaw": Lasting(Scope.FLIGHT, 60.0),
    "time": Lasting(Scope.FLIGHT),
    "u": Lasting(Scope.LOOK),
    "v": Lasting(Scope.LOOK),
    "surface": Lasting(Scope.GROUND, reach_m=60.0),
    "gimbal_pitch": Lasting(Scope.FLIGHT, 5.0, stays=0.5),
    "gimbal_yaw": Lasting(Scope.FLIGHT, 5.0, stays=0.5),
    "gimbal_roll": Lasting(Scope.FLIGHT, 5.0, stays=0.5),
    "focal": Lasting(Scope.FLIGHT),
    "center_u": Lasting(Scope.FLIGHT),
    "center_v": Lasting(Scope.FLIGHT),
    "datum": Lasting(Scope.SITE),
    "bend_up": Lasting(Scope.FLIGHT, 20.0),
    "bend_aside": Lasting(Scope.FLIGHT, 20.0),
    "middle_east": Lasting(Scope.GROUND, reach_m=1.0),
    "middle_north": Lasting(Scope.GROUND, reach_m=1.0),
}
"""How long each cause of error lasts: satellite positions and heading wander over a minute, attitude and gimbal faster
(how the camera sits in its mounting stays), a box's edges are new in each picture, the clock and the lens stay for a
flight, terrain for good but not far, the datum everywhere; where the middle of a thing is, every look at it gets wrong
alike."""
OWN = [CAUSES.index("u"), CAUSES.index("v")]
"""Rows of `Fused.moves_m` that hold what no other look shares."""
_LEAST_SIGMA_M = 0.01
"""No look is taken to be better than this; keeps the equations solvable."""


class Fused(msgspec.Struct, frozen=True, kw_only=True):
    """The place of one thing from several looks."""

    position: Position
    """Ground below it, AMSL."""
    covariance_m2: tuple[tuple[float, float], tuple[float, float]]
    """Horizontal covariance (east, north), m2."""
    moves_m: tuple[tuple[float, float], ...]
    """How far (east, north; m) one sigma of each of CAUSES still moves the place; what is left of causes that faded
    meanwhile counts as new (u, v). The covariance is their sum of squares: a fused place may be fused again."""

    def ellipse(self, confidence: float = 0.9) -> Ellipse:
        """Its error ellipse."""
        return Ellipse.from_covariance(np.array(self.covariance_m2), confidence)


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """One look at one thing."""

    thing: str
    """Which thing: any name."""
    location: Location | Fused
    """Where it seemed to be."""
    utc_s: float
    """When, s since 1970 UTC."""
    flight: str = ""
    """Vehicle and flight that looked: any name."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A thing whose place is known beforehand."""

    position: Position
    """Where it is."""
    covariance_m2: tuple[tuple[float, float], tuple[float, float]]
    """How well that is known (east, north), m2."""


class Bias(msgspec.Struct, frozen=True, kw_only=True):
    """What the looks of a flight tell about one of its errors."""

    flight: str
    """The flight."""
    cause: str
    """One of CAUSES."""
    utc_s: float
    """When: at the last look of the flight, s since 1970 UTC."""
    value: float
    """Most probable error of what was believed, in the sigmas that the locations were made with and with the sign that
    `Location.moves_m` has (turns are about east, north and up); subtract it to correct what was believed."""
    sigma: float
    """What is still unknown of it, in the same unit: 1 where the looks tell nothing, near 0 where they tell all."""


class Joint(msgspec.Struct, frozen=True, kw_only=True):
    """Places and biases estimated together."""

    things: dict[str, Fused]
    """Place of each thing."""
    biases: tuple[Bias, ...]
    """Of each flight and each cause that lasts in it."""
    chi2: float
    """Squared residuals over their covariance; about `freedom` where the sigmas are true."""
    freedom: int
    """Degrees of freedom of `chi2`."""


def fuse(locations: Sequence[Location | Fused], utc_s: Sequence[float]) -> Fused:
    """The one place of looks at `utc_s` (s since 1970 UTC) in one flight. Raises ValueError for no looks."""
    sights = [Sight(thing="", location=at, utc_s=when) for at, when in zip(locations, utc_s, strict=True)]
    return fuse_jointly(sights).things[""]


def fuse_jointly(
    sights: Sequence[Sight],
    *,
    known: Mapping[str, Known] | None = None,
    lasting: Mapping[str, Lasting] = LASTING,
) -> Joint:
    """Places of all things looked at, and the biases of the flights; the order of looks does not matter.

    `known` places of some of the things are prior knowledge, independent of the looks; `lasting` says for each of
    CAUSES how far it reaches. Memory and time grow with the square and the cube of the number of looks: some
    hundreds at a time. Raises ValueError for no looks.
    """
    if not sights:
        raise ValueError("no looks to fuse")
    return _Problem(sights, known or {}, [lasting[cause] for cause in CAUSES]).solve()


def covariance_m2(sights: Sequence[Sight], *, lasting: Mapping[str, Lasting] = LASTING) -> Array:
    """(2 looks, 2 looks) covariance of the errors of looks, east and north of the first, then of the next, m2."""
    problem = _Problem(sights, {}, [lasting[cause] for cause in CAUSES])
    return problem.covariance_m2(problem.shared())


class _Problem:
    """Looks as a linear model on the plane about the first of them."""

    def __init__(self, sights: Sequence[Sight], known: Mapping[str, Known], lasting: Sequence[Lasting]) -> None:
        self.sights, self.lasting = sights, lasting
        self.names = list(dict.fromkeys(sight.thing for sight in sights))
        index = {name: number for number, name in enumerate(self.names)}
        self.thing = np.array([index[sight.thing] for sight in sights])
        first = sights[0].location.position
        self.plane = LocalPlane(lon=first.lon, lat=first.lat, height_m=first.altitude.value_m)
        self.seen = self._on_plane([sight.location.position for sight in sights])
        self.heights_m = np.array([sight.location.position.altitude.value_m for sight in sights])
        self.moves = np.array([[move[:2] for move in sight.location.moves_m] for sight in sights])
        self.times_s = np.array([sight.utc_s for sight in sights])
        flights = {name: number for number, name in enumerate(dict.fromkeys(sight.flight for sight in sights))}
        self.flight = np.array([flights[sight.flight] for sight in sights])
        self.prior = np.zeros((2 * len(self.names), 2 * len(self.names)))
        self.prior_place = np.zeros(2 * len(self.names))
        for name, about in known.items():
            if name in index:
                rows = slice(2 * index[name], 2 * index[name] + 2)
                self.prior[rows, rows] = np.linalg.inv(np.array(about.covariance_m2))
                self.prior_place[rows] = self._on_plane([about.position])[0]

    def _on_plane(self, positions: Sequence[Position]) -> Array:
        lonlat = np.array([(position.lon, position.lat) for position in positions])
        return np.stack(self.plane.to_plane(lonlat[:, 0], lonlat[:, 1]), axis=-1)

    def covariance_m2(self, shared: Sequence[Array]) -> Array:
        count = len(self.sights)
        total = np.zeros((count, 2, count, 2))
        for number, same in enumerate(shared):
            move = self.moves[:, number]
            total += same[:, None, :, None] * move[:, :, None, None] * move[None, None, :, :]
        return total.reshape(2 * count, 2 * count) + _LEAST_SIGMA_M**2 * np.eye(2 * count)

    def solve(self) -> Joint:
        count, things = len(self.sights), len(self.names)
        shared = self.shared()
        factor = cho_factor(self.covariance_m2(shared), lower=True)
        design = np.kron(np.eye(things)[self.thing], np.eye(2))
        weighted = cho_solve(factor, design)
        posterior = np.linalg.inv(design.T @ weighted + self.prior)
        seen = self.seen.ravel()
        places = posterior @ (weighted.T @ seen + self.prior @ self.prior_place)
        residual = seen - design @ places
        pulls = cho_solve(factor, residual)
        off = places - self.prior_place
        gain = posterior @ weighted.T
        """(2 things, 2 looks): how each look's error enters each place."""
        return Joint(
            things={
                name: self._fused(number, places, posterior, gain, shared) for number, name in enumerate(self.names)
            },
            biases=tuple(self._biases(shared, pulls, factor, weighted, posterior)),
            chi2=float(residual @ pulls + off @ self.prior @ off),
            freedom=2 * (count - things) + int(np.count_nonzero(np.diag(self.prior))),
        )

    def shared(self) -> list[Array]:
        """For each of CAUSES (looks, looks): the correlation of its bias between looks."""
        return [self._shared(number) for number in range(len(CAUSES))]

    def _shared(self, number: int) -> Array:
        lasting = self.lasting[number]
        if lasting.scope is Scope.LOOK:
            return np.eye(len(self.sights))
        if lasting.scope is Scope.SITE:
            return np.ones((len(self.sights), len(self.sights)))
        if lasting.scope is Scope.GROUND:
            middles = np.stack([self.seen[self.thing == thing].mean(axis=0) for thing in range(len(self.names))])
            apart_m = np.linalg.norm(middles[:, None] - middles[None], axis=-1)
            return np.asarray(np.exp(-apart_m / lasting.reach_m)[np.ix_(self.thing, self.thing)])
        apart_s = np.abs(self.times_s[:, None] - self.times_s[None])
        fading = lasting.stays + (1.0 - lasting.stays) * np.exp(-apart_s / lasting.time_s)
        return np.asarray((self.flight[:, None] == self.flight[None]) * fading)

    def _fused(self, number: int, places: Array, posterior: Array, gain: Array, shared: list[Array]) -> Fused:
        rows = slice(2 * number, 2 * number + 2)
        weights = gain[rows].reshape(2, len(self.sights), 2)
        moves = np.zeros((len(CAUSES), 2))
        own = posterior[rows, rows].copy()
        for cause, same in enumerate(shared):
            if self.lasting[cause].scope is not Scope.LOOK:
                moved = np.einsum("akb,kb->ka", weights, self.moves[:, cause])
                moves[cause] = _common(moved, same)
        own -= moves.T @ moves
        values, vectors = np.linalg.eigh(own)
        moves[OWN] = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
        east_m, north_m = places[rows]
        lon, lat = self.plane.to_lonlat(east_m, north_m)
        height_m = float(self.heights_m[self.thing == number].mean())
        covariance = posterior[rows, rows].tolist()
        return Fused(
            position=Position(lon=float(lon), lat=float(lat), altitude=Altitude(height_m, Datum.AMSL)),
            covariance_m2=(tuple(covariance[0]), tuple(covariance[1])),
            moves_m=tuple((move[0], move[1]) for move in moves.tolist()),
        )

    def _biases(
        self, shared: list[Array], pulls: Array, factor: tuple[Array, bool], weighted: Array, posterior: Array
    ) -> list[Bias]:
        found = []
        for flight in np.unique(self.flight).tolist():
            mine = np.flatnonzero(self.flight == flight)
            last = int(mine[np.argmax(self.times_s[mine])])
            for cause, name in enumerate(CAUSES):
                if self.lasting[cause].scope is Scope.FLIGHT:
                    tie = (shared[cause][last][:, None] * self.moves[:, cause]).ravel()
                    told = tie @ cho_solve(factor, tie) - tie @ weighted @ posterior @ weighted.T @ tie
                    found.append(
                        Bias(
                            flight=self.sights[last].flight,
                            cause=name,
                            utc_s=float(self.times_s[last]),
                            value=float(tie @ pulls),
                            sigma=float(np.sqrt(max(0.0, 1.0 - told))),
                        )
                    )
        return found


def _common(moved: Array, same: Array) -> Array:
    """(2,): the move of a fused place by a bias, from those of its looks (looks, 2) and the bias's correlation.

    Were the bias the same in all looks, it would be the sum. A bias that faded meanwhile moves the place
    otherwise; no more than it explains of the covariance is kept.
    """
    covariance = moved.T @ same @ moved
    move = moved.sum(axis=0)
    length = float(move @ move)
    if length < 1e-12:
        return np.zeros(2)
    share = float(move @ np.linalg.pinv(covariance, hermitian=True) @ move)
    return np.asarray(move / np.sqrt(max(1.0, share)))
