"""A vehicle, sysid 7, that can nothing but serve a folder by MAVLink FTP: mavsdk's own server. Run by a test."""

from __future__ import annotations

import asyncio
import sys

from mavsdk.asyncio import ComponentType, Configuration, Mavsdk
from mavsdk.asyncio.plugins.ftp_server import FtpServerAsync


async def serve(port: int, folder: str) -> None:
    async with Mavsdk(Configuration.create_manual(7, 1, True)) as mavsdk:
        await mavsdk.add_any_connection(f"udpout://127.0.0.1:{port}")
        component = await mavsdk.server_component_by_type(ComponentType.AUTOPILOT)
        await FtpServerAsync(component).set_root_dir(folder)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2]))
