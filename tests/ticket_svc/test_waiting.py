"""A ticket says since when a reporter waits for helpdesk; what was answered waits no more."""

from importlib import import_module

UNDO = """
    ALTER TABLE ticket DROP COLUMN affected, DROP COLUMN waiting_since;
    DROP TABLE affected, reply;
"""


async def waiting(api, ticket):
    return (await api.get(ticket["id"]))["waiting_since"]


async def test_who_reports_waits_since_then_until_work_starts(api):
    ticket = await api.open()
    assert ticket["waiting_since"] == ticket["opened_at"]
    assert (await api.move(ticket, "active")).body["waiting_since"] is None


async def test_an_answer_of_helpdesk_ends_the_waiting(api):
    ticket = await api.open()
    await api.send(ticket, "We are coming", role="helpdesk")
    assert await waiting(api, ticket) is None


async def test_a_user_s_message_waits_since_the_first_unanswered_one(api):
    ticket = await api.open()
    await api.send(ticket, "Anybody there?")
    assert await waiting(api, ticket) == ticket["opened_at"]
    await api.move(ticket, "active")
    asked = (await api.send(ticket, "When do you come?")).body
    await api.send(ticket, "Hello?")
    assert await waiting(api, ticket) == asked["sent_at"]
    await api.send(ticket, "At noon", role="helpdesk")
    assert await waiting(api, ticket) is None
    again = (await api.send(ticket, "It is one o'clock")).body
    assert await waiting(api, ticket) == again["sent_at"]


async def test_nobody_waits_for_a_closed_ticket(api):
    ticket = await api.open()
    await api.move(ticket, "active")
    await api.send(ticket, "It works again")
    assert (await api.move(ticket, "closed")).body["waiting_since"] is None


async def test_other_changes_leave_the_waiting_as_it_is(api):
    ticket = await api.open()
    edited = (await api.edit(ticket, description="It burns", category="technical_it")).body
    path = f"/v1/tickets/{ticket['id']}/affected/00000000-0000-4000-8000-000000000001"
    assert (await api.call("PUT", path)).body["waiting_since"] == ticket["opened_at"]
    assert edited["waiting_since"] == ticket["opened_at"]


async def test_tickets_of_before_wait_by_the_same_rules(api, sql):
    _, asked, answered, begun, nudged, closed = [await api.open() for _ in range(6)]
    await api.send(asked, "Anybody there?")
    await api.send(answered, "We are coming", role="helpdesk")
    await api.move(begun, "active")
    await api.send(nudged, "We are coming", role="helpdesk")
    for text in ("When?", "Hello?"):
        await api.send(nudged, text)
    await api.close(closed)
    before = (await api.list("?sort=opened_at"))["items"]
    await sql.execute(UNDO)
    await sql.execute(import_module("ticket_svc.migrations.versions.0003_helpdesks_day").SQL)
    assert (await api.list("?sort=opened_at"))["items"] == before
    assert [ticket["waiting_since"] is None for ticket in before] == [
        *(False, False),
        *(True, True),
        *(False, True),
    ]
