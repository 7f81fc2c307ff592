"""Hand-offs by signed webhook: CloudEvents JSON under Standard Webhooks signatures.

Source: Standard Webhooks specification 1.0; CloudEvents HTTP binding, structured mode.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import httpx
import msgspec
from standardwebhooks.webhooks import Webhook

from integrations.cloudevents import CONTENT_TYPE, event, receipt
from missioncontrol.errors import DeliveryFailed
from missioncontrol.handoffs import Handoff, Receipt

REFUSED_FOR_GOOD = frozenset({400, 410, 413, 415, 422})
"""HTTP statuses that say the delivery itself is wrong; others (401, 403, 404, 405 too) a person may yet mend."""


class WebhookSink:
    """Posts each hand-off to one URL and takes the receipt from the answer."""

    def __init__(
        self, *, name: str, url: str, secret: str, source: str = "urn:missioncontrol", timeout_s: float = 10.0
    ) -> None:
        """`secret` is the receiver's Standard Webhooks secret (`whsec_` and base64). Raises ValueError."""
        self._name, self._url, self._source, self._timeout_s = name, url, source, timeout_s
        _check_url(url)
        self._signer = _signer(secret)
        self._http: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        self._http = httpx.AsyncClient(timeout=self._timeout_s, follow_redirects=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def deliver(self, handoff: Handoff) -> Receipt:
        """Post once. Raises DeliveryFailed without a receipt, not retryable where the receiver refuses for good."""
        if self._http is None:
            raise RuntimeError(f"{self._name}: the sink is not open")
        body = msgspec.json.encode(event(handoff, source=self._source))
        sent = datetime.now(UTC)
        headers = {
            "content-type": CONTENT_TYPE,
            "webhook-id": handoff.id,
            "webhook-timestamp": str(int(sent.timestamp())),
            "webhook-signature": self._signer.sign(msg_id=handoff.id, timestamp=sent, data=body.decode()),
        }
        try:
            answer = await self._http.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as exc:
            text = f"{self._name}: {self._url} did not answer: {exc or type(exc).__name__}"
            raise DeliveryFailed(text, unreachable=True) from exc
        if not answer.is_success:
            raise DeliveryFailed(
                f"{self._name}: {self._url} answered {answer.status_code}: {answer.text[:200]}",
                retryable=answer.status_code not in REFUSED_FOR_GOOD,
            )
        return receipt(answer.content, handoff, receiver=self._name)


def _check_url(url: str) -> None:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as exc:
        raise ValueError(f"url: {url!r}: {exc}") from exc
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"url: {url!r} is not an http or https address")


def _signer(secret: str) -> Webhook:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError as exc:
        raise ValueError("secret: is not base64 after whsec_") from exc
    if not key:
        raise ValueError("secret: is empty")
    return Webhook(secret)
