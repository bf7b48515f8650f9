"""The environment is checked once, with one sentence."""

import re
import subprocess
import sys

import pytest

from runtime.limits import Rate
from tests.conftest import ROOT
from tests.web.conftest import GOOD
from web.settings import LIMITS, Settings, SettingsError, read_settings


def test_defaults_serve_on_this_machine_only() -> None:
    settings = read_settings(GOOD)
    assert settings.ticket_api_url == "http://127.0.0.1:8081"
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)


@pytest.mark.parametrize(
    "change",
    [
        *({name: ""} for name in GOOD),
        {"CAMPUS_TIMEZONE": "Mars/Base"},
        {"CAMPUS_TIMEZONE": "../etc/passwd"},
        {"WEB_EVENTS_KEY": "short"},
        {"WEB_PORT": "eighty"},
        {"WEB_PORT": "70000"},
        {"WEB_SECRET": "too-short"},
        {"WEB_LIMITS": "on"},
        {"WEB_LIMITS": "nothing=1:1/1:1"},
        {"WEB_LIMITS": "report=1:1"},
        {"WEB_LIMITS": "report=1:1/0:1"},
        {"WEB_LIMITS": "report=1:1/1"},
        {"WEB_LIMITS": "report=1:1/1:-1"},
    ],
)
def test_what_is_wrong_is_named(change: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(change))):
        read_settings(GOOD | change)


def test_limits_are_on_unless_set_otherwise() -> None:
    assert read_settings(GOOD).limits == LIMITS
    assert not read_settings(GOOD | {"WEB_LIMITS": "off"}).limits
    some = read_settings(GOOD | {"WEB_LIMITS": "report=1:2/3:4, hint=off"}).limits
    assert some["report"] == (Rate(1, 2), Rate(3, 4))
    assert some.keys() == LIMITS.keys() - {"hint"}
    assert some["message"] == LIMITS["message"]


def test_the_figures_in_the_documents_are_those_of_the_program() -> None:
    text = (ROOT / "docs/operations.md").read_text().replace("\N{NO-BREAK SPACE}", " ")
    rows = re.findall(
        r"^\| `(\w+)` \| [^|]+ \| ([\d ]+), (\d+)[^|]* \| ([\d ]+), ([\d ]+)", text, re.M
    )
    figures = {kind: tuple(int(figure.replace(" ", "")) for figure in row) for kind, *row in rows}
    assert figures == {kind: (*one, *many) for kind, (one, many) in LIMITS.items()}


def test_a_start_without_them_ends_with_one_sentence() -> None:
    done = subprocess.run([sys.executable, "-m", "web"], env={}, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["web: TICKET_API_URL is not set; see DESIGN.md, “Running”."]


def test_htmx_must_be_installed(tmp_path: object) -> None:
    from web.app import build_app

    settings: Settings = read_settings(GOOD | {"WEB_NODE_MODULES": str(tmp_path)})
    with pytest.raises(SettingsError, match="npm ci"):
        build_app(settings)
