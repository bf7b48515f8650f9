"""Grafana draws the same numbers that the reports say, from each process that answers a report."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from analytics_svc import gauges, health
from bus.link import Link
from contracts.vocabulary import Category, Status
from runtime.postgres import Database
from tests.analytics_svc.conftest import ROME, take, ticket

IT = Category.TECHNICAL_IT


class Away:
    """A worker that is not connected."""

    is_connected = False
    link = Link()


async def scrape(pool: Database, *reports: str) -> dict[str, float]:
    """Return the samples of a process that answers these reports, by name and labels."""
    app = health.build(pool, {name: Away() for name in ("projection", *reports)})
    async with TestClient(TestServer(app)) as client:
        text = await (await client.get("/metrics")).text()
    return {
        sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_each_number_of_the_reports_is_a_gauge(built_pool: Database) -> None:
    now = datetime.now(UTC)
    month = f"{(now - timedelta(hours=3)).astimezone(ZoneInfo(ROME)):%Y-%m}"
    await take(
        built_pool,
        [
            ticket(1, 1, Status.OPEN, IT, now - timedelta(hours=2)),
            ticket(2, 2, Status.ACTIVE, IT, now - timedelta(hours=2)),
            ticket(3, 2, Status.ACTIVE, None, now - timedelta(days=3)),
            ticket(4, 3, Status.CLOSED, IT, now - timedelta(hours=3), timedelta(seconds=100)),
        ],
    )
    seen = await scrape(built_pool, *gauges.REPORTS)
    assert seen["unclosed_in_period_still_open all 24 hours"] == 2
    assert seen["unclosed_in_period_count all 24 hours"] == 2  # its old name, for one release
    assert seen["unclosed_in_period_opened technical_it 24 hours"] == 3
    assert seen["unclosed_in_period_still_open none 7 days"] == 1
    assert seen["unclosed_in_period_unclosed all"] == 3
    assert seen["active_by_category_active technical_it"] == 1
    assert seen["active_by_category_active none"] == 1
    assert seen["active_by_category_active services_complaints"] == 0
    assert seen[f"resolution_time_by_month_closed all {month}"] == 1
    assert seen[f"resolution_time_by_month_mean_seconds technical_it {month}"] == 100
    assert seen[f"resolution_time_by_month_median_seconds all {month}"] == pytest.approx(100, 0.01)
    assert f"resolution_time_by_month_mean_seconds none {month}" not in seen


async def test_a_process_shows_the_reports_that_it_answers(built_pool: Database) -> None:
    seen = await scrape(built_pool, "active_by_category")
    assert "active_by_category_active none" in seen
    assert not [name for name in seen if name.startswith("unclosed_in_period")]


async def test_without_a_read_model_the_other_metrics_are_there(pool: Database) -> None:
    seen = await scrape(pool, *gauges.REPORTS)
    assert "projection_lag_seconds_count" in seen
    assert not [name for name in seen if name.startswith("active_by_category")]
