"""Real servers for the tests: PostgreSQL with PostGIS, and Mosquitto."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog

POSTGRESQL = Path("/usr/lib/postgresql/15/bin")
POSTGIS = Path("/usr/share/postgresql/15/extension/postgis.control")


def free_port() -> int:
    """A TCP port of the loopback that nobody listens at now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A test that runs a command in this process has its logs go to its own stderr, which ends with it."""
    yield
    structlog.reset_defaults()


def _demotion() -> dict[str, Any]:
    """initdb and postgres refuse root: run them as user postgres then."""
    if os.geteuid() != 0:
        return {}
    return {"user": "postgres", "group": "postgres"}


@dataclass(frozen=True)
class Postgresql:
    """A running server."""

    port: int

    def url(self, database: str) -> str:
        """Address of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Postgresql]:
    """A PostgreSQL with PostGIS of its own, on a free port."""
    if not (POSTGRESQL / "initdb").exists() or not POSTGIS.exists():
        pytest.skip("PostgreSQL 15 with PostGIS is not installed (Debian: postgresql-15-postgis-3)")
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("there is no user postgres to run the server as")
    folder = Path(tempfile.mkdtemp(prefix="missioncontrol-pg-"))
    server: subprocess.Popen[bytes] | None = None
    try:
        folder.chmod(0o700)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        data, port = folder / "data", free_port()
        subprocess.run(
            [POSTGRESQL / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True, stdout=subprocess.DEVNULL, cwd=folder, **_demotion(),
        )  # fmt: skip
        options = ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [POSTGRESQL / "postgres", "-D", data, "-p", str(port), *options],
                stdout=log, stderr=log, cwd=folder, **_demotion(),
            )  # fmt: skip
        asyncio.run(_answers(port, server, folder / "log"))
        yield Postgresql(port)
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        shutil.rmtree(folder, ignore_errors=True)


async def _answers(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            connection = await asyncpg.connect(host="127.0.0.1", port=port, user="postgres", database="postgres")
        except (OSError, asyncpg.PostgresError):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start; its log is {log}") from None
            await asyncio.sleep(0.1)
        else:
            await connection.close()
            return


@pytest.fixture
async def postgresql_url(postgresql_server: Postgresql) -> AsyncIterator[str]:
    """Address of an empty database of its own."""
    name = f"test_{os.urandom(6).hex()}"
    admin = await asyncpg.connect(postgresql_server.url("postgres"))
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        yield postgresql_server.url(name)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty store; the test runs once on each back end."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.sqlite'}"
    return str(request.getfixturevalue("postgresql_url"))


@dataclass
class Mosquitto:
    """A broker that a test can kill and start again; what it keeps is on disk."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        log = (self.folder / "log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [_mosquitto(), "-c", self.folder / "mosquitto.conf"], stdout=log, stderr=log, cwd=self.folder
            )
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Mosquitto did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(10)


def _mosquitto() -> str:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin") or ""


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A Mosquitto with persistence, on a free port of the loopback."""
    if not _mosquitto():
        pytest.skip("Mosquitto is not installed (Debian: mosquitto)")
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    broker = Mosquitto(free_port(), folder)
    user = f"user {pwd.getpwuid(os.geteuid()).pw_name}\n"
    (folder / "mosquitto.conf").write_text(
        f"listener {broker.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
        f"persistence_location {folder}/\nautosave_interval 1\n{user}"
    )
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def ports() -> Callable[[], int]:
    """Gives free TCP ports of the loopback."""
    return free_port
