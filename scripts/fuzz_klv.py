"""Feeds broken metadata to every KLV parser: nothing but KlvInvalid may come out, and nothing may take long.

    python scripts/fuzz_klv.py --seconds 600 [--seed 7]
    python scripts/fuzz_klv.py --inputs 4000

Whole packets are cut, grown, flipped, spliced and given wrong lengths; checksums are put right half of the time, so
that what lies behind them is reached. What is read must be written and read again as the same. One line of JSON says
what was done; a failure prints the input as hex and ends with 1.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from geo import klv, klv_errors, klv_security, klv_time, klv_vmti
from geo.errors import KlvInvalid
from geo.klv import ItemErrors, UasMetadata
from geo.klv_wire import ber, ber_oid, checksum

SLOW_S = 1.0
"""One input that takes longer (of processor time) is a failure."""
LENGTHS = (0, 1, 2, 127, 128, 255, 256, 65535, 1 << 31, (1 << 63) - 1, (1 << 64) - 1)
VMTI = klv_vmti.encode(
    klv_vmti.Vmti(
        utc_s=1.75e9,
        reported=2,
        frame_width_px=1920,
        targets=tuple(
            klv_vmti.Target(
                target_id=1 << number,
                top_left_pixel=1 << 20,
                bottom_right_pixel=1 << 21,
                place=klv_vmti.Vector(values=(43.0, 77.0, 800.0), sigmas=(1.0, 2.0, 3.0), correlations=(0.1, 0.2, 0.3)),
                track=klv_vmti.Track(velocity=klv_vmti.Vector(values=(1.0, 2.0, 3.0))),
                classes=(klv_vmti.ObjectClass(ontology_id=1, confidence_percent=50.0),),
            )
            for number in (3, 9)
        ),
        algorithms=(klv_vmti.Algorithm(algorithm_id=1, name="a", version="1"),),
        ontologies=(klv_vmti.Ontology(ontology_id=1, entity_iri="urn:x"),),
    )
)
SECURITY = klv_security.encode(klv_security.SecurityMarking(classification=1, object_countries="KAZ"))
ERRORS = klv_errors.encode(klv_errors.Deviations(deviations=(1.0, 2.0, 3.0), correlations=(0.1, 0.2, 0.3)))
PACKET = klv.encode(
    UasMetadata(
        utc_s=1.75e9,
        mission="m",
        platform_heading_deg=1.0,
        sensor_lat_deg=43.0,
        sensor_lon_deg=77.0,
        sensor_amsl_m=900.0,
        corners_deg=(1.0, 2.0, None, None, 5.0, 6.0, 7.0, 8.0),
        security_set=SECURITY,
        vmti_set=VMTI,
        errors=(ItemErrors(tags=(13, 14, 15), pack=ERRORS),),
        agl_m=60.0,
        leap_seconds=27,
        other=((150, b"x" * 130), (20_000, b"")),
    )
)
SEI = klv_time.stamped(b"\0\0\0\1\x09\xf0\0\0\0\1\x65\x88\x80", klv_time.TimeStamp(utc_ns=1_750_000_000_000_000_000))


def read_packet(data: bytes) -> None:
    """ST 0601 with all that is in it."""
    metadata = klv.decode(data)
    klv.pose_of(metadata)
    again = klv.encode(metadata)
    if klv.encode(klv.decode(again)) != again:
        raise AssertionError("written again, it is not the same")
    for part, decode in ((metadata.security_set, klv_security.decode), (metadata.vmti_set, klv_vmti.decode)):
        if part is not None:
            decode(part)
    for group in metadata.errors:
        klv_errors.decode(group.pack).covariance()


def read_unverified(data: bytes) -> None:
    """ST 0601 whose checksum does not fit."""
    klv.decode(data, verify=False)


def read_stream(data: bytes) -> None:
    """Packets among other bytes."""
    for packet in klv.packets(b"\x00" + data + data):
        klv.decode(packet)


def read_vmti(data: bytes) -> None:
    """ST 0903."""
    vmti = klv_vmti.decode(data)
    again = klv_vmti.encode(vmti)
    if klv_vmti.encode(klv_vmti.decode(again)) != again:
        raise AssertionError("written again, it is not the same")
    for target in vmti.targets:
        vmti.box_px(target)
        vmti.label_of(target)
        if target.place is not None:
            target.place.covariance()


def read_vmti_packet(data: bytes) -> None:
    """ST 0903 by itself."""
    klv_vmti.decode_packet(data, verify=False)


def read_security(data: bytes) -> None:
    """ST 0102."""
    again = klv_security.encode(klv_security.decode(data))
    if klv_security.encode(klv_security.decode(again)) != again:
        raise AssertionError("written again, it is not the same")


def read_errors(data: bytes) -> None:
    """ST 1010."""
    klv_errors.decode(data).covariance()


def read_stamps(data: bytes) -> None:
    """ST 0604."""
    klv_time.stamps(data)
    klv_time.stamps(data, h265=True)


TARGETS = (
    (read_packet, PACKET, True),
    (read_unverified, PACKET, False),
    (read_stream, PACKET, True),
    (read_vmti, VMTI, False),
    (read_vmti_packet, klv_vmti.encode_packet(klv_vmti.decode(VMTI)), False),
    (read_security, SECURITY, False),
    (read_errors, ERRORS, False),
    (read_stamps, SEI, False),
)


def mutated(whole: bytes, chance: random.Random) -> bytes:
    """A few changes to what is whole."""
    data = bytearray(whole)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(8)
        if kind == 0:
            data[at : at + 1] = bytes((chance.randrange(256),))
        elif kind == 1:
            del data[at : at + chance.choice((1, 1, 2, 8, 64))]
        elif kind == 2:
            data[at:at] = chance.randbytes(chance.choice((1, 1, 2, 8, 64)))
        elif kind == 3 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 4:
            start = chance.randrange(len(data) + 1)
            data[at:at] = data[start : start + chance.choice((2, 16, 200))] * chance.choice((1, 1, 2, 40))
        elif kind == 5:
            data[at : at + chance.choice((0, 1))] = ber(chance.choice(LENGTHS))
        elif kind == 6:
            data[at : at + chance.choice((0, 1))] = ber_oid(chance.choice((0, 1, 2, 74, 101, 102, 107, 150, 1 << 27)))
        else:
            data[at:] = b""
    return bytes(data[: 1 << 16])


def mended(data: bytes) -> bytes:
    """With length and checksum put right, where it still looks like a packet."""
    body = data[16:]
    octets = 1 + (body[0] & 0x7F if body[:1] >= b"\x80" else 0)
    inside = body[octets : octets + len(body) - octets - 4] + b"\x01\x02"
    packet = klv.UAS_KEY + ber(len(inside) + 2) + inside
    return packet + checksum(packet).to_bytes(2, "big")


def main() -> int:
    """Fuzz until the time or the inputs are used up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--inputs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    chance = random.Random(wanted.seed)
    started_s, count, slowest_s = time.monotonic(), 0, 0.0
    outcomes: Counter[str] = Counter()
    while count < wanted.inputs or time.monotonic() - started_s < wanted.seconds:
        read, whole, sealed = TARGETS[count % len(TARGETS)]
        data = mutated(whole, chance)
        if sealed and chance.random() < 0.5:
            data = mended(data)
        spent_s = time.process_time()
        try:
            read(data)
            outcomes[f"{read.__name__} read"] += 1
        except KlvInvalid:
            outcomes[f"{read.__name__} refused"] += 1
        except Exception as exc:
            sys.stderr.write(f"{read.__name__}: {type(exc).__name__}: {exc}\n{data.hex()}\n")
            raise
        slowest_s = max(slowest_s, time.process_time() - spent_s)
        if slowest_s > SLOW_S:
            sys.stderr.write(f"{read.__name__}: {slowest_s:.1f} s of processor time\n{data.hex()}\n")
            return 1
        count += 1
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report = {
        "inputs": count,
        "seconds": round(time.monotonic() - started_s, 1),
        "slowest_ms": round(slowest_s * 1e3, 2),
        "most_memory_mb": round(memory_mb),
        "outcomes": dict(sorted(outcomes.items())),
    }
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
