"""What a reader sees of a text: whether there is anything, its title, and where it may be cut.

Goes by Unicode's properties, not by lists of characters. Knows no field and no page.
"""

import regex

# Nothing is to be seen of these: marks need a letter to stand on. No property says that a glyph is
# empty, so the last four are named (a Braille blank, a note without a head, two hieroglyphs).
# What Unicode has not assigned is seen as a box, or is an emoji of next year.
_BLANK = regex.compile(
    r"[\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\p{M}"
    r"[\p{Cf}--\p{Prepended_Concatenation_Mark}]\u2800\U0001d159\U00013441\U00013442]*",
    regex.VERSION1,
)
# What a reader sees as one sign: an extended grapheme cluster (UAX #29). Flags are said apart:
# to find the end of one, \X counts all that stand before it.
SIGN = r"(?:\p{Regional_Indicator}{2}\p{GCB=Extend}*|\X)"
_SIGN = regex.compile(SIGN)
# Nobody's sign is larger; 30 marks on a letter is what Unicode's Stream-Safe Text Format allows.
SIGN_MAX_CHARACTERS = 32
# A sign ends before each of these, whatever it is.
_SURELY_NEXT = regex.compile(
    r"(?r)[\p{ASCII}[[\p{Latin}\p{Greek}\p{Cyrillic}\p{Arabic}\p{Hebrew}\p{Han}\p{Hiragana}"
    r"\p{Katakana}]&&\p{L}]]",
    regex.VERSION1,
)


def is_blank(text: str) -> bool:
    """Tell whether a reader sees nothing of a text."""
    return _BLANK.fullmatch(text) is not None


def title_span(text: str) -> tuple[int, int]:
    """Return where the title stands: the first line of which a reader sees something.

    From, and up to but not with; 0 and 0 where nothing of the text is to be seen.
    """
    start = 0
    for line in text.split("\n"):
        if not is_blank(line):
            return start, start + len(line)
        start += len(line) + 1
    return 0, 0


def sign_span(text: str, at: int) -> tuple[int, int]:
    """Return start and end of the sign that a character belongs to; of an endless one, its own."""
    before = _SURELY_NEXT.search(text, 0, at + 1)
    for sign in _SIGN.finditer(text, before.start() if before else 0):
        if sign.end() > at:
            start, end = sign.span()
            return (start, end) if end - start <= SIGN_MAX_CHARACTERS else (at, at + 1)
    return at, at


def cut(text: str, most: int) -> str:
    """Return the beginning of a text, at most so many characters and no part of a sign."""
    return text if len(text) <= most else text[: sign_span(text, most)[0]]
