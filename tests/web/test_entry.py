"""The role: chosen at the entry, kept in a cookie."""

from tests.web.conftest import MakePerson


async def test_the_two_roles_are_kept_in_a_cookie(people: MakePerson) -> None:
    person = people(None)
    page = await person.see("/")
    assert "Enter as user" in page.text
    assert "Enter as helpdesk" in page.text
    entered = await person.send("/enter", role="helpdesk")
    assert (entered.status, entered.location) == (303, "/tickets")
    assert int(entered.cookies["role"]["max-age"]) > 300 * 24 * 3600
    assert (await person.see("/analytics")).status == 200
    left = await person.send("/leave")
    assert left.location == "/"
    assert (await person.see("/tickets")).location == "/"


async def test_who_has_no_role_is_led_to_the_entry_and_back(people: MakePerson) -> None:
    assert (await people(None).see("/tickets/12?x=1")).location == "/?next=/tickets/12?x%3D1"
    # Quoted, it would be longer than the server reads.
    assert (await people(None).see(f"/tickets?q={'%20' * 20_000}")).location == "/"
    assert (await people(None).send("/tickets", text="no")).location == "/"


async def test_an_unknown_role_is_not_entered(people: MakePerson) -> None:
    seen = await people(None).send("/enter", role="root")
    assert seen.status == 422
    assert "role" not in seen.cookies


async def test_the_wanted_page_is_reached_after_entering(people: MakePerson) -> None:
    person = people(None)
    page = await person.see((await person.see("/tickets/12?x=1&y=%26")).location)
    entered = await person.send("/enter", role="user", next=page.field("next"))
    assert entered.location == "/tickets/12?x=1&y=%26"
