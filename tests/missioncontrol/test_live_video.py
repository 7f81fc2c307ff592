"""Live video in a real browser: by WebRTC where it works, boxes on their own picture, and how old pictures are."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import msgspec
import numpy as np
import pytest
import rasterio
from aioice.ice import get_host_addresses
from numpy.typing import NDArray
from playwright.async_api import Page, async_playwright

from geo import klv
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, Position
from missioncontrol.map_settings import TerrainSettings
from missioncontrol.pictures import encode_jpeg
from missioncontrol.settings import Settings
from missioncontrol.video_settings import PerceptionSettings
from simulators import drawn_clock
from simulators.camera import SimulatedCamera, View
from simulators.clock import SimClock
from simulators.patterns import PatternRenderer
from simulators.rtsp import RtspServer
from simulators.video import Channel
from tests.missioncontrol.conftest import PASSWORD, Running, make_settings, running, until
from tests.missioncontrol.test_ui import CHROMIUM, FLAGS, UI

WIDTH_PX, HEIGHT_PX = 640, 360
LON, LAT, GROUND_AMSL_M = 76.945, 43.238, 800.0
SQUARE_PX, TOP_PX = 60, 150
BOX_PX = 4
"""Boxes are drawn that much outside of the square, so that both are seen."""
PATIENCE_S = 240.0
"""With a browser on a busy machine, s of the wall."""

DEAF = """
window.deaf = true;
const hear = RTCPeerConnection.prototype.setRemoteDescription;
RTCPeerConnection.prototype.setRemoteDescription = function (...answer) {
  return window.deaf ? Promise.resolve() : hear.apply(this, answer);
};
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not get_host_addresses(use_ipv4=True, use_ipv6=True), reason="WebRTC needs an address other than the loopback"
    ),
    pytest.mark.skipif(
        not (UI / "dist" / "index.html").is_file(),
        reason="the UI is not built (npm ci && npm run build in missioncontrol/ui)",
    ),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed (Debian: chromium)"),
]


