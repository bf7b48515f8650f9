"""Licences, a list of all parts, and known advisories of what the locks name: `make audit`.

    python -m deploy.audit [--osv-url ADDRESS]

Exit status 0: everything was checked, and nothing found. 1: something was found. 2: nothing was
found, but something could not be checked; whoever takes that for good says so by taking it. An
advisory database that cannot be reached, or does not know a package, has said nothing about it.
pip-audit knows no database in a file: a copy of OSV that answers nearer is named by its address.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from deploy.licences import NPM_LOCKS, PYTHON_LOCK, ROOT, Package, locked, unfree

SBOM = ROOT / "build" / "sbom.cdx.json"
# Run from environments of their own: nothing of ours needs them.
PIP_AUDIT = "pip-audit==2.10.1"
CYCLONEDX = "cyclonedx-bom==7.5.0"
TIMEOUT_SECONDS = 300


class NotChecked(Exception):
    """Why nothing is known, in a sentence."""


def check_licences(packages: list[Package]) -> list[str]:
    """Return what is wrong with the licences."""
    return [
        f"{package.name} {package.version}: {', '.join(unfree(package.licence))}"
        for package in packages
        if unfree(package.licence)
    ]


def write_sbom(packages: list[Package]) -> None:
    """Write the parts of all locks as CycloneDX, with hashes and licences; raises NotChecked."""
    SBOM.parent.mkdir(exist_ok=True)
    SBOM.unlink(missing_ok=True)
    options = ("--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible")
    _tool(CYCLONEDX, "cyclonedx-py", "requirements", str(PYTHON_LOCK), *options, "-o", str(SBOM))
    if not SBOM.exists():
        raise NotChecked("cyclonedx-py could not be had or run.")
    bom = json.loads(SBOM.read_text())
    licences = {(p.name, p.version): [{"expression": p.licence}] for p in packages}
    for component in bom["components"]:
        component["licenses"] = licences[component["name"], component["version"]]
    bom["components"] += [
        {
            "type": "library",
            "bom-ref": f"npm:{package.name}@{package.version}",
            "name": package.name,
            "version": package.version,
            "purl": f"pkg:npm/{package.name.replace('@', '%40')}@{package.version}",
            "licenses": [{"expression": package.licence}],
        }
        for package in dict.fromkeys(p for p in packages if p.kind == "npm")
    ]
    SBOM.write_text(json.dumps(bom, indent=1) + "\n")


def python_advisories(report: str) -> list[str]:
    """Return the advisories of a report of pip-audit.

    Raises NotChecked where it is none, or where a package was passed over: pip-audit itself says
    “no known vulnerabilities” then.
    """
    packages = _parsed(report).get("dependencies", [])
    found = [
        f"{package['name']} {package['version']}: {advisory['id']}"
        for package in packages
        for advisory in package.get("vulns", [])
    ]
    unknown = [package["name"] for package in packages if "vulns" not in package]
    if not found and (unknown or not packages):
        raise NotChecked(f"no database could be reached{_that_knows(unknown)}.")
    return found + [f"{name}: not checked" for name in unknown]


def npm_advisories(report: str) -> list[str]:
    """Return the packages with advisories in a report of `npm audit`; raises NotChecked."""
    said = _parsed(report)
    if "vulnerabilities" not in said:
        raise NotChecked("no database could be reached.")
    return [f"{name}: {about['severity']}" for name, about in said["vulnerabilities"].items()]


def _that_knows(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f" that knows {', '.join(names[:3])}{more}" if names else ""


def _parsed(report: str) -> dict[str, Any]:
    try:
        said = json.loads(report)
    except ValueError:
        said = None
    return said if isinstance(said, dict) else {}


def _ask_pip_audit(osv_url: str | None) -> list[str]:
    options = ("--disable-pip", "--require-hashes", "--progress-spinner=off", "--format=json")
    databases = [("osv", "--osv-url", osv_url)] if osv_url else [("pypi",), ("osv",)]
    reasons = []
    for database in databases:
        where = ("-r", str(PYTHON_LOCK), "--vulnerability-service", *database)
        try:
            return python_advisories(_tool(PIP_AUDIT, "pip-audit", *options, *where))
        except NotChecked as error:
            reasons.append(f"{database[0]}: {error}")
    raise NotChecked(" ".join(reasons))


def _ask_npm(folder: Path) -> list[str]:
    npm = shutil.which("npm") or str(Path(sys.executable).with_name("npm"))
    return npm_advisories(_run([npm, "audit", "--json"], folder))


def _tool(package: str, *command: str) -> str:
    uv = str(Path(sys.executable).with_name("uv"))
    return _run([uv, "tool", "run", "--quiet", "--system-certs", "--from", package, *command], ROOT)


def _run(command: list[str], folder: Path) -> str:
    try:
        return subprocess.run(
            command,
            cwd=folder,
            stdout=subprocess.PIPE,
            # What cannot be reached is said in our own words.
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _check(what: str, check: Callable[[], list[str]], good: str = "nothing found") -> int:
    try:
        found = check()
    except NotChecked as error:
        print(f"{what}: NOT CHECKED: {error}")
        return 2
    print(f"{what}: {f'{len(found)} found' if found else good}", *found, sep="\n  ")
    return 1 if found else 0


def main(arguments: list[str]) -> int:
    """Check everything, say what was and was not, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.audit", description=main.__doc__)
    parser.add_argument("--osv-url", help="a copy of OSV, instead of the public databases")
    osv_url = parser.parse_args(arguments).osv_url
    packages = locked()

    def listed() -> list[str]:
        write_sbom(packages)
        return []

    statuses = {
        _check(f"Licences of {len(packages)} packages", partial(check_licences, packages)),
        _check(f"List of parts in {SBOM.relative_to(ROOT)}", listed, "written"),
        _check(f"Advisories, {PYTHON_LOCK.name}", partial(_ask_pip_audit, osv_url)),
        *(
            _check(f"Advisories, {lock.relative_to(ROOT)}", partial(_ask_npm, lock.parent))
            for lock in NPM_LOCKS
        ),
    }
    return next((status for status in (1, 2) if status in statuses), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
