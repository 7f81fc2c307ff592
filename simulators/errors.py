"""Errors of simulators.

SimulatorError
├── LinkUnusable       an address that cannot be understood, bound or reached
└── FaultInvalid       a schedule of faults that cannot be read, or a fault that cannot be
"""


class SimulatorError(Exception):
    """Anything that a simulator refuses, with what and where."""


class LinkUnusable(SimulatorError):
    """A link's address cannot be understood, bound or reached."""


class FaultInvalid(SimulatorError):
    """A schedule that cannot be read, or a fault that cannot be; names the entry and what was expected."""
