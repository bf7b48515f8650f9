"""Settings come from the environment; what is missing is said in a sentence."""

import subprocess
import sys

import pytest

from runtime.limits import Rate
from ticket_svc.settings import SettingsError, read_settings

GOOD = {
    "TICKET_DATABASE_URL": "postgresql://ticket_svc:secret@localhost/campus",
    "TICKET_AMQP_URL": "amqp://ticket_svc:secret@localhost/campus",
    "TICKET_API_TOKEN": "secret",
    "WEB_EVENTS_KEY": "a key for the pages only",
    "ANALYTICS_EVENTS_KEY": "a key for the reports only",
    "CLASSIFIER_EVENTS_KEY": "a key for corrections only",
    "TICKET_ANSWERS_KEY": "a key for nobody else",
}


def test_defaults_serve_on_this_machine_only():
    settings = read_settings(GOOD)
    assert (settings.host, settings.port) == ("127.0.0.1", 8081)


@pytest.mark.parametrize("name", GOOD)
def test_missing_variable_is_named(name):
    with pytest.raises(SettingsError, match=name):
        read_settings(GOOD | {name: ""})


@pytest.mark.parametrize("port", ["http", "-1", "65536", "8081.0", ""])
def test_port_must_be_a_port(port):
    with pytest.raises(SettingsError, match="TICKET_PORT"):
        read_settings(GOOD | {"TICKET_PORT": port})


def test_limits_of_the_token_are_off_unless_set():
    assert not read_settings(GOOD).limits
    some = read_settings(GOOD | {"TICKET_LIMITS": "write=600:6000"}).limits
    assert some == {"write": (Rate(600, 6_000),)}


@pytest.mark.parametrize("limits", ["on", "write", "write=1:1/1:1", "read=1:1", "write=0:1"])
def test_limits_must_be_figures_of_a_kind(limits):
    with pytest.raises(SettingsError, match="TICKET_LIMITS"):
        read_settings(GOOD | {"TICKET_LIMITS": limits})


@pytest.mark.parametrize("arguments", [[], ["migrate"], ["nonsense"]])
def test_wrong_environment_or_command_is_a_sentence_and_exit_2(arguments):
    process = subprocess.run(
        [sys.executable, "-m", "ticket_svc", *arguments],
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2
    assert len(process.stderr.splitlines()) == 1
