"""Encoded pictures of a video as they come, for those who keep them or send them on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

PacketTap = Callable[[bytes, float, bool, str], None]
"""Gets each encoded picture before it is decoded: its bytes as the stream has them (key pictures led by the stream's
parameter sets), presentation time in the stream (s), whether it is a key picture, and the codec, such as `h264`. It is
called in the thread that reads and must not wait."""


def tell(taps: Iterable[PacketTap], packet: Any) -> None:
    """Give an av.Packet of a video to taps; one without a time is left out."""
    if not taps or packet.pts is None or not packet.size:
        return
    context = packet.stream.codec_context
    headers, data = bytes(context.extradata or b""), bytes(packet)
    if packet.is_keyframe and headers not in data:
        data = headers + data
    for tap in taps:
        tap(data, float(packet.pts * packet.time_base), packet.is_keyframe, context.codec.canonical_name)
