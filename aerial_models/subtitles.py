"""DJI .srt files: what the vehicle knew of itself while it recorded the video of the same name.

The forms differ by model and firmware. Three traps of them: `GPS(a, b, n)` is longitude, latitude and satellites, but
latitude, longitude and height where the third ends in M; clocks are local time without a zone; and `altitude` is above
sea level on some models and above take-off on others, so that only `abs_alt` is taken as a height above sea level.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec
import structlog

from aerial_models.errors import SourceGarbage
from geo import klv
from geo.klv import UasMetadata
from geo.poses import Attitude

_log = structlog.get_logger(__name__)

_MAX_BYTES = 100_000_000
_N = r"(-?\d{1,12}(?:\.\d{1,12})?)"
_SPAN = re.compile(r"(\d{1,3}):(\d\d):(\d\d)[,.](\d{3})\s*-->\s*(\d{1,3}):(\d\d):(\d\d)[,.](\d{3})")
_DATE = re.compile(r"(\d{4})[.-](\d\d?)[.-](\d\d?) (\d\d?):(\d\d):(\d\d)(?:[.,](\d{3})(?:[.,](\d{3}))?)?")
_NAMED = re.compile(rf"\b(latitude|longt?itude|rel_alt|abs_alt|altitude|gb_yaw|gb_pitch|gb_roll|focal_len)\s*:\s*{_N}")
_GPS = re.compile(rf"\bGPS\s*\(\s*{_N}\s*,\s*{_N}\s*,\s*{_N}(M?)\s*\)")
_ANGLES = re.compile(rf"\b([FG])\.PRY\s*\(\s*{_N}°?,\s*{_N}°?,\s*{_N}°?\s*\)")
_FOCAL_TENTHS_FROM = 100.0
"""Older firmware gives the equivalent focal length in tenths of a millimetre: 240 is a lens of 24 mm."""
_WIDTH_MM = 34.6
"""Width of a 4:3 picture with the diagonal (43.27 mm) that equivalent focal lengths refer to; 16:9 video keeps it."""
_HEIGHT = re.compile(rf"(?:\bH |\bBAROMETER:|\bHb:){_N}")


class Subtitle(msgspec.Struct, frozen=True, kw_only=True):
    """One record; a field is None where the record lacks it."""

    start_s: float
    """From the start of the video, s."""
    end_s: float
    """From the start of the video, s."""
    clock_s: float | None = None
    """The vehicle's own clock at the start, counted as if it were UTC, s since 1970."""
    clock_sigma_s: float = 1 / math.sqrt(12)
    """One-sigma error of the moment by that clock, or by a video's date where the record has none: evenly within what
    it counts by, which is whole seconds or the length of the record, s."""
    lon: float | None = None
    """WGS 84, deg."""
    lat: float | None = None
    """WGS 84, deg."""
    amsl_m: float | None = None
    """Height above sea level as the vehicle believes it, m."""
    above_home_m: float | None = None
    """Height above take-off, m."""
    either_m: float | None = None
    """Height above sea level or above take-off, whichever it is on this model, m: of no use without knowing.
    No pose is made of it."""
    platform: Attitude | None = None
    """Of the vehicle."""
    gimbal: Attitude | None = None
    """Of the boresight."""
    hfov_deg: float | None = None
    """Horizontal field of view, deg, from the focal length that the record states: good to some 5 %, since it is
    rounded and some modes crop the picture."""


