"""Promise 3: the reports agree exactly with a count over the tickets, once the queue is empty.

That they cost the same at any size is the bench's to show; that any sequence of events gives the
right numbers is `tests/analytics_svc/test_agreement.py`'s. Here real services make real numbers.
"""

import csv
import json
import random
from collections import Counter
from datetime import datetime
from statistics import mean
from zoneinfo import ZoneInfo

import pytest

from tests.conftest import Stack
from tests.promises.person import eventually, person, program

SEED = 11
CATEGORIES = ("facility_management", "technical_it", "services_complaints")


async def test_each_report_equals_a_recount(own_stack: Stack) -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    async with program(own_stack) as api, person(own_stack, "helpdesk") as helpdesk:
        for number in range(40):
            body = {"description": f"Problem {number}", "category": rng.choice(CATEGORIES)}
            _, ticket = await api.call("POST", "/tickets", body)
            for status in ("active", "closed")[: rng.randrange(3)]:
                await api.call("PUT", f"/tickets/{ticket['id']}/status", {"status": status})
            if rng.random() < 0.3:
                path = f"/tickets/{ticket['id']}"
                edit = {"category": rng.choice(CATEGORIES)}
                await api.call("PATCH", path, edit, If_Match="*")
        tickets = await api.every_ticket()

        async def rows(report: str) -> list[dict[str, str]]:
            page = await helpdesk.get(f"/analytics/{report}.csv")
            assert page.status == 200
            return list(csv.DictReader(page.text.splitlines()))

        unclosed = [t for t in tickets if t["status"] != "closed"]

        async def all_arrived() -> bool:
            page = await helpdesk.get("/analytics/unclosed?last=2&unit=hours")
            return f"{len(unclosed)} of {len(tickets)}" in page.plain

        await eventually(all_arrived)

        active = Counter(t["category"] for t in tickets if t["status"] == "active")
        shown = [int(row["active"]) for row in await rows("active")]
        assert shown == [*(active[c] for c in CATEGORIES), 0]

        [month] = await rows("resolution")
        closed = [t for t in tickets if t["status"] == "closed"]
        seconds = [(at(t["closed_at"]) - at(t["opened_at"])).total_seconds() for t in closed]
        assert month["month"] == f"{datetime.now(ZoneInfo('Europe/Rome')):%Y-%m}"
        assert int(month["closed"]) == len(closed)
        assert int(month["still_open"]) == len(unclosed)
        # CSV has whole seconds, which every office program reads alike.
        assert month["mean_seconds"] == f"{mean(seconds):.0f}"
        exact = json.loads((await helpdesk.get("/analytics/resolution", "application/json")).text)
        assert exact["months"][-1]["mean_seconds"] == pytest.approx(mean(seconds), rel=1e-9)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)
