"""Canned replies are helpdesk's, shared, listed by title, and no two have one title."""

import asyncio

import pytest

from contracts.vocabulary import REPLIES_MAX


async def add(api, title, body="We are on it.", **arguments):
    return await api.call("POST", "/v1/replies", json={"title": title, "body": body}, **arguments)


async def replace(api, reply_id, title, body="We are on it.", **arguments):
    path = f"/v1/replies/{reply_id}"
    return await api.call("PUT", path, json={"title": title, "body": body}, **arguments)


async def replies(api):
    return (await api.call("GET", "/v1/replies", expect=200)).body["items"]


async def test_there_is_none_at_the_start(api):
    assert await replies(api) == []


async def test_they_are_kept_changed_and_deleted(api):
    added = (await add(api, " On our way ", "Somebody comes\r\ntoday. ", expect=201)).body
    assert added == {"id": added["id"], "title": "On our way", "body": "Somebody comes\ntoday."}
    changed = (await replace(api, added["id"], "on our way", "Tomorrow.", expect=200)).body
    assert changed == {"id": added["id"], "title": "on our way", "body": "Tomorrow."}
    assert await replies(api) == [changed]
    for _ in range(2):
        deleted = await api.call("DELETE", f"/v1/replies/{added['id']}", expect=204)
        assert deleted.body == ""
    assert await replies(api) == []


async def test_they_are_listed_by_title_in_whatever_case(api):
    for title in ("b", "C", "a", "D"):
        await add(api, title, expect=201)
    assert [reply["title"] for reply in await replies(api)] == ["a", "b", "C", "D"]


async def test_a_title_that_is_taken_is_a_conflict_of_that_field(api):
    await add(api, "Où êtes-vous ?")
    other = (await add(api, "Other")).body
    for answer in (
        await add(api, "OÙ ÊTES-VOUS ?", "Another text"),
        await replace(api, other["id"], "où Êtes-vous ?"),
    ):
        assert (answer.status, answer.body["code"]) == (409, "title_taken")
        assert [error["field"] for error in answer.body["errors"]] == ["title"]
    assert [reply["title"] for reply in await replies(api)] == ["Other", "Où êtes-vous ?"]


async def test_two_at_once_with_one_title_are_one(api):
    answers = await asyncio.gather(*(add(api, "Same") for _ in range(6)))
    assert sorted(answer.status for answer in answers) == [201, *[409] * 5]


@pytest.mark.parametrize(
    ("title", "code"),
    [
        ("", "blank"),
        (" \t", "blank"),
        ("x" * 81, "too_long"),
        ("two\nlines", "several_lines"),
        ("two\u2028lines", "several_lines"),
        ("bell\x07", "control_character"),
        (7, "string_type"),
    ],
)
async def test_a_bad_title_is_422_and_named(api, title, code):
    refused = await add(api, title, expect=422)
    assert [(e["field"], e["code"]) for e in refused.body["errors"]] == [("title", code)]
    assert await replies(api) == []


async def test_the_longest_title_and_text_are_taken(api):
    await add(api, "😀" * 80, "😀" * 5_000, expect=201)
    for body in ("", "x" * 5_001):
        refused = await add(api, "Text", body, expect=422)
        assert [error["field"] for error in refused.body["errors"]] == ["body"]


async def test_users_neither_see_nor_change_them(api):
    reply = (await add(api, "Ours")).body
    path = f"/v1/replies/{reply['id']}"
    await add(api, "Mine", role="user", expect=403)
    await replace(api, reply["id"], "Mine", role="user", expect=403)
    await api.call("DELETE", path, role="user", expect=403)
    refused = await api.call("GET", "/v1/replies", role="user", expect=403)
    assert "Ours" not in str(refused.body)
    assert await replies(api) == [reply]


async def test_what_is_not_there_is_404(api):
    for reply_id in ("987654", "0", "x"):
        refused = await replace(api, reply_id, "Title", expect=404)
        assert refused.body["detail"] == "There is no such reply."
    await api.call("DELETE", "/v1/replies/x", expect=404)


async def test_one_more_than_people_can_choose_from_is_refused_also_at_once(api, sql):
    await sql.execute(
        "INSERT INTO reply (title, body) SELECT n, n FROM generate_series(1, $1::int) AS n",
        REPLIES_MAX - 1,
    )
    answers = await asyncio.gather(*(add(api, f"Title {n}") for n in range(6)))
    assert sorted(answer.status for answer in answers) == [201, *[409] * 5]
    refused = await add(api, "One more", expect=409)
    assert refused.body["code"] == "too_many_replies"
    assert f"{REPLIES_MAX}" in refused.body["detail"]
    assert len(await replies(api)) == REPLIES_MAX
