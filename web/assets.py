"""Files that browsers keep for a year: each has its content's hash in its name.

They are read, minified, hashed and compressed once at the start. htmx comes from `node_modules`,
and our own scripts follow it in one file: htmx starts as soon as it is loaded, and what came later
in a file of its own would now and then be too late.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import rcssmin
import rjsmin

from web.compression import Coding, pack_file
from web.settings import SettingsError

STATIC = Path(__file__).parent / "static"
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
MINIFIERS: dict[str, Callable[[str], str]] = {".css": rcssmin.cssmin, ".js": rjsmin.jsmin}
HTMX = "htmx.org/dist/htmx.min.js"
# By the name that pages use: what is there from the start, and what comes with the first touch.
BUNDLES = {
    "app.js": ("app.js", "live.js", "reader.js"),
    "reader.js": ("reader.js",),
    "later.js": ("wait.js", "drafts.js", "length.js", "list.js", "keys.js", "ticket.js"),
}
HASH_CHARACTERS = 12


@dataclass(frozen=True)
class Asset:
    """A file as it is sent, in each coding."""

    content_type: str
    bodies: Mapping[Coding, bytes]


class Assets:
    """The files by hashed name, and the address of each by its own name."""

    def __init__(self, node_modules: Path) -> None:
        self._by_name: dict[str, Asset] = {}
        self._addresses: dict[str, str] = {}
        for path in sorted(STATIC.glob("*.css")):
            self._add(path.name, _read_small(path))
        for name, scripts in BUNDLES.items():
            content = [_read_small(STATIC / script) for script in scripts]
            if name == "app.js":
                content.insert(0, _read_htmx(node_modules))
            self._add(name, b"\n".join(content))

    def _add(self, name: str, content: bytes) -> None:
        digest = hashlib.sha256(content).hexdigest()[:HASH_CHARACTERS]
        stem, suffix = Path(name).stem, Path(name).suffix
        hashed_name = f"{stem}.{digest}{suffix}"
        self._by_name[hashed_name] = Asset(CONTENT_TYPES[suffix], pack_file(content))
        self._addresses[name] = f"/static/{hashed_name}"

    def address(self, name: str) -> str:
        """Return where a page finds a file, such as `base.css`."""
        return self._addresses[name]

    def find(self, hashed_name: str) -> Asset | None:
        """Return the file behind a hashed name."""
        return self._by_name.get(hashed_name)


def _read_small(path: Path) -> bytes:
    return MINIFIERS[path.suffix](path.read_text()).encode()


def _read_htmx(node_modules: Path) -> bytes:
    path = node_modules / HTMX
    if not path.is_file():
        raise SettingsError(f"{path} is missing: run `npm ci` first.")
    return path.read_bytes()
