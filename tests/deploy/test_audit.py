"""An audit is never good because nobody answered, and every package is free software."""

import json

import pytest

from deploy.audit import NotChecked, check_licences, npm_advisories, python_advisories
from deploy.licences import Package, locked, unfree


def test_every_package_of_the_locks_has_a_licence_that_was_found_to_be_free() -> None:
    packages = locked()
    assert {"aiohttp", "htmx.org", "lighthouse"} <= {package.name for package in packages}
    assert check_licences(packages) == []


@pytest.mark.parametrize(
    ("licence", "unknown"),
    [
        ("MIT", []),
        ("(MIT OR Apache-2.0) AND Zlib", []),
        ("MIT AND BUSL-1.1", ["BUSL-1.1"]),
        ("SEE LICENSE IN LICENSE.txt", ["SEE LICENSE IN LICENSE.txt"]),
        ("", ["no licence"]),
    ],
)
def test_a_licence_that_nobody_has_read_is_named(licence: str, unknown: list[str]) -> None:
    assert unfree(licence) == unknown
    said = check_licences([Package("pypi", "thing", "1.0", licence)])
    assert said == ([f"thing 1.0: {', '.join(unknown)}"] if unknown else [])


# --- Advisories -----------------------------------------------------------------------------------
GOOD = {"name": "good", "version": "1", "vulns": []}
BAD = {"name": "bad", "version": "2", "vulns": [{"id": "PYSEC-1"}]}
# What pip-audit writes of a package that its database does not know, with exit status 0.
UNKNOWN = {"name": "unknown", "skip_reason": "could not be audited"}


def report(*packages: object) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_an_advisory_is_named_with_its_package() -> None:
    assert python_advisories(report(GOOD)) == []
    assert python_advisories(report(GOOD, BAD)) == ["bad 2: PYSEC-1"]
    assert python_advisories(report(BAD, UNKNOWN)) == ["bad 2: PYSEC-1", "unknown: not checked"]
    vulnerable = {"vulnerabilities": {"bad": {"severity": "high"}}}
    assert npm_advisories(json.dumps(vulnerable)) == ["bad: high"]
    assert npm_advisories(json.dumps({"vulnerabilities": {}})) == []


@pytest.mark.parametrize(
    "said", ["", "Traceback", "[]", report(), report(UNKNOWN), report(GOOD, UNKNOWN)]
)
def test_a_database_that_does_not_answer_has_not_said_that_all_is_well(said: str) -> None:
    with pytest.raises(NotChecked, match="no database could be reached"):
        python_advisories(said)


@pytest.mark.parametrize("said", ["", '{"message": "405", "method": "POST"}'])
def test_an_npm_that_reaches_nobody_has_not_said_that_all_is_well(said: str) -> None:
    with pytest.raises(NotChecked, match="no database could be reached"):
        npm_advisories(said)
