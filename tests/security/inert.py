"""Reads a page as a browser does, and tells whether it holds anything that we did not write."""

import re
from html.parser import HTMLParser

from aiohttp import ClientResponse

from tests.conftest import ROOT

# Closes every place that text may stand in, then would run a script in four ways.
PAYLOAD = (
    "</textarea></title></option></script>-->\"'>"
    "<script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
    "<svg/onload=window.hacked=1><a href=javascript:window.hacked=1>x</a>"
    "<b style=color:red hx-get=/leave>{{7*7}}${7*7}</b>"
)
# The same, short enough for a search.
SHORT = "\"'></textarea><img src=x onerror=window.hacked=1>{{7*7}}"
# The site's icon, the only thing that a page holds inline.
ICON = re.findall(r'rel="icon" href="([^"]+)"', (ROOT / "web/templates/base.html").read_text())[0]
# Our pages have none of these elements outside a chart; `b`, `a` and the like are told by what
# they carry.
_FOREIGN = frozenset({"img", "iframe", "object", "embed", "base", "applet", "math", "style"})
_IN_CHARTS = frozenset({"svg", "title", "g", "rect", "path", "text"})


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.texts: list[str] = []
        self._is_script = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.texts += given.values()
        self._is_script = tag == "script"
        if tag in _FOREIGN or (tag == "script" and not _is_ours(given.get("src", ""))):
            self.found.append(f"<{tag} {given}>")
        if tag == "svg" and given.get("class") != "chart":
            self.found.append(f"<svg {given}>")
        for name, value in given.items():
            if name.startswith("on") or name == "style" or name.startswith("hx-on"):
                self.found.append(f"{tag} {name}={value}")
            if name in ("href", "src", "action", "formaction", "hx-get", "hx-post"):
                is_elsewhere = not value.startswith(("/", "#")) or value.startswith("//")
                if is_elsewhere and (tag, value) != ("link", ICON):
                    self.found.append(f"{tag} {name}={value}")
                if value == "/leave" and tag != "form":
                    self.found.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._is_script and data.strip():
            self.found.append(f"inline script {data[:40]}")


def _is_ours(src: str) -> bool:
    return src.startswith("/static/")


def find_foreign(html: str) -> list[str]:
    """Return what a page holds that could act and is not ours: nothing, on a page of ours."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.found


def shows(html: str, text: str) -> bool:
    """Tell whether a text stands somewhere in the page as it was typed, unevaluated."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return any(text in shown for shown in reader.texts)


def assert_locked(response: ClientResponse) -> None:
    """Check the headers that stop what would ever get through."""
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert "hacked" not in " ".join(response.headers.keys())
    assert set(response.cookies) <= {"role", "said", "browser"}
