"""The reports' numbers as Prometheus gauges, counted when somebody scrapes them.

A gauge is called like its report and its field in the JSON: `unclosed_in_period_opened`. Its labels
are what the report was asked with; `category` is "all" where no category was. One is called
otherwise: Prometheus keeps the suffix `_count` for histograms.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from analytics_svc.queries import ALL
from analytics_svc.reports import (
    active_by_category,
    resolution_time_by_month,
    unclosed_in_period,
)
from bus.rpc import RpcError
from contracts.reports import ActiveRequest, ResolutionRequest, UnclosedRequest
from contracts.vocabulary import EVERY_CATEGORY, NO_CATEGORY, PeriodUnit
from runtime.postgres import Database

PERIODS: Final = ((24, PeriodUnit.HOURS), (7, PeriodUnit.DAYS), (30, PeriodUnit.DAYS))
MONTHS: Final = 12
SCOPES: Final = (None, *EVERY_CATEGORY)


class _Counted(Collector):
    """Metrics that are there already."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


async def generate(pool: Database, names: Iterable[str]) -> bytes:
    """Return the gauges of these reports as text; none where the read model is away."""
    metrics: list[Metric] = []
    try:
        for name in names:
            metrics += await REPORTS[name](pool)
    except RpcError:
        return b""
    registry = CollectorRegistry()
    registry.register(_Counted(metrics))
    return generate_latest(registry)


async def _unclosed(pool: Database) -> list[Metric]:
    labels = ["last", "unit", "category"]
    name = "unclosed_in_period"
    still_open = GaugeMetricFamily(
        f"{name}_still_open", "Opened in the period, not closed.", labels=labels
    )
    # Until the next release, for whoever draws it by this name.
    count = GaugeMetricFamily(f"{name}_count", f"Old name of {name}_still_open.", labels=labels)
    opened = GaugeMetricFamily(f"{name}_opened", "Opened in the period.", labels=labels)
    unclosed = GaugeMetricFamily(f"{name}_unclosed", "Not closed at all.", labels=["category"])
    for category in SCOPES:
        for last, unit in PERIODS:
            report = await unclosed_in_period.report(
                pool, UnclosedRequest(last=last, unit=unit, category=category, chart=False)
            )
            asked = [str(last), unit.value, category or ALL]
            still_open.add_metric(asked, report.count)
            count.add_metric(asked, report.count)
            opened.add_metric(asked, report.opened)
        unclosed.add_metric([category or ALL], report.unclosed)
    return [still_open, count, opened, unclosed]


async def _resolution(pool: Database) -> list[Metric]:
    fields = {
        "closed": "Closed tickets of an opening month.",
        "still_open": "Tickets of an opening month that are not closed.",
        "mean_seconds": "Mean time from opening to closing over the closed ones.",
        "median_seconds": "Median time from opening to closing over the closed ones.",
    }
    name = "resolution_time_by_month"
    gauges = {
        field: GaugeMetricFamily(f"{name}_{field}", text, labels=["month", "category"])
        for field, text in fields.items()
    }
    for category in SCOPES:
        report = await resolution_time_by_month.report(
            pool, ResolutionRequest(months=MONTHS, category=category, chart=False)
        )
        for month in report.months:
            for field, gauge in gauges.items():
                value = getattr(month, field)
                if value is not None:
                    gauge.add_metric([month.month, category or ALL], value)
    return list(gauges.values())


async def _active(pool: Database) -> list[Metric]:
    report = await active_by_category.report(pool, ActiveRequest(chart=False))
    gauge = GaugeMetricFamily(
        "active_by_category_active", "Tickets whose status is active.", labels=["category"]
    )
    for row in report.categories:
        gauge.add_metric([row.category], row.active)
    gauge.add_metric([NO_CATEGORY], report.uncategorised)
    return [gauge]


REPORTS: Final[dict[str, Callable[[Database], Awaitable[list[Metric]]]]] = {
    "unclosed_in_period": _unclosed,
    "resolution_time_by_month": _resolution,
    "active_by_category": _active,
}
