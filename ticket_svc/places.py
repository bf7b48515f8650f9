"""Which places a text names: "hall 1" and "hall 2" are two problems, however alike the rest is.

Reads rooms, floors and buildings in the five languages of the campus, by their numbers ("room 220",
"B12", "3rd floor", "Gebäude C") and, beside some words, by their names ("Aula Magna", "Turing
building"). Knows no map of the campus. No I/O.
"""

import re
from collections import defaultdict
from functools import lru_cache
from typing import Final, NamedTuple
from unicodedata import combining, normalize

ROOM: Final = "room"
FLOOR: Final = "floor"
BUILDING: Final = "building"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words are compared without accents and in lower case. Halls and offices count as rooms: "lecture
# hall 3" is "aula 3", which may be a classroom too.
_KINDS: Final = {
    ROOM: (
        "room rooms rm classroom hall theatre theater auditorium lab laboratory office"
        " aula aule stanza sala camera laboratorio ufficio auditorio"
        " salon habitacion despacho oficina"
        " salle amphi amphitheatre chambre bureau labo laboratoire"
        " raum saal zimmer horsaal hoersaal hs buro labor"
    ),
    FLOOR: (
        "floor storey level piano pian livello planta piso nivel etage niveau stock stockwerk"
        " geschoss og"
    ),
    BUILDING: (
        "building bldg block wing residence edificio palazzo palazzina blocco residenza bloque"
        " residencia batiment bat immeuble bloc gebaude gebaeude haus trakt wohnheim"
    ),
}
_KIND_OF: Final = {word: kind for kind, words in _KINDS.items() for word in words.split()}
# German writes what a room is for and the room in one word.
_KIND_OF_END: Final = {
    "raum": ROOM,
    "saal": ROOM,
    "zimmer": ROOM,
    "labor": ROOM,
    "gebaude": BUILDING,
}
# German has no word here: it writes every noun like a name.
_NAMED_AFTER: Final = _words(
    "hall theatre auditorium aula sala salle amphi amphitheatre building edificio palazzo palazzina"
    " batiment residence residenza residencia"
)
_NAMED_BEFORE: Final = _words("hall theatre theater auditorium building wing residence")
_NO_NAMES: Final = _words(
    "the this that our your my in at on of and from near a an every each whole same lecture"
)
_FLOORS: Final = {
    "basement": "-1", "seminterrato": "-1", "sotano": "-1", "untergeschoss": "-1",
    "kellergeschoss": "-1", "pianterreno": "0", "erdgeschoss": "0", "chaussee": "0", "rdc": "0",
}  # fmt: skip
_NUMBERS: Final = {
    word: str(number)
    for number, words in enumerate(
        (
            "ground terra terreno baja",
            "one first uno primo primer premier eins erste ersten erster",
            "two second due secondo segundo segunda dos deux deuxieme zwei zweite zweiten zweiter",
            "three third tre terzo tercer tercera tres trois troisieme drei dritte dritten dritter",
            "four fourth quattro quarto cuarto cuatro quatre quatrieme vier vierte vierten vierter",
            "five fifth cinque quinto cinco cinq cinquieme funf funfte funften funfter",
        )
    )
    for word in words.split()
} | {"magna": "magna"}  # the one name that is often written small
# What may stand between the word and its number: "room no. 3", "3.er piso".
_SIGNS: Final = _words("n no nr num numero number er")

_TOKEN: Final = re.compile(r"[^\W_]+(?:[-./]\d[^\W_]*)*[.°]?")
_CODE: Final = re.compile(r"[a-z]{0,2}-?\d{1,4}([-./]\d{1,3})*[a-z]?")
_ORDINAL: Final = re.compile(r"(\d{1,2})(?:st|nd|rd|th|o|a|e|er|[eè]me|[eè]re|[.°])")
# Two digits at least: A4 is paper.
_BARE_CODE: Final = re.compile(r"[A-Z]-?\d(\d|[-./]\d)[\d./-]{0,4}")

Places = dict[str, frozenset[str]]


class Agreement(NamedTuple):
    """Of how many kinds of place two texts name the same one, and of how many different ones."""

    equal: int
    different: int


class _Token(NamedTuple):
    written: str
    word: str  # without accents, in lower case


def compare_places(one: str, other: str) -> Agreement:
    """Compare the places of two texts; a kind that only one of them names says nothing."""
    ours, theirs = find_places(one), find_places(other)
    equal = [bool(ours[kind] & theirs[kind]) for kind in ours.keys() & theirs.keys()]
    return Agreement(equal.count(True), equal.count(False))


# Tickets are compared again and again while people type.
@lru_cache(maxsize=10_000)
def find_places(text: str) -> Places:
    """Return the names and numbers of the places in a text, by kind; only kinds that it names."""
    tokens = [_Token(part, _fold(part)) for part in _TOKEN.findall(normalize("NFKC", text))]
    found: defaultdict[str, set[str]] = defaultdict(set)
    taken = -1
    for i, token in enumerate(tokens):
        if i <= taken:
            continue
        if floor := _FLOORS.get(token.word):
            found[FLOOR].add(floor)
        elif kind := _KIND_OF.get(token.word) or _kind_of_compound(token.word):
            name, taken = _name_after(tokens, i, kind)
            if name := name or _name_before(tokens, i, kind):
                found[kind].add(name)
        elif _BARE_CODE.fullmatch(token.written):
            found[ROOM].add(_plain(token.word))
    return {kind: frozenset(names) for kind, names in found.items()}


def _name_after(tokens: list[_Token], i: int, kind: str) -> tuple[str, int]:
    """Return the name behind the word at `i`, or "", and the last token that belongs to it."""
    end = i + 1
    while end < len(tokens) and tokens[end].word in _SIGNS:
        end += 1
    if end == len(tokens):
        return "", i
    written, word = tokens[end]
    if number := _NUMBERS.get(word):
        return number, end
    if _CODE.fullmatch(word):
        return _plain(word), end
    if kind is not FLOOR and re.fullmatch("[A-Z]", written):
        is_split = end + 1 < len(tokens) and tokens[end + 1].word.isdigit()  # "room B 12"
        return word + (tokens[end + 1].word if is_split else ""), end + is_split
    if tokens[i].word in _NAMED_AFTER and _is_name(tokens[end]):
        return word, end
    return "", i


def _name_before(tokens: list[_Token], i: int, kind: str) -> str:
    before = [token for token in tokens[max(i - 2, 0) : i] if token.word not in _SIGNS]
    if not before:
        return ""
    if kind is FLOOR:
        ordinal = _ORDINAL.fullmatch(before[-1].written.casefold())
        return ordinal[1] if ordinal else _NUMBERS.get(before[-1].word, "")
    is_name = tokens[i].word in _NAMED_BEFORE and _is_name(before[-1])
    return before[-1].word if is_name else ""


def _is_name(token: _Token) -> bool:
    return token.written.istitle() and token.word not in _NO_NAMES


def _kind_of_compound(word: str) -> str | None:
    return next((kind for end, kind in _KIND_OF_END.items() if word.endswith(end)), None)


def _fold(word: str) -> str:
    letters = (c for c in normalize("NFKD", word.casefold()) if not combining(c))
    return "".join(letters).rstrip(".°")


def _plain(code: str) -> str:
    return re.sub(r"\W", "", code)
