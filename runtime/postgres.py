"""Tells a server that says no to everybody from a statement that is at fault, for all services.

`Database` lends connections and raises DatabaseAway for the first kind: the same work may succeed
later, and nothing about it is wrong. What is left is the statement's or the value's own fault.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeAlias

import asyncpg

from runtime.contended import Contended

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    # Generic only in the eyes of a type checker.
    Connection: TypeAlias = PoolConnectionProxy[asyncpg.Record]

log = logging.getLogger(__name__)

READ_ONLY: Final = "25006"
# What concerns the server: an SQLSTATE, or the first characters of several, and what operators
# read. The longest that fits counts. Source: PostgreSQL, appendix A, "Error Codes".
# Our statements are constants, held by tests against the schema: where a table, column, function or
# right is missing, the database is not migrated, or not as the migrations left it.
SERVER_SAYS_NO: Final = {
    "08": "the connection was lost",
    READ_ONLY: "it is read-only",
    "25P0": "a session was ended",
    "25P02": None,  # a statement after a failed one: a defect of ours
    "26": "a session lost its prepared statements, as behind a pooler",
    "42P05": "a session has prepared statements of others, as behind a pooler",
    "28": "the login was refused",
    "3D": "the database does not exist",
    "3F": "it is not migrated: a schema is missing",
    "40": "other transactions were in the way",
    "40002": None,  # a constraint that is looked at when the transaction ends
    "42P01": "it is not migrated: a table is missing",
    "42703": "it is not migrated: a column is missing",
    "42704": "it is not migrated: an object is missing",
    "42883": "it is not migrated: a function is missing",
    "42501": "a right is missing",
    "53": "it is out of resources",
    "53100": "its disk is full",
    "53200": "it is out of memory",
    "53300": "it has too many connections",
    "55000": "it is in a state that allows no such work, as during recovery",
    "55006": "it is in use by an operator",
    "57": "it is stopping or starting, or an operator intervened",
    "57014": "it cancelled a statement",  # services set no time limit of the server's own
    "58": "its machine failed",
    "F0": "its configuration cannot be read",
    "XX": "it found an inner error",
}
# A refusal of a statement says nothing of others: reading works on a full disk. It counts for so
# long unless a write succeeds; waiting consumers repeat theirs sooner.
REFUSAL_SECONDS = 5.0
# What concerns one session or one moment only, and tells nothing of the next.
_OF_A_MOMENT: Final = ("25P0", "26", "40", "42P05", "57014")
# A server that is there says goodbye at once. One that fell silent never does.
CLOSE_SECONDS = 2.0
# So long without a failure, and the log says that it is over.
QUIET_SECONDS = 2.0


class DatabaseAway(Exception):
    """The database cannot be used just now; the same work may succeed later.

    The words are for operators: they say what the server said, and hold no secret.
    """


class LockTimeout(DatabaseAway, Contended):
    """Others held a lock for too long; the server is well, and so is the session."""


def why_away(error: BaseException) -> str | None:
    """Return what concerns the server in an error, None where the statement is at fault."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        length = next((n for n in (5, 4, 2) if state[:n] in SERVER_SAYS_NO), None)
        phrase = SERVER_SAYS_NO[state[:length]] if length else None
        if error.severity_en in ("FATAL", "PANIC"):
            # It ended the session, or let none begin, whatever the code. The words are about role,
            # database and address, never about data.
            return f"{phrase or 'it refuses sessions'} ({state}: {error.message})"
        if isinstance(error, asyncpg.InvalidCachedStatementError):
            return "its tables were changed meanwhile"
        return phrase and f"{phrase} ({state})"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):  # refused, cut, no such name, TLS
        return f"it cannot be reached: {error.strerror or error or type(error).__name__}"
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
        return f"the connection was lost: {error}"
    return None


class Database:
    """Lends connections of a pool, throws away those that the server refused, and knows why."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", acquire_s: float) -> None:
        self._pool = pool
        self._acquire_s = acquire_s
        # The last refusal, and until when it counts: for ever means until something succeeds.
        self._refusal = ""
        self._refused_until = 0.0
        self._is_read_only = False
        self._logged = ""
        self._failed_at = 0.0

    async def open(self) -> "Database":
        """Make ready to connect; nothing connects before it is used."""
        await self._pool
        return self

    async def __aenter__(self) -> "Database":
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection, those that have fallen silent too."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._pool.close()  # which terminates what is left when it is cancelled

    @property
    def refusal(self) -> str | None:
        """Return what the server said last, None where that is over."""
        return self._refusal if time.monotonic() < self._refused_until else None

    def wrote(self) -> None:
        """Say that a write succeeded, so that whatever refused one is over."""
        self._refused_until = 0.0

    async def why_not(self, look: Callable[["Connection"], Awaitable[object]]) -> str | None:
        """Return why the database cannot be written and read by `look`, None where it can."""
        try:
            async with self.acquire() as connection:
                if await connection.fetchval(
                    "SELECT current_setting('transaction_read_only')::bool"
                ):
                    raise asyncpg.ReadOnlySQLTransactionError
                await look(connection)
        except DatabaseAway as away:
            return str(away)
        return self.refusal

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["Connection"]:
        """Lend a connection.

        Raises DatabaseAway, LockTimeout, and what is the fault of a statement as it is.
        """
        is_connected = False
        try:
            async with self._pool.acquire(timeout=self._acquire_s) as connection:
                is_connected = True
                try:
                    yield connection
                except Exception as error:
                    if why_away(error):
                        with suppress(asyncpg.InterfaceError):  # it has ended by itself
                            connection.terminate()
                    raise
                if self._logged:
                    self._succeeded(connection)
        except asyncpg.LockNotAvailableError as error:
            raise LockTimeout(f"others held a lock for too long ({error.sqlstate})") from error
        except Exception as error:
            reason = why_away(error)
            if not is_connected and isinstance(error, asyncpg.PostgresError):
                # Nothing that prevents a session is a statement's fault.
                reason = reason or str(error)
            if reason is None:
                raise
            task = asyncio.current_task()
            if task and task.cancelling():
                # A cancelled statement whose end nobody heard of: the cancellation must not become
                # something that is tried again.
                raise asyncio.CancelledError from error
            await self._note(error, reason)
            raise DatabaseAway(reason) from error

    async def _note(self, error: Exception, reason: str) -> None:
        state = getattr(error, "sqlstate", None) or ""
        if state.startswith(_OF_A_MOMENT) or isinstance(error, asyncpg.InvalidCachedStatementError):
            return
        self._failed_at = time.monotonic()
        self._refusal = reason
        self._refused_until = math.inf
        self._is_read_only = state == READ_ONLY
        if self._is_read_only or getattr(error, "severity_en", None) == "ERROR":
            self._refused_until = self._failed_at + REFUSAL_SECONDS
        if self._is_read_only:
            # The others lead to the same place, as to a primary of yesterday.
            await self._pool.expire_connections()
        if reason != self._logged:
            log.warning("database: %s: %r", reason, error)
            self._logged = reason

    def _succeeded(self, connection: "Connection") -> None:
        if self._refused_until < math.inf and self.refusal:
            # Reading worked. A session of now may stay read-only when the server no longer is.
            if self._is_read_only:
                connection.terminate()
            return
        self._refused_until = 0.0
        if time.monotonic() - self._failed_at > QUIET_SECONDS:
            log.info("database: answers again")
            self._logged = ""
