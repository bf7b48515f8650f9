"""Every sentence that a reader sees is translated, whole, and none is written past gettext."""

import re
from calendar import month_abbr, month_name
from functools import cache
from gettext import NullTranslations
from html.parser import HTMLParser
from uuid import uuid4

import pytest
from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

from tests.conftest import ROOT
from tests.web.conftest import Api, MakePerson, Person, Seen, Serve
from web import i18n, refusals
from web.i18n import Language

TRANSLATED = [language for language in Language if language is not Language.ENGLISH]
PLACEHOLDER = re.compile(r"%\(\w+\)s")
TAG = re.compile(r"</?\w+>")


CATALOGS = [(service, language) for service in ("web", "analytics_svc") for language in TRANSLATED]
every_catalog = pytest.mark.parametrize(("service", "language"), CATALOGS)


@cache
def sentences(service: str) -> list[str | tuple[str, ...]]:
    """Return what a service says, in English."""
    with (ROOT / "i18n/babel.ini").open(encoding="utf-8") as mapping:
        methods, options = parse_mapping_cfg(mapping)
    found = extract_from_dir(ROOT / service, methods, options)
    return sorted({message for _, _, message, _, _ in found}, key=str)


def read_catalog(service: str, language: Language) -> Catalog:
    with (ROOT / f"{service}/locale/{language}.po").open("rb") as source:
        return read_po(source, locale=language)


@every_catalog
def test_every_sentence_is_translated(service: str, language: Language) -> None:
    catalog = read_catalog(service, language)
    for sentence in sentences(service):
        message = catalog.get(sentence if isinstance(sentence, str) else sentence[0])
        assert message, f"{language}: run `make messages` and translate {sentence!r}"
        assert not message.fuzzy
        said = [message.string] if isinstance(message.string, str) else list(message.string)
        assert all(said), f"{language}: no translation of {sentence!r}"
        if not isinstance(sentence, str):
            assert len(said) == catalog.num_plurals


@every_catalog
def test_a_translation_keeps_places_and_marks(service: str, language: Language) -> None:
    for message in read_catalog(service, language):
        if not message.id:
            continue
        wanted = [message.id] if isinstance(message.id, str) else list(message.id)
        said = [message.string] if isinstance(message.string, str) else list(message.string)
        for text in said:
            for kept in (PLACEHOLDER, TAG):
                # A plural may do without its number ("one message").
                found = set(kept.findall(text)) | ({"%(num)s"} if len(wanted) > 1 else set())
                assert found >= set(kept.findall(wanted[-1])), (language, text)
                assert set(kept.findall(text)) <= set(kept.findall(wanted[-1])), (language, text)


@every_catalog
def test_no_catalog_keeps_what_nobody_says(service: str, language: Language) -> None:
    known = {one if isinstance(one, str) else one[0] for one in sentences(service)}
    said = {
        m.id if isinstance(m.id, str) else m.id[0] for m in read_catalog(service, language) if m.id
    }
    assert said == known


def test_every_language_knows_its_dates() -> None:
    assert {Locale.parse(language.value).language for language in Language} == set(Language)
    assert set(i18n.NAMES) == set(Language)


