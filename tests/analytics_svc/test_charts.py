"""A chart works inside a page with a strict policy, alone as a file, and for a screen reader."""

import gzip
import re
from datetime import date, datetime, timedelta
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from analytics_svc import charts
from analytics_svc.periods import Grain
from contracts.vocabulary import Category, Language

EN = Language.ENGLISH
START = datetime(2026, 5, 11, 15)
SVG = "{http://www.w3.org/2000/svg}"


def hours(n: int) -> tuple[tuple[datetime, int, int], ...]:
    return tuple((START + timedelta(hours=i), i % 7, i * i % 5) for i in range(n))


def months(n: int) -> tuple[tuple[date, float | None], ...]:
    return tuple((date(2016 + i // 12, i % 12 + 1, 1), 86_400.0 * i or None) for i in range(n))


ACTIVE = ((Category.TECHNICAL_IT, 112), (Category.FACILITY_MANAGEMENT, 37), (None, 0))
CHARTS = {
    "hours": charts.unclosed(EN, Grain.HOUR, hours(25)),
    "three days of hours": charts.unclosed(EN, Grain.HOUR, hours(73)),
    "no tickets": charts.unclosed(EN, Grain.DAY, ((START, 0, 0),)),
    "months": charts.resolution(EN, months(12)),
    "ten years": charts.resolution(EN, months(122)),
    "nothing closed": charts.resolution(EN, ((date(2026, 5, 1), None),)),
    "categories": charts.active(EN, ACTIVE),
    "no category": charts.active(EN, ((Category.TECHNICAL_IT, 0),)),
}
every_chart = pytest.mark.parametrize("svg", CHARTS.values(), ids=CHARTS)


@every_chart
def test_a_chart_holds_no_style_no_script_and_no_outside_address(svg: str) -> None:
    root = ElementTree.fromstring(svg)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "title", "g", "rect", "path", "text"}
    attributes = {name for element in root.iter() for name in element.attrib}
    assert not attributes & {"style", "id", "href"}
    assert not [name for name in attributes if name.startswith(("on", "{"))]
    assert re.findall(r"\w+://[^\"]*", svg) == ["http://www.w3.org/2000/svg"]
    assert "<?" not in svg
    assert "<!" not in svg
    assert "pygal" not in svg.lower()


@every_chart
def test_a_chart_scales_and_says_what_it_shows(svg: str) -> None:
    root = ElementTree.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert root.attrib["viewBox"] == "0 0 640 340"
    assert "width" not in root.attrib
    assert root.attrib["aria-label"] == root.findtext(f"{SVG}title")
    # 640 units on a phone of 390 px leave 9 px, on a page 17.
    assert int(root.attrib["font-size"]) >= 16
    assert len(gzip.compress(svg.encode())) < 12_000


def test_every_number_has_its_bar() -> None:
    root = ElementTree.fromstring(CHARTS["hours"])
    bars = [element for element in root.iter() if element.attrib.get("class") == "bar"]
    assert len(bars) == sum((open_ > 0) + (active > 0) for _, open_, active in hours(25))
    root = ElementTree.fromstring(CHARTS["categories"])
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"112", "37", "0", "Technical / IT", "No category yet"} <= set(texts)


@every_chart
def test_labels_do_not_crowd(svg: str) -> None:
    root = ElementTree.fromstring(svg)
    axes = [g for g in root.iter(f"{SVG}g") if g.attrib.get("class") == "axis x"]
    for axis in axes:
        places = [float(text.attrib["x"]) for text in axis.iter(f"{SVG}text")]
        assert all(b - a >= 45 for a, b in pairwise(places))


@pytest.mark.parametrize("color", [s.color for s in (charts.OPEN, charts.ACTIVE, charts.MEAN)])
def test_bars_stand_out_from_white(color: str) -> None:
    # Relative luminance and contrast as WCAG 2.2 defines them.
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    luminance = sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    assert 1.05 / (luminance + 0.05) >= 3


async def test_the_same_numbers_are_drawn_once() -> None:
    first = await charts.draw(charts.unclosed, EN, Grain.HOUR, hours(24))
    assert await charts.draw(charts.unclosed, EN, Grain.HOUR, hours(24)) is first


async def test_a_chart_is_drawn_in_the_readers_language() -> None:
    german = await charts.draw(charts.resolution, Language.GERMAN, months(12))
    assert ">Mai<" in german
    assert "month" not in german
    assert ">May<" in await charts.draw(charts.resolution, EN, months(12))
