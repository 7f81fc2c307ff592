import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from aerial_models.errors import SourceGarbage, SourceRefused, SourceUnreachable
from aerial_models.sources import open_source
from aerial_models.stream_urls import NETWORKS, StreamUrl
from aerial_models.video_options import VideoOptions


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://8.8.8.8/x", "rtsp://[2001:db8::1]/x", "srt://93.184.216.34:9000", "udp://1.2.3.4:5000",
        "udp://224.0.0.251:5353", "rtsp://[::ffff:8.8.8.8]/x",
    ],
)  # fmt: skip
def test_hosts_outside_the_allowed_networks_are_refused_with_the_setting_that_allows_them(url: str) -> None:
    with pytest.raises(SourceRefused, match=r"video\.allowed_networks can name more"):
        StreamUrl.parse(url).resolve()


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254", "[::ffff:169.254.169.254]", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376",
        "169.16689662", "100.100.100.200", "[fd00:ec2::254]", "[fe80::1]",
    ],
)  # fmt: skip
def test_what_clouds_tell_their_machines_is_never_read_whatever_is_allowed_and_however_it_is_written(host: str) -> None:
    with pytest.raises(SourceRefused, match="never read"):
        StreamUrl.parse(f"rtsp://{host}/latest/meta-data").resolve(("0.0.0.0/0", "::/0"))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("rtsp://127.0.0.1:8554/x", "127.0.0.1"), ("rtsp://10.1.2.3/x", "10.1.2.3"), ("rtsp://[fd12::1]/x", "fd12::1"),
        ("rtsp://2130706433/x", "127.0.0.1"), ("srt://192.168.3.4:9000", "192.168.3.4"),
        ("udp://239.1.2.3:5000", "239.1.2.3"), ("udp://:5000", None), ("udp://@:5000", None),
        ("udp://0.0.0.0:5000", None),
    ],
)  # fmt: skip
def test_loopback_private_and_own_multicast_addresses_are_read(url: str, address: str | None) -> None:
    found = StreamUrl.parse(url).resolve()
    assert found == (None if address is None else ipaddress.ip_address(address))


def test_settings_can_narrow_and_widen_what_is_read() -> None:
    with pytest.raises(SourceRefused):
        StreamUrl.parse("rtsp://127.0.0.1/x").resolve(("10.0.0.0/8",))
    assert str(StreamUrl.parse("rtsp://8.8.8.8/x").resolve((*NETWORKS, "8.8.8.0/24"))) == "8.8.8.8"


def test_a_name_is_connected_to_by_the_address_it_was_checked_by() -> None:
    stream = StreamUrl.parse("rtsp://eye:p@ss@localhost:8554/live?profile=1")
    address = stream.resolve()
    assert address is not None
    host = f"[{address}]" if address.version == 6 else str(address)
    assert stream.at(address) == f"rtsp://eye:p@ss@{host}:8554/live?profile=1"
    assert "p@ss" not in stream.shown
    with pytest.raises(SourceUnreachable, match=r"no address of nowhere\.\.invalid is known"):
        StreamUrl.parse("rtsp://nowhere..invalid/x").resolve()


def test_datagrams_are_taken_at_an_own_address_or_from_the_one_that_is_named() -> None:
    def at(url: str) -> str:
        stream = StreamUrl.parse(url)
        return stream.at(stream.resolve())

    assert at("udp://127.0.0.1:5000") == "udp://127.0.0.1:5000"
    assert at("udp://239.1.2.3:5000?localaddr=127.0.0.1") == "udp://239.1.2.3:5000?localaddr=127.0.0.1"
    assert at("udp://10.255.255.254:5000") == "udp://0.0.0.0:5000?sources=10.255.255.254"
    assert at("udp://:5000") == "udp://:5000"


