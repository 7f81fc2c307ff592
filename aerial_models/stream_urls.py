"""Which streams may be read: their schemes, and the networks that their hosts must lie in.

A name is resolved once and the connection is made to that very address, so that a name that changes its answer
between the check and the connection leads nowhere.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from aerial_models.errors import SourceRefused, SourceUnreachable

SCHEMES = ("rtsp", "rtsps", "srt", "udp")
"""Schemes of streams that are read."""
NETWORKS = (
    "127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7",
    "239.0.0.0/8", "ff05::/16", "ff08::/16",
)  # fmt: skip
"""Networks that may be read from where settings name none: loopback, private ranges, multicast of an organisation."""
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in ("169.254.0.0/16", "fe80::/10", "ff02::/16", "fd00:ec2::254/128", "100.100.100.200/32", "0.0.0.0/8")
)
"""Link-local addresses and those at which clouds tell a machine its secrets: no setting opens them."""
_OPTIONS = {"udp": {"localaddr"}, "srt": {"mode", "latency", "passphrase", "pbkeylen", "streamid"}}
"""What may stand behind the question mark; in RTSP that is the camera's own business."""
_SECRET = re.compile(r"(?<=[?&]passphrase=)[^&]*")
_MOST_HEADER_BYTES = 16_384

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class StreamUrl:
    """A URL of a scheme that is read; nothing has been resolved yet."""

    scheme: str
    """In lower case."""
    host: str
    """Name or address; empty where datagrams are taken at all of this machine's addresses."""
    port: int
    """Of the host."""
    shown: str
    """The URL as it may be shown and logged."""
    _parts: SplitResult

    @classmethod
    def parse(cls, url: str) -> Self:
        """Raises SourceRefused for any other scheme, and for what is no URL of a stream."""
        shown = without_password(url)
        scheme = url.partition(":")[0].lower()
        if scheme not in SCHEMES:
            raise SourceRefused(f"{shown}: {scheme} is not read; streams are {', '.join(SCHEMES)}, files are paths")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as exc:
            raise SourceRefused(f"{shown}: no such URL: {exc}") from exc
        port = port or {"rtsp": 554, "rtsps": 322}.get(scheme)
        if not url.isprintable() or " " in url or not (host or scheme == "udp") or not port:
            raise SourceRefused(f"{shown}: a stream's URL is {scheme}://host:port")
        known = _OPTIONS.get(scheme)
        for name, _ in parse_qsl(parts.query, keep_blank_values=True):
            if known is not None and name not in known:
                raise SourceRefused(f"{shown}: no option {name!r}; {scheme} has: {', '.join(sorted(known))}")
        return cls(scheme, host, port, shown, parts)

    @property
    def listens(self) -> bool:
        """Whether senders connect to this machine, at any of its addresses."""
        return self.host in ("", "0.0.0.0", "::")

    def resolve(self, networks: Sequence[str] = NETWORKS) -> Address | None:
        """The one address to connect to; None where this machine listens at all of its own.

        Raises SourceUnreachable for a name that is not known, SourceRefused where any address of it lies outside of
        `networks`, or where no setting can allow it.
        """
        if self.listens and self.scheme in ("udp", "srt"):
            return None
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as exc:
            raise SourceUnreachable(f"{self.shown}: no address of {self.host} is known: {exc}") from exc
        addresses = [_plain(ipaddress.ip_address(str(entry[4][0]).partition("%")[0])) for entry in found]
        allowed = [ipaddress.ip_network(text) for text in networks]
        for address in addresses:
            if any(address in network for network in _NEVER):
                raise SourceRefused(f"{self.shown}: {address} is link-local or of this machine's host: never read")
            if not any(address in network for network in allowed):
                raise SourceRefused(
                    f"{self.shown}: {address} lies in none of the networks that may be read from "
                    f"({', '.join(networks)}); video.allowed_networks can name more"
                )
        return addresses[0]

    def at(self, address: Address | None) -> str:
        """The URL with its host replaced by the address, as libav takes it.

        Datagrams are taken at an own address or group; where it is another host's, at all own ones, from it alone.
        """
        host = "" if address is None else f"[{address}]" if address.version == 6 else str(address)
        user, at, _ = self._parts.netloc.rpartition("@")
        query = self._parts.query
        if self.scheme == "udp" and address is not None and not address.is_multicast and not _is_own(address):
            host, query = "[::]" if address.version == 6 else "0.0.0.0", urlencode({"sources": str(address)})
        return self._parts._replace(scheme=self.scheme, netloc=f"{user}{at}{host}:{self.port}", query=query).geturl()


def without_password(url: str) -> str:
    """The URL as it may be shown and logged."""
    return _SECRET.sub("***", re.sub(r"(?<=://)([^/@:]*):[^/]*@", r"\1:***@", url))


def refuse_redirects(stream: StreamUrl, address: Address, timeout_s: float) -> None:
    """Ask an RTSP server to describe its stream, and refuse one that sends its clients elsewhere: libav would go.

    A server that redirects only a later request is not found out; one whose answer takes longer than `timeout_s` in all
    is not waited for. Raises SourceRefused, SourceUnreachable.
    """
    until_s = time.monotonic() + timeout_s
    request = f"DESCRIBE {_bare(stream, address)} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"
    try:
        with socket.create_connection((str(address), stream.port), timeout_s) as plain:
            connection = _secured(plain, stream.host) if stream.scheme == "rtsps" else plain
            connection.sendall(request.encode())
            head = b""
            while b"\r\n\r\n" not in head and len(head) < _MOST_HEADER_BYTES:
                connection.settimeout(max(0.001, until_s - time.monotonic()))
                if not (data := connection.recv(4096)):
                    break
                head += data
    except TimeoutError as exc:
        raise SourceUnreachable(f"{stream.shown}: nothing came within {timeout_s:.1f} s") from exc
    except OSError as exc:
        raise SourceUnreachable(f"{stream.shown}: cannot be opened: {exc.strerror or exc}") from exc
    words = head.split(b"\r\n")[0].decode("latin-1").split(" ", 2)
    if not words[0].startswith("RTSP/") or len(words) < 2 or not words[1].isdigit():
        raise SourceUnreachable(f"{stream.shown}: what answers there is no RTSP server")
    if words[1].startswith("3") or b"\nlocation:" in head.lower():
        raise SourceRefused(f"{stream.shown}: the server sends its clients elsewhere ({' '.join(words[1:])}): not done")
    if words[1] in ("404", "454", "503"):
        raise SourceUnreachable(f"{stream.shown}: cannot be opened: the server answers {' '.join(words[1:])}")


def _secured(plain: socket.socket, host: str) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # cameras sign their own certificates
    return context.wrap_socket(plain, server_hostname=host)


def _bare(stream: StreamUrl, address: Address) -> str:
    """The URL without user and password."""
    host = f"[{address}]" if address.version == 6 else str(address)
    parts = urlsplit(stream.at(address))
    return parts._replace(netloc=f"{host}:{stream.port}").geturl()


def _plain(address: Address) -> Address:
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped


def _is_own(address: Address) -> bool:
    with socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True
