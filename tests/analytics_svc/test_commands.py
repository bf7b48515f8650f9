"""What an operator sees of the commands: clear errors, health, a clean stop."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import aiohttp
import pytest

from analytics_svc.__main__ import main
from analytics_svc.settings import BROKER, DATABASE, EVENTS, TICKET_API, SettingError, Settings
from deploy.local.names import free_port
from tests.analytics_svc.conftest import TOKEN, Tickets, ticket
from tests.conftest import Broker

ALL = {
    "ANALYTICS_DATABASE_URL": "postgresql://analytics_svc:database-secret@db/campus",
    "ANALYTICS_AMQP_URL": "amqp://analytics_svc:broker-secret@mq/campus",
    "TICKET_API_URL": "http://ticket/",
    "TICKET_API_TOKEN": "token-secret",
    "ANALYTICS_EVENTS_KEY": "a key for the reports only",
}
ROOT = Path(__file__).resolve().parents[2]


def read(**changes: str) -> Settings:
    return Settings.read(ALL | changes, DATABASE | BROKER | TICKET_API | EVENTS)


def test_settings_have_defaults() -> None:
    settings = read()
    assert (settings.timezone, settings.host, settings.port) == ("Europe/Rome", "127.0.0.1", 8083)
    assert settings.ticket_api_url == "http://ticket"
    assert read(ANALYTICS_PORT="0").port is read(ANALYTICS_PORT="").port is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ANALYTICS_EVENTS_KEY", "short"),
        ("CAMPUS_TIMEZONE", "Europe/Atlantis"),
        ("CAMPUS_TIMEZONE", "../etc/passwd"),
        ("CAMPUS_TIMEZONE", "Europe"),
        ("ANALYTICS_PORT", "http"),
        ("ANALYTICS_PORT", "65536"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        read(**{name: value})


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ([], "ANALYTICS_AMQP_URL and ANALYTICS_DATABASE_URL and ANALYTICS_EVENTS_KEY and"),
        (["report", "active_by_category"], "ANALYTICS_AMQP_URL and ANALYTICS_DATABASE_URL"),
        (["migrate"], "ANALYTICS_DATABASE_URL"),
    ],
)
def test_a_missing_setting_is_one_sentence_and_status_2(
    command: list[str],
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ALL:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "argv", ["analytics_svc", *command])
    assert main() == 2
    said = capsys.readouterr().err
    assert said.startswith(f"Set {named}")
    assert said.count("\n") == 1


async def test_the_service_starts_says_how_it_is_and_stops_cleanly(
    analytics_database_url: str, broker: Broker, tickets: Tickets
) -> None:
    tickets.hold([ticket(1)])
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "ANALYTICS_DATABASE_URL": analytics_database_url,
        "ANALYTICS_AMQP_URL": broker.url("analytics_svc"),
        "ANALYTICS_EVENTS_KEY": os.environ["ANALYTICS_EVENTS_KEY"],
        "ANALYTICS_PORT": str(port),
        "TICKET_API_URL": tickets.url,
        "TICKET_API_TOKEN": TOKEN,
    }
    tickets.may_end.clear()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "analytics_svc", cwd=ROOT, env=environment, stderr=PIPE
    )
    base = f"http://127.0.0.1:{port}"
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        await tickets.is_streaming.wait()
        async with session.get(f"{base}/health/live") as answer:
            assert answer.status == 200
        async with session.get(f"{base}/health/ready") as answer:
            assert answer.status == 503
            assert {"read model", "broker (projection)"} <= set((await answer.json())["missing"])
        tickets.may_end.set()
        while True:
            async with session.get(f"{base}/health/ready") as answer:
                if answer.status == 200:
                    break
            await asyncio.sleep(0.05)
        async with session.get(f"{base}/metrics") as answer:
            assert "rpc_server_seconds" in await answer.text()
        process.send_signal(signal.SIGTERM)
        _, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert b"Traceback" not in said
    assert b"1 tickets" in said


async def test_a_rebuild_that_fails_says_why_in_one_sentence(
    analytics_database_url: str, tickets: Tickets
) -> None:
    tickets.status = 401
    environment = {
        "PATH": os.environ["PATH"],
        "ANALYTICS_DATABASE_URL": analytics_database_url,
        "TICKET_API_URL": tickets.url,
        "TICKET_API_TOKEN": TOKEN,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "analytics_svc", "rebuild", cwd=ROOT, env=environment, stderr=PIPE
    )
    _, said = await process.communicate()
    assert (process.returncode, said.count(b"\n")) == (1, 1), said.decode()
    assert b"answered 401" in said
