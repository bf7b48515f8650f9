"""Cuts a text into words and brings each into the one form that the model knows.

Never decides what a word means.
"""

import re
import unicodedata
from typing import Final

# Longer texts are cut: what people want stands at the beginning, and time stays bounded.
TEXT_MAX_CHARACTERS: Final = 1_000

# Articles, pronouns and the like: they decide nothing, so they neither count nor explain.
FUNCTION_WORDS: Final = frozenset(
    """
    a an the this that these those it its i me my we us our you your he she they them their there
    here is are was were be been am has have had do does did will would can could of to in on at by
    for from with and or but so as if than then when what which who how just very s t d m re ve ll
    il lo la le gli l un uno una di del della dei delle al alla ai da dal in nel nella con su sul
    per e o ma che chi mi ti si ci vi e sono ho hai ha hanno era qui mio mia i
    el los las unos unas de y u pero que me te se nos es son estoy esta hay he tengo mi mis su sus
    en al por para con muy aqui
    der die das den dem des ein eine einen einem einer und oder aber ich du er sie es wir ihr mir
    mich uns ist sind war bin hab habe hat haben im in am an auf aus bei mit von vom zu zum zur fur
    so da hier dass mein meine meinen meiner
    les des du et ou mais je tu il elle on nous vous ils ce cet cette ces j d c n qu est sont suis
    ai a ont au aux dans en sur pour par avec mon ma mes son sa ses que qui y
    """.split()  # noqa: SIM905 - hundreds of quoted words are no easier to read
)

_WORD: Final = re.compile(r"\w+(?:-\w+)*")
_DIGIT: Final = re.compile(r"\d")


def split_words(text: str) -> list[str]:
    """Return the words of the first 1 000 characters, spelt as in the text, no punctuation."""
    return _WORD.findall(text[:TEXT_MAX_CHARACTERS])


def normalise(word: str) -> str:
    """Return the word without case, accents and hyphens, every digit as 0 ("Wi-Fi" → "wifi")."""
    folded = unicodedata.normalize("NFKD", word.casefold())
    bare = "".join(c for c in folded if not unicodedata.combining(c) and c != "-")
    return _DIGIT.sub("0", bare)


def padded(words: list[str]) -> str:
    """Return normalised words as one text with a space before, between and after them."""
    return f" {' '.join(words)} "