class Subtitles:
    """The records of a video in order of time."""

    def __init__(self, records: list[Subtitle], *, utc_offset_s: float = 0.0) -> None:
        """`utc_offset_s` is how far the vehicle's clock is ahead of UTC."""
        self.records = sorted(records, key=lambda r: r.start_s)
        self._starts = [r.start_s for r in self.records]
        self._utc_offset_s = utc_offset_s

    @classmethod
    def parse(cls, text: str, *, utc_offset_s: float = 0.0) -> Self:
        """The records that can be read from the text of a file; those that cannot are left out."""
        blocks = re.split(r"\n\s*\n", text.replace("\r\n", "\n"))
        return cls([r for r in map(_record, blocks) if r is not None], utc_offset_s=utc_offset_s)

    @classmethod
    def read(cls, path: Path, *, utc_offset_s: float = 0.0) -> Self:
        """Those of a file. Raises SourceGarbage where it holds none that can be read."""
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES).decode("utf-8-sig", errors="replace")
        found = cls.parse(text, utc_offset_s=utc_offset_s)
        if not found.records:
            raise SourceGarbage(
                f"{path}: holds no record that can be read: each needs its span in the video, such as "
                "00:00:01,000 --> 00:00:02,000"
            )
        return found

    @classmethod
    def beside(cls, video: Path, *, utc_offset_s: float = 0.0) -> Self | None:
        """Those of the .srt file of the same name, where there is one that can be read."""
        for path in (video.with_suffix(".srt"), video.with_suffix(".SRT")):
            if path.is_file():
                try:
                    return cls.read(path, utc_offset_s=utc_offset_s)
                except SourceGarbage as exc:
                    _log.warning("video goes without its subtitles", why=str(exc))
        return None

    def at(self, time_s: float) -> Subtitle | None:
        """The record at a time from the start of the video, s."""
        i = bisect_right(self._starts, time_s + 1e-6) - 1
        return self.records[i] if i >= 0 and time_s < self.records[i].end_s + 1e-6 else None

    def timed_at(self, time_s: float, *, video_start_utc_s: float | None = None) -> tuple[UasMetadata | None, float]:
        """What `metadata_at` answers, and the one-sigma error of its UTC against the vehicle's clock, s."""
        record = self.at(time_s)
        metadata = self.metadata_at(time_s, video_start_utc_s=video_start_utc_s)
        return metadata, math.inf if record is None else record.clock_sigma_s

    def metadata_at(self, time_s: float, *, video_start_utc_s: float | None = None) -> UasMetadata | None:
        """What the record of that time says; None without a record, or where neither it nor the argument gives a UTC.

        Where the gimbal's attitude is known but the vehicle's is not, the vehicle is stated level below it.
        """
        record = self.at(time_s)
        if record is None:
            return None
        if record.clock_s is not None:
            utc_s = record.clock_s - self._utc_offset_s + time_s - record.start_s
        elif video_start_utc_s is not None:
            utc_s = video_start_utc_s + time_s
        else:
            return None
        fields: dict[str, Any] = {}
        platform = record.platform
        if record.gimbal is not None:
            platform = platform or Attitude(pitch_deg=0.0, yaw_deg=record.gimbal.yaw_deg)
            fields = klv.attitude_fields(platform, record.gimbal)
        elif platform is not None:
            fields = klv.attitude_fields(platform, None)
        return UasMetadata(
            utc_s=utc_s,
            sensor_lat_deg=record.lat,
            sensor_lon_deg=record.lon,
            sensor_amsl_m=record.amsl_m,
            hfov_deg=record.hfov_deg,
            version=None,
            **fields,
        )


def _record(block: str) -> Subtitle | None:
    span = _SPAN.search(block)
    if span is None:
        return None
    n = [int(g) for g in span.groups()]
    start_s, end_s = (n[i] * 3600 + n[i + 1] * 60 + n[i + 2] + n[i + 3] / 1000 for i in (0, 4))
    body = block[span.end() :]
    named = {key: float(value) for key, value in _NAMED.findall(body)}
    lat, lon = named.get("latitude"), named.get("longitude", named.get("longtitude"))
    if lat is None and (gps := _GPS.search(body)):
        first, second = float(gps[1]), float(gps[2])
        lat, lon = (first, second) if gps[4] else (second, first)
    if lat is None or lon is None or (lat == 0 and lon == 0) or abs(lat) > 90 or abs(lon) > 180:
        lat = lon = None
    height = _HEIGHT.search(body)
    attitudes = {
        which: Attitude(pitch_deg=float(pitch), roll_deg=float(roll), yaw_deg=float(yaw))
        for which, pitch, roll, yaw in _ANGLES.findall(body)
    }
    if {"gb_yaw", "gb_pitch"} <= named.keys():
        attitudes["G"] = Attitude(
            pitch_deg=named["gb_pitch"], roll_deg=named.get("gb_roll", 0.0), yaw_deg=named["gb_yaw"]
        )
    return Subtitle(
        start_s=start_s,
        end_s=end_s,
        **_clock(body, end_s - start_s),
        lon=lon,
        lat=lat,
        amsl_m=named.get("abs_alt"),
        above_home_m=named.get("rel_alt", float(height[1]) if height else None),
        either_m=named.get("altitude"),
        platform=attitudes.get("F"),
        gimbal=attitudes.get("G"),
        hfov_deg=_hfov_deg(named.get("focal_len", 0.0)),
    )


def _hfov_deg(focal_length: float) -> float | None:
    millimetres = focal_length / 10 if focal_length >= _FOCAL_TENTHS_FROM else focal_length
    return math.degrees(2 * math.atan(_WIDTH_MM / 2 / millimetres)) if 8.0 <= millimetres <= 600.0 else None


def _clock(body: str, span_s: float) -> dict[str, float]:
    date = _DATE.search(body)
    if date is None:
        return {}
    try:
        whole = datetime(*(int(g) for g in date.groups()[:6]), tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError:
        return {}
    counts_s = 1.0 if date[7] is None else max(0.001, span_s)
    return {
        "clock_s": whole.timestamp() + int(date[7] or 0) / 1e3 + int(date[8] or 0) / 1e6,
        "clock_sigma_s": counts_s / math.sqrt(12),
    }
