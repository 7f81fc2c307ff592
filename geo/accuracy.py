"""How good places are, told by things whose places are known: circular errors, coverage of ellipses, sigmas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.stats import beta

from geo.fusion import LASTING, Known, Lasting, Scope, Sight, covariance_m2
from geo.location import CAUSES
from geo.positions import LocalPlane

Array = NDArray[np.float64]


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """How often the truth lay inside an ellipse."""

    inside: int
    """Number of ellipses that held it."""
    count: int
    """Number of ellipses."""
    low: float
    """Lower end of the 95 % interval of the probability (Clopper and Pearson, 1934)."""
    high: float
    """Upper end of it."""

    @property
    def share(self) -> float:
        """The part that held it."""
        return self.inside / self.count

    @classmethod
    def counted(cls, inside: int, count: int, certainty: float = 0.95) -> Coverage:
        """From numbers of trials that are independent of each other."""
        tail = (1.0 - certainty) / 2.0
        low = float(beta.ppf(tail, inside, count - inside + 1)) if inside else 0.0
        high = float(beta.ppf(1.0 - tail, inside + 1, count - inside)) if inside < count else 1.0
        return cls(inside=inside, count=count, low=low, high=high)

    @classmethod
    def of(cls, errors_m: ArrayLike, covariances_m2: ArrayLike, confidence: float = 0.9) -> Coverage:
        """Of the ellipses at `confidence` that covariances (n, 2, 2) draw, for errors (n, 2)."""
        held = distances2(errors_m, covariances_m2) < -2.0 * np.log1p(-confidence)
        return cls.counted(int(held.sum()), len(held))


def distances2(errors_m: ArrayLike, covariances_m2: ArrayLike) -> Array:
    """(n,) squared Mahalanobis lengths of errors (n, 2) under covariances (n, 2, 2)."""
    errors = np.asarray(errors_m, float)
    solved = np.linalg.solve(np.asarray(covariances_m2, float), errors[..., None])[..., 0]
    return np.asarray(np.einsum("ni,ni->n", errors, solved))


def circular_error_m(errors_m: ArrayLike, share: float) -> float:
    """Radius that holds `share` of errors (n, 2): 0.5 for CE50 (CEP), 0.9 for CE90."""
    return float(np.quantile(np.linalg.norm(np.asarray(errors_m, float), axis=-1), share))


@dataclass(frozen=True)
class SigmaFit:
    """What the errors of looks at known things tell about the sigmas that the looks were made with."""

    scales: dict[str, float]
    """For each group of causes: how many times larger its sigmas should be."""
    stays: float
    """Share of a flight's variance that stays as long as the flight, 0 to 1."""

    def lasting(self, lasting: Mapping[str, Lasting] = LASTING) -> dict[str, Lasting]:
        """`lasting` with that share."""
        return {
            cause: each._replace(stays=self.stays) if each.scope is Scope.FLIGHT else each
            for cause, each in lasting.items()
        }


def fit_sigmas(
    sights: Sequence[Sight],
    known: Mapping[str, Known],
    groups: Mapping[str, Sequence[str]],
    *,
    prior_spread: float = 0.7,
) -> SigmaFit:
    """Scales of the sigmas of groups of causes that make the errors of looks at known things most probable.

    Looks are correlated as in `geo.fusion`. A scale is lognormal beforehand with median 1 and `prior_spread` in its
    logarithm; the share that stays is uniform. Causes in no group keep their sigmas. Raises ValueError for no looks.
    """
    errors = errors_m(sights, known).ravel()
    survey = np.zeros((len(errors), len(errors)))
    for number, sight in enumerate(sights):
        rows = slice(2 * number, 2 * number + 2)
        survey[rows, rows] = np.array(known[sight.thing].covariance_m2)
    names = list(groups)
    fading, steady = (_parts(sights, groups, stays) for stays in (0.0, 1.0))

    def loss(logs: Array) -> tuple[float, Array]:
        """Minus the logarithm of the posterior, and its slopes."""
        scales, stays = np.exp(np.append(logs[:-1], 0.0)), 1.0 / (1.0 + np.exp(-logs[-1]))
        each = scales[:, None, None] ** 2 * ((1.0 - stays) * fading + stays * steady)
        turned = (scales[:, None, None] ** 2 * (steady - fading)).sum(axis=0) * stays * (1.0 - stays)
        total = survey + each.sum(axis=0)
        inverse = np.linalg.inv(total)
        pull = inverse @ errors
        weight = inverse - np.outer(pull, pull)
        slopes = np.append(np.einsum("gij,ij->g", each[:-1], weight), np.sum(turned * weight) / 2.0)
        spread = np.append(np.full(len(names), prior_spread), 2.0)
        size = np.linalg.slogdet(total)[1]
        return float(errors @ pull + size + np.sum((logs / spread) ** 2)) / 2.0, slopes + logs / spread**2

    found = minimize(loss, np.zeros(len(names) + 1), method="L-BFGS-B", jac=True).x
    return SigmaFit(
        scales=dict(zip(names, np.exp(found[:-1]).tolist(), strict=True)), stays=float(1 / (1 + np.exp(-found[-1])))
    )


def errors_m(sights: Sequence[Sight], known: Mapping[str, Known]) -> Array:
    """(n, 2) east and north from where the things are known to be to where they seemed to be, m."""
    found = []
    for sight in sights:
        truth, seen = known[sight.thing].position, sight.location.position
        plane = LocalPlane(lon=truth.lon, lat=truth.lat, height_m=truth.altitude.value_m)
        found.append([float(part) for part in plane.to_plane(seen.lon, seen.lat)])
    if not found:
        raise ValueError("no looks at known things")
    return np.array(found)


def _parts(sights: Sequence[Sight], groups: Mapping[str, Sequence[str]], stays: float) -> Array:
    """(groups + 1, 2n, 2n) covariance by each group of causes alone, and last by the causes in no group."""
    lasting = {
        cause: each._replace(stays=stays) if each.scope is Scope.FLIGHT else each for cause, each in LASTING.items()
    }
    rest = [cause for cause in CAUSES if not any(cause in group for group in groups.values())]
    causes = [*groups.values(), rest]
    return np.stack([covariance_m2([_only(sight, group) for sight in sights], lasting=lasting) for group in causes])


def _only(sight: Sight, causes: Sequence[str]) -> Sight:
    """A look that only these causes move."""
    kept = tuple(
        move if cause in causes else (0.0,) * len(move)
        for cause, move in zip(CAUSES, sight.location.moves_m, strict=True)
    )
    return msgspec.structs.replace(sight, location=msgspec.structs.replace(sight.location, moves_m=kept))
