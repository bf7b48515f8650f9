"""Turns pygal's drawing into an SVG that works inside a page with a strict policy and alone.

Keeps the shapes, the texts and the classes that say what they are (for the page's stylesheet);
sets presentation attributes (for the file alone); drops styles, scripts, ids and tooltips.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element, SubElement

Paint = Mapping[str, Mapping[str, str]]

INK: Final = "#1e293b"
FONT_SIZE: Final = 16
MARGIN: Final = 14
# A box of a legend, with the room around it and its name, and about how wide a letter is.
LEGEND_BOX: Final = 34
LETTER: Final = 9
# What each class looks like where no stylesheet says otherwise; the later wins.
PAINT: Final[Paint] = {
    "background": {"fill": "#fff"},
    "axis": {"fill": "#475569"},
    "x": {"text-anchor": "middle"},
    "y": {"text-anchor": "end"},
    "line": {"stroke": "#94a3b8"},
    "guide": {"stroke": "#e2e8f0"},
    "plot_title": {"x": str(MARGIN), "font-weight": "600"},
    "no_data": {"text-anchor": "middle", "fill": "#475569"},
}
# Hooks of pygal's script and stylesheet, and groups that only hold other groups.
_HOOKS: Final = frozenset({"reactive", "tooltip-trigger", "activate-serie", "rect"})
_DROPPED_TAGS: Final = frozenset({"defs", "desc", "title", "script", "style"})
_KEPT_ATTRIBUTES: Final = frozenset(
    {"x", "y", "width", "height", "d", "transform", "text-anchor", "class"}
)
_DECIMALS = re.compile(r"-?\d+\.\d+")


class Series(NamedTuple):
    """What a page calls a series in its stylesheet, and its colour where there is none."""

    css_class: str
    color: str


def polish(
    drawing: Element, label: str, series: Mapping[str, Series], value_anchor: str
) -> Element:
    """Return a clean copy of pygal's tree.

    `label` is what screen readers say; `series` maps the name of each to its look, and a
    legend is drawn where there is more than one; `value_anchor` is how printed values align.
    """
    root = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": drawing.attrib["viewBox"],
            "class": "chart",
            "role": "img",
            "aria-label": label,
            "font-family": "system-ui, sans-serif",
            "font-size": str(FONT_SIZE),
            "fill": INK,
        },
    )
    SubElement(root, "title").text = label
    paint: dict[str, Mapping[str, str]] = {
        f"color-{index}": {"class": look.css_class, "fill": look.color}
        for index, look in enumerate(series.values())
    }
    paint |= {**PAINT, "value": {"text-anchor": value_anchor, "fill": INK}}
    for child in drawing:
        root.extend(list(_copies(child, paint)))
    if len(series) > 1:
        root.append(_legend(series, right=float(drawing.attrib["viewBox"].split()[2]) - MARGIN))
    return root


def _legend(series: Mapping[str, Series], right: float) -> Element:
    """Return the names of the series beside the title."""
    legend = Element("g", {"class": "legend"})
    x = right
    for name, look in reversed(list(series.items())):
        x -= LEGEND_BOX + LETTER * len(name)
        box = {"x": f"{x:g}", "y": "15", "width": "12", "height": "12", "fill": look.color}
        SubElement(legend, "rect", {"class": look.css_class, **box})
        SubElement(legend, "text", {"x": f"{x + 18:g}", "y": "26"}).text = name
    return legend


def _copies(node: Element, paint: Paint) -> Iterator[Element]:
    """Yield what stands for `node`: itself, its only child where it adds nothing, or nothing."""
    if not isinstance(node.tag, str) or node.tag in _DROPPED_TAGS:
        return  # a tag that is no text marks a comment
    classes = [name for name in node.attrib.get("class", "").split() if name not in _HOOKS]
    if "tooltip-overlay" in classes:
        return
    children = [copy for child in node for copy in _copies(child, paint)]
    if "axis" in classes and node.tag == "g" and "always_show" not in classes:
        children = [child for guides in children for child in guides if child.tag == "text"]
    if _is_invisible(node, children):
        return
    if classes == ["bar"]:
        children[0].attrib["class"] = "bar"
        yield children[0]
        return
    copy = Element(node.tag)
    copy.text = node.text
    copy.extend(children)
    for name, value in node.attrib.items():
        if name in _KEPT_ATTRIBUTES:
            copy.attrib[name] = _DECIMALS.sub(_rounded, value)
    if classes:
        copy.attrib["class"] = " ".join(classes)
    else:
        copy.attrib.pop("class", None)
    for name, look in paint.items():
        if name in classes:
            copy.attrib.update(look)
    yield copy


def _is_invisible(node: Element, children: list[Element]) -> bool:
    if node.tag == "g":
        return not children
    if node.tag == "text":
        return not node.text
    return node.tag == "rect" and not (
        float(node.attrib.get("width", 0)) and float(node.attrib.get("height", 0))
    )


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number.group()):.1f}".removesuffix(".0")
