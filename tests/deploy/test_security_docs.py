"""Whatever docs/security.md says holds somebody is there, and so is the test that would notice."""

import re

import pytest

from tests.conftest import ROOT

DOCUMENT = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted(
    {
        name
        for name in re.findall(r"`([^`\s]+)`", DOCUMENT)
        if re.match(r"[A-Za-z_./]+/|Dockerfile$|[a-z-]+\.(lock|json|yml)$", name)
        and not name.startswith(("/", "build/", ".local/"))
    }
)


@pytest.mark.parametrize("name", NAMED)
def test_what_is_said_to_hold_somebody_is_there(name: str) -> None:
    assert (ROOT / name).exists()


def test_every_security_test_has_a_line() -> None:
    tests = {f"tests/security/{path.name}" for path in (ROOT / "tests/security").glob("test_*.py")}
    assert tests - set(NAMED) == set()
