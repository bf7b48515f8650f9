"""Bad input gets a clear error, and nothing is half written; good input of any script is kept."""

import json

import pytest

FIELDS = [
    ("/v1/tickets", "POST", "description", 10_000),
    ("/v1/tickets/1", "PATCH", "description", 10_000),
    ("/v1/tickets/1/messages", "POST", "body", 5_000),
]
GOOD_TEXTS = [
    "x",
    "الطابعة لا تعمل",
    "プリンター",
    "🖨️🔥 👩🏽\u200d💻",
    "a\tb\nc",
    "' OR 1=1; --",
    "<b>&amp;</b>",
    "{}%s\\",
]


@pytest.fixture
async def send(api):
    """Return a function that sends a raw body to an address, with a ticket 1 there."""
    await api.open("As it was")

    async def call(method, path, data, content_type="application/json"):
        headers = {"Content-Type": content_type, "If-Match": "*"}
        return await api.call(method, path, data=data, headers=headers)

    return call


async def test_bad_text_is_422_and_named(api, send, sql):
    for path, method, field, longest in FIELDS:
        for value in ("", " \n\t ", "x" * (longest + 1), "a\x00b", "\x1b[31m", 7, True, [], {}):
            answer = await send(method, path, json.dumps({field: value}))
            assert (answer.status, answer.body["code"]) == (422, "invalid"), (path, value)
            assert [error["field"] for error in answer.body["errors"]] == [field]
            assert answer.body["errors"][0]["message"]
    assert (await api.get(1))["version"] == 1
    assert await sql.fetchval("SELECT count(*) FROM history") == 1


async def test_good_text_of_any_script_is_kept_as_it_is(api):
    for text in GOOD_TEXTS:
        assert (await api.open(text))["description"] == text
        ticket = await api.open()
        assert (await api.send(ticket, text)).body["body"] == text


async def test_longest_text_is_taken_however_it_is_encoded(api, send):
    text = "😀" * 10_000
    for data in (json.dumps({"description": text}), json.dumps({"description": text}).encode()):
        answer = await send("POST", "/v1/tickets", data)
        assert (answer.status, answer.body["description"]) == (201, text)
    raw = json.dumps({"description": text}, ensure_ascii=False).encode()
    assert (await send("POST", "/v1/tickets", raw)).status == 201
    await api.send({"id": 1}, "😀" * 5_000)


async def test_unknown_missing_and_null_fields_are_422(send):
    for method, path, body, field in (
        ("POST", "/v1/tickets", {"description": "x", "status": "closed"}, "status"),
        ("POST", "/v1/tickets", {"description": "x", "category": "plumbing"}, "category"),
        ("POST", "/v1/tickets", {}, "description"),
        ("POST", "/v1/tickets", [], "body"),
        ("POST", "/v1/tickets", None, "body"),
        ("PATCH", "/v1/tickets/1", {}, "body"),
        ("PATCH", "/v1/tickets/1", {"category": None}, "category"),
        ("PATCH", "/v1/tickets/1", {"description": None}, "description"),
        ("PATCH", "/v1/tickets/1", {"id": 2}, "id"),
        ("PUT", "/v1/tickets/1/status", {"status": "done"}, "status"),
        ("PUT", "/v1/tickets/1/status", {"status": 1}, "status"),
        ("PUT", "/v1/tickets/1/status", {}, "status"),
        ("POST", "/v1/tickets/1/messages", {"body": "x", "author": "helpdesk"}, "author"),
    ):
        answer = await send(method, path, json.dumps(body))
        assert answer.status == 422, (path, body)
        assert [error["field"] for error in answer.body["errors"]] == [field]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"description=x",
        b'{"description": "\xff"}',
        b'{"description": "\\ud800"}',
        b'{"description": "\xed\xa0\x80"}',
        b'{"description": "x"} x',
        b"[" * 50_000,
        b'{"description":' * 5_000,
    ],
    ids=range(9),
)
async def test_what_is_no_json_is_400(send, data):
    answer = await send("POST", "/v1/tickets", data)
    assert (answer.status, answer.body["code"]) == (400, "bad_json")


async def test_odd_numbers_are_no_text(send):
    for value in (b"NaN", b"Infinity", b"1e999", b"9" * 5_000, b"-0"):
        answer = await send("POST", "/v1/tickets", b'{"description": %b}' % value)
        assert answer.status in (400, 422), value


async def test_body_that_is_not_called_json_is_415(send):
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx"):
        answer = await send("POST", "/v1/tickets", '{"description": "x"}', content_type)
        assert (answer.status, answer.body["code"]) == (415, "not_json")
    charset = "application/json; charset=utf-8"
    assert (await send("POST", "/v1/tickets", '{"description": "x"}', charset)).status == 201


async def test_body_beyond_the_limit_is_413(send):
    answer = await send("POST", "/v1/tickets", b'{"description": "%b"}' % (b"x" * 200_000))
    assert (answer.status, answer.body["code"]) == (413, "too_large")


async def test_unknown_address_and_method_are_problems_too(api):
    for path in ("/", "/v1", "/v1/nothing", "/v1/tickets/1/nothing", "/v1/tickets/"):
        answer = await api.call("GET", path)
        assert (answer.status, answer.body["code"]) == (404, "not_found"), path
        assert answer.headers["Content-Type"].startswith("application/problem+json")
    answer = await api.call("DELETE", "/v1/tickets/1")
    assert (answer.status, answer.body["code"]) == (405, "method_not_allowed")
    assert "PATCH" in answer.headers["Allow"]


async def test_a_packed_body_is_refused(api):
    for coding in ("gzip", "deflate"):
        headers = {"Content-Type": "application/json", "Content-Encoding": coding}
        answer = await api.call("POST", "/v1/tickets", data=b"not packed", headers=headers)
        assert (answer.status, answer.body["code"]) == (415, "not_json")
        assert "support_id" not in answer.body
