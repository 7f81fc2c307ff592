"""Errors of simulators.

SimulatorError
└── LinkUnusable       an address that cannot be understood, bound or reached
"""


class SimulatorError(Exception):
    """Anything that a simulator refuses, with what and where."""


class LinkUnusable(SimulatorError):
    """A link's address cannot be understood, bound or reached."""
