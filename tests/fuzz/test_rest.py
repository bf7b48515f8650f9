"""REST under fire: cases made from the service's own OpenAPI document, right ones and wrong ones.

Over 5 000 of them, for every operation and both roles. Each answer is as documented, each error is
problem details, none is a 5xx, and what is refused leaves the database as it was. The document is
narrowed a little, so that many cases find a ticket, a version or a key that is there.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from typing import Any

import psycopg
import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import schemas  # noqa: F401 - not first in a thread
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from contracts.rest import Problem
from contracts.vocabulary import Role
from tests.conftest import Broker
from tests.fuzz.conftest import TIMES, fuzz
from tests.ticket_svc.conftest import TOKEN, Api, serve
from ticket_svc.openapi import describe_api
from ticket_svc.problems import CONTENT_TYPE, KIND_OF_REFUSAL, TOO_LARGE, WRONG_METHOD

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
CODES = {kind.code for kind in (*KIND_OF_REFUSAL.values(), TOO_LARGE, WRONG_METHOD)}
OPERATIONS = [
    (method.upper(), path)
    for path, item in json.loads(describe_api())["paths"].items()
    for method in item
]
PLAIN = (("GET", "/v1/tickets/counts"), ("GET", "/v1/tickets/export"), ("GET", "/v1/replies"))
# Each is sent in both roles.
DRAWN_RIGHT = DRAWN_WRONG = 140
# Duplicates have no parameter but the ticket's id, a thread and a history only two small ones.
DRAWN_RIGHT_BY_ID = 20
WRONG_ROLE_CASES = 200
MIXED_CASES = 500
TICKETS = 24
# Half of the right requests that may carry these carry one that means something here.
KNOWN = {
    "Idempotency-Key": [f"00000000-0000-4000-8000-00000000000{n}" for n in range(4)],
    "If-Match": ["*", "*", '"1"', '"1", "2", "3"'],
    "If-None-Match": ["*", '"1"', 'W/"2"', '"9"'],
}
# A row's xmin is the transaction that wrote it, so any write changes the sum. The outbox empties by
# itself; what was ever put into it shows in its sequence.
FINGERPRINT = " UNION ALL ".join(
    [
        f"SELECT count(*), coalesce(sum(t.xmin::text::bigint), 0) FROM tickets.{table} AS t"
        for table in ("ticket", "message", "history", "ticket_count", "affected", "reply")
    ]
    + ["SELECT last_value, 0 FROM tickets.outbox_id_seq"]
)


@pytest.fixture
async def world(ticket_database_url: str, broker: Broker) -> AsyncIterator[Api]:
    """Return the service with tickets of every status, some with messages, and replies."""
    async with serve(ticket_database_url, broker.url("ticket_svc")) as api:
        for n in range(TICKETS):
            ticket = await api.open(f"The printer {n} is on fire", category="technical_it")
            if n % 3:
                await api.send(ticket, "Still burning")
            if n % 4 == 1:
                await api.move(ticket, "active")
            if n % 4 == 2:
                await api.close(ticket)
            reply = {"title": f"Reply {n}", "body": "We are on it"}
            await api.call("POST", "/v1/replies", json=reply, expect=201)
        yield api


Sent = tuple[Case[Any], dict[str, str]]


class Fuzzer:
    """Sends cases over one connection, and looks at each answer and at the database after it."""

    def __init__(self, url: str, document: dict[str, Any], database_url: str) -> None:
        self._url = url
        self._document = document
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {TOKEN}"
        self._database = psycopg.connect(database_url, autocommit=True)
        self._state = self._fingerprint()
        self.accepted = self.refused = 0

    def close(self) -> None:
        self._session.close()
        self._database.close()

    def right(self, method: str, path: str, *, with_role: bool) -> SearchStrategy[Sent]:
        """Return right requests, many of them with a header that means something here."""
        operation = self._operation(method, path, with_role=with_role)
        names = {parameter.name for parameter in operation.headers} & set(KNOWN)
        known = st.sampled_from([{name: KNOWN[name][n] for name in names} for n in range(4)])
        cases = operation.as_strategy(GenerationMode.POSITIVE)
        return st.tuples(cases, st.just({}) | known if names else st.just({}))

    def wrong(self, method: str, path: str, *, with_role: bool) -> SearchStrategy[Sent]:
        """Return requests with something wrong in them."""
        operation = self._operation(method, path, with_role=with_role)
        return st.tuples(operation.as_strategy(GenerationMode.NEGATIVE), st.just({}))

    def _operation(self, method: str, path: str, *, with_role: bool) -> Any:
        document = narrowed(self._document, with_role=with_role)
        return schemathesis.openapi.from_dict(document)[path][method]

    def send_in_both_roles(self, sent: Sent) -> None:
        case, headers = sent
        for role in Role:
            self.send((case, headers | {"X-Role": role.value}))

    def send(self, sent: Sent) -> None:
        """Send a request, and check the answer and what it left behind."""
        case, headers = sent
        response = case.call(self._url, session=self._session, headers=headers)
        is_wrong = case.meta.generation.mode is GenerationMode.NEGATIVE
        case.validate_response(response, checks=[*CHECKS, *[negative_data_rejection] * is_wrong])
        state = self._fingerprint()
        if response.status_code >= 400:
            problem = Problem.model_validate_json(response.content)
            assert problem.status == response.status_code
            assert problem.code in CODES
            assert response.headers["content-type"][0].startswith(CONTENT_TYPE)
            assert state == self._state, "what was refused has changed something"
            self.refused += 1
        else:
            self.accepted += 1
        self._state = state

    def _fingerprint(self) -> list[Any]:
        return self._database.execute(FINGERPRINT).fetchall()


def narrowed(document: dict[str, Any], *, with_role: bool) -> dict[str, Any]:
    """Return the document for cases that carry the token and mostly name what is there."""
    narrow = deepcopy(document)
    del narrow["security"], narrow["components"]["securitySchemes"]
    for path, item in narrow["paths"].items():
        for method, operation in item.items():
            # To delete what is not there is right too.
            is_any_id_right = (method, path) == ("delete", "/v1/replies/{id}")
            for parameter in operation["parameters"]:
                if parameter["name"] == "id" and not is_any_id_right:
                    parameter["schema"]["maximum"] = TICKETS
            if not with_role:
                operation["parameters"] = [
                    p for p in operation["parameters"] if p["name"] != "X-Role"
                ]
    return narrow


@pytest.fixture
async def fuzzer(
    world: Api, ticket_database_url: str, no_errors_logged: Callable[[], None]
) -> AsyncIterator[Fuzzer]:
    document = (await world.call("GET", "/openapi.json", expect=200)).body
    fuzzer = Fuzzer(str(world.client.make_url("")), document, ticket_database_url)
    yield fuzzer
    fuzzer.close()


@pytest.mark.timeout(240 * TIMES)
@pytest.mark.parametrize(
    ("method", "path"),
    [operation for operation in OPERATIONS if operation not in PLAIN],
    ids=lambda value: value,
)
async def test_an_operation_keeps_to_its_document(fuzzer: Fuzzer, method: str, path: str) -> None:
    right = fuzzer.right(method, path, with_role=False)
    wrong = fuzzer.wrong(method, path, with_role=False)
    await asyncio.to_thread(fuzz, right, drawn_right(method, path), fuzzer.send_in_both_roles)
    await asyncio.to_thread(fuzz, wrong, DRAWN_WRONG, fuzzer.send_in_both_roles)
    assert fuzzer.accepted
    assert fuzzer.accepted + fuzzer.refused >= share(method, path)


@pytest.mark.timeout(240 * TIMES)
async def test_a_wrong_role_is_refused_by_every_operation(fuzzer: Fuzzer) -> None:
    wrong = [fuzzer.wrong(*operation, with_role=True) for operation in OPERATIONS]
    await asyncio.to_thread(fuzz, st.one_of(wrong), WRONG_ROLE_CASES, fuzzer.send)
    assert fuzzer.refused >= WRONG_ROLE_CASES


@pytest.mark.timeout(240 * TIMES)
async def test_operations_in_any_order_keep_to_their_document(fuzzer: Fuzzer) -> None:
    right = [fuzzer.right(*operation, with_role=True) for operation in OPERATIONS]
    await asyncio.to_thread(fuzz, st.one_of(right), MIXED_CASES, fuzzer.send)
    assert fuzzer.accepted + fuzzer.refused >= MIXED_CASES
    assert fuzzer.accepted > MIXED_CASES // 4


def test_these_are_5_000_cases_and_more() -> None:
    shares = [share(*operation) for operation in OPERATIONS if operation not in PLAIN]
    assert sum(shares) + WRONG_ROLE_CASES + MIXED_CASES >= 5_000


def drawn_right(method: str, path: str) -> int:
    is_by_id = method in ("GET", "DELETE") and path.endswith(
        ("/messages", "/history", "/duplicates", "/duplicate_of")
    )
    return DRAWN_RIGHT_BY_ID if is_by_id else DRAWN_RIGHT


def share(method: str, path: str) -> int:
    """Return how many cases the test of an operation has at least."""
    return len(Role) * (drawn_right(method, path) + DRAWN_WRONG)
