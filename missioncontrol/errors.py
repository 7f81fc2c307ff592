"""Errors of the service.

MissionControlError
├── SettingsInvalid       the settings file or an override; names the key and, for a slip, the nearest real one
├── StoreUnavailable      the database cannot be opened or migrated
├── NotFound              no such vehicle, mission, incident, layer ...; names kind and id
├── InputInvalid          a request that cannot be carried out as it stands; names the field
├── NotAuthenticated      nobody is logged in, or the name or password is wrong
├── NotPermitted          the person is known but lacks the right; names the role wanted
├── TooManyAttempts       log-in attempts from one address or for one name; says how long to wait
├── Conflict              the thing is in the wrong state
│   ├── TransitionImpossible   the state machine has no such step; names both states
│   ├── HashMismatch           what the vehicle read back is not what was approved
│   ├── ControlHeld            somebody else holds the vehicle; names whom
│   └── VideoAbsent            no video to forward comes in now
├── NotForwardable        a video that browsers cannot take as it is; says what it is
├── OfferMalformed        a WebRTC offer that cannot be read
├── OfferUnacceptable     a WebRTC offer that takes none of what there is
├── TooManyViewers        of one vehicle's live video, or of all
├── LaunchFailed          a vehicle could not be brought into the air; names the stage
├── WeatherUnavailable    a source of weather does not answer, or cannot be understood; names it
├── AdapterUnknown        no entry point of that name; lists the ones there are
├── ClientTooSlow         a live client let too many messages wait
├── PhotogrammetryFailed  photogrammetry elsewhere did not make a map; says what it said
├── RestartLimit          a task failed so often that starting it again is no help
└── DeliveryFailed        a receiver did not give its receipt; says whether trying again can help
"""

from __future__ import annotations


class MissionControlError(Exception):
    """Anything that the service refuses, with who, what and the number with its unit."""


class SettingsInvalid(MissionControlError):
    """The settings cannot be used as they are."""


class StoreUnavailable(MissionControlError):
    """The database cannot be opened or migrated."""


class NotFound(MissionControlError):
    """There is no such thing."""


class InputInvalid(MissionControlError):
    """A request that cannot be carried out as it stands."""


class NotAuthenticated(MissionControlError):
    """Nobody is logged in, or the name or password is wrong."""


class NotPermitted(MissionControlError):
    """The person is known but lacks the right."""


class TooManyAttempts(MissionControlError):
    """Too many failed log-ins; wait."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        """`retry_after_s` is how long to wait, s."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Conflict(MissionControlError):
    """The thing is in the wrong state for this."""


class TransitionImpossible(Conflict):
    """The state machine has no such step."""


class HashMismatch(Conflict):
    """What the vehicle read back is not what was approved."""


class ControlHeld(Conflict):
    """Somebody else holds the vehicle."""


class VideoAbsent(Conflict):
    """No video to forward comes in now."""


class NotForwardable(MissionControlError):
    """A video that browsers cannot take as it is."""


class OfferMalformed(MissionControlError):
    """A WebRTC offer that cannot be read."""


class OfferUnacceptable(MissionControlError):
    """A WebRTC offer that takes none of what there is."""


class TooManyViewers(MissionControlError):
    """Of one vehicle's live video, or of all."""


class LaunchFailed(MissionControlError):
    """A vehicle could not be brought into the air."""


class WeatherUnavailable(MissionControlError):
    """A source of weather does not answer, or cannot be understood."""


class AdapterUnknown(MissionControlError):
    """No entry point of that name."""


class ClientTooSlow(MissionControlError):
    """A live client let too many messages wait."""


class RestartLimit(MissionControlError):
    """A task failed so often that starting it again is no help."""


class PhotogrammetryFailed(MissionControlError):
    """Photogrammetry elsewhere did not make a map."""


class DeliveryFailed(MissionControlError):
    """A receiver did not give its receipt for a hand-off."""

    def __init__(self, message: str, *, retryable: bool = True, unreachable: bool = False) -> None:
        """`retryable` is whether the same delivery may succeed later (a refusal for good is not); `unreachable` that
        the receiver did not answer at all, so that another hand-off would fare no better now."""
        super().__init__(message)
        self.retryable = retryable
        self.unreachable = unreachable
