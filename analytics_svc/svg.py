"""Graphs of pygal whose drawing is small, works inside a page with a strict policy, and alone.

pygal keeps the series and computes boxes and places; what it would draw itself (tooltips, hooks of
its script, styles, ids) is most of its time and of its bytes. Here only shapes, texts and links are
put down, with classes that say what they are (for the page's stylesheet) and presentation
attributes (for the file alone). Knows no sentence: the words come from `charts`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element, SubElement

from analytics_svc.unhooked import pygal

# 560 units on a phone of 390 px leave 11 px of a letter's 16.
WIDTH: Final = 560
FONT_SIZE: Final = 16
# About how wide a letter is, and how far below the middle of a line its letters stand.
LETTER: Final = 9
DROP: Final = 5.5
MARGIN: Final = 14
TITLE_Y: Final = 26
LEGEND_Y: Final = 50
# From a text to what it belongs to.
GAP: Final = 8
LEGEND_BOX: Final = 12
LEGEND_GAP: Final = 20
COLUMNS_HEIGHT: Final = 330
EMPTY_HEIGHT: Final = 110
ROW: Final = 26
TALL_ROW: Final = 50
ROW_BAR: Final = 18
# The share of its room that a column has, and what is the most.
COLUMN_SHARE: Final = 0.9
COLUMN_MAX: Final = 44
# A single ticket beside a thousand is seen too, and hit.
BAR_MIN: Final = 3

INK: Final = "#18221f"
SOFT: Final = "#56635e"
PAPER: Final = "#fff"
EDGE: Final = "#87918c"
LINE: Final = "#e0ddd2"


class Look(NamedTuple):
    """What a page calls a series in its stylesheet, and its colours where there is none."""

    css_class: str
    fill: str
    stroke: str = PAPER  # parts the bars of a stack


# x, y, width, height.
_Place = tuple[float, float, float, float]


class Marks(NamedTuple):
    """A value of each bar that is marked across it, None where there is none."""

    name: str
    css_class: str
    values: Sequence[float | None]


class _Sheet:
    """What pygal draws on."""

    def __init__(self, label: str, height: int) -> None:
        self.root = Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {WIDTH} {height}",
                "class": "chart",
                "role": "group",  # an image would hide its links
                "aria-label": label,
                "font-family": "system-ui, sans-serif",
                "font-size": str(FONT_SIZE),
                "fill": INK,
            },
        )
        _rect(self.root, (0, 0, WIDTH, height), "background", PAPER)

    def pre_render(self) -> None:
        """Add none of what pygal adds here: styles, a script, a size."""


@dataclass
class _Plan:
    """Where the bars stand, in units of the drawing; `ends` is how far each reaches by now.

    On its own since every look at an attribute of pygal's graphs costs microseconds.
    """

    centers: list[float]
    breadth: float
    base: float
    units_per_one: float
    ends: list[float]

    def length(self, value: float) -> float:
        return value * self.units_per_one


class _LinkedBars(pygal.StackedBar):  # type: ignore[misc]  # pygal has no types
    """Stacked bars, each a link with a title.

    `label` is what screen readers say; `looks` are those of the series, in their order; `printed`
    is a text for each bar, or empty. A value is pygal's {"value", "xlink", "tooltip"} or 0.
    """

    def __init__(
        self, label: str, looks: Sequence[Look], printed: Sequence[str] = (), **options: object
    ) -> None:
        self.heard = label
        self.looks = looks
        self.printed = printed
        self.marks: Marks | None = None
        super().__init__(width=WIDTH, **options)

    def _draw(self) -> None:
        self.top = LEGEND_Y + LEGEND_BOX if self.marks or self._order > 1 else TITLE_Y + GAP
        self.height = self._tall() if self.series else EMPTY_HEIGHT
        self._box.margin = 0
        self.svg = _Sheet(self.heard, self.height)
        heading = {"class": "heading", "font-weight": "600"}
        _text(self.svg.root, MARGIN, TITLE_Y, self.title, **heading)
        if self.series:
            super()._draw()
        else:
            looks = {"class": "no-data", "text-anchor": "middle", "fill": SOFT}
            _text(self.svg.root, WIDTH / 2, EMPTY_HEIGHT * 0.65, self.no_data_text, **looks)

    def _decorate(self) -> None:
        self._set_view()
        self.plan = self._planned()
        if self.marks or self._order > 1:
            self._legend()
        self._axes(self.svg.root, self.plan)

    def _legend(self) -> None:
        legend = SubElement(self.svg.root, "g", {"class": "legend"})
        names = [serie.title for serie in self.series] + ([self.marks.name] if self.marks else [])
        # In columns, which look even in letters of any width.
        pitch = LEGEND_BOX + GAP + LETTER * max(map(len, names)) + LEGEND_GAP
        places = [MARGIN + pitch * i for i in range(len(names))]
        top = LEGEND_Y - LEGEND_BOX
        for x, name in zip(places, names, strict=True):
            _text(legend, x + LEGEND_BOX + GAP, LEGEND_Y - 0.5, name)
        for x, look in zip(places[: self._order], self.looks, strict=False):
            _rect(legend, (x, top, LEGEND_BOX, LEGEND_BOX), *look)
        if self.marks:
            _mark(legend, self.marks, f"M{_n(places[-1] - 2)} {top + 6}h{LEGEND_BOX + 4}")

    def bar(self, serie: pygal.serie.Serie, rescale: bool = False) -> None:
        """Draw one series on top of those before it."""
        css_class, fill, stroke = self.looks[serie.index]
        looks = {"class": css_class, "fill": fill, "stroke": stroke}
        group = SubElement(self.svg.root, "g", looks)
        plan, place = self.plan, self._place
        for i, value in enumerate(serie.values):
            if not value:
                continue
            start, length = plan.ends[i], max(BAR_MIN, plan.length(value))
            plan.ends[i] += length
            told = serie.metadata[i]
            # Dozens of bars were dozens of stops for the tab key; tables hold the same links.
            link: Element = SubElement(group, "a", {"href": told["xlink"], "tabindex": "-1"})
            SubElement(link, "title").text = told["tooltip"]
            _rect(link, place(plan, i, start, length))

    def _plot(self) -> None:
        super()._plot()
        if self.printed:
            self._print(self.svg.root, self.plan)


class Columns(_LinkedBars):
    """Bars that stand side by side over labels of one or two lines: "12\\nMay"."""

    def _tall(self) -> int:
        return COLUMNS_HEIGHT

    def _compute_margin(self) -> None:
        widest = max(len(label) for label, _value in self._y_labels)
        # Values stand above the bars, and half a label above the highest guide.
        self.margin_box.top = self.top + (FONT_SIZE + GAP if self.printed else GAP)
        self.margin_box.right = MARGIN
        self.margin_box.bottom = 3 * FONT_SIZE
        self.margin_box.left = round(MARGIN + LETTER * widest + GAP)

    def _planned(self) -> _Plan:
        view, margins = self.view, self.margin_box
        return _Plan(
            centers=[margins.left + view.x(place) for place in self._x_pos],
            breadth=min(COLUMN_MAX, COLUMN_SHARE * view.width / self._len),
            base=margins.top + view.height,
            units_per_one=view.y(0) - view.y(1),
            ends=[0.0] * self._len,
        )

    def _axes(self, root: Element, plan: _Plan) -> None:
        left, width = self.margin_box.left, _n(self.view.width)
        guides = [(label, plan.base - plan.length(value)) for label, value in self._y_labels]
        lines = "".join(f"M{left} {_n(y)}h{width}" for _label, y in guides[1:])
        SubElement(root, "path", {"class": "guide", "d": lines, "stroke": LINE})
        axis = {"class": "axis", "fill": SOFT}
        names = SubElement(root, "g", {**axis, "text-anchor": "end"})
        for label, y in guides:
            _text(names, left - GAP, y + DROP, label)
        names = SubElement(root, "g", {**axis, "text-anchor": "middle"})
        for center, (label, _place) in zip(plan.centers, self._x_labels, strict=True):
            for line, words in enumerate(label.split("\n"), 1):
                _text(names, _inside(center, words), plan.base + 18 * line, words)

    @staticmethod
    def _place(plan: _Plan, i: int, start: float, length: float) -> _Place:
        x = plan.centers[i] - plan.breadth / 2
        return x, plan.base - start - length, plan.breadth, length

    def _plot(self) -> None:
        super()._plot()
        root, plan = self.svg.root, self.plan
        line = f"M{self.margin_box.left} {_n(plan.base)}h{_n(self.view.width)}"
        SubElement(root, "path", {"class": "line", "d": line, "stroke": EDGE})
        if self.marks:
            width = plan.breadth + 2
            places = [
                f"M{_n(center - width / 2)} {_n(plan.base - plan.length(value))}h{_n(width)}"
                for center, value in zip(plan.centers, self.marks.values, strict=True)
                if value is not None
            ]
            _mark(root, self.marks, "".join(places))

    def _print(self, root: Element, plan: _Plan) -> None:
        values = SubElement(root, "g", {"class": "values", "text-anchor": "middle"})
        marks = self.marks.values if self.marks else [0] * len(self.printed)
        for i, words in enumerate(self.printed):
            highest = max(plan.ends[i], plan.length(marks[i] or 0))
            _text(values, plan.centers[i], plan.base - highest - 6, words)


class Rows(pygal.graph.horizontal.HorizontalGraph, _LinkedBars):  # type: ignore[misc]
    """Bars that lie under one another, the first on top, with names before and texts behind."""

    pitch = ROW
    middle = 0.5  # of a bar, as a share of its row
    drop = DROP

    def _tall(self) -> int:
        return int(self.top + self.pitch * self._len + MARGIN)

    def _compute_margin(self) -> None:
        self.margin_box.left = round(MARGIN + GAP + LETTER * max(map(len, self.x_labels)))
        self.margin_box.right = round(MARGIN + GAP + LETTER * max(map(len, self.printed)))

    def _planned(self) -> _Plan:
        return _Plan(
            centers=[self.top + self.pitch * (i + self.middle) for i in range(self._len)],
            breadth=ROW_BAR,
            base=self.margin_box.left,
            units_per_one=self.view.y(1) - self.view.y(0),
            ends=[0.0] * self._len,
        )

    def _axes(self, root: Element, plan: _Plan) -> None:
        names = SubElement(root, "g", {"class": "names"})
        for center, words in zip(plan.centers, self.x_labels, strict=True):
            _text(names, MARGIN, center + self.drop, words)

    @staticmethod
    def _place(plan: _Plan, i: int, start: float, length: float) -> _Place:
        return plan.base + start, plan.centers[i] - plan.breadth / 2, length, plan.breadth

    def _print(self, root: Element, plan: _Plan) -> None:
        values = SubElement(root, "g", {"class": "values"})
        for center, end, words in zip(plan.centers, plan.ends, self.printed, strict=True):
            _text(values, plan.base + end + GAP, center + self.drop, words)


class TallRows(Rows):
    """Rows as wide as the chart: names above the bars at left, texts above them at right."""

    pitch = TALL_ROW
    middle = 0.7
    drop = -ROW_BAR / 2 - 7

    def _compute_margin(self) -> None:
        self.margin_box.left = self.margin_box.right = MARGIN

    def _print(self, root: Element, plan: _Plan) -> None:
        values = SubElement(root, "g", {"class": "values", "text-anchor": "end"})
        for center, words in zip(plan.centers, self.printed, strict=True):
            _text(values, WIDTH - MARGIN, center + self.drop, words)


def _mark(parent: Element, marks: Marks, path: str) -> None:
    looks = {"class": marks.css_class, "stroke": INK, "stroke-width": "2.5"}
    SubElement(parent, "path", {"d": path, **looks})


def _inside(x: float, words: str) -> float:
    """Return where to centre a text so that it does not run out of the drawing."""
    half = LETTER * (len(words) + 1) / 2
    return min(max(x, half), WIDTH - half)


def _n(number: float) -> str:
    return f"{round(number, 1):g}"


def _rect(
    parent: Element, place: _Place, css_class: str = "", fill: str = "", stroke: str = ""
) -> None:
    x, y, width, height = place
    looks = {"class": css_class, "fill": fill, "stroke": stroke}
    rect = {"x": _n(x), "y": _n(y), "width": _n(width), "height": _n(height)}
    SubElement(parent, "rect", rect | {name: look for name, look in looks.items() if look})


def _text(parent: Element, x: float, y: float, words: str, **looks: str) -> None:
    if words:
        SubElement(parent, "text", {"x": _n(x), "y": _n(y), **looks}).text = words
