"""No secret and no word of anybody's ticket is in a log, in a settings object or in the repository.

Exceptions like to print what they could not use: an address with its password, a body.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aio_pika
import pytest

from analytics_svc.settings import BROKER, DATABASE, EVENTS, TICKET_API, SettingError
from analytics_svc.settings import Settings as AnalyticsSettings
from contracts.addresses import check_address
from contracts.topology import DURABLE_QUEUES
from deploy.local.names import PRIVATE, PUBLIC, SERVICES, SIGNING_KEYS
from tests.cable import Cable
from tests.conftest import ROOT, Stack
from tests.promises.person import eventually, person, program
from tests.security.conftest import send_raw
from ticket_svc import settings as ticket_settings
from web import settings as web_settings

SECRET = "s3cr3t-of-each-one"
ENVIRONMENT = {
    "TICKET_API_URL": "http://127.0.0.1:9",
    "TICKET_API_TOKEN": SECRET,
    "WEB_SECRET": SECRET,
    **dict.fromkeys(SIGNING_KEYS, f"{SECRET} of 16 letters"),
    "TICKET_DATABASE_URL": f"postgresql://ticket_svc:{SECRET}@127.0.0.1:9/campus",
    "ANALYTICS_DATABASE_URL": f"postgresql://analytics_svc:{SECRET}@127.0.0.1:9/campus",
    "WEB_AMQP_URL": f"amqp://web:{SECRET}@127.0.0.1:9/campus",
    "TICKET_AMQP_URL": f"amqp://ticket_svc:{SECRET}@127.0.0.1:9/campus",
    "ANALYTICS_AMQP_URL": f"amqp://analytics_svc:{SECRET}@127.0.0.1:9/campus",
    "CLASSIFIER_AMQP_URL": f"amqp://classifier_svc:{SECRET}@127.0.0.1:9/campus",
}
READERS: dict[str, Any] = {
    "web": web_settings.read_settings,
    "ticket_svc": ticket_settings.read_settings,
    "analytics_svc": lambda e: AnalyticsSettings.read(e, DATABASE | BROKER | TICKET_API | EVENTS),
}
ERRORS = (web_settings.SettingsError, ticket_settings.SettingsError, SettingError)
# Passwords with characters that belong to an address cut it in the wrong place.
UNUSABLE = [
    "x",
    f"{SECRET}",
    f"amqp:{SECRET}",
    f"ftp://user:{SECRET}@host:1/x",
    f"{{scheme}}://user:{SECRET}/more@host:1/x",
    f"{{scheme}}://user:{SECRET}#more@host:1/x",
    f"{{scheme}}://user:{SECRET}?more@host:1/x",
    f"{{scheme}}://user:123/{SECRET}@host:1/x",
    f"{{scheme}}://user:more@host:{SECRET}/x",
    f"{{scheme}}://user:{SECRET}@[host:1/x",
    f"{{scheme}}://user:{SECRET}@host:99999/x",
    f"{{scheme}}://user:{SECRET}@host:1/x\n",
    f"{{scheme}}://user:{SECRET} @host:1/x",
]


@pytest.mark.parametrize("service", READERS)
def test_settings_show_no_secret(service: str) -> None:
    settings = READERS[service](ENVIRONMENT)
    for text in (repr(settings), str(settings), f"{settings}", f"{[settings]}"):
        assert SECRET not in text


@pytest.mark.parametrize("name", [name for name in ENVIRONMENT if name.endswith("_URL")])
@pytest.mark.parametrize("value", UNUSABLE)
def test_an_address_that_cannot_be_used_is_named_and_not_shown(name: str, value: str) -> None:
    scheme = ENVIRONMENT[name].partition(":")[0]
    with pytest.raises(ValueError, match=name) as error:
        check_address(name, value.replace("{scheme}", scheme))
    assert SECRET not in str(error.value)
    assert "more" not in str(error.value)
    for service, read in READERS.items():
        if name in _read_by(service):
            with pytest.raises(ERRORS, match=name) as refusal:
                read(ENVIRONMENT | {name: value.replace("{scheme}", scheme)})
            assert SECRET not in str(refusal.value)


def _read_by(service: str) -> set[str]:
    start = {"web": "WEB", "ticket_svc": "TICKET", "analytics_svc": "ANALYTICS"}[service]
    others = {"TICKET_API_URL"} if service != "ticket_svc" else set()
    return {name for name in ENVIRONMENT if name.startswith(f"{start}_")} - {
        "TICKET_API_URL"
    } | others


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://user:p%2Fq@host:1/x?sslmode=require",
        "postgresql:///x?host=/run/postgresql",
        "postgres://user@[::1]:1/x",
    ],
)
def test_an_address_that_can_be_used_passes(address: str) -> None:
    check_address("TICKET_DATABASE_URL", address)
    check_address("NO_ADDRESS_AT_ALL", address)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_with_a_wrong_address_says_one_sentence_and_stops(service: str) -> None:
    wrong = {
        name: value.replace(f":{SECRET}@", f":{SECRET}/{SECRET}@")
        for name, value in ENVIRONMENT.items()
    }
    ended = subprocess.run(
        [sys.executable, "-m", service],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | wrong,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert "percent-encode" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert SECRET not in ended.stderr + ended.stdout


def _secrets_of(stack: Stack) -> set[str]:
    names = (*PUBLIC, *PRIVATE)
    addresses = {stack[name] for name in names if "@" in stack[name]}
    passwords = {urlsplit(address).password for address in addresses}
    endings = ("PASSWORD", "TOKEN", "KEY", "SECRET")
    plain = {stack[name] for name in names if name.endswith(endings)}
    return {secret for secret in addresses | passwords | plain if secret}


def _said(stack: Stack) -> str:
    return "\n".join(stack.log(service).read_text(errors="replace") for service in SERVICES)


async def _poison(stack: Stack, words: str) -> None:
    """Put what no service understands into every queue, with the words in it."""
    connection = await aio_pika.connect(stack.broker.admin_url)
    async with connection:
        exchange = (await connection.channel()).default_exchange
        for queue in DURABLE_QUEUES:
            for body in (words.encode(), json.dumps({"text": [words], "ticket": words}).encode()):
                message = aio_pika.Message(body, reply_to="nobody", type=queue)
                await exchange.publish(message, queue)
        tickets = await (await connection.channel()).get_exchange("tickets", ensure=False)
        await tickets.publish(aio_pika.Message(words.encode()), "ticket.opened")


async def test_no_log_holds_a_secret_or_what_people_wrote(
    cabled_stack: tuple[Stack, dict[str, Cable]],
) -> None:
    stack, cables = cabled_stack
    words = f"whispered{uuid4().hex}"
    async with (
        person(stack, "user") as user,
        person(stack, "helpdesk") as helpdesk,
        program(stack) as api,
    ):

        async def work() -> None:
            reported = await user.report(f"The printer {words}")
            await user.report(f"{words}\x07")
            await user.get(f"/tickets?q={words}")
            await user.get(f"/tickets/hints?text=The+printer+{words}")
            await user.get(f"/tickets/{words}")
            if reported.status == 200:
                await user.send_message(reported.address, words)
                await helpdesk.post(f"{reported.address}/status", status="active")
                await helpdesk.post(f"{reported.address}/status", status=words)
            await helpdesk.get("/analytics/active")
            await helpdesk.get(f"/analytics/unclosed?last={words}")
            await api.call("POST", "/tickets", {"description": words, "category": words})

        await work()
        await _poison(stack, words)
        for name in ("database", "broker"):
            await cables[name].cut()
            await user.get("/tickets")
            await user.post("/tickets", text=words)
            await api.call("POST", "/tickets", {"description": words})
            await helpdesk.get("/analytics/active")
            await asyncio.sleep(1)
            await cables[name].mend()
        await eventually(lambda: _is_ready(api))
        await work()
    said = _said(stack)
    assert "connection lost" in said
    assert "database away" in said
    found = {secret for secret in _secrets_of(stack) if secret in said}
    assert not found
    assert words not in said


async def _is_ready(api: Any) -> bool:
    status, _ = await api.call("GET", "/tickets/counts")
    return bool(status == 200)


MALFORMED = (
    b"GET /tickets?q=whispered\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /tickets HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer whispered\x01\r\n\r\n",
    b"GET /tickets HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: whispered" + b"x" * 70_000 + b"\r\n\r\n",
    b"POST /v1/tickets HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: whispered\r\n\r\n",
)


@pytest.mark.parametrize("service", ["web", "ticket_svc"])
async def test_no_log_holds_the_bytes_of_a_request_that_cannot_be_read(
    stack: Stack, service: str
) -> None:
    url = stack["WEB_URL"] if service == "web" else stack["TICKET_API_URL"]
    for request in MALFORMED:
        assert (await send_raw(url, request)).split(b" ")[1] in (b"400", b"431")
    said = stack.log(service).read_text(errors="replace")
    assert "whispered" not in said
    assert "Traceback" not in said


# Names whose values are secrets, with a value behind them; `$`, `{`, `<` and `:` begin a reference.
_ASSIGNED = re.compile(
    r"""(?ix) (password|passwd|secret|token|api_key|events_key|answers_key)["']?\s*[=:]\s*["']?
    (?P<value>[a-z0-9+/_-]{12,})["']?\s*(\#.*)?$"""
)
_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bghp_[A-Za-z0-9]{36}\b|\bAKIA[A-Z0-9]{16}\b"
)
_IN_ADDRESS = re.compile(r"://[a-z_]+:(?!password@)(?P<password>[^@\s/{}$<>\"']{8,})@")
TEXT_FILES = (
    "py", "md", "yml", "yaml", "toml", "json", "sh", "sql", "conf", "cfg", "ini", "env", "example",
)  # fmt: skip


def _committed() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_no_file_with_secrets_is_committed() -> None:
    files = _committed()
    names = {path.name for path in files}
    assert ".env.example" in names
    assert not names & {".env", "env", "id_rsa", ".netrc", ".pgpass", ".npmrc.local"}
    assert not [path for path in files if path.suffix in (".pem", ".key", ".p12", ".log", ".dump")]


def test_no_value_in_the_repository_looks_like_a_secret() -> None:
    found = []
    for path in _committed():
        is_text = path.suffix.lstrip(".") in TEXT_FILES or path.name.startswith(".env")
        if not is_text or not path.is_file() or "tests" in path.relative_to(ROOT).parts:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if _ASSIGNED.search(line) or _KEY.search(line) or _IN_ADDRESS.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert not found
