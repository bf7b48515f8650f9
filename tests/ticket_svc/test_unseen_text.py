"""A text of which nobody sees anything is none; one that is there already can be read."""

UNSEEN = ["\u200b", "\u2800\n\u2800", "\u3164", "\u202e \u00ad", "\ufe0f", "\u0301", "\U000e0041"]


async def test_no_field_takes_it(api, sql):
    ticket = await api.open()
    reply = {"title": "A title", "body": "A body"}
    for unseen in UNSEEN:
        for method, path, body in (
            ("POST", "/v1/tickets", {"description": unseen}),
            ("PATCH", f"/v1/tickets/{ticket['id']}", {"description": unseen}),
            ("POST", f"/v1/tickets/{ticket['id']}/messages", {"body": unseen}),
            ("POST", "/v1/replies", reply | {"body": unseen}),
            ("POST", "/v1/replies", reply | {"title": unseen.strip()[:1]}),
        ):
            answer = await api.call(method, path, json=body, headers={"If-Match": "*"})
            assert answer.status == 422, (path, ascii(unseen))
            assert [error["code"] for error in answer.body["errors"]] == ["blank"]
    assert await sql.fetchval("SELECT count(*) FROM history") == 1


async def test_characters_that_nobody_sees_are_kept_among_others(api):
    for text in ("a\u200bb", "\ufeffa\u00ad", "👩🏽\u200d💻", "\u202ea", "می\u200cخواهم"):
        assert (await api.open(text))["description"] == text


async def test_an_old_ticket_without_anything_to_see_is_listed_found_and_marked(api, sql):
    ticket = await api.open("old words")
    await sql.execute("UPDATE ticket SET description = E'\\u200b\\u200b'")
    assert [item["id"] for item in (await api.list())["items"]] == [ticket["id"]]
    await api.send(ticket, "A message about a balalaika")
    page = await api.list("?q=balalaika")
    assert [hit["title_spans"] for hit in page["hits"]] == [[]]


async def test_similar_tickets_are_found_for_a_text_that_begins_unseen(api):
    ticket = await api.open("The lift is stuck")
    # Only the beginning of a text is compared.
    for unseen, found in ((100, [ticket["id"]]), (2_000, [])):
        text = "\u200b" * unseen + "The lift is stuck"
        answer = await api.call("GET", "/v1/tickets/similar", params={"text": text})
        assert answer.status == 200
        assert [item["ticket"]["id"] for item in answer.body["items"]] == found


async def test_what_is_marked_in_a_title_counts_from_where_the_title_begins(api):
    await api.open("\u200b\n\u2800\nThe marimba\nanother marimba")
    (hit,) = (await api.list("?q=marimba"))["hits"]
    assert (hit["title_spans"], hit["in_title"]) == ([[4, 11]], True)


async def test_an_excerpt_ends_between_signs(api):
    family = "👨🏽\u200d👩🏽\u200d👧🏽\u200d👦🏽"
    await api.open("x\n" + family * 40 + " marimba " + family * 40)
    (hit,) = (await api.list("?q=marimba"))["hits"]
    before, _, after = hit["excerpt"].partition("marimba ")
    assert before.strip() == family * (len(before) // len(family))
    assert after == family * (len(after) // len(family)) != ""
    assert len(hit["excerpt"]) <= 160
