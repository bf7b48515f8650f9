"""A signature holds for one message and one consumer; a key is changed while messages wait."""

from types import SimpleNamespace
from typing import Any

import pytest

from bus.signatures import (
    Forged,
    check_event,
    check_name,
    read_keys,
    sign_event,
    sign_name,
)

OLD, NEW, OTHER = b"the key of yesterday", b"the key of tomorrow", b"another consumer's"
KIND, ID, BODY = "ticket.opened", "57.1", b'{"ticket":{"id":57}}'


def message(headers: Any, kind: str | None = KIND, message_id: str | None = ID) -> Any:
    return SimpleNamespace(headers=headers, type=kind, message_id=message_id)


def headers(*keys: bytes) -> dict[str, str]:
    return sign_event({"web": keys}, KIND, ID, BODY)


def test_each_consumer_gets_a_signature_by_its_own_key() -> None:
    both = sign_event({"web": [OLD], "analytics_svc": [OTHER]}, KIND, ID, BODY)
    check_event("web", [OLD], message(both), BODY)
    check_event("analytics_svc", [OTHER], message(both), BODY)
    for consumer, key in (("web", OTHER), ("analytics_svc", OLD)):
        with pytest.raises(Forged, match="not that of the ticket service"):
            check_event(consumer, [key], message(both), BODY)


@pytest.mark.parametrize(
    ("kind", "message_id", "body"),
    [
        ("ticket.closed", ID, BODY),
        (KIND, "57.2", BODY),
        (KIND, ID, BODY.replace(b"57", b"58")),
        (KIND, ID, BODY + b" "),
        (KIND, ID, b""),
        # The same letters, moved from one part to the next.
        ("ticket.opened5", "7.1", BODY),
        ("ticket.opene", "d57.1", BODY),
        (KIND, "57.1{", BODY[1:]),
        (KIND, None, ID.encode() + BODY),
        (None, KIND + ID, BODY),
    ],
)
def test_nothing_of_a_signed_event_can_be_changed_or_moved(
    kind: str | None, message_id: str | None, body: bytes
) -> None:
    with pytest.raises(Forged):
        check_event("web", [OLD], message(headers(OLD), kind, message_id), body)


@pytest.mark.parametrize(
    "given",
    [
        None, {}, {"signature-web": ""}, {"signature-web": "0" * 64}, {"signature-web": 7},
        {"signature-web": headers(OLD)["signature-web"][:-1]}, {"signature-web": ",,,"},
        {"signature-web": "ünmöglich"}, {"signature-web": b"\xff"}, {"signature-web": "\udcff"},
        {"signature-analytics_svc": headers(OLD)["signature-web"]},
    ],
)  # fmt: skip
def test_what_is_no_signature_is_refused_whatever_it_is(given: Any) -> None:
    with pytest.raises(Forged):
        check_event("web", [OLD], message(given), BODY)


@pytest.mark.parametrize(
    ("signer", "consumer"),
    [([NEW, OLD], [OLD]), ([OLD], [NEW, OLD]), ([NEW, OLD], [NEW]), ([NEW], [NEW, OLD])],
)
def test_while_a_key_is_changed_whoever_starts_first_understands_the_other(
    signer: list[bytes], consumer: list[bytes]
) -> None:
    check_event("web", consumer, message(headers(*signer)), BODY)


@pytest.mark.parametrize("asked_with", [[OLD], [NEW, OLD], [NEW]])
def test_what_was_asked_before_and_during_a_change_of_the_key_is_answered(
    asked_with: list[bytes],
) -> None:
    assert check_name([NEW, OLD], "queue", sign_name(asked_with, "queue", "57")) == "57"


def test_after_the_change_the_old_key_is_worth_nothing() -> None:
    with pytest.raises(Forged):
        check_event("web", [NEW], message(headers(OLD)), BODY)
    with pytest.raises(Forged):
        check_name([NEW], "queue", sign_name([OLD], "queue", "57"))


def test_an_answer_is_about_what_was_asked_and_for_the_queue_that_was_named() -> None:
    name = sign_name([OLD], "ticket_svc.embedded", "57.3")
    assert check_name([OLD], "ticket_svc.embedded", name) == "57.3"
    signature = name.rpartition(".")[2]
    for queue, forged in (
        ("ticket_svc.categorised", name),
        ("ticket_svc.embedded", f"57.4.{signature}"),
        ("ticket_svc.embedded", f"57.{signature}"),
        ("ticket_svc.embedded", f"57.3.{signature[:-1]}"),
        ("ticket_svc.embedded", "57.3"),
        ("ticket_svc.embedded", "57.3."),
        ("ticket_svc.embedded", "57"),
        ("ticket_svc.embedded", ""),
        ("ticket_svc.embedded", None),
    ):
        with pytest.raises(Forged):
            check_name([OLD], queue, forged)


@pytest.mark.parametrize("text", [None, "", " , ", "short", f"{'long enough ' * 2},short"])
def test_a_key_that_is_missing_or_guessable_is_named_and_not_shown(text: str | None) -> None:
    with pytest.raises(ValueError, match="WEB_EVENTS_KEY") as refused:
        read_keys("WEB_EVENTS_KEY", text)
    assert "short" not in str(refused.value)


def test_several_keys_stand_with_commas_between() -> None:
    assert read_keys("X", " the key of tomorrow,the key of yesterday ,") == [NEW, OLD]
