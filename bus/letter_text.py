"""How dead letters look at a terminal; what a stranger wrote cannot steer the terminal."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bus.letters import Letter

_COLUMNS = ("ID", "QUEUE", "TYPE", "WHY", "SINCE (UTC)", "BYTES")
_PROPERTIES = ("message_id", "correlation_id", "reply_to", "type", "content_type", "timestamp")


def table(letters: Sequence[Letter]) -> str:
    """Return one line a letter, under a line of titles."""
    rows = [_COLUMNS, *map(_row, letters)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def page(letter: Letter, copies: int) -> str:
    """Return everything about one letter, and why it died as far as can be told from it."""
    lines = [
        f"Dead letter {letter.id} of {letter.queue}" + (f", {copies} copies" if copies > 1 else ""),
        f"since   {_instant(letter.died_at)} UTC",
        f"reason  {letter.death}",
        f"why     {_why(letter)}",
    ]
    if reason := letter.why_not_again():
        lines.append(f"replay  makes no sense: {reason}")
    lines += ["", "Properties"]
    for name in _PROPERTIES:
        if (value := getattr(letter.properties, name)) is not None:
            lines.append(f"  {name}: {_plain(value)}")
    lines += ["", "Headers"]
    lines += [f"  {name}: {_plain(value)}" for name, value in sorted(letter.headers.items())]
    lines += ["", f"Body, {len(letter.body)} bytes", _body(letter.body)]
    return "\n".join(_safe(line) for line in lines)


def _row(letter: Letter) -> tuple[str, ...]:
    return (
        letter.id,
        letter.queue,
        _safe(str(letter.properties.type or "-")),
        letter.death,
        _instant(letter.died_at),
        str(len(letter.body)),
    )


def _why(letter: Letter) -> str:
    if misunderstanding := letter.misunderstanding():
        return f"It cannot be understood: {misunderstanding}"
    if letter.death.startswith("delivery_limit"):
        return (
            "It can be understood, but whoever got it went away before it was done, again and "
            f"again: see the log of {letter.service} before that time."
        )
    return (
        f"It can be understood, but handling it failed: the log of {letter.service} has the rest "
        f"beside {letter.id} (message {letter.properties.message_id or '-'})."
    )


def _body(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body.decode(errors="backslashreplace")


def _plain(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=_plain)
    return f"{_instant(value)} UTC" if isinstance(value, datetime) else str(value)


def _instant(value: datetime | None) -> str:
    return value.strftime("%Y-%m-%d %H:%M:%S") if value else "unknown"


def _safe(text: str) -> str:
    # Escape sequences and characters that turn the direction of a line, from anybody's ticket.
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )
