from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import msgspec
import pytest

from integrations.cloudevents import event, receipt
from missioncontrol.errors import DeliveryFailed
from missioncontrol.handoffs import Handoff

JUDGES = Path(os.environ.get("MC_JUDGES", Path(__file__).parents[2].parent / "shared" / "judges"))


def test_the_event_passes_the_official_schema(handoff: Handoff) -> None:
    schema = JUDGES / "cloudevents" / "cloudevents.json"
    if not schema.exists():
        pytest.skip(f"no judge at {schema}")
    written = msgspec.json.decode(msgspec.json.encode(event(handoff, source="urn:missioncontrol")))
    jsonschema.validate(written, json.loads(schema.read_text()))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**written, "specversion": ""}, json.loads(schema.read_text()))


def test_the_id_stays_the_same_on_every_attempt(handoff: Handoff) -> None:
    again = msgspec.structs.replace(handoff, attempt=7)
    assert event(again, source="s")["id"] == event(handoff, source="s")["id"] == "0192:1:112"


def test_a_receipt_for_another_hand_off_is_refused(handoff: Handoff) -> None:
    body = b'{"handoff_id": "other:1:112", "receipt_id": "9", "received_utc_s": 1.0}'
    with pytest.raises(DeliveryFailed, match="other:1:112"):
        receipt(body, handoff, receiver="112")


def test_words_are_no_receipt(handoff: Handoff) -> None:
    with pytest.raises(DeliveryFailed, match="no receipt"):
        receipt(b"<html>ok</html>", handoff, receiver="112")
