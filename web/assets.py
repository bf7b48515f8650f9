"""Files that browsers keep for a year: each has its content's hash in its name.

They are read, hashed and compressed once at the start. htmx comes from `node_modules`.
"""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from web.settings import SettingsError

STATIC = Path(__file__).parent / "static"
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FROM_NODE_MODULES = ("htmx.org/dist/htmx.min.js", "htmx.org/dist/ext/hx-sse.min.js")
HASH_CHARACTERS = 12


@dataclass(frozen=True)
class Asset:
    """A file as it is sent; `packed` is the same in gzip."""

    content_type: str
    content: bytes
    packed: bytes


class Assets:
    """The files by hashed name, and the address of each by its own name."""

    def __init__(self, node_modules: Path) -> None:
        self._by_name: dict[str, Asset] = {}
        self._addresses: dict[str, str] = {}
        for path in sorted(STATIC.iterdir()):
            self._add(path)
        for name in FROM_NODE_MODULES:
            path = node_modules / name
            if not path.is_file():
                raise SettingsError(f"{path} is missing: run `npm ci` first.")
            self._add(path)

    def _add(self, path: Path) -> None:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:HASH_CHARACTERS]
        name = f"{path.stem}.{digest}{path.suffix}"
        self._by_name[name] = Asset(
            CONTENT_TYPES[path.suffix], content, gzip.compress(content, 9, mtime=0)
        )
        self._addresses[path.name] = f"/static/{name}"

    def address(self, name: str) -> str:
        """Return where a page finds a file, such as `style.css`."""
        return self._addresses[name]

    def find(self, hashed_name: str) -> Asset | None:
        """Return the file behind a hashed name."""
        return self._by_name.get(hashed_name)
