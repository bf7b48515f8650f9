"""Messages form a thread under a ticket that is not closed; each is a change of its ticket."""


async def test_message_joins_the_thread_and_modifies_the_ticket(api):
    ticket = await api.open()
    first = (await api.send(ticket, " It smells\r\nof smoke ")).body
    second = (await api.send(ticket, "We are on our way", role="helpdesk")).body
    assert first == {
        "id": first["id"],
        "ticket_id": ticket["id"],
        "author": "user",
        "body": "It smells\nof smoke",
        "sent_at": first["sent_at"],
    }
    assert second["author"] == "helpdesk"
    path = f"/v1/tickets/{ticket['id']}/messages"
    assert (await api.call("GET", path, role="user")).body == {"items": [first, second]}
    now = await api.get(ticket["id"])
    assert (now["messages"], now["version"]) == (2, 3)
    assert now["modified_at"] == second["sent_at"]


async def test_thread_of_a_new_ticket_is_empty(api):
    ticket = await api.open()
    path = f"/v1/tickets/{ticket['id']}/messages"
    assert (await api.call("GET", path, expect=200)).body == {"items": []}


async def test_unknown_ticket_is_404_everywhere(api):
    for ticket_id in (0, -1, 77, 2**53, 2**63, "abc", "1e3", "%20", "٣", "1_0"):
        path = f"/v1/tickets/{ticket_id}"
        edit = {"json": {"description": "x"}, "headers": {"If-Match": '"1"'}}
        for answer in (
            await api.call("GET", path),
            await api.call("PATCH", path, **edit),
            await api.call("PUT", f"{path}/status", json={"status": "active"}),
            await api.call("GET", f"{path}/messages"),
            await api.call("POST", f"{path}/messages", json={"body": "x"}),
            await api.call("GET", f"{path}/history"),
        ):
            assert (answer.status, answer.body["code"]) == (404, "not_found"), path
            assert answer.body["errors"][0]["field"] == "id"
