"""Hand-offs by signed webhook: CloudEvents JSON under Standard Webhooks signatures.

Source: Standard Webhooks specification 1.0; CloudEvents HTTP binding, structured mode.
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import httpx
import msgspec
from standardwebhooks.webhooks import Webhook

from integrations.cloudevents import CONTENT_TYPE, event, receipt
from missioncontrol.errors import DeliveryFailed
from missioncontrol.handoffs import Handoff, Receipt

REFUSED_FOR_GOOD = frozenset({400, 401, 403, 404, 405, 410, 413, 415, 422})
"""HTTP statuses that the same delivery will get again."""


class WebhookSink:
    """Posts each hand-off to one URL and takes the receipt from the answer."""

    def __init__(
        self, *, name: str, url: str, secret: str, source: str = "urn:missioncontrol", timeout_s: float = 10.0
    ) -> None:
        """`secret` is the receiver's Standard Webhooks secret (`whsec_` and base64)."""
        self._name, self._url, self._source = name, url, source
        self._signer = Webhook(secret)
        self._http = httpx.AsyncClient(timeout=timeout_s, follow_redirects=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def deliver(self, handoff: Handoff) -> Receipt:
        """Post once. Raises DeliveryFailed without a receipt, not retryable where the receiver refuses for good."""
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
            raise DeliveryFailed(f"{self._name}: {self._url} did not answer: {exc or type(exc).__name__}") from exc
        if not answer.is_success:
            raise DeliveryFailed(
                f"{self._name}: {self._url} answered {answer.status_code}: {answer.text[:200]}",
                retryable=answer.status_code not in REFUSED_FOR_GOOD,
            )
        return receipt(answer.content, handoff, receiver=self._name)
