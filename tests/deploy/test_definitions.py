"""The broker's definitions and the contracts say the same, and nothing secret is committed."""

import json
import re
from pathlib import Path

import pytest

from contracts.topology import (
    DURABLE_QUEUES,
    EXCHANGE_DEAD,
    EXCHANGE_PRESENCE,
    EXCHANGE_TICKETS,
    VHOST,
    dead_letter_queue,
)
from deploy.local.names import SERVICES
from deploy.rabbitmq.render import render

FOLDER = Path(__file__).parents[2] / "deploy" / "rabbitmq"
DEFINITIONS = json.loads((FOLDER / "definitions.json").read_text())


def test_every_queue_of_the_contracts_and_no_other_is_declared() -> None:
    declared = {queue["name"] for queue in DEFINITIONS["queues"]}
    assert declared == {*DURABLE_QUEUES, *map(dead_letter_queue, DURABLE_QUEUES)}


def test_every_queue_is_a_durable_quorum_queue() -> None:
    for queue in DEFINITIONS["queues"]:
        assert queue["durable"]
        assert queue["arguments"] == {"x-queue-type": "quorum"}
        assert queue["vhost"] == VHOST


def test_exchanges_are_those_of_the_contracts() -> None:
    declared = {exchange["name"] for exchange in DEFINITIONS["exchanges"]}
    assert declared == {EXCHANGE_TICKETS, EXCHANGE_DEAD, EXCHANGE_PRESENCE}


@pytest.mark.parametrize("queue", DURABLE_QUEUES)
def test_what_a_queue_refuses_goes_to_its_dead_letter_queue(queue: str) -> None:
    reasons = {
        binding["arguments"]["x-first-death-reason"]
        for binding in DEFINITIONS["bindings"]
        if binding["source"] == EXCHANGE_DEAD
        and binding["destination"] == dead_letter_queue(queue)
        and binding["arguments"]["x-first-death-queue"] == queue
    }
    assert reasons == {"rejected", "delivery_limit"}


@pytest.mark.parametrize("queue", [*DURABLE_QUEUES, *map(dead_letter_queue, DURABLE_QUEUES)])
def test_every_queue_is_bounded_by_exactly_one_policy(queue: str) -> None:
    policies = [p for p in DEFINITIONS["policies"] if re.search(p["pattern"], queue)]
    assert len(policies) == 1
    assert policies[0]["definition"]["max-length"] > 0
    assert policies[0]["definition"]["max-length-bytes"] > 0
    is_dead_request = queue.startswith("rpc.") and queue.endswith(".dead")
    overflow = "drop-head" if is_dead_request else "reject-publish"
    assert policies[0]["definition"]["overflow"] == overflow


def test_all_queues_together_fill_no_ordinary_disk() -> None:
    names = [queue["name"] for queue in DEFINITIONS["queues"]]
    [limits] = DEFINITIONS["parameters"]
    names += ["web.live.x"] * (limits["value"]["max-queues"] - len(names))
    most = sum(
        policy["definition"]["max-length-bytes"]
        for policy in DEFINITIONS["policies"]
        for name in names
        if re.search(policy["pattern"], name)
    )
    assert most < 8e9


def test_each_service_has_its_user_and_only_the_operator_sees_management() -> None:
    tags = {user["name"]: user["tags"] for user in DEFINITIONS["users"]}
    assert tags == {service: [] for service in SERVICES} | {"operator": ["monitoring"]}


def test_the_operator_reads_dead_letters_and_may_send_them_again() -> None:
    (rights,) = (p for p in DEFINITIONS["permissions"] if p["user"] == "operator")
    assert (rights["configure"], rights["write"]) == ("^$", r"^amq\.default$")
    readable = {q["name"] for q in DEFINITIONS["queues"] if re.search(rights["read"], q["name"])}
    assert readable == set(map(dead_letter_queue, DURABLE_QUEUES))


def test_looking_at_a_dead_letter_never_uses_up_its_deliveries() -> None:
    names = ("dead", "dead-requests")
    for dead in (p["definition"] for p in DEFINITIONS["policies"] if p["name"] in names):
        # RabbitMQ 4 would drop it after 20 looks without a word, 3.10 knows no "unlimited".
        assert dead["delivery-limit"] >= 1_000_000_000
        assert "dead-letter-exchange" not in dead


def test_no_password_is_committed() -> None:
    assert {user["password_hash"] for user in DEFINITIONS["users"]} == {""}


def test_rendering_names_the_password_that_is_missing() -> None:
    with pytest.raises(KeyError, match="WEB_RABBITMQ_PASSWORD"):
        render({})