@asynccontextmanager
async def page_of(service: Running, folder: Path, *, deaf: bool = False) -> AsyncIterator[Page]:
    """The console with the vehicle's video open, somebody logged in; a deaf browser hears no answer to its offers."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch_persistent_context(
            folder / "chromium",
            executable_path=CHROMIUM,
            args=FLAGS,
            viewport={"width": 1280, "height": 800},
        )
        try:
            page = await browser.new_page()
            if deaf:
                await page.add_init_script(DEAF)
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            await page.goto(service.url)
            await page.evaluate("localStorage.setItem('missioncontrol.language', 'en')")
            await page.reload()
            await page.get_by_label("Name").fill("administrator")
            await page.get_by_label("Password").fill(PASSWORD)
            await page.get_by_role("button", name="Log in").click()
            await page.locator("[data-vehicle='1'] .card-head").click(timeout=PATIENCE_S * 1000)
            await page.locator("[data-video='1']").wait_for(timeout=PATIENCE_S * 1000)
            yield page
            assert errors == []
        finally:
            await browser.close()


def view_of(clock: SimClock) -> View:
    position = Position(lon=LON, lat=LAT, altitude=Altitude(GROUND_AMSL_M + 60.0, Datum.AMSL))
    pose = Pose(utc_s=clock.utc_s(), position=position, attitude=Attitude(pitch_deg=-90, yaw_deg=30))
    return View(pose, (0.0, 0.0, 0.0), klv.metadata_of(pose, platform=Attitude(pitch_deg=0, yaw_deg=30)))


@asynccontextmanager
async def filming(fps: float = 10.0) -> AsyncIterator[str]:
    """URL of a simulated camera that draws its clock."""
    clock, channel = SimClock(start_utc_s=time.time(), speedup=1.0), Channel()
    with ThreadPoolExecutor(1, "camera") as pool:
        camera = SimulatedCamera(
            renderer=PatternRenderer(width_px=WIDTH_PX, height_px=HEIGHT_PX),
            view=lambda: view_of(clock),
            clock=clock,
            channel=channel,
            pool=pool,
            width_px=WIDTH_PX,
            height_px=HEIGHT_PX,
            fps=fps,
            draws_clock=True,
        )
        async with RtspServer() as server:
            url = server.mount("/vehicle-1", channel)
            task = asyncio.create_task(camera.run())
            try:
                yield url
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


def seeing(folder: Path, url: str) -> Settings:
    """A service that watches a camera, over flat ground."""
    dem = folder / "dem.tif"
    shape: dict[str, Any] = {"width": 60, "height": 60, "crs": "EPSG:4326", "count": 1, "dtype": "float32"}
    transform = rasterio.Affine(0.0002, 0, LON - 0.006, 0, -0.0002, LAT + 0.006)
    with rasterio.open(dem, "w", driver="GTiff", transform=transform, **shape) as raster:
        raster.write(np.full((1, 60, 60), GROUND_AMSL_M, np.float32))
    settings = make_settings(
        folder, perception=PerceptionSettings(frames_per_s=4.0), terrain=TerrainSettings(dem=dem, height_datum="EGM96")
    )
    (vehicle,) = settings.vehicles
    return msgspec.structs.replace(settings, vehicles=(msgspec.structs.replace(vehicle, video=url),))


async def attribute(page: Page, name: str) -> str:
    return await page.locator("[data-video='1']").get_attribute(f"data-{name}") or ""


async def shown(page: Page) -> tuple[int, int]:
    """Frames that the video element has decoded, and their width, px."""
    script = "video => [video.getVideoPlaybackQuality().totalVideoFrames, video.videoWidth]"
    frames, width = await page.locator("[data-video='1'] video").evaluate(script)
    return frames, width


async def test_video_plays_by_webrtc_and_its_age_is_measured(tmp_path: Path) -> None:
    """From a simulated camera over RTSP through the service into the browser; the age is read out of the picture."""
    async with filming() as url, running(seeing(tmp_path, url)) as service, page_of(service, tmp_path) as page:

        async def plays() -> bool:
            attributes = [await attribute(page, name) for name in ("transport", "state", "latency-kind")]
            return attributes == ["webrtc", "live", "measured"] and viewers(service) == (1, False)

        await until(plays, timeout_s=PATIENCE_S)
        assert float(await attribute(page, "latency-ms")) > 0
        assert " ms" in await page.locator("[data-video='1'] [data-latency]").inner_text()
        before, width = await shown(page)
        assert width == WIDTH_PX
        await until(lambda: _more_than(page, before + 10), timeout_s=PATIENCE_S)
        await page.get_by_role("group", name="Video").get_by_role("button", name="Off").click()
        await until(lambda: _nobody(service), timeout_s=PATIENCE_S)


def viewers(service: Running) -> tuple[int, bool]:
    """By WebRTC, and whether anybody gets pictures."""
    assert service.service.rooms is not None
    videos = service.service.rooms.videos
    return videos.relay(1).viewers, videos.pictured(1)


class Scene:
    """A square that moves over the picture, and whoever finds it: in each third picture, as fast as it is filmed."""

    FPS, STEP_PX, EVERY = 10, 6, 3

    def __init__(self, service: Running) -> None:
        assert service.service.rooms is not None
        self._videos = service.service.rooms.videos
        self._tap = self._videos.relay(1).connected()
        self._number = 0
        self._codec: Any = av.CodecContext.create("libx264", "w")
        self._codec.width, self._codec.height, self._codec.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        self._codec.framerate, self._codec.time_base = Fraction(self.FPS), Fraction(1, self.FPS)
        self._codec.gop_size = self.FPS
        self._codec.options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "repeat-headers=1"}

    def shoot(self) -> None:
        number, left_px = self._number, self.left_px(self._number)
        self._number += 1
        image = np.full((HEIGHT_PX, WIDTH_PX, 3), 40, np.uint8)
        image[TOP_PX : TOP_PX + SQUARE_PX, left_px : left_px + SQUARE_PX] = 255
        image = drawn_clock.draw(image, time.time())
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = number
        for packet in self._codec.encode(frame):
            self._tap(bytes(packet), number / self.FPS, packet.is_keyframe, "h264")
        if number % self.EVERY:
            return
        left, top = left_px - BOX_PX, TOP_PX - BOX_PX
        box = [left, top, left + SQUARE_PX + 2 * BOX_PX, top + SQUARE_PX + 2 * BOX_PX]
        header = {
            "state": "live",
            "utc_s": time.time(),
            "ticks": self._videos.relay(1).ticks_of(number / self.FPS),
            "width": WIDTH_PX,
            "height": HEIGHT_PX,
            "detections": [{"class": "fire", "score": 0.9, "track": 1, "box": box}],
        }
        self._videos.publish(1, header, encode_jpeg(image, 80) if self._videos.pictured(1) else b"")

    @classmethod
    def left_px(cls, number: int) -> int:
        return 80 + cls.STEP_PX * number % 360

    async def run(self) -> None:
        while True:
            self.shoot()
            await asyncio.sleep(1 / self.FPS)


@asynccontextmanager
async def playing(folder: Path) -> AsyncIterator[Running]:
    """A service whose vehicle films the scene; the test is its perception."""
    settings = make_settings(folder)
    (vehicle,) = settings.vehicles
    filmed = msgspec.structs.replace(vehicle, video="udp://127.0.0.1:1")
    async with running(msgspec.structs.replace(settings, vehicles=(filmed,))) as service:
        scene = asyncio.create_task(Scene(service).run())
        try:
            yield service
        finally:
            scene.cancel()
            await asyncio.gather(scene, return_exceptions=True)


async def painted(page: Page) -> tuple[NDArray[np.uint8], float | None]:
    """What stands on the canvas, RGB (H, W, 3), and how much older its boxes are than its picture, ms."""
    script = "canvas => [canvas.toDataURL('image/png'), canvas.dataset.boxesAgeMs]"
    url, age_ms = await page.locator("[data-video='1'] canvas").evaluate(script)
    image = cv2.imdecode(np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.asarray(image, np.uint8), float(age_ms) if age_ms else None


def square_and_box(image: NDArray[np.uint8]) -> tuple[float, float | None]:
    """Left edges of the white square, and of the box around it if there is one, px."""
    rows = image[TOP_PX + 5 : TOP_PX + SQUARE_PX - 5].astype(int)
    white = (rows.min(axis=2) > 180).sum(axis=0) > 40
    coloured = ((rows.max(axis=2) - rows.min(axis=2)) > 60).sum(axis=0) > 10
    columns = np.flatnonzero(coloured)
    return float(np.flatnonzero(white)[0]), float(columns[0]) + 1 if len(columns) else None


async def test_pictures_come_where_webrtc_fails_and_boxes_fit_their_picture_either_way(tmp_path: Path) -> None:
    """The way it comes is told, with the reason. By WebRTC, over its own picture a box fits, and over a later one it
    lies as far behind as the square has moved since.
    """
    async with playing(tmp_path) as service, page_of(service, tmp_path, deaf=True) as page:
        await until(lambda: _is(page, "transport", "pictures"), timeout_s=PATIENCE_S)
        await until(lambda: _is(page, "latency-kind", "measured"), timeout_s=PATIENCE_S)
        way = page.locator("[data-video='1'] figcaption [title*='WebRTC']")
        assert await way.inner_text() == "single pictures"
        assert "no picture within 8 s" in (await way.get_attribute("title") or "")
        image, age_ms = await painted(page)
        square_px, box_px = square_and_box(image)
        assert age_ms == 0
        assert box_px is not None
        assert abs(square_px - BOX_PX - box_px) <= 3

        await page.evaluate("window.deaf = false")
        await until(lambda: _is(page, "transport", "webrtc"), timeout_s=PATIENCE_S)
        own, later = 0, 0
        async with asyncio.timeout(PATIENCE_S):
            while own < 5 or later < 5:
                image, age_ms = await painted(page)
                square_px, box_px = square_and_box(image)
                if age_ms is None:
                    assert box_px is None
                    continue
                moved_px = Scene.STEP_PX * round(age_ms / 1000 * Scene.FPS)
                if square_px - moved_px < 78:  # the square began anew from the left
                    continue
                assert box_px is not None
                assert abs(square_px - moved_px - BOX_PX - box_px) <= 3, (square_px, box_px, age_ms)
                own, later = own + (age_ms == 0), later + (age_ms > 0)


async def _is(page: Page, name: str, value: str) -> bool:
    return await attribute(page, name) == value


async def _more_than(page: Page, frames: int) -> bool:
    return (await shown(page))[0] > frames


async def _nobody(service: Running) -> bool:
    return viewers(service) == (0, False)
