"""Errors of fleet.

FleetError
├── LinkInvalid          a link string that names no link; says what was expected
├── LinkError
│   ├── LinkUnreachable  a link that cannot be opened, or that nobody answers on
│   └── LinkLost         a vehicle or a link that fell silent; names who and for how long
├── VehicleUnknown       no vehicle of that sysid is registered or heard
├── VehicleRefused       the autopilot said no; carries its own words
├── CommandError
│   ├── CommandFailed    the autopilot tried and failed
│   └── CommandUnknown   no acknowledgement, and telemetry does not tell either
├── MissionError
│   ├── MissionInvalid   a list of items that must not be sent
│   ├── TransferFailed   an upload or download that did not come to its end
│   └── MissionMismatch  what the vehicle holds is not what was approved
├── PlanFileInvalid      a .plan file that cannot be read; names the place in it
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


class MissionError(FleetError):
    """A mission that is not, or may not be, aboard."""


class MissionInvalid(MissionError):
    """A list of items that must not be sent; names the item and its number."""


class TransferFailed(MissionError):
    """An upload or download that did not come to its end."""


class MissionMismatch(MissionError):
    """What the vehicle holds is not what was approved; names the first item that differs."""


class PlanFileInvalid(FleetError):
    """A .plan file that cannot be read; names the place in it."""


class RecordingInvalid(FleetError):
    """A .tlog file that cannot be read or written."""
