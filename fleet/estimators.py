"""How well a vehicle knows itself: what its EKF and its accelerometers say of their own measurements."""

from __future__ import annotations

import math
from typing import Any

import msgspec

POS_HORIZ_ABS = 16
"""The bit means the same in EKF_STATUS_FLAGS and ESTIMATOR_STATUS_FLAGS."""
_RATIOS = {
    "EKF_STATUS_REPORT": ("velocity_variance", "pos_horiz_variance", "pos_vert_variance", "compass_variance"),
    "ESTIMATOR_STATUS": ("vel_ratio", "pos_horiz_ratio", "pos_vert_ratio", "mag_ratio"),
}


class Vibration(msgspec.Struct, frozen=True, kw_only=True):
    """How the airframe shakes the accelerometers."""

    worst_m_s2: float
    """Of the three axes, m/s2 (PX4 tells its third in that unit, and of its gyroscopes in the other two)."""
    clips: int
    """Times that any accelerometer was beyond its range, since power-up."""


class Estimator(msgspec.Struct, frozen=True, kw_only=True):
    """How well measurements fit what the EKF expects: innovation test ratios, 1 is where it rejects them."""

    ratios: dict[str, float]
    """Of velocity, position, height and compass, as far as they are told."""
    position_known: bool
    """It knows where it is over ground."""

    @property
    def worst(self) -> tuple[str, float]:
        """The measurement that fits least and its ratio; 0 where none is told."""
        return max(self.ratios.items(), key=lambda pair: pair[1], default=("", 0.0))


def vibration_of(message: Any) -> Vibration | None:
    """What a VIBRATION says; None for one that is no number."""
    worst_m_s2 = max(message.vibration_x, message.vibration_y, message.vibration_z)
    clips = message.clipping_0 + message.clipping_1 + message.clipping_2
    return Vibration(worst_m_s2=worst_m_s2, clips=clips) if math.isfinite(worst_m_s2) else None


def estimator_of(message: Any) -> Estimator:
    """What an EKF_STATUS_REPORT of ArduPilot or an ESTIMATOR_STATUS of PX4 says.

    ArduPilot calls them variances; both are normalised by the gate of the test.
    """
    names = ("velocity", "position", "height", "compass")
    told = zip(names, (getattr(message, name) for name in _RATIOS[message.get_type()]), strict=True)
    ratios = {name: float(ratio) for name, ratio in told if math.isfinite(ratio)}
    return Estimator(ratios=ratios, position_known=bool(message.flags & POS_HORIZ_ABS))
