"""The environment is checked once, with one sentence."""

import subprocess
import sys

import pytest

from web.settings import Settings, SettingsError, read_settings

GOOD = {
    "TICKET_API_URL": "http://127.0.0.1:8081/",
    "TICKET_API_TOKEN": "a-secret",
    "WEB_AMQP_URL": "amqp://web:another-secret@127.0.0.1/campus",
}


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
        {"WEB_PORT": "eighty"},
        {"WEB_PORT": "70000"},
    ],
)
def test_what_is_wrong_is_named(change: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(change))):
        read_settings(GOOD | change)


def test_a_start_without_them_ends_with_one_sentence() -> None:
    done = subprocess.run([sys.executable, "-m", "web"], env={}, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["web: TICKET_API_URL is not set; see DESIGN.md, “Running”."]


def test_htmx_must_be_installed(tmp_path: object) -> None:
    from web.app import build_app

    settings: Settings = read_settings(GOOD | {"WEB_NODE_MODULES": str(tmp_path)})
    with pytest.raises(SettingsError, match="npm ci"):
        build_app(settings)
