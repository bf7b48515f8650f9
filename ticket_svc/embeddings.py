"""SQL for vectors: where the description of each open and active ticket lies among all texts."""

# ruff: noqa: S608 - what is put together here are constants; every value is a parameter

from collections.abc import Sequence
from typing import NamedTuple

from contracts.messages import Embedding
from contracts.rest import Ticket
from contracts.topology import RPC_EMBED
from ticket_svc.database import Connection
from ticket_svc.store import TICKET_COLUMNS, to_ticket

# The encoder reads no more of a text, and nothing beyond it is compared.
COMPARED_CHARACTERS = 1_000
# The signs tell of so many that they may be near, the whole vectors which of these are; places
# decide among the rest.
LIKELY = 1_000
NEAREST = 50


class Vector(NamedTuple):
    """Where a description of a ticket lies; `text` is the vector as PostgreSQL writes it.

    Only vectors of the same `model` can be compared.
    """

    model: str
    text: str

    @classmethod
    def of(cls, embedding: Embedding) -> "Vector":
        """Return what the classifier answered."""
        return cls(embedding.model, f"[{','.join(map(str, embedding.vector))}]")


class Description(NamedTuple):
    """The vector of the description that a ticket has at `version`."""

    ticket_id: int
    version: int
    vector: Vector


class Near(NamedTuple):
    """A ticket near a vector: `words` are those of the description that lies there, which is a
    duplicate's where `ticket` is its original; `cosine` is 1 where both mean the same.
    """

    ticket: Ticket
    words: str
    cosine: float


async def store_vectors(connection: Connection, descriptions: Sequence[Description]) -> int:
    """Store those of tickets that are not closed, unless a newer one is there; return how many."""
    newest = {one.ticket_id: one for one in sorted(descriptions)}.values()
    status = await connection.execute(
        """
        WITH stored AS (
            INSERT INTO ticket_vector AS known (ticket_id, version, model, embedding)
            SELECT id, new.version, new.model, new.embedding::halfvec
              FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::text[])
                   AS new (ticket_id, version, model, embedding)
              JOIN ticket ON id = new.ticket_id
             WHERE status <> 'closed'
             ORDER BY id
               FOR SHARE OF ticket
            ON CONFLICT (ticket_id) DO UPDATE
               SET (version, model, embedding)
                   = (excluded.version, excluded.model, excluded.embedding)
             WHERE known.version < excluded.version
                OR known.version = excluded.version AND known.model <> excluded.model
            RETURNING ticket_id, embedding
        )
        INSERT INTO ticket_signs (ticket_id, signs)
        SELECT ticket_id, binary_quantize(embedding)::bit(512) FROM stored
        ON CONFLICT (ticket_id) DO UPDATE SET signs = excluded.signs
        """,
        [one.ticket_id for one in newest],
        [one.version for one in newest],
        [one.vector.model for one in newest],
        [one.vector.text for one in newest],
    )
    return int(status.rpartition(" ")[2])


async def request_missing(
    connection: Connection, model: str, after_id: int, limit: int
) -> int | None:
    """Ask for vectors of the next open and active tickets that have none of the model.

    Return the last of them, None where all after `after_id` have one.
    """
    last: int | None = await connection.fetchval(
        """
        WITH missing AS (
            SELECT id, version, description FROM ticket
             WHERE status <> 'closed' AND id > $1
               AND NOT EXISTS (SELECT FROM ticket_vector WHERE ticket_id = id AND model = $2)
             ORDER BY id
             LIMIT $3
        ), request AS (
            INSERT INTO outbox (type, ticket_id, version, body)
            SELECT $4, id, version, json_build_object('text', description) FROM missing
        )
        SELECT max(id) FROM missing
        """,
        after_id,
        model,
        limit,
        RPC_EMBED,
    )
    return last


async def find_vector(connection: Connection, ticket_id: int) -> Vector | None:
    """Return the vector of a ticket, None where it is closed or its vector has still to come."""
    row = await connection.fetchrow(
        "SELECT model, embedding::text AS text FROM ticket_vector WHERE ticket_id = $1", ticket_id
    )
    return Vector(**row) if row else None


async def list_near(connection: Connection, vector: Vector) -> list[Near]:
    """Return the open and active tickets nearest to a vector, a duplicate as its original."""
    rows = await connection.fetch(
        f"""
        WITH asked AS MATERIALIZED (  -- read once, not for each row
            SELECT $1::text::halfvec AS embedding
        ), likely AS (
            SELECT ticket_id FROM ticket_signs
             ORDER BY signs <~> (SELECT binary_quantize(embedding)::bit(512) FROM asked), ticket_id
             LIMIT {LIKELY}
        ), nearest AS (
            SELECT ticket_id, -(embedding <#> (SELECT embedding FROM asked)) AS cosine
              FROM likely JOIN ticket_vector USING (ticket_id)
             WHERE model = $2
             ORDER BY cosine DESC, ticket_id
             LIMIT {NEAREST}
        ), near AS (
            SELECT coalesce(original.id, found.id) AS near_id, cosine,
                   left(found.description, {COMPARED_CHARACTERS}) AS words
              FROM nearest
              JOIN ticket AS found ON found.id = ticket_id
              LEFT JOIN ticket AS original
                ON original.id = found.duplicate_of AND original.status <> 'closed'
        )
        SELECT {TICKET_COLUMNS}, words, cosine
          FROM near JOIN ticket ON id = near_id
        """,
        vector.text,
        vector.model,
    )
    return [Near(to_ticket(row), row["words"], row["cosine"]) for row in rows]
