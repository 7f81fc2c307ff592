"""What can be set about incidents: when two looks are one thing, and who is told of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from missioncontrol.bounds import Fraction, Name, Positive

_DAY_S = 86_400.0


class KindRule(msgspec.Struct, frozen=True, kw_only=True):
    """When two observations of a kind are one incident, and how grave it is."""

    window_s: Positive
    """Time since the last look within which another one is the same incident, s."""
    radius_m: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """For things with an extent: nearer than this is the same incident, m; 0 for things at a point."""
    severity: Literal["minor", "moderate", "severe", "extreme"] = "moderate"
    """As in CAP 1.2."""


KIND_RULES: dict[str, KindRule] = {
    "dump": KindRule(window_s=30 * _DAY_S, severity="minor"),
    "unauthorized_construction": KindRule(window_s=90 * _DAY_S, severity="moderate"),
    "flooding": KindRule(window_s=0.5 * _DAY_S, radius_m=80.0, severity="severe"),
    "public_disorder": KindRule(window_s=1800.0, radius_m=60.0, severity="severe"),
    "fire": KindRule(window_s=7200.0, radius_m=40.0, severity="extreme"),
    "smoke": KindRule(window_s=7200.0, radius_m=100.0, severity="severe"),
    "traffic": KindRule(window_s=1800.0, radius_m=30.0, severity="moderate"),
}
"""Rules of the kinds that come with the service."""


class IncidentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How observations become incidents."""

    kinds: dict[str, KindRule] = {}
    """Rules that replace or add to the built-in ones, by kind."""
    correlation: Fraction = 0.5
    """Share of the position variance that is common to all looks of one flight (GNSS, boresight), 0 to 1."""
    floor_m: Annotated[float, msgspec.Meta(ge=0)] = 0.3
    """One-sigma error that no number of looks takes away, m."""
    update_interval_s: Annotated[float, msgspec.Meta(ge=0)] = 15.0
    """Receivers get at most one update of a confirmed incident from new looks in this time, s."""

    def rule_of(self, kind: str) -> KindRule:
        """Rule of a kind; an unknown kind is a point-like thing with a day's window."""
        return self.kinds.get(kind) or KIND_RULES.get(kind) or KindRule(window_s=_DAY_S)


class SinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver of confirmed incidents."""

    name: Name
    """What the receiver is called here."""
    kind: str
    """Entry-point name of the adapter: `mqtt`, `webhook`, ..."""
    options: dict[str, Any] = {}
    """Keyword arguments of the adapter."""
    needs_ce90_m: Positive | None = None
    """How well it needs places to be known, as the radius that holds them nine times in ten, m; a second look is
    proposed where they are not. Absent: any will do."""


class HandoffSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How hand-offs are tried again."""

    give_up_after_s: Positive = 72 * 3600.0
    """Age at which a hand-off that is not delivered becomes a dead letter, s."""
    first_retry_s: Positive = 0.5
    """Longest wait before the second attempt, s; it doubles from then on, and so does the pause of a receiver that
    does not answer at all."""
    longest_retry_s: Positive = 60.0
    """Longest wait between two attempts, s."""
    timeout_s: Positive = 15.0
    """Wait for a receipt, s."""
