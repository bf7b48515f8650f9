"""Which places of a ticket to mark for a search, and which piece of its text to show.

Folds letters as the database does (`fold_text`), and knows of each which written one it comes
from. Knows no SQL.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
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
_BETWEEN = r"[\s,;!?\"'()\[\]{}<>«»„“”‘’…/|·—–。、，！？「」（）.:*_`~-]"
_WORD_BEGINS = rf"(?:(?<={_BETWEEN})|\A)"
_WORD_ENDS = rf"(?={_BETWEEN}|\Z)"


class Said(NamedTuple):
    """A message that may hold some of the words; `number` is its place in the thread, from 1."""

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
    """Finds the words of one search in texts."""

    def __init__(self, wanted: Sequence[Wanted]) -> None:
        self._words = [re.compile(_expression(word)) for word in wanted]

    def has_all(self, text: str) -> bool:
        """Tell whether one text has every word."""
        return self._has_all(self._places(text))

    def hit(self, ticket: Ticket, said: Iterable[Said]) -> Hit:
        """Return what to mark in a ticket: the text with the most words, the earliest of equals."""
        best = description = self._places(ticket.description)
        title_start, title_end = title_span(ticket.description)
        title = [
            place for place in description if title_start <= place.start and place.end <= title_end
        ]
        text, message = ticket.description, None
        for one in () if self._has_all(description) else said:
            places = self._places(one.body)
            if _count_words(places) > _count_words(best):
                best, text, message = places, one.body, one
        start, end = _choose_piece(text, best)
        return Hit(
            ticket_id=ticket.id,
            in_title=self._has_all(title),
            title_spans=_spans(title, title_start, title_end),
            message_id=message and message.id,
            message_number=message and message.number,
            author=message and message.author,
            excerpt=text[start:end],
            start=start,
            is_cut=end < len(text),
            spans=_spans(best, start, end),
        )

    def _has_all(self, places: Sequence[Place]) -> bool:
        return _count_words(places) == len(self._words)

    def _places(self, text: str) -> list[Place]:
        folded, origins = _fold(text)
        # Up to the next letter: marks that are written on their own belong to the one before.
        ends = [*origins[1:], len(text)]
        return sorted(
            Place(
                origins[match.start()],
                max(ends[match.end() - 1], origins[match.end() - 1] + 1),
                number,
            )
            for number, word in enumerate(self._words)
            for match in word.finditer(folded)
        )


def _expression(wanted: Wanted) -> str:
    # A mark that stands alone folds to nothing, and is nowhere to be seen.
    word = re.escape(_fold(wanted.word)[0] or wanted.word)
    part = word if is_part_anywhere(wanted.word) else _WORD_BEGINS + word
    near = [_WORD_BEGINS + re.escape(_fold(near)[0]) + _WORD_ENDS for near in wanted.near]
    return "|".join([*near, part])


def _fold(text: str) -> tuple[str, Sequence[int]]:
    """Return the folded text, and for each of its characters the number of that it comes from."""
    if text.isascii():
        return text.lower(), range(len(text))
    letters = [_fold_letter(letter) for letter in text]
    origins = [number for number, folded in enumerate(letters) for _ in folded]
    return "".join(letters), origins


@lru_cache(maxsize=4096)
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