@pytest.mark.parametrize(
    "url", ["udp://127.0.0.1:5000?sources=1.2.3.4&connect=1", "srt://127.0.0.1:5000?mode=caller&logfile=/tmp/x"]
)
def test_options_that_are_not_known_are_refused(url: str) -> None:
    with pytest.raises(SourceRefused, match=r"no option '(sources|logfile)'"):
        StreamUrl.parse(url)


def test_passphrases_are_not_shown() -> None:
    stream = StreamUrl.parse("srt://127.0.0.1:5000?passphrase=quite-secret&latency=200")
    assert stream.shown == "srt://127.0.0.1:5000?passphrase=***&latency=200"


@contextmanager
def answering(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A TCP server that answers each line-ended request so; its port, and what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(1)
                    while request := _received(connection):
                        asked.append(request)
                        number = request.partition(b"CSeq: ")[2].partition(b"\r\n")[0]
                        connection.sendall(answer.replace(b"{n}", number))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], asked
        finally:
            ended.set()
            thread.join()


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except OSError:
        return b""


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "305 Use Proxy"])
def test_a_server_that_sends_its_clients_elsewhere_is_refused_and_nothing_goes_there(status: str) -> None:
    with answering(b"HTTP/1.1 200 OK\r\n\r\n") as (canary, asked):
        answer = f"RTSP/1.0 {status}\r\nCSeq: {{n}}\r\nLocation: rtsp://127.0.0.1:{canary}/x\r\n\r\n".encode()
        with (
            answering(answer) as (port, _),
            pytest.raises(SourceRefused, match=rf"127\.0\.0\.1:{port}/a: the server sends its clients elsewhere"),
        ):
            open_source(f"rtsp://127.0.0.1:{port}/a", timeout_s=2.0).__enter__()
        assert asked == []


def test_a_server_that_never_ends_its_answer_is_not_waited_for() -> None:
    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"RTSP/1.0 200 OK\r\n")
            for _ in range(60):
                connection.sendall(b"X")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        url = f"rtsp://127.0.0.1:{server.getsockname()[1]}/a"
        with pytest.raises(SourceUnreachable, match=r"nothing came within 0\.3 s"):
            open_source(url, timeout_s=0.3).__enter__()
        thread.join()


def test_what_is_no_rtsp_server_is_unreachable() -> None:
    with (
        answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as (port, _),
        pytest.raises(SourceUnreachable, match="what answers there is no RTSP server"),
    ):
        open_source(f"rtsp://127.0.0.1:{port}/a", timeout_s=2.0).__enter__()


@pytest.mark.parametrize("passed_on", ["/etc/passwd", "data:,x", "file:///etc/passwd", "concat:/etc/passwd"])
def test_a_stream_that_names_other_places_leads_nowhere(passed_on: str) -> None:
    listing = f"#EXTM3U\n#EXTINF:3,\n{passed_on}\n".encode()
    body = f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 0 RTP/AVP 33\r\na=control:{passed_on}\r\n".encode()
    answer = b"RTSP/1.0 200 OK\r\nCSeq: {n}\r\nContent-Type: application/sdp\r\nContent-Length: "
    with (
        answering(answer + str(len(body)).encode() + b"\r\n\r\n" + body) as (port, _),
        pytest.raises((SourceUnreachable, SourceGarbage)),
    ):
        open_source(f"rtsp://127.0.0.1:{port}/a", timeout_s=0.5).__enter__()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        ended = threading.Event()

        def send() -> None:
            while not ended.wait(0.02):
                sender.sendto(listing, ("127.0.0.1", port))

        thread = threading.Thread(target=send)
        thread.start()
        try:
            with pytest.raises((SourceUnreachable, SourceGarbage)):
                open_source(f"udp://127.0.0.1:{port}", timeout_s=0.5).__enter__()
        finally:
            ended.set()
            thread.join()


def test_the_options_reach_the_source() -> None:
    with pytest.raises(SourceRefused, match="lies in none of the networks"):
        open_source("rtsp://127.0.0.1:9/x", options=VideoOptions(allowed_networks=("10.0.0.0/8",))).__enter__()
