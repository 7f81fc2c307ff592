"""Errors of aerial_models.

ModelError
├── SourceRefused        a URL or file of a kind that is not read; says which kinds are
├── SourceUnreachable    a stream or file that cannot be opened, or that never starts
├── SourceEnded          a live stream that stops
├── SourceGarbage        bytes that are no video or picture
├── RuntimeMissing       the inference runtime or device that was asked for is not there
├── ModelUnknown         no model of that name in the catalogue
├── ModelCorrupt         weights whose hash, inputs or outputs are not what the catalogue says
└── TrainingUnavailable  training was asked for where it is not installed
"""


class ModelError(Exception):
    """Anything that seeing refuses, with what and where."""


class SourceRefused(ModelError):
    """A URL or file of a kind that is not read."""


class SourceUnreachable(ModelError):
    """A stream or file that cannot be opened, or that never starts."""


class SourceEnded(ModelError):
    """A live stream that stops."""


class SourceGarbage(ModelError):
    """Bytes that are no video or picture."""


class RuntimeMissing(ModelError):
    """The inference runtime or device that was asked for is not there."""


class ModelUnknown(ModelError):
    """No model of that name in the catalogue."""


class ModelCorrupt(ModelError):
    """Weights whose hash, inputs or outputs are not what the catalogue says."""


class TrainingUnavailable(ModelError):
    """Training was asked for where it is not installed."""
