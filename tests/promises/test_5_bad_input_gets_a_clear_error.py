"""Promise 5: bad input gets the field and the reason, changes nothing, and never a 500."""

from typing import Any

import pytest

from tests.conftest import Stack
from tests.promises.person import person, program

BAD_TEXTS = {
    "empty": "",
    "blank": " \n\t ",
    "unseen": "\u200b\u2060\ufeff",
    "blank glyphs": "\u2800 \u3164",
    "too long": "x" * 10_001,
    "control character": "bell \x07",
    "NUL": "nul \x00",
}
GOOD_TEXTS = {
    "right-to-left": "المصعد لا يعمل منذ الصباح",
    "emoji": "🚿 is cold 🥶🥶",
    "markup": "<script>alert(1)</script> & <b>bold</b>",
    "at the limit": "ü" * 10_000,
    "combining": "Zalgo t̴̛e̷x̵t̶",
    "bidi override": "abc \u202e def",
    "zero width": "a\u200bb",
}


@pytest.mark.parametrize("text", BAD_TEXTS.values(), ids=BAD_TEXTS)
async def test_a_bad_description_is_refused_and_nothing_is_stored(stack: Stack, text: str) -> None:
    async with person(stack, "user") as user, program(stack) as api:
        before = await api.get("/tickets/counts")
        status, problem = await api.call("POST", "/tickets", {"description": text})
        assert status == 422
        assert problem["errors"][0]["field"] == "description"
        assert problem["errors"][0]["message"]
        page = await user.report(text)
        assert page.status == 422
        assert 'aria-invalid="true"' in page.text
        assert await api.get("/tickets/counts") == before


@pytest.mark.parametrize("text", GOOD_TEXTS.values(), ids=GOOD_TEXTS)
async def test_whatever_people_type_is_kept_and_shown_as_text(stack: Stack, text: str) -> None:
    async with person(stack, "user") as user, program(stack) as api:
        page = await user.report(text)
        assert page.status == 200
        assert "<script>alert" not in page.text
        ticket = await api.get(f"/tickets/{page.address.rsplit('/', 1)[1]}")
        assert ticket["description"] == text
        assert text.split("\n")[0] in page.plain


@pytest.mark.parametrize(
    "id_", ["0", "-1", "99999999999999999999", "9007199254740993", "abc", "1.5"]
)
async def test_an_impossible_id_is_not_found(stack: Stack, id_: str) -> None:
    async with person(stack, "helpdesk") as helpdesk, program(stack) as api:
        status, problem = await api.call("GET", f"/tickets/{id_}")
        assert (status, problem["code"]) == (404, "not_found")
        assert (await helpdesk.get(f"/tickets/{id_}")).status == 404


@pytest.mark.parametrize("last", ["0", "-1", "1000000000", "abc", "", "1.5", "NaN", "٣"])
async def test_an_impossible_period_is_refused_with_the_reason(stack: Stack, last: str) -> None:
    async with person(stack, "helpdesk") as helpdesk:
        page = await helpdesk.get(f"/analytics/unclosed?last={last}&unit=hours")
        assert page.status == 422
        assert 'aria-invalid="true"' in page.text
        page = await helpdesk.get(f"/analytics/unclosed.csv?last={last}&unit=hours")
        assert page.status == 422


async def test_an_unknown_unit_status_category_or_cursor_is_refused(stack: Stack) -> None:
    async with person(stack, "helpdesk") as helpdesk:
        assert (await helpdesk.get("/analytics/unclosed?last=3&unit=weeks")).status == 422
        for query in ("status=done", "category=plumbing", "cursor=broken"):
            assert (await helpdesk.get(f"/tickets?{query}")).status in (200, 404, 422)


@pytest.mark.parametrize(
    "body", [b"{", b"\xff\xfe", b"[]", b'"text"', b"null", b"", b"[" * 100_000, b'{"a":' * 5_000]
)
async def test_broken_json_is_refused(stack: Stack, body: bytes) -> None:
    async with program(stack) as api:
        headers: dict[str, Any] = {"X-Role": "user", "Content-Type": "application/json"}
        async with api.session.post(f"{api.url}/v1/tickets", data=body, headers=headers) as answer:
            assert answer.status in (400, 413, 422)
            assert answer.content_type == "application/problem+json"


async def test_a_body_over_the_limit_is_refused(stack: Stack) -> None:
    async with person(stack, "user") as user, program(stack) as api:
        status, problem = await api.call("POST", "/tickets", {"description": "x" * 1_000_000})
        assert status == 413
        assert problem["code"]
        assert (await user.post("/tickets", text="x" * 1_000_000)).status == 413


async def test_a_stale_edit_changes_nothing_and_brings_back_both_texts(stack: Stack) -> None:
    async with person(stack, "user") as user, person(stack, "helpdesk") as helpdesk:
        address = (await user.report("The first text")).address
        action = f"{address}/description"
        stale = (await user.get(address)).hidden(action)
        fresh = (await helpdesk.get(address)).hidden(action)
        assert (await helpdesk.post(action, text="Their text", **fresh)).status == 200
        page = await user.post(action, text="My text", **stale)
        assert page.status in (409, 412, 422)
        assert "Their text" in page.plain
        assert "My text" in page.plain
        again = await user.post(action, text="My text", **page.hidden(action))
        assert again.status == 200
        assert "My text" in again.plain
