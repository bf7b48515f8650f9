"""Which places of a ticket to mark for a search, and which piece of its text to show.

Folds letters as the database does (`fold_text`), and knows of each which written one it comes
from. Knows no SQL.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from contracts.rest import Hit, Span, Ticket
from contracts.text import sign_span, title_span
from contracts.vocabulary import EXCERPT_MAX_CHARACTERS, Role
from ticket_svc.wanted import Wanted, is_part_anywhere

# So much of what stands before the first marked place is shown too.
LEAD_CHARACTERS = 40
# Letters that Unicode does not take apart; the same as in unaccent.rules.
_SPELT_OUT = {
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ı": "i",
    "þ": "th",
}  # fmt: skip
# What stands between words; see `text_words`.
_BETWEEN = re.compile(r"[\s,;!?\"'()\[\]{}<>«»„“”‘’…/|·—–。、，！？「」（）.:*_`~-]")
# Of one word in one text; nobody looks at more marks.
PLACES_MAX = 20
# More than the letters of a campus; a text with more begins anew.
_LETTERS_KEPT = 4_096


class Said(NamedTuple):
    """A message with some of the words; `number` is its place in the thread, from 1."""

    id: int
    number: int
    author: Role
    body: str


class Place(NamedTuple):
    """Where a text has a wanted word, by the number of that word."""

    start: int
    end: int
    word: int


class Marker:
    """Finds the words of one search in texts; without words, none."""

    def __init__(self, wanted: Sequence[Wanted]) -> None:
        self._words = [_Needles.of(word) for word in wanted]

    def hit(self, ticket: Ticket, said: Said | None) -> Hit:
        """Return what to mark in a ticket's title, and in a message or else the description."""
        title_start, title_end = title_span(ticket.description)
        description = self._places(ticket.description[: title_end if said else None])
        title = [
            place for place in description if title_start <= place.start and place.end <= title_end
        ]
        text = said.body if said else ticket.description
        places = self._places(said.body) if said else description
        start, end = _choose_piece(text, places)
        return Hit(
            ticket_id=ticket.id,
            in_title=self._has_all(title),
            title_spans=_spans(title, title_start, title_end),
            message_id=said and said.id,
            message_number=said and said.number,
            author=said and said.author,
            excerpt=text[start:end],
            start=start,
            is_cut=end < len(text),
            spans=_spans(places, start, end),
        )

    def _has_all(self, places: Sequence[Place]) -> bool:
        return _count_words(places) == len(self._words)

    def _places(self, text: str) -> list[Place]:
        if not self._words:
            return []
        folded, origins = _fold(text)
        spaced = f" {_space(folded)} "
        places = []
        for number, needles in enumerate(self._words):
            for start, end in islice(needles.find(folded, spaced), PLACES_MAX):
                # Up to the next letter: marks that are written on their own belong to the one
                # before.
                after = origins[end] if end < len(origins) else len(text)
                places.append(Place(origins[start], max(after, origins[end - 1] + 1), number))
        return sorted(places)


class _Needles(NamedTuple):
    """A typed word, folded, and the words that it is a typo of, each between spaces."""

    word: str
    is_anywhere: bool
    near: tuple[str, ...]

    @classmethod
    def of(cls, wanted: Wanted) -> "_Needles":
        # A mark that stands alone folds to nothing, and is nowhere to be seen.
        word = _fold(wanted.word)[0] or wanted.word
        near = (_space(_fold(near)[0]) for near in wanted.near)
        return cls(word, is_part_anywhere(wanted.word), tuple(f" {near} " for near in near if near))

    def find(self, folded: str, spaced: str) -> Iterator[tuple[int, int]]:
        """Yield the places in a folded text, given with spaces between and around its words too.

        Those of the typed word come before those of the words that it may be a typo of.
        """
        length = len(self.word)
        # A space in front makes `spaced` one longer, and the needles that begin with one too.
        if self.is_anywhere:
            places = _find_all(folded, self.word, length)
        else:
            places = _find_all(spaced, f" {_space(self.word)}", length)
        return chain(places, *(_find_all(spaced, near, len(near) - 2) for near in self.near))


def _space(folded: str) -> str:
    """Return a folded text of the same length with spaces between its words."""
    return _BETWEEN.sub(" ", folded)


def _find_all(text: str, needle: str, length: int) -> Iterator[tuple[int, int]]:
    at = text.find(needle)
    while at >= 0:
        yield at, at + length
        at = text.find(needle, at + length)


def _fold(text: str) -> tuple[str, Sequence[int]]:
    """Return the folded text, and for each of its characters the number of that it comes from."""
    if text.isascii():
        return text.lower(), range(len(text))
    folded = text.translate(_FOLDED)
    if all(len(_FOLDED[ord(letter)]) == 1 for letter in set(text)):
        return folded, range(len(text))
    return folded, [n for n, letter in enumerate(text) for _ in _FOLDED[ord(letter)]]


class _Folded(dict[int, str]):
    """Folded letters by their code."""

    def __missing__(self, code: int) -> str:
        if len(self) >= _LETTERS_KEPT:
            self.clear()
        self[code] = _fold_letter(chr(code))
        return self[code]


_FOLDED = _Folded()


def _fold_letter(letter: str) -> str:
    parts = unicodedata.normalize("NFKD", letter.lower())
    return "".join(
        _SPELT_OUT.get(part, part) for part in parts if unicodedata.category(part) != "Mn"
    )


def _count_words(places: Iterable[Place]) -> int:
    return len({place.word for place in places})


def _choose_piece(text: str, places: Sequence[Place]) -> tuple[int, int]:
    """Return start and end of the piece with the most words, the earliest of equals."""
    room = EXCERPT_MAX_CHARACTERS - LEAD_CHARACTERS
    begin = most = first = 0
    words: Counter[int] = Counter()
    for place in places:
        words[place.word] += 1
        while place.end > places[first].start + room and places[first] is not place:
            words[places[first].word] -= 1
            first += 1
        if (number := len(+words)) > most:
            begin, most = places[first].start, number
    start = max(0, min(begin - LEAD_CHARACTERS, len(text) - EXCERPT_MAX_CHARACTERS))
    if start:
        # At a word's beginning, where there is one before the place.
        while start < begin and not text[start - 1].isspace():
            start += 1
    # Never a part of what a reader sees as one sign, at both ends.
    start = sign_span(text, start)[0]
    end = start + EXCERPT_MAX_CHARACTERS
    if end < len(text):
        last = max((place.end for place in places if place.end <= end), default=start + 1)
        cut = end
        while cut > last and not text[cut].isspace():
            cut -= 1
        end = cut if cut > last else end
    return start, sign_span(text, min(end, len(text)))[0]


def _spans(places: Iterable[Place], start: int, end: int) -> list[Span]:
    """Return the places within a piece, counted from its start; those that touch are one."""
    spans: list[Span] = []
    for place in places:
        first, last = max(place.start, start) - start, min(place.end, end) - start
        if first >= last:
            continue
        if spans and first <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(last, spans[-1][1]))
        else:
            spans.append((first, last))
    return spans
