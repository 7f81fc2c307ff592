"""What decodes video: hardware where there is some that works, software otherwise, and which of them it is."""

from __future__ import annotations

from functools import cache

import av.error
import structlog
from av.codec import CodecContext
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.video.codeccontext import VideoCodecContext

_log = structlog.get_logger(__name__)

SOFTWARE = "none"
"""Asks for no hardware."""
ANY = "auto"
"""Asks for any hardware that works."""


class VideoHardware:
    """The device that decodes, found by trying, and why others do not.

    Never tried on a device that works: none was at hand.
    """

    def __init__(self, wanted: str) -> None:
        """`wanted` is "none", "auto", or a kind of device by libav's name, such as "cuda" or "vaapi"."""
        self.refusals: dict[str, str] = {}
        """Why a device cannot be used, by its name."""
        self._wanted = wanted

    def decoder(self, codec: str, extradata: bytes | None) -> tuple[VideoCodecContext, str] | None:
        """A decoder on a device, and the device; None where software is wanted, or left."""
        for device in self._candidates():
            if device in self.refusals:
                continue
            try:
                context = _on_device(device, codec)
            except (av.error.FFmpegError, NotImplementedError, _Unusable) as exc:
                self.refuse(device, getattr(exc, "strerror", None) or str(exc))
                continue
            context.extradata = extradata
            return context, device
        return None

    def refuse(self, device: str, why: str) -> None:
        """Use a device no more in this process."""
        self.refusals[device] = why
        _log.warning("hardware does not decode video", device=device, why=why)

    def described(self, codec: str, device: str | None) -> str:
        """What decodes, in words: "h264 (software): cuda failed: Operation not permitted"."""
        if device is not None:
            return f"{codec} by {device}"
        failed = "; ".join(f"{name} failed: {why}" for name, why in self.refusals.items())
        return f"{codec} (software)" + (f": {failed}" if failed else "")

    def _candidates(self) -> list[str]:
        if self._wanted == ANY:
            return list(hwdevices_available())
        return [] if self._wanted == SOFTWARE else [self._wanted]


@cache
def hardware(wanted: str) -> VideoHardware:
    """The one of this process for a wish, so that what failed once is not tried for each stream."""
    return VideoHardware(wanted)


class _Unusable(Exception):
    """What this build of libav cannot do."""


def _on_device(device: str, codec: str) -> VideoCodecContext:
    """Raises FFmpegError, NotImplementedError (PyAV's) or _Unusable; a silent fall back to software is none."""
    if device not in hwdevices_available():
        raise _Unusable(f"not in this build of libav, which has: {', '.join(hwdevices_available())}")
    context = CodecContext.create(codec, "r", hwaccel=HWAccel(device, allow_software_fallback=False))
    assert isinstance(context, VideoCodecContext)
    if not context.is_hwaccel:
        raise _Unusable(f"this build of libav decodes no {codec} on it")
    return context
