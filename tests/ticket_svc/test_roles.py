"""The server enforces what each role may do, and only callers with the token get in."""

CALLS = [
    ("GET", "/v1/tickets"),
    ("POST", "/v1/tickets"),
    ("GET", "/v1/tickets/counts"),
    ("GET", "/v1/tickets/export"),
    ("GET", "/v1/tickets/similar?text=x"),
    ("GET", "/v1/tickets/1"),
    ("PATCH", "/v1/tickets/1"),
    ("PUT", "/v1/tickets/1/status"),
    ("GET", "/v1/tickets/1/messages"),
    ("POST", "/v1/tickets/1/messages"),
    ("GET", "/v1/tickets/1/history"),
]


async def test_every_call_needs_the_token(api):
    for method, path in CALLS:
        for authorization in ("", "Bearer", "Bearer wrong", "Basic a token for tests", "Bearer é"):
            answer = await api.call(method, path, headers={"Authorization": authorization})
            assert (answer.status, answer.body["code"]) == (401, "unauthorized"), (method, path)
            assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_every_call_needs_a_role(api):
    for method, path in CALLS:
        for role in ("", "admin", "Helpdesk"):
            answer = await api.call(method, path, role=role)
            assert (answer.status, answer.body["code"]) == (400, "bad_role"), (method, path)


async def test_operators_and_the_description_need_no_token(api):
    for path in ("/health/live", "/health/ready", "/metrics", "/openapi.json"):
        async with api.client.get(path) as response:
            assert response.status == 200, path


async def test_user_never_moves_a_ticket(api):
    ticket = await api.open()
    answer = await api.move(ticket, "active", role="user")
    assert (answer.status, answer.body["code"]) == (403, "forbidden")
    assert await api.get(ticket["id"]) == ticket


async def test_user_never_sets_a_category_afterwards(api):
    ticket = await api.open()
    answer = await api.edit(ticket, role="user", category="technical_it", description="x")
    assert (answer.status, answer.body["errors"][0]["field"]) == (403, "category")
    assert await api.get(ticket["id"]) == ticket


async def test_user_gets_no_export(api):
    answer = await api.call("GET", "/v1/tickets/export", role="user")
    assert (answer.status, answer.body["code"]) == (403, "forbidden")


async def test_user_learns_of_a_closed_ticket_only_that_and_when_it_was_closed(api):
    ticket = await api.open("A secret")
    await api.send(ticket, "A secret too")
    closed = await api.close(ticket)
    path = f"/v1/tickets/{ticket['id']}"
    for answer in (
        await api.call("GET", path, role="user"),
        await api.call("GET", f"{path}/messages", role="user"),
        await api.call("GET", f"{path}/history", role="user"),
    ):
        assert (answer.status, answer.body["code"]) == (403, "ticket_closed")
        assert answer.body["closed_at"] == closed["closed_at"]
        assert "secret" not in str(answer.body)
    for answer in (
        await api.send(ticket, "Hello?"),
        await api.edit(closed, role="user", description="x"),
    ):
        assert (answer.status, answer.body["code"]) == (409, "ticket_closed")
        assert "secret" not in str(answer.body)


async def test_user_lists_never_hold_closed_tickets(api):
    await api.close(await api.open("Printer one"))
    left = await api.open("Printer two")
    for query in ("", "?q=printer", "?category=none", "?sort=modified_at"):
        assert [t["id"] for t in (await api.list(query, role="user"))["items"]] == [left["id"]]
    answer = await api.call("GET", "/v1/tickets?status=open&status=closed", role="user")
    assert (answer.status, answer.body["code"]) == (403, "forbidden")
    assert answer.body["errors"][0]["field"] == "status"
