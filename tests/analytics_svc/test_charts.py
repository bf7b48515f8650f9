"""A chart works inside a page with a strict policy, alone as a file, and for a screen reader."""

import gzip
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from analytics_svc import charts
from analytics_svc.charts import AgeBar, CategoryBar, MonthBar, OpenedBar
from analytics_svc.labels import axis_labels
from analytics_svc.periods import Grain, month_after
from analytics_svc.svg import INK
from contracts.list_address import list_address
from contracts.vocabulary import Category, Language, Status

EN = Language.ENGLISH
START = datetime(2026, 9, 29, 15)
SVG = "{http://www.w3.org/2000/svg}"
STEPS = {Grain.HOUR: timedelta(hours=1), Grain.DAY: timedelta(days=1)}
# An average letter of 16 units, in fonts that are rather wide.
LETTER = 8.0


def opened(grain: Grain, n: int, fewest: int = 0) -> tuple[OpenedBar, ...]:
    if grain is Grain.MONTH:
        days = [month_after(date(2016, 3, 1), i) for i in range(n + 1)]
        starts = [datetime.combine(day, datetime.min.time()) for day in days]
    else:
        starts = [START + STEPS[grain] * i for i in range(n + 1)]
    instants = [start.replace(tzinfo=UTC) for start in starts]
    bars = []
    for i in range(n):
        since = instants[i] if i else "SINCE"
        until = instants[i + 1] if i < n - 1 else "AS_OF"
        hrefs = [list_address([s], since=since, until=until) for s in (Status.OPEN, Status.ACTIVE)]
        n_open, n_active = fewest + (i + 1) % 7, fewest + (i + 1) ** 2 % 5
        bars.append(OpenedBar(starts[i], n_open, n_active, *hrefs))
    return tuple(bars)


def months(n: int, provisional: int = 1) -> tuple[MonthBar, ...]:
    bars = []
    for i in range(n):
        month = month_after(date(2016, 3, 1), i)
        mean = None if i % 12 == 5 else 90_000.0 * (1 + i * i % 17)
        median = None if mean is None else mean * (0.4 if i % 3 else 1.1)
        href = list_address([Status.CLOSED], since=f"{month}", until=f"{month_after(month)}")
        bars.append(MonthBar(month, mean, median, i >= n - provisional, href))
    return tuple(bars)


def aged(times: int = 1) -> tuple[AgeBar, ...]:
    bands = ((0, 0, 38, 4), (1, 3, 1055, 31), (4, 7, 22, 0), (8, 30, 0, 61), (91, None, 0, 0))
    return tuple(
        AgeBar(first, last, open_ * times, active * times, f"/tickets?o&a={first}", f"/tickets?{i}")
        for i, (first, last, open_, active) in enumerate(bands)
    )


def categories(times: int = 1) -> tuple[CategoryBar, ...]:
    rows = (
        (Category.FACILITY_MANAGEMENT, 37, date(2026, 4, 28)),
        (Category.TECHNICAL_IT, 1112, date(2025, 9, 30)),
        (Category.SERVICES_COMPLAINTS, 1, date(2026, 9, 30)),
        (None, 0, None),
    )
    return tuple(
        CategoryBar(c, n * times, oldest, list_address([Status.ACTIVE], category=c or "none"))
        for c, n, oldest in rows
    )


def every(language: Language) -> dict[str, str]:
    nothing = (OpenedBar(START, 0, 0, "/tickets?", "/tickets?"),)
    return {
        **{
            f"{n} {grain}s": charts.unclosed(language, grain, opened(grain, n))
            for grain, n in (
                *((Grain.HOUR, n) for n in (1, 7, 25, 73)),
                *((Grain.DAY, n) for n in (8, 14, 31, 93)),
                *((Grain.MONTH, n) for n in (5, 13, 61, 123)),
            )
        },
        **{
            f"{n} months to close": charts.resolution(language, months(n)) for n in (1, 12, 24, 122)
        },
        "ages": charts.ages(language, aged()),
        "categories": charts.active(language, categories()),
        "one category": charts.active(language, categories()[1:2]),
        "no tickets": charts.unclosed(language, Grain.DAY, nothing),
        "nothing waits": charts.ages(language, aged(0)),
        "nothing closed": charts.resolution(
            language, (MonthBar(START.date(), None, None, False, "/tickets?"),)
        ),
        "nothing active": charts.active(language, categories(0)),
    }


CHARTS = every(EN)
every_chart = pytest.mark.parametrize("svg", CHARTS.values(), ids=CHARTS)


def links(svg: str) -> list[str]:
    return [a.attrib["href"] for a in ElementTree.fromstring(svg).iter(f"{SVG}a")]


def titles(svg: str) -> list[str]:
    return [title.text or "" for title in ElementTree.fromstring(svg).iter(f"{SVG}title")]


