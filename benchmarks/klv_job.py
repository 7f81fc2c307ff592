"""KLV: ST 0601 packets read per second, and written again, against klvdata.

Each case is 500 packets of one source: the layout of a published packet (or of our own simulator) with values of their
own in each. Both sides are timed by processor time. klvdata does not verify checksums by itself: they are verified on
both sides ("checksums") or on neither. It reads the security set inside a packet at once, so we ask for it, too (the
last sets are remembered, as they seldom change; theirs are the same in all packets here). Writing:
klvdata writes the items it read, without key, length and checksum, which we write, too.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from run import ROOT, Peers, in_turn, line

from geo import klv, klv_security
from geo.klv import UasMetadata
from geo.klv_forms import Linear
from geo.klv_uas import ITEMS
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, Position

JUDGES = Path(os.environ.get("MC_JUDGES", ROOT.parent / "shared" / "judges")) / "klv"
PACKETS, RUNS, ROUNDS = 500, 9, 8


def compare(peers: Peers) -> Iterator[dict[str, Any]]:
    """The lines of this job."""
    version = peers.ask("package_version", package="klvdata")
    for name, like in _cases():
        packets = _packets(like)
        with tempfile.NamedTemporaryFile(suffix=".klv") as file:
            file.write(b"".join(packets))
            file.flush()
            found = peers.ask("klvdata_packets", file=file.name)
        if found["packets"] != len(packets):
            raise RuntimeError(f"klvdata finds {found['packets']} packets of {len(packets)}")
        for data, lat in zip(packets, found["lat_deg"], strict=True):
            ours = klv.decode(data).sensor_lat_deg
            if ours is None or abs(ours - lat) > 1e-9:
                raise RuntimeError(f"klvdata reads lat {lat}, we read {ours}")
        items = f"{name}, {found['items']} items, {len(packets[0])} bytes"
        for verify in (False, True):
            yield _line(
                f"read, {items}{', checksums' * verify}",
                version,
                lambda verify=verify, packets=packets: _read(packets, verify),
                lambda verify=verify: peers.ask("klvdata_read", rounds=ROUNDS, verify=verify),
            )
        metadata = [klv.decode(data) for data in packets]
        yield _line(
            f"write, {items}",
            version,
            lambda metadata=metadata: _write(metadata),
            lambda: peers.ask("klvdata_write", rounds=ROUNDS),
        )


def _line(case: str, version: str, ours: Callable[[], float], theirs: Callable[[], float]) -> dict[str, Any]:
    mine, others = in_turn(RUNS, ours, theirs)
    return line(
        job="klv",
        case=case,
        peer="klvdata",
        peer_version=version,
        ours=[PACKETS / seconds for seconds in mine],
        theirs=[PACKETS / seconds for seconds in others],
        unit="packets/s",
        lower=False,
    )


def _best(call: Callable[[], object]) -> float:
    """Processor time of the best of some rounds, s."""
    best_s = float("inf")
    for _ in range(ROUNDS):
        start_s = time.process_time()
        call()
        best_s = min(best_s, time.process_time() - start_s)
    return best_s


def _read(packets: list[bytes], verify: bool) -> float:
    def read() -> None:
        for data in packets:
            metadata = klv.decode(data, verify=verify)
            if metadata.security_set is not None:
                klv_security.decode(metadata.security_set)

    return _best(read)


def _write(metadata: list[UasMetadata]) -> float:
    return _best(lambda: [klv.encode(one) for one in metadata])


def _cases() -> Iterator[tuple[str, UasMetadata]]:
    for file in ("DynamicOnly", "DynamicConstant"):
        data = (JUDGES / f"{file}MISMMSPacketData.bin").read_bytes()
        yield file, klv.decode(data, verify=False)
    pose = Pose(
        utc_s=1.75e9,
        position=Position(lon=76.9, lat=43.2, altitude=Altitude(900.0, Datum.AMSL)),
        attitude=Attitude(pitch_deg=-60.0, yaw_deg=30.0),
    )
    yield (
        "simulated vehicle",
        klv.metadata_of(
            pose,
            platform=Attitude(pitch_deg=2.0, roll_deg=1.0, yaw_deg=30.0),
            hfov_deg=65.0,
            vfov_deg=39.0,
            slant_range_m=70.0,
            frame_center_lat_deg=43.2,
            frame_center_lon_deg=76.9,
            frame_center_amsl_m=840.0,
            north_velocity_m_s=3.0,
            east_velocity_m_s=4.0,
            corners_deg=(43.2, 76.9, 43.2, 77.0, 43.1, 77.0, 43.1, 76.9),
        ),
    )


def _packets(like: UasMetadata) -> list[bytes]:
    rng = np.random.default_rng(5)
    linear = {
        name: form for name, form in ITEMS.values() if isinstance(form, Linear) and getattr(like, name) is not None
    }
    found = []
    for number in range(PACKETS):
        values: dict[str, Any] = {name: float(rng.uniform(form.low, form.high)) for name, form in linear.items()}
        found.append(klv.encode(msgspec.structs.replace(like, utc_s=like.utc_s + 0.04 * number, **values)))
    return found
