"""What a search looks for: each typed word, and the written words that it stands for.

Decides what is near enough to be a typo; knows neither SQL nor tickets.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

# A search costs so much for each word, and longer words say more.
WORDS_MAX = 12
# Shorter words are looked for where a word begins: inside of words they are in nearly every text.
PART_MIN_CHARACTERS = 3
# Words of more than 100 characters are kept in pieces that overlap by so many.
WHOLE_MAX_CHARACTERS = 50
# In shorter words one letter makes another word.
TYPO_MIN_CHARACTERS = 4
TWO_SLIPS_MIN_CHARACTERS = 8
# Nobody counts further.
USUAL_USES = 20
# Of so many words at most a typed one may be a typo: the most usual.
NEAR_MAX = 20
# A word that stands for more than these is looked for in the texts, not in the index.
WRITTEN_MAX = 1_000
# From so many on it may be quicker to look through the first tickets than to sort all.
MANY_TICKETS = 1_000

# Thai, Chinese and Japanese have no spaces between words: even one letter may be a word inside.
_WITHOUT_SPACES = re.compile("[\u0e00-\u0eff\u2e80-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


class Known(NamedTuple):
    """A written word, and in how many descriptions and threads it is, up to USUAL_USES."""

    text: str
    uses: int


class Wanted(NamedTuple):
    """A typed word, folded, with the written ones that hold it and those that it is a typo of.

    At most `tickets` have one of them; from MANY_TICKETS on there may be more.
    """

    word: str
    written: tuple[str, ...]
    near: tuple[str, ...]
    tickets: int

    @classmethod
    def of(cls, word: str, written: Sequence[Known], near: Sequence[Known]) -> "Wanted":
        """Return what a word stands for: `written` hold it, and some of `near` may be meant."""
        uses = _most_uses(written)
        # Others write the same typo, so that it is known too; what is meant is more usual.
        near = [one for one in near if one.uses > uses and is_typo(word, one.text)]
        near = sorted(near, key=lambda one: (-one.uses, one.text))[:NEAR_MAX]
        meant = [*written, *near]
        is_usual = len(written) > WRITTEN_MAX or _most_uses(meant) >= USUAL_USES
        return cls(
            word,
            tuple(one.text for one in written),
            tuple(one.text for one in near),
            MANY_TICKETS if is_usual else sum(one.uses for one in meant),
        )

    @property
    def meant(self) -> tuple[str, ...]:
        """Return every written word that it stands for."""
        return self.written + self.near

    @property
    def is_broad(self) -> bool:
        """Tell whether there are more written words than `written` has."""
        return len(self.written) > WRITTEN_MAX

    @property
    def patterns(self) -> list[str]:
        """Return LIKE patterns for words between spaces: a ticket needs one of them."""
        begin = "%" if is_part_anywhere(self.word) else "% "
        return [f"{begin}{_escape(self.word)}%", *(f"% {_escape(word)} %" for word in self.near)]


def choose_words(typed: Iterable[str]) -> list[str]:
    """Return what is looked for of all typed words: the longest WORDS_MAX different ones."""
    different = {part for word in typed for part in _parts_of(word)}
    return sorted(different, key=lambda word: (-len(word), word))[:WORDS_MAX]


def _parts_of(word: str) -> tuple[str, ...]:
    """Return the parts of a word that are whole in one of the pieces that `text_words` keeps."""
    return (word[:WHOLE_MAX_CHARACTERS], word[-WHOLE_MAX_CHARACTERS:])


def is_part_anywhere(word: str) -> bool:
    """Tell whether a word is looked for inside of words too, not only where they begin."""
    return len(word) >= PART_MIN_CHARACTERS or bool(_WITHOUT_SPACES.search(word))


def holding(word: str) -> str:
    """Return the LIKE pattern for the written words that hold a typed one."""
    return f"{'%' if is_part_anywhere(word) else ''}{_escape(word)}%"


def may_be_typo(word: str, written: Sequence[Known]) -> bool:
    """Tell whether near words are worth a look: nothing usual holds the word."""
    # Another number is another thing.
    has_digit = any(letter.isdigit() for letter in word)
    is_usual = _most_uses(written) >= USUAL_USES
    # The index of near words knows nothing but letters: without any it is read from end to end.
    letters = sum(map(str.isalpha, word))
    return letters >= TYPO_MIN_CHARACTERS and not has_digit and not is_usual


def list_swapped(word: str) -> list[str]:
    """Return the word with each two neighbours swapped."""
    return [
        word[:n] + second + first + word[n + 2 :]
        for n, (first, second) in enumerate(pairwise(word))
        if first != second
    ]


def _most_uses(known: Iterable[Known]) -> int:
    return max((one.uses for one in known), default=0)


def slips_of(word: str) -> int:
    """Return how many slips a typed word may have."""
    return 2 if len(word) >= TWO_SLIPS_MIN_CHARACTERS else 1


def is_typo(word: str, meant: str) -> bool:
    """Tell whether a word is another one with a slip, or with two where it is long."""
    slips = slips_of(word)
    return abs(len(word) - len(meant)) <= slips and _count_slips(word, meant, slips) <= slips


def _count_slips(a: str, b: str, most: int) -> int:
    """Return how many letters were left out, put in, replaced, or swapped with the next one.

    The optimal string alignment distance: Levenshtein's, with swaps of neighbours. Right up to
    `most`, and more than that for all others: only so far from the diagonal is looked.
    """
    far = most + 1
    last: list[int] = []
    row = [min(j, far) for j in range(len(b) + 1)]
    for i, letter in enumerate(a, start=1):
        before_last, last, row = last, row, [far] * (len(b) + 1)
        if i <= most:
            row[0] = i
        for j in range(max(i - most, 1), min(i + most, len(b)) + 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != b[j - 1]))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == b[j - 1]:
                cost = min(cost, before_last[j - 2] + 1)
            row[j] = cost
    return row[-1]


def _escape(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
