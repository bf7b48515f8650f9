"""Keeps what helpdesk corrected, for the next model and for helpdesk's page.

One row a ticket in SQLite: it comes with Python, survives a kill, and any number of workers on
one volume may write. The text stays here for as long as the file does.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from contracts.messages import Confused, CorrectedWeek
from contracts.vocabulary import Category

CORRECTIONS_FILE = "corrections.sqlite"
LOCK_SECONDS = 5.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS correction (
    ticket_id INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    at TEXT NOT NULL,
    text TEXT NOT NULL,
    category TEXT NOT NULL,
    said TEXT NOT NULL,
    model TEXT NOT NULL
) STRICT
"""


# What concerns the file and its volume, and not what is written. Source: sqlite.org/rescode.html.
DISK_SAYS_NO = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)


class DiskAway(Exception):
    """The file cannot be used just now; the same work may succeed later."""


class Correction(NamedTuple):
    """Helpdesk says that `text` belongs to `category`; `model` had `said` another, or the same."""

    ticket_id: int
    version: int
    at: datetime
    text: str
    category: Category
    said: Category
    model: str


class Corrections:
    """The corrections of one file, which is made when it is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self, corrections: Iterable[Correction]) -> None:
        """Keep what is newer than what is known of its ticket; raises DiskAway."""
        with self._connected() as connection:
            connection.executemany(
                "INSERT INTO correction VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (ticket_id) DO UPDATE SET version = excluded.version,"
                " at = excluded.at, text = excluded.text, category = excluded.category,"
                " said = excluded.said, model = excluded.model"
                " WHERE excluded.version > version",
                [c._replace(at=c.at.astimezone(UTC).isoformat()) for c in corrections],  # type: ignore[arg-type]
            )

    def read(self) -> list[Correction]:
        """Return all, by ticket; raises DiskAway."""
        with self._connected() as connection:
            rows = connection.execute("SELECT * FROM correction ORDER BY ticket_id").fetchall()
        return [
            Correction(
                ticket_id,
                version,
                datetime.fromisoformat(at),
                text,
                Category(category),
                Category(said),
                model,
            )
            for ticket_id, version, at, text, category, said, model in rows
        ]

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            # Not before it is needed: answering goes on where the volume is away.
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connecting = sqlite3.connect(self._path, timeout=LOCK_SECONDS)
            with closing(connecting) as connection, connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(SCHEMA)
                yield connection
        except OSError as error:
            raise DiskAway(error.strerror or str(error)) from error
        except sqlite3.Error as error:
            # The codes of SQLite are extended ones; their last byte is the kind.
            if (getattr(error, "sqlite_errorcode", 0) & 0xFF) not in DISK_SAYS_NO:
                raise
            raise DiskAway(str(error)) from error


def count_weeks(corrections: Iterable[Correction], zone: ZoneInfo) -> list[CorrectedWeek]:
    """Return how many went to each category in each week of the zone, oldest first."""
    days = ((c.at.astimezone(zone).date(), c.category) for c in corrections)
    counts = Counter((day - timedelta(days=day.weekday()), category) for day, category in days)
    return [
        CorrectedWeek(week=week, category=category, corrected=n)
        for (week, category), n in sorted(counts.items())
    ]


def count_confused(corrections: Iterable[Correction]) -> list[Confused]:
    """Return how often the model said one category and helpdesk another, most frequent first."""
    counts = Counter((c.said, c.category) for c in corrections if c.said is not c.category)
    return [
        Confused(said=said, category=category, tickets=n)
        for (said, category), n in counts.most_common()
    ]
