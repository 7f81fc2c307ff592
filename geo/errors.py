"""Errors of geo.

GeoError
├── AreaInvalid        a polygon or line that cannot be planned over; names the place
├── ZoneInvalid        a zone that cannot be understood or written; names the feature, the field, the place
├── WayBlocked         no way between two places that keeps out of the zones; names them
├── CameraUnknown      no camera of that name in the library
├── TerrainMissing     no height known there; names the place or the file
├── NoGround           the ray does not meet the ground (above the horizon, or out of range)
├── OutOfView          no place that may be flown to sees the one asked for; names it
├── DatumUnknown       a height cannot be converted without terrain, geoid or home
│   └── GeoidMissing   the grid of a geoid is not installed; names the file and how to get it
├── ObstacleInvalid    obstacles that cannot be used; names the feature and the place
├── CameraInvalid      a camera's figures that cannot be; names the field
│   └── CalibrationInvalid  a calibration file that cannot be used; names the file and what is wrong
├── KlvInvalid         bytes that are not the local set they claim to be
├── OffsetUnknown      two clocks whose offset the motion does not tell; says why
├── RasterInvalid      a raster that cannot be read or drawn
├── NotRegistered      a frame that does not lie on the reference; says why
└── PhotoInvalid       a picture that cannot be read or holds no pose
"""


class GeoError(Exception):
    """Anything that geo refuses, with what, where and what to do."""


class AreaInvalid(GeoError):
    """A polygon or line that cannot be planned over."""


class ZoneInvalid(GeoError):
    """A zone that cannot be understood, or cannot be written in the form asked for."""


class WayBlocked(GeoError):
    """No way between two places keeps out of the zones."""


class CameraUnknown(GeoError):
    """No camera of that name in the library."""


class TerrainMissing(GeoError):
    """No height is known there."""


class NoGround(GeoError):
    """The ray of a pixel does not meet the ground."""


class OutOfView(GeoError):
    """No place that may be flown to sees the one asked for."""


class DatumUnknown(GeoError):
    """A height cannot be converted with what is known."""


class GeoidMissing(DatumUnknown):
    """The grid of a geoid is not installed."""


class ObstacleInvalid(GeoError):
    """Obstacles that cannot be used."""


class CameraInvalid(GeoError):
    """Figures of a camera that cannot be, or pictures that it cannot take."""


class CalibrationInvalid(CameraInvalid):
    """A calibration file that cannot be used."""


class OffsetUnknown(GeoError):
    """The motion does not tell how far two clocks are apart."""


class KlvInvalid(GeoError):
    """Bytes that are not the local set they claim to be."""


class PhotoInvalid(GeoError):
    """A picture that cannot be read, or that holds no pose."""


class RasterInvalid(GeoError):
    """A raster that cannot be read or drawn."""


class NotRegistered(GeoError):
    """A frame that does not lie on the reference."""