def words(svg: str) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@every_chart
def test_a_chart_holds_shapes_texts_and_links_and_nothing_else(svg: str) -> None:
    root = ElementTree.fromstring(svg)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "title", "g", "rect", "path", "text", "a"}
    of_svg = "viewBox class role aria-label font-family font-size fill"
    of_others = "class x y width height d fill stroke stroke-width font-weight text-anchor"
    of_links = "href tabindex"
    attributes = {name for element in root.iter() for name in element.attrib}
    assert attributes <= {*of_svg.split(), *of_others.split(), *of_links.split()}
    assert all(href.startswith("/tickets?") for href in links(svg))
    assert re.findall(r"\w+://[^\"]*", svg) == ["http://www.w3.org/2000/svg"]
    assert "<?" not in svg
    assert "<!" not in svg
    assert "pygal" not in svg.lower()


@every_chart
def test_a_chart_scales_and_says_what_it_shows(svg: str) -> None:
    root = ElementTree.fromstring(svg)
    assert root.attrib["role"] == "group"
    assert root.attrib["aria-label"]
    # It would follow the mouse over the whole chart.
    assert root.find(f"{SVG}title") is None
    assert "width" not in root.attrib
    width = int(root.attrib["viewBox"].split()[2])
    assert int(root.attrib["font-size"]) * 390 / width >= 11


def test_every_number_but_zero_has_one_link_and_its_address_comes_out_unchanged() -> None:
    bars = opened(Grain.HOUR, 73)
    wanted = [bar.open_href for bar in bars if bar.open]
    wanted += [bar.active_href for bar in bars if bar.active]
    assert Counter(links(CHARTS["73 hours"])) == Counter(wanted)
    assert any("SINCE" in href for href in wanted)
    assert any("AS_OF" in href for href in wanted)
    wanted = [bar.open_href for bar in aged() if bar.open]
    wanted += [bar.active_href for bar in aged() if bar.active]
    assert links(CHARTS["ages"]) == wanted
    wanted = [bar.href for bar in months(24) if bar.mean_seconds]
    assert links(CHARTS["24 months to close"]) == wanted
    ranked = sorted(categories(), key=lambda bar: -bar.active)
    assert links(CHARTS["categories"]) == [bar.href for bar in ranked if bar.active]


@every_chart
def test_each_link_is_one_shape_with_a_title_and_no_stop_of_the_tab_key(svg: str) -> None:
    for a in ElementTree.fromstring(svg).iter(f"{SVG}a"):
        assert [child.tag for child in a] == [f"{SVG}title", f"{SVG}rect"]
        assert a.attrib["tabindex"] == "-1"
        # A single ticket beside a thousand is seen too.
        assert min(float(a[1].attrib["width"]), float(a[1].attrib["height"])) >= 2.5


def test_titles_say_the_number_and_what_it_is_of() -> None:
    assert "29 Sept, 16:00: 2 open" in titles(CHARTS["25 hours"])
    assert "30 Sept: 4 active" in titles(CHARTS["8 days"])
    assert "April 2016: 2 open" in titles(CHARTS["13 months"])
    assert titles(CHARTS["ages"])[:2] == ["Today: 38 open", "1–3 days: 1,055 open"]
    assert titles(CHARTS["categories"])[0] == "Technical / IT: 1,112 active"
    told = titles(CHARTS["12 months to close"])
    assert "March 2016: mean 25 hours, median 27.5 hours" in told
    assert "April 2016: mean 2.1 days, median 20 hours" in told


def test_bars_are_named_and_their_numbers_printed() -> None:
    assert {"Today", "1–3 days", "8–30 days", "More than 90 days"} <= set(words(CHARTS["ages"]))
    assert {"42", "1,086", "22", "61", "0"} <= set(words(CHARTS["ages"]))
    said = words(CHARTS["categories"])
    assert {"1,112 · oldest of 30 Sept 2025", "37 · oldest of 28 Apr 2026", "0"} <= set(said)
    assert said.index("Technical / IT") < said.index("Facility management")
    assert "1.0" in words(CHARTS["12 months to close"])


def test_medians_and_provisional_months_are_told_apart_and_named() -> None:
    root = ElementTree.fromstring(CHARTS["24 months to close"])
    marks = [path for path in root.iter(f"{SVG}path") if path.attrib.get("class") == "median"]
    assert [mark.attrib["d"].count("M") for mark in marks] == [1, 22]  # legend, two months without
    groups = {g.attrib.get("class", ""): g for g in root.findall(f"{SVG}g")}
    assert len(groups["provisional"]) == 1
    assert len(groups["mean"]) == 21
    assert groups["provisional"].attrib["stroke"] == groups["mean"].attrib["fill"]
    assert {"Mean", "Median", "Provisional"} <= set(words(CHARTS["24 months to close"]))
    assert "Provisional" not in words(charts.resolution(EN, months(12, provisional=0)))


def test_the_unit_fits_the_longest_of_means_and_medians() -> None:
    for seconds, unit in ((300.0, "minutes"), (3 * 3_600.0, "hours"), (3 * 86_400.0, "days")):
        bar = MonthBar(START.date(), 100.0, seconds, False, "/tickets?")
        assert f"Resolution time in {unit}, by month of opening" in words(
            charts.resolution(EN, (bar,))
        )


