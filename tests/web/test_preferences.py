"""Language and theme: the browser's until a reader chooses, then kept."""

import pytest

from tests.web.conftest import MakePerson, Person
from web.i18n import Language, negotiate


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("pt-PT, it;q=0.5, fr;q=0.7", "fr"),
        ("ja, zh;q=0.9", "en"),
        ("de;q=0, en;q=0.1", "en"),
        ("de;q=0", "en"),
        ("ES", "es"),
        ("it;q=x, fr;q=0.2", "fr"),
        ("*", "en"),
        (";;q=,,;q=1", "en"),
    ],
)
def test_the_browsers_languages_are_weighed(header: str, language: str) -> None:
    assert negotiate(header) is Language(language)


async def test_a_page_says_its_language_and_theme(people: MakePerson) -> None:
    person = people(None)
    page = await person.see("/", headers={"Accept-Language": "de-CH,de;q=0.9"})
    assert '<html lang="de" data-theme="system">' in page.html
    assert "Accept-Language" in page.headers["Vary"]
    assert "Cookie" in page.headers["Vary"]


async def test_a_list_that_nobody_has_is_not_read_to_its_end(people: MakePerson) -> None:
    page = await people(None).see("/", headers={"Accept-Language": "x," * 3_000 + "it"})
    assert '<html lang="en"' in page.html


async def test_a_choice_is_kept_and_counts_more_than_the_browser(user: Person) -> None:
    headers = {"Referer": f"{_here(user)}tickets?q=x&y=1"}
    chosen = await user.send("/preferences", language="it", theme="dark", headers=headers)
    assert (chosen.status, chosen.location) == (303, "/tickets?q=x&y=1")
    assert int(chosen.cookies["language"]["max-age"]) > 300 * 24 * 3600
    page = await user.see("/tickets", headers={"Accept-Language": "fr"})
    assert '<html lang="it" data-theme="dark">' in page.html


@pytest.mark.parametrize(
    ("referer", "back"),
    [
        ("", "/tickets"),
        ("https://evil.example/tickets/1", "/tickets"),
        ("{here}/evil.example", "/tickets"),
        ("{here}", "/"),
        ("{here}tickets/12/messages", "/tickets/12"),
        ("{here}tickets/12/similar", "/tickets/12/similar"),
        ("{here}replies/3", "/replies"),
        ("{here}replies/3/delete", "/replies"),
        ("{here}analytics/unclosed?last=3&unit=days", "/analytics/unclosed?last=3&unit=days"),
        ("http://[", "/tickets"),
    ],
)
async def test_a_choice_leads_back_to_its_page_and_nowhere_else(
    user: Person, referer: str, back: str
) -> None:
    referer = referer.replace("{here}", _here(user))
    chosen = await user.send("/preferences", theme="light", headers={"Referer": referer})
    assert chosen.location == back


async def test_an_unknown_choice_changes_nothing(user: Person) -> None:
    chosen = await user.send("/preferences", language="xx", theme="pink")
    assert chosen.status == 303
    assert not chosen.cookies


def _here(person: Person) -> str:
    assert person.session._base_url is not None
    return str(person.session._base_url.origin()).rstrip("/") + "/"
