"""A ticket is opened, edited, moved forward and closed; each change is a version with a history."""

from datetime import datetime


async def test_opened_ticket_stands_open_at_version_1(api):
    answer = await api.call(
        "POST",
        "/v1/tickets",
        role="user",
        json={"description": "  No heating\r\nRoom 4 \n"},
        expect=201,
    )
    ticket = answer.body
    assert ticket == {
        "id": ticket["id"],
        "description": "No heating\nRoom 4",
        "status": "open",
        "category": None,
        "category_source": None,
        "opened_at": ticket["opened_at"],
        "modified_at": ticket["opened_at"],
        "closed_at": None,
        "version": 1,
        "messages": 0,
        "duplicate_of": None,
        "affected": 0,
        "waiting_since": ticket["opened_at"],
    }
    assert answer.headers["Location"] == f"/v1/tickets/{ticket['id']}"
    assert answer.headers["ETag"] == '"1"'
    assert await api.get(ticket["id"]) == ticket


async def test_times_are_utc_with_microseconds(api):
    ticket = await api.open()
    assert len(ticket["opened_at"]) == len("2026-05-31T08:00:00.000000Z")
    assert ticket["opened_at"].endswith("Z")
    assert datetime.fromisoformat(ticket["opened_at"])


async def test_category_given_at_opening_is_the_classifiers(api):
    ticket = await api.open(category="technical_it")
    assert (ticket["category"], ticket["category_source"]) == ("technical_it", "classifier")


async def test_etag_that_the_caller_has_answers_304_without_body(api):
    ticket = await api.open()
    for etag in ('"1"', 'W/"1"', '"7", "1"', "*"):
        answer = await api.call(
            "GET", f"/v1/tickets/{ticket['id']}", headers={"If-None-Match": etag}, expect=304
        )
        assert (answer.body, answer.headers["ETag"]) == ("", '"1"')
    await api.call(
        "GET", f"/v1/tickets/{ticket['id']}", headers={"If-None-Match": '"2"'}, expect=200
    )


async def test_edit_of_the_description_by_either_role_makes_a_version(api):
    ticket = await api.open("No light")
    edited = await api.edit(ticket, role="user", description="No light in room 4")
    assert (edited.status, edited.headers["ETag"]) == (200, '"2"')
    assert edited.body["description"] == "No light in room 4"
    assert edited.body["modified_at"] > ticket["modified_at"]
    again = await api.edit(edited.body, description="No light in room 5")
    assert again.body["version"] == 3


async def test_edit_of_both_fields_makes_a_version_for_each(api):
    ticket = await api.open("No light")
    edited = await api.edit(ticket, description="Dark", category="facility_management")
    assert edited.body["version"] == 3
    assert [item["action"] for item in await api.history(ticket)] == [
        "opened",
        "description_edited",
        "categorised",
    ]


async def test_edit_that_changes_nothing_makes_no_version(api):
    ticket = await api.open("No light", category="technical_it")
    edited = await api.edit(ticket, description=" No light ", category="technical_it")
    assert (edited.status, edited.body) == (200, ticket)


async def test_correction_by_helpdesk_says_so(api):
    ticket = await api.open(category="technical_it")
    edited = (await api.edit(ticket, category="services_complaints")).body
    assert (edited["category"], edited["category_source"]) == ("services_complaints", "helpdesk")


async def test_edit_without_if_match_is_428(api):
    ticket = await api.open()
    answer = await api.call("PATCH", f"/v1/tickets/{ticket['id']}", json={"description": "x"})
    assert (answer.status, answer.body["code"]) == (428, "if_match_required")


async def test_stale_edit_is_412_with_the_current_ticket(api):
    ticket = await api.open()
    current = (await api.edit(ticket, description="Changed meanwhile")).body
    for if_match in ('"1"', '"99"', 'W/"2"', '"abc"', '"99999999999999999999"'):
        answer = await api.call(
            "PATCH",
            f"/v1/tickets/{ticket['id']}",
            json={"description": "Mine"},
            headers={"If-Match": if_match},
        )
        assert (answer.status, answer.body["code"]) == (412, "stale"), if_match
        assert answer.body["ticket"] == current


async def test_if_match_star_edits_whatever_is_there(api):
    ticket = await api.open()
    await api.edit(ticket, description="Changed meanwhile")
    answer = await api.call(
        "PATCH",
        f"/v1/tickets/{ticket['id']}",
        json={"description": "Mine"},
        headers={"If-Match": "*"},
        expect=200,
    )
    assert answer.body["description"] == "Mine"


async def test_if_match_that_is_no_etag_is_422(api):
    ticket = await api.open()
    answer = await api.call(
        "PATCH",
        f"/v1/tickets/{ticket['id']}",
        json={"description": "Mine"},
        headers={"If-Match": "1"},
    )
    assert (answer.status, answer.body["errors"][0]["field"]) == (422, "If-Match")


async def test_ticket_moves_one_step_at_a_time_and_only_forward(api):
    ticket = await api.open()
    refused = await api.move(ticket, "closed")
    assert (refused.status, refused.body["code"]) == (409, "wrong_step")
    active = (await api.move(ticket, "active")).body
    assert (active["status"], active["closed_at"], active["version"]) == ("active", None, 2)
    assert (await api.move(ticket, "open")).status == 409
    closed = (await api.move(ticket, "closed")).body
    assert (closed["status"], closed["version"]) == ("closed", 3)
    assert closed["closed_at"] == closed["modified_at"] > active["modified_at"]
    assert (await api.move(ticket, "active")).status == 409


async def test_step_already_made_is_200_and_changes_nothing(api):
    ticket = await api.open()
    assert (await api.move(ticket, "open")).body == ticket
    first = await api.move(ticket, "active")
    again = await api.move(ticket, "active")
    assert (again.status, again.body) == (200, first.body)


async def test_closed_ticket_takes_no_change(api):
    ticket = await api.close(await api.open())
    for answer in (
        await api.edit(ticket, description="Still broken"),
        await api.edit(ticket, category="technical_it"),
        await api.send(ticket, "Hello?", role="helpdesk"),
    ):
        assert (answer.status, answer.body["code"]) == (409, "ticket_closed")
        assert answer.body["closed_at"] == ticket["closed_at"]
        assert answer.body["ticket"]["id"] == ticket["id"]
    assert await api.get(ticket["id"]) == ticket


async def test_history_says_who_did_what_when(api):
    ticket = await api.open("No light")
    await api.edit(ticket, description="Dark", role="user")
    await api.send(ticket, "Hello")
    closed = await api.close(ticket)
    items = await api.history(ticket)
    assert [
        (item["version"], item["role"], item["action"], item["before"], item["after"])
        for item in items
    ] == [
        (1, "user", "opened", None, None),
        (2, "user", "description_edited", "No light", "Dark"),
        (3, "user", "message_sent", None, None),
        (4, "helpdesk", "activated", "open", "active"),
        (5, "helpdesk", "closed", "active", "closed"),
    ]
    assert items[0]["at"] == ticket["opened_at"]
    assert items[-1]["at"] == closed["closed_at"]


async def test_counts_are_exact_per_status(api):
    tickets = [await api.open() for _ in range(6)]
    for ticket in tickets[:3]:
        await api.move(ticket, "active")
    await api.move(tickets[0], "closed")
    answer = await api.call("GET", "/v1/tickets/counts", role="user", expect=200)
    assert answer.body == {"open": 3, "active": 2, "closed": 1}