class Box(NamedTuple):
    """The room of a text as far as it can be told without its font."""

    words: str
    left: float
    right: float
    base: float


def boxes(svg: str) -> list[Box]:
    found = []
    root = ElementTree.fromstring(svg)
    for parent in root.iter():
        for text in parent.findall(f"{SVG}text"):
            width = LETTER * len(text.text or "")
            anchor = text.attrib.get("text-anchor", parent.attrib.get("text-anchor", "start"))
            left = float(text.attrib["x"]) - {"start": 0, "middle": 0.5, "end": 1}[anchor] * width
            found.append(Box(text.text or "", left, left + width, float(text.attrib["y"])))
    return found


@pytest.mark.parametrize("language", Language)
def test_texts_keep_apart_and_inside_in_every_language(language: Language) -> None:
    for name, svg in every(language).items():
        _, _, width, height = map(int, ElementTree.fromstring(svg).attrib["viewBox"].split())
        for box in boxes(svg):
            assert box.left >= 0, (name, box)
            assert box.right <= width, (name, box)
            assert 12 <= box.base <= height - 4, (name, box)
        for one, other in combinations(boxes(svg), 2):
            beside = abs(one.base - other.base) >= 13
            assert beside or one.right < other.left or other.right < one.left, (name, one, other)


@every_chart
def test_shapes_stay_inside(svg: str) -> None:
    root = ElementTree.fromstring(svg)
    _, _, width, height = map(int, root.attrib["viewBox"].split())
    for rect in root.iter(f"{SVG}rect"):
        x, y, w, h = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        assert x >= 0
        assert y >= 0
        assert x + w <= width
        assert y + h <= height


def test_an_hour_that_comes_twice_has_two_bars() -> None:
    hours = [datetime(2026, 10, 25, hour) for hour in (1, 2, 2, 3)]
    labels = axis_labels(hours, Grain.HOUR)
    assert labels == ["01:00\n25 Oct", "02:00", "02:00", "03:00"]


def test_where_only_years_are_labelled_nothing_says_january() -> None:
    assert "2017" in words(CHARTS["122 months to close"])
    assert "Jan" not in words(CHARTS["122 months to close"])


@pytest.mark.parametrize(
    ("svg", "limit_bytes"),
    [
        (charts.unclosed(EN, Grain.DAY, opened(Grain.DAY, 93, fewest=1)), 12_000),
        (charts.unclosed(EN, Grain.HOUR, opened(Grain.HOUR, 73, fewest=1)), 12_000),
        (charts.unclosed(EN, Grain.MONTH, opened(Grain.MONTH, 123, fewest=1)), 12_000),
        (CHARTS["122 months to close"], 12_000),
        (CHARTS["8 days"], 2_000),
        (CHARTS["24 months to close"], 2_000),
        (CHARTS["categories"], 2_000),
        (CHARTS["ages"], 2_000),
    ],
)
def test_a_chart_is_light(svg: str, limit_bytes: int) -> None:
    assert len(gzip.compress(svg.encode(), 6)) <= limit_bytes


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG 2.2 defines it."""
    luminances = []
    for color in (one, other):
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        luminances.append(sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True)))
    low, high = sorted(luminances)
    return (high + 0.05) / (low + 0.05)


def test_bars_stand_out_from_white_and_medians_from_bars() -> None:
    for color in (
        charts.OPEN.fill,
        charts.ACTIVE.fill,
        charts.MEAN.fill,
        charts.PROVISIONAL.stroke,
    ):
        assert contrast(color, "#ffffff") >= 3
    for look in (charts.MEAN, charts.PROVISIONAL):
        assert contrast(look.fill, INK) >= 3


async def test_the_same_numbers_are_drawn_once() -> None:
    first = await charts.draw(charts.unclosed, EN, Grain.HOUR, opened(Grain.HOUR, 24))
    assert await charts.draw(charts.unclosed, EN, Grain.HOUR, opened(Grain.HOUR, 24)) is first
    assert await charts.draw(charts.active, EN, categories()) is CHARTS["categories"]


async def test_a_chart_is_drawn_in_the_readers_language() -> None:
    german = await charts.draw(charts.resolution, Language.GERMAN, months(12))
    assert ">Mai<" in german
    assert "März 2016: Mittelwert 25 Stunden, Median 27,5 Stunden" in titles(german)
    assert {"Mittelwert", "Median", "Vorläufig"} <= set(words(german))
    assert ">May<" in await charts.draw(charts.resolution, EN, months(12))
    italian = titles(charts.ages(Language.ITALIAN, (AgeBar(0, 0, 1, 0, "/tickets?", ""),)))
    assert italian == ["Oggi: 1 aperta"]


@every_chart
def test_an_empty_report_says_so_instead_of_a_plot(svg: str) -> None:
    assert links(svg) or len(words(svg)) == 2
