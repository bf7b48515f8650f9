"""What is odd: texts, JSON, bytes, and forms of something right with one part exchanged."""

import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

# What programs stumble over: NUL, line ends, lone surrogates, marks that turn the direction,
# letters that grow in capitals, numbers in other scripts, paths, quotes, formulas, and much of it.
TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "", " ", "\t\r\n", "\x00", "a\x00b", "\x1b[31m", "\x7f", "\x85", "\u2028", "\ufeff",
            "\ufffe", "\U0010ffff", "ﬃ", "İ", "ẞ", "١٢٣", "²", "\u202eabc", "a\u0301" * 50,
            "👩🏽\u200d💻", "null", "true", "NaN", "-0", "1e999", "0x10", "1_000", "' OR 1=1; --",
            "%s%n", "{{7*7}}", "<script>", "../../etc/passwd", "\\", '"', "=1+1",
            "\r\nSet-Cookie: a=b", "x" * 10_001, "😀" * 5_000,
        ]
    ),
)  # fmt: skip
SURROGATES = st.sampled_from(["\ud800", "a\udfffb", "\udcff"])
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 2**31 - 1, 2**31, 2**53, 2**63 - 1, 2**63, 10**30, 10**400, True]),
)
VALUES: SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), NUMBERS, TEXTS, SURROGATES, st.just([]), st.just({})
)
JSON: SearchStrategy[Any] = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
)


def encode(value: Any) -> bytes:
    """Return JSON, with NaN and lone surrogates as some programs write them."""
    return json.dumps(value).encode()


GARBAGE: SearchStrategy[bytes] = st.one_of(
    st.binary(max_size=60),
    JSON.map(encode),
    st.sampled_from(
        [
            b"", b"\xff\xfe", b"{", b"[" * 100_000, b'{"a":' * 5_000, b"9" * 5_000, b"nul",
            b"\xef\xbb\xbf{}", '{"text":"x"}'.encode("utf-16"), b'{"text":"\xed\xa0\x80"}',
            b"{} {}", b"{}\x00", b"'{}'",
        ]
    ),
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, right: dict[str, Any], values: SearchStrategy[Any] = VALUES) -> Any:
    """Return a right object of which a field, at any depth, is exchanged, missing or too much."""
    value = json.loads(json.dumps(right))
    inner = value
    while nested := [name for name, part in inner.items() if isinstance(part, dict) and part]:
        if draw(st.integers(0, 3)) == 0:
            break
        inner = inner[draw(st.sampled_from(nested))]
    name = draw(st.sampled_from(list(inner)))
    how = draw(st.integers(0, 5))
    if how == 0:
        del inner[name]
    elif how == 1:
        inner[draw(TEXTS)] = draw(values)
    else:
        inner[name] = draw(values)
    return value


def broken(right: bytes) -> SearchStrategy[bytes]:
    """Return right bytes that end too early or hold one wrong byte."""
    places = st.integers(0, len(right) - 1)
    cut = places.map(lambda at: right[:at])
    wrong = st.tuples(places, st.binary(min_size=1, max_size=2))
    return cut | wrong.map(lambda w: right[: w[0]] + w[1] + right[w[0] + 1 :])
