"""Errors of fleet.

FleetError
├── LinkInvalid          a link string that names no link; says what was expected
├── LinkError
│   ├── LinkUnreachable  a link that cannot be opened, or that nobody answers on
│   ├── LinkLost         a vehicle or a link that fell silent; names who and for how long
│   └── IdentityConflict two claim one sysid: nothing is sent to it; names both addresses
├── VehicleUnknown       no vehicle of that sysid is registered or heard
├── VehicleRefused       the autopilot said no; carries its own words
├── CommandError
│   ├── CommandFailed    the autopilot tried and failed
│   └── CommandUnknown   no acknowledgement, and telemetry does not tell either
├── ParameterError
│   ├── ParameterInvalid      a value that the parameter's type cannot hold; it was not sent
│   ├── ParameterUnknown      no answer for a name: the vehicle has no such parameter
│   ├── ParameterRefused      what is aboard after writing is not what was written; carries both
│   ├── ParametersIncomplete  a list of which a part did not come
│   ├── ParameterFileInvalid  a file of parameters that cannot be read or written; names the line
│   └── PolicyUnsupported     a lost-link policy that the autopilot cannot follow
├── RemoteIdInvalid     an identity that must not be broadcast, or would not be understood
├── MissionError
│   ├── MissionInvalid   a list of items that must not be sent
│   ├── TransferFailed   an upload or download that did not come to its end
│   └── MissionMismatch  what the vehicle holds is not what was approved
├── SigningError
│   ├── SigningInvalid   a key, a frame or a clock that nothing can be signed with
│   ├── KeyUnknown       the key store has no key for that vehicle
│   ├── KeyExists        the key store has a key for that vehicle, or that sysid, already
│   ├── KeyStoreLocked   the identity does not open the key store
│   └── KeyStoreInvalid  a key store, or its identity, that cannot be read, written, or trusted
├── EnduranceError
│   ├── AirspeedImpossible  a speed over ground that the wind asks too much airspeed for; names both
│   └── BeyondBattery       work that the battery does not last for; names the place, Wh needed and Wh usable
├── PlanFileInvalid      a plan file that cannot be read or written; names the place in it
└── RecordingInvalid     a .tlog file that cannot be read or written
"""

from __future__ import annotations


class FleetError(Exception):
    """Anything that fleet refuses or could not do: who, what, and the number with its unit."""


class LinkInvalid(FleetError):
    """A link string that names no link."""


class LinkError(FleetError):
    """A link that does not carry."""


class LinkUnreachable(LinkError):
    """A link that cannot be opened, or that nobody answers on."""


class LinkLost(LinkError):
    """A vehicle or a link that fell silent."""


class IdentityConflict(LinkError):
    """Two sources claim one sysid, so that nothing is sent to it."""


class VehicleUnknown(FleetError):
    """No vehicle of that sysid is registered, or none was heard."""


class VehicleRefused(FleetError):
    """The autopilot said no."""

    def __init__(self, message: str, *, texts: tuple[str, ...] = ()) -> None:
        """`texts` are the autopilot's own words, oldest first."""
        super().__init__(message)
        self.texts = texts
        """The autopilot's own words, oldest first."""


class CommandError(FleetError):
    """A command that was not carried out, or of which that is not known."""


class CommandFailed(CommandError):
    """The autopilot tried and failed."""


class CommandUnknown(CommandError):
    """No acknowledgement came, and telemetry does not show the effect."""


class ParameterError(FleetError):
    """A parameter that is not, or is not known to be, as it should."""


class ParameterInvalid(ParameterError):
    """A value that the parameter's type cannot hold; it was not sent."""


class ParameterUnknown(ParameterError):
    """No answer for a name, while the vehicle is heard: it has no such parameter."""


class ParameterRefused(ParameterError):
    """What is aboard after writing is not what was written."""

    def __init__(self, message: str, *, name: str, wanted: float, aboard: float) -> None:
        """Of the parameter `name`."""
        super().__init__(message)
        self.name, self.wanted, self.aboard = name, wanted, aboard


class ParametersIncomplete(ParameterError):
    """A list of parameters of which a part did not come."""


class ParameterFileInvalid(ParameterError):
    """A file of parameters that cannot be read or written; names the line."""


class PolicyUnsupported(ParameterError):
    """A lost-link policy that the autopilot cannot follow; nothing was written."""


class RemoteIdInvalid(FleetError):
    """An identity that must not be broadcast, or would not be understood; names the field."""


class MissionError(FleetError):
    """A mission that is not, or may not be, aboard."""


class MissionInvalid(MissionError):
    """A list of items that must not be sent; names the item and its number."""


class TransferFailed(MissionError):
    """An upload or download that did not come to its end."""


class MissionMismatch(MissionError):
    """What the vehicle holds is not what was approved; names the first item that differs."""


class SigningError(FleetError):
    """Signing, or a signing key, that is not as it must be."""


class SigningInvalid(SigningError):
    """A key, a frame or a clock that nothing can be signed with."""


class KeyUnknown(SigningError):
    """The key store has no key for that vehicle."""


class KeyExists(SigningError):
    """The key store has a key for that vehicle, or for another one with its sysid, already."""


class KeyStoreLocked(SigningError):
    """The identity does not open the key store."""


class KeyStoreInvalid(SigningError):
    """A key store, or its identity file, that cannot be read, written, or trusted; names the file."""


class EnduranceError(FleetError):
    """A flight that the vehicle cannot make."""


class AirspeedImpossible(EnduranceError):
    """A speed over ground that the wind asks too much airspeed for."""


class BeyondBattery(EnduranceError):
    """Work that the battery does not last for."""

    def __init__(self, message: str, *, number: int, needed_wh: float, usable_wh: float) -> None:
        """`number` is that of the piece, or of the point of the route, counted from 0."""
        super().__init__(message)
        self.number, self.needed_wh, self.usable_wh = number, needed_wh, usable_wh


class PlanFileInvalid(FleetError):
    """A plan file that cannot be read or written; names the place in it."""


class RecordingInvalid(FleetError):
    """A .tlog file that cannot be read or written."""
