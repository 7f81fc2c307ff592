"""SRT by way of srt-live-transmit, a program of the SRT library (Debian: srt-tools): PyAV's wheels lack the protocol.

A passphrase in the URL stands on that program's command line, where others on this machine can read it.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess

from aerial_models.errors import SourceEnded, SourceRefused, SourceUnreachable

PROGRAM = "srt-live-transmit"
_CHUNK_BYTES = 1316


class SrtRelay:
    """A file of what an SRT sender sends, for one reader; raises what a source raises."""

    def __init__(self, url: str, *, name: str, timeout_s: float) -> None:
        """Starts connecting, or listening. Raises SourceRefused where the program is not installed."""
        program = shutil.which(PROGRAM)
        if program is None:
            raise SourceRefused(f"{name}: SRT needs the program {PROGRAM} (Debian package srt-tools)")
        self._name, self._timeout_s, self._read_bytes = name, timeout_s, 0
        self._process = subprocess.Popen(
            [program, "-q", "-a:no", f"-chunk:{_CHUNK_BYTES}", "-loglevel:fatal", url, "file://con"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._stopped = False

    def read(self, size: int) -> bytes:
        """At least one byte, or none at the end. Raises SourceUnreachable, SourceEnded."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], self._timeout_s)
        if self._stopped:
            return b""
        data = os.read(self._process.stdout.fileno(), size) if ready else b""
        self._read_bytes += len(data)
        if not self._read_bytes:
            raise SourceUnreachable(
                f"{self._name}: " + ("cannot be opened" if ready else f"nothing came within {self._timeout_s:.1f} s")
            )
        if not ready:
            raise SourceEnded(f"{self._name}: no data for {self._timeout_s:g} s")
        return data

    def stop(self) -> None:
        """From any thread: let the reader come to its end."""
        self._stopped = True
        self._process.kill()

    def close(self) -> None:
        """End the program."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
