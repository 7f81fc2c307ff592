"""Links by their strings, on real sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import tty
from pathlib import Path
from typing import Any

import pytest
from pymavlink import mavutil
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.datagrams import UdpLink
from fleet.errors import LinkInvalid, LinkUnreachable, RecordingInvalid
from fleet.framing import Encoder, Frame
from fleet.links import TcpServerLink, open_link
from fleet.recording import Recording, read_recording
from fleet.traffic import Address, Link

BEAT = dialect.MAVLink_heartbeat_message(2, 3, 81, 0, 3, 3)


@pytest.mark.parametrize(
    "text",
    ["", "udp", "udpin", "udpin:14550", "udpin::14550", "udpin:host:", "udpin:host:0", "udpin:host:65536",
     "udpin:host:x", "tcp:host:-1", "tcpin:host", "udpin:host:14550x", "UDPIN:host:1", "udpin:h:١٤"],
)  # fmt: skip
def test_a_string_that_names_no_link_says_what_was_expected(text: str) -> None:
    with pytest.raises(LinkInvalid, match=r"host:port"):
        open_link(text)


@pytest.mark.parametrize("text", ["serial:", "serial:/dev/ttyUSB0", "serial:/dev/ttyUSB0:0", "serial::57600"])
def test_a_serial_link_needs_a_device_and_a_rate(text: str) -> None:
    with pytest.raises(LinkInvalid, match="serial:device:baud"):
        open_link(text)


def test_links_are_named_as_asked() -> None:
    for text in (
        "udpin:0.0.0.0:14550",
        "udpout:127.0.0.1:14550",
        "tcp:localhost:5760",
        "tcpin:127.0.0.1:5760",
        "serial:/dev/ttyUSB0:57600",
    ):
        assert open_link(text).name == text


class Heard:
    """Collects frames."""

    def __init__(self) -> None:
        self.frames: list[tuple[Address, Frame]] = []
        self.event = asyncio.Event()

    def __call__(self, link: Link, heard: list[tuple[Address, Frame]]) -> None:
        self.frames += heard
        self.event.set()

    async def wait(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.frames) < count:
                self.event.clear()
                await self.event.wait()


async def test_senders_on_one_udp_port_are_kept_apart() -> None:
    heard = Heard()
    link = UdpLink("127.0.0.1", 0, listen=True)
    link.receiver = heard
    async with link:
        outs = [open_link(f"udpout:127.0.0.1:{link.local_port}") for _ in range(3)]
        answers = [Heard() for _ in outs]
        for sysid, (out, answer) in enumerate(zip(outs, answers, strict=True), 1):
            out.receiver = answer
            await out.__aenter__()
            data = Encoder(sysid=sysid, compid=1).encode(BEAT)
            assert out.peer is not None
            out.send(data[:7], out.peer)
            out.send(data[7:], out.peer)
        await heard.wait(3)
        ways = {frame.sysid: address for address, frame in heard.frames}
        assert len(set(ways.values())) == 3
        assert link.send(Encoder(sysid=255, compid=190).encode(BEAT), ways[2])
        await answers[1].wait(1)
        await asyncio.sleep(0.05)
        assert [len(answer.frames) for answer in answers] == [0, 1, 0]
        for out in outs:
            await out.__aexit__(None, None, None)
    assert not link.send(b"x", ways[2])


async def test_what_comes_thick_gathers_and_an_answer_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.datagrams.GATHER_S", 60.0)
    monkeypatch.setattr("fleet.datagrams.ANSWER_S", 60.0)
    encoder, heard = Encoder(sysid=4, compid=1), Heard()
    link = UdpLink("127.0.0.1", 0, listen=True)
    link.receiver = heard
    async with link:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as vehicle:
            vehicle.connect(("127.0.0.1", link.local_port))
            for _ in range(3):
                vehicle.send(encoder.encode(BEAT))
            await heard.wait(3)
            vehicle.send(encoder.encode(BEAT))
            await asyncio.sleep(0.05)
            assert len(heard.frames) == 3, "the fourth gathers"
            assert link.send(Encoder(sysid=255, compid=190).encode(BEAT), vehicle.getsockname())
            await heard.wait(4)
            for count in range(5, 8):  # as in a transfer
                vehicle.send(encoder.encode(BEAT))
                await heard.wait(count)
        assert [frame.seq for _, frame in heard.frames] == list(range(7))


async def test_what_gathers_is_heard_though_nobody_sends() -> None:
    encoder, heard = Encoder(sysid=4, compid=1), Heard()
    link = UdpLink("127.0.0.1", 0, listen=True)
    link.receiver = heard
    async with link:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as vehicle:
            vehicle.connect(("127.0.0.1", link.local_port))
            for count in range(4, 40, 4):
                for _ in range(4):
                    vehicle.send(encoder.encode(BEAT))
                await heard.wait(count)
            vehicle.send(encoder.encode(BEAT)[:9])
            vehicle.send(encoder.encode(BEAT))
            await heard.wait(37)
        assert link.traffic().frames_in == 37


async def test_frames_wait_for_a_network_that_takes_none_now(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(socket.socket):
        full = True

        def sendto(self, *arguments: Any) -> int:
            if self.full:
                raise BlockingIOError
            return super().sendto(*arguments)

    monkeypatch.setattr("fleet.datagrams.MOST_UNSENT", 3)
    monkeypatch.setattr("fleet.datagrams.socket.socket", Full)
    link = UdpLink("127.0.0.1", 0, listen=True)
    async with link:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as vehicle:
            vehicle.bind(("127.0.0.1", 0))
            assert [link.send(bytes((number,)), vehicle.getsockname()) for number in range(4)] == [True] * 3 + [False]
            monkeypatch.setattr(Full, "full", False)
            vehicle.setblocking(False)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(5):
                assert [await loop.sock_recv(vehicle, 9) for _ in range(3)] == [b"\0", b"\1", b"\2"]
            assert link.send(b"now", vehicle.getsockname())
            async with asyncio.timeout(5):
                assert await loop.sock_recv(vehicle, 9) == b"now"
    assert link.traffic().frames_out == 4


async def test_a_port_in_use_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        number = taken.getsockname()[1]
        with pytest.raises(LinkUnreachable, match=rf"udpin:127.0.0.1:{number}: cannot listen: .*in use"):
            async with open_link(f"udpin:127.0.0.1:{number}"):
                pass


async def test_a_tcp_link_that_nobody_serves_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]
    with pytest.raises(LinkUnreachable, match=f"tcp:127.0.0.1:{number}: .*"):
        async with open_link(f"tcp:127.0.0.1:{number}"):
            pass


async def test_a_tcp_link_comes_back_after_it_broke() -> None:
    encoder = Encoder(sysid=4, compid=1)
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(encoder.encode(BEAT))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        heard = Heard()
        link = open_link(f"tcp:127.0.0.1:{server.sockets[0].getsockname()[1]}")
        link.receiver = heard
        async with link:
            await heard.wait(1)
            assert link.peer is not None
            peer = link.peer
            writers[0].close()
            await heard.wait(2)
            assert link.send(b"x", peer)
        assert link.peer is None
        for writer in writers:
            writer.close()


async def test_a_tcp_server_keeps_its_connections_apart() -> None:
    heard = Heard()
    link = TcpServerLink("127.0.0.1", 0)
    link.receiver = heard
    async with link:
        outs = [open_link(f"tcp:127.0.0.1:{link.local_port}") for _ in range(2)]
        answers = [Heard() for _ in outs]
        for sysid, (out, answer) in enumerate(zip(outs, answers, strict=True), 1):
            out.receiver = answer
            await out.__aenter__()
            assert out.peer is not None
            out.send(Encoder(sysid=sysid, compid=1).encode(BEAT), out.peer)
        await heard.wait(2)
        ways = {frame.sysid: address for address, frame in heard.frames}
        assert link.send(Encoder(sysid=255, compid=190).encode(BEAT), ways[2])
        await answers[1].wait(1)
        assert [len(answer.frames) for answer in answers] == [0, 1]
        await outs[1].__aexit__(None, None, None)
        async with asyncio.timeout(5):
            while link.send(b"x", ways[2]):
                await asyncio.sleep(0.01)
        traffic = link.traffic()
        assert (traffic.frames_in, traffic.senders) == (2, 1)
        await outs[0].__aexit__(None, None, None)
    assert not link.send(b"x", ways[1])


async def test_a_serial_port_carries_both_ways_and_is_opened_again(tmp_path: Path) -> None:
    encoder = Encoder(sysid=4, compid=1)
    port = tmp_path / "modem"

    def plug_in() -> tuple[int, int]:
        ends = os.openpty()
        tty.setraw(ends[1])
        port.unlink(missing_ok=True)
        port.symlink_to(os.ttyname(ends[1]))
        return ends

    far, near = plug_in()
    heard = Heard()
    link = open_link(f"serial:{port}:57600")
    link.receiver = heard
    async with link:
        os.write(far, b"noise" + encoder.encode(BEAT))
        await heard.wait(1)
        assert link.peer is not None
        assert link.send(b"to the vehicle", link.peer)
        assert await asyncio.to_thread(os.read, far, 100) == b"to the vehicle"
        os.close(near)
        os.close(far)  # the modem is pulled out
        async with asyncio.timeout(5):
            while link.peer is not None:
                await asyncio.sleep(0.01)
        far, near = plug_in()
        async with asyncio.timeout(10):
            while link.peer is None:
                await asyncio.sleep(0.01)
        os.write(far, encoder.encode(BEAT))
        await heard.wait(2)
    os.close(near)
    os.close(far)
    assert link.traffic().frames_in == 2


async def test_a_serial_port_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LinkUnreachable, match=rf"serial:{tmp_path}/none:57600: .*No such file"):
        async with open_link(f"serial:{tmp_path}/none:57600"):
            pass


async def test_a_stream_that_is_not_read_takes_no_frames_without_end() -> None:
    stuck = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stuck.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        async with open_link(f"tcp:127.0.0.1:{server.sockets[0].getsockname()[1]}") as link:
            assert link.peer is not None
            refused = sum(not link.send(bytes(10_000), link.peer) for _ in range(2000))
            assert refused > 500
        stuck.set()


def test_a_recording_is_read_by_others_and_by_us(tmp_path: Path) -> None:
    path = tmp_path / "flights" / "one.tlog"
    encoder = Encoder(sysid=7, compid=1)
    with Recording(path) as recording:
        for second in range(5):
            recording.write(encoder.encode(BEAT), 1_790_000_000.25 + second)
        assert recording.frames == 5
    ours = list(read_recording(path))
    assert [utc_s for utc_s, _ in ours] == [1_790_000_000.25 + second for second in range(5)]
    judge = mavutil.mavlink_connection(str(path), dialect="ardupilotmega")
    theirs = [judge.recv_match(type="HEARTBEAT") for _ in range(5)]
    assert [message._timestamp for message in theirs] == pytest.approx([utc_s for utc_s, _ in ours])
    assert all(message.get_srcSystem() == 7 for message in theirs)
    judge.close()
    path.write_bytes(path.read_bytes()[:-3])
    assert len(list(read_recording(path))) == 4


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tlog").write_bytes(b"not a recording at all")
    with pytest.raises(RecordingInvalid, match="byte 8 is 0x63"):
        list(read_recording(tmp_path / "x.tlog"))
    with pytest.raises(RecordingInvalid, match="No such file"):
        list(read_recording(tmp_path / "none.tlog"))
    (tmp_path / "file").write_text("x")
    with pytest.raises(RecordingInvalid, match="file"):
        Recording(tmp_path / "file" / "x.tlog")
