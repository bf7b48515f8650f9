"""The typed calls that no page makes yet do what the ticket service promises."""

from uuid import uuid4

import pytest

from contracts.vocabulary import Role
from tests.conftest import Stack
from web.ticket_api import ApiError, TicketApi, Unavailable


async def test_others_are_counted_once_a_browser(stack: Stack) -> None:
    async with TicketApi(stack["TICKET_API_URL"], stack["TICKET_API_TOKEN"]) as api:
        ticket = await api.open_ticket(Role.USER, "The lift is stuck", None, uuid4())
        browser = uuid4()
        for _ in range(2):
            counted = await api.count_affected(Role.USER, ticket.id, browser)
        assert counted.affected == 1
        assert (await api.ticket(Role.USER, ticket.id)).affected == 1


async def test_replies_are_kept_changed_and_deleted(stack: Stack) -> None:
    title = f"On our way {uuid4().hex[:8]}"
    async with TicketApi(stack["TICKET_API_URL"], stack["TICKET_API_TOKEN"]) as api:
        reply = await api.add_reply(Role.HELPDESK, title, "Today.")
        with pytest.raises(ApiError) as taken:
            await api.add_reply(Role.HELPDESK, title.upper(), "Today.")
        assert [error.code for error in taken.value.problem.errors or []] == ["title_taken"]
        with pytest.raises(ApiError) as blank:
            await api.replace_reply(Role.HELPDESK, reply.id, " ", "Today.")
        assert [error.code for error in blank.value.problem.errors or []] == ["blank"]
        changed = await api.replace_reply(Role.HELPDESK, reply.id, title, "Tomorrow.")
        assert changed in await api.replies(Role.HELPDESK)
        await api.delete_reply(Role.HELPDESK, reply.id)
        assert changed not in await api.replies(Role.HELPDESK)


async def test_a_token_that_is_refused_is_no_fault_of_a_reader(stack: Stack) -> None:
    async with TicketApi(stack["TICKET_API_URL"], "another-token") as api:
        with pytest.raises(Unavailable):
            await api.counts(Role.USER)