class Brackets(NullTranslations):
    """A language in which every sentence stands between brackets."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return f"⟦{msgid1 if n == 1 else msgid2}⟧"


class Words(HTMLParser):
    """What a page says to people: its text and the attributes that are read out."""

    SPOKEN = ("aria-label", "title", "placeholder", "alt", "content")
    # What people wrote, what is drawn by another service, instants, and languages' own names.
    NOT_OURS = ("svg", "time", "code", "kbd", "textarea", "script", "style")
    VOID = ("meta", "link", "input", "br", "hr", "img", "meter")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self._open: list[tuple[str, bool]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        is_theirs = (
            tag in self.NOT_OURS
            or given.get("dir") == "auto"
            or (tag != "html" and "lang" in given)
            or (bool(self._open) and self._open[-1][1])
        )
        if not is_theirs or tag == "textarea":
            self.words += [
                value
                for name, value in given.items()
                if value
                and name in self.SPOKEN
                and given.get("name") not in NAMES_OF_META
                # The date behind an age ("3 hours ago").
                and (tag, name) != ("span", "title")
            ]
        if tag not in self.VOID:
            self._open.append((tag, is_theirs))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not (self._open and self._open[-1][1]):
            self.words.append(data)


NAMES_OF_META = ("viewport", "color-scheme", "theme-color", "htmx-config", "robots")
# Names, the model's version, and what Babel says: months and units of time.
MONTHS = "|".join([*month_name[1:], *month_abbr[1:]])
SAME = re.compile(
    rf"Europe/Rome|\b[0-9a-f]{{12}}\b|\b({MONTHS}) \d{{4}}\b"
    r"|\b\d+\s(sec|second|min|minute|hr|hour|day|week|month|year)s?\b( ago\b)?"
)


def hard_written(html: str) -> list[str]:
    """Return what stands in a page of the language of brackets without any."""
    text = "\n".join(Words(html).words)
    while True:
        rest = re.sub(r"⟦[^⟦⟧]*⟧", "", text)
        if rest == text:
            break
        text = rest
    return re.findall(r"[^\W\d_]{2,}[^\n]*", SAME.sub("", text))


def test_what_is_hard_written_is_found() -> None:
    html = (
        '<p>⟦a ⟦b⟧⟧ c1 <b dir="auto">d</b><i lang="it">sì</i> Save</p><a title="Go" lang="x">q</a>'
    )
    assert hard_written(html) == ["Save"]
    assert hard_written('<input aria-label="Find it">') == ["Find it"]


@pytest.fixture
def bracketed(monkeypatch: pytest.MonkeyPatch) -> None:
    brackets = Brackets()
    monkeypatch.setattr(i18n.CATALOGS, "of", lambda language: brackets)


async def _look_around(person: Person, api: Api, role: str) -> list[tuple[str, Seen]]:
    # A page's title holds the ticket's: no letters, so that they are not taken for a sentence.
    title = str(uuid4().int)
    ticket = await api.open(f"{title}\nThe projector shows no picture")
    twin = await api.open(f"{title} 2", category="facility_management")
    await api.say(ticket.id, "hello", "user")
    await api.say(ticket.id, "there", "helpdesk")
    await api.edit(await api.fetch(ticket.id), description=f"{title}\nIt shows nothing at all")
    await api.ask("PUT", f"/tickets/{twin.id}/duplicate_of", json={"ticket": ticket.id})
    closed = await api.open(f"{title} 3")
    await api.move(closed.id, "active", "closed")
    seen = [
        (path, await person.see(path))
        for path in (
            "/",
            "/tickets",
            f"/tickets?q={title}&opened_from=2020-01-01T00:00:00Z",
            f"/tickets?q={uuid4().hex}",
            "/tickets?status=nonsense",
            f"/tickets/{ticket.id}",
            f"/tickets/{twin.id}",
            f"/tickets/{closed.id}",
            "/tickets/999999999",
            f"/tickets/hints?text={title} the projector shows no picture",
            "/nowhere",
            *(HELPDESK_ONLY if role == "helpdesk" else ("/analytics",)),
        )
    ]
    for path, form in (
        ("/tickets", {"text": " "}),
        (f"/tickets/{ticket.id}/description", {"text": "", "version": "1", "was": "x"}),
        (f"/tickets/{ticket.id}/description", {"text": "other", "version": "1", "was": "x"}),
        (f"/tickets/{ticket.id}/messages", {"text": "x" * 5_001}),
        (f"/tickets/{closed.id}/messages", {"text": "too late"}),
        (f"/tickets/{ticket.id}/duplicate", {"of": "no number"}),
        (f"/tickets/{ticket.id}/duplicate", {"of": str(ticket.id)}),
        (f"/tickets/{closed.id}/status", {"status": "open"}),
        (f"/tickets/{ticket.id}/category", {"category": "nonsense"}),
        ("/enter", {"role": "root"}),
    ):
        seen.append((f"POST {path}", await person.send(path, **form)))
    return seen


HELPDESK_ONLY = (
    "/tickets?status=all",
    "/analytics",
    "/analytics/unclosed?last=2&unit=days",
    "/analytics/unclosed?last=0&unit=days",
    "/analytics/unclosed?last=99999999&unit=weeks",
    "/analytics/unclosed?category=nonsense",
    "/analytics/resolution",
    "/analytics/resolution?months=12&category=none",
    "/analytics/resolution?since=2026-05&until=2026-04&months=x",
    "/analytics/active",
    "/analytics/active?category=technical_it",
    "/analytics/all?last=48&unit=hours",
    "/classifier",
    "/classifier?text=the+printer+burns",
    "/classifier?text=%20",
)


@pytest.mark.parametrize("role", ["user", "helpdesk"])
@pytest.mark.usefixtures("bracketed")
async def test_no_sentence_is_written_past_gettext(
    serve: Serve, people: MakePerson, api: Api, role: str
) -> None:
    person = people(role, await serve())
    found = {
        path: rest
        for path, seen in await _look_around(person, api, role)
        if (rest := hard_written(seen.html))
    }
    assert not found


@pytest.mark.parametrize("language", TRANSLATED)
def test_refusals_are_said_in_the_readers_language(language: Language) -> None:
    with i18n.speaking(language):
        for sentence in (*refusals.PROBLEMS.values(), *refusals.FIELDS.values()):
            assert i18n.gettext(sentence) != sentence
