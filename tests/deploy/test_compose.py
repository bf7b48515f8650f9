"""Containers have bounded logs, files enough, images whose version is told, and no way in or up."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.names import SIGNING_KEYS
from tests.conftest import ROOT

SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
IMAGES = {
    *(service["image"] for service in SERVICES.values() if "image" in service),
    *re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE),
}


@pytest.mark.parametrize("name", SERVICES)
def test_the_log_of_a_container_is_bounded(name: str) -> None:
    assert SERVICES[name]["logging"] == {
        "driver": "local",
        "options": {"max-size": "10m", "max-file": "3"},
    }


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_open_as_many_files_as_pages_and_connections_need(name: str) -> None:
    limit = "${OPEN_FILES:-65536}"
    assert SERVICES[name]["ulimits"]["nofile"] == {"soft": limit, "hard": limit}


@pytest.mark.parametrize("image", sorted(IMAGES))
def test_an_image_says_its_minor_version(image: str) -> None:
    assert re.search(r":\d+\.\d+", image)


def test_a_container_has_its_own_key_of_events_and_no_other() -> None:
    keys = {
        name: {key for key in service.get("environment", {}) if key in SIGNING_KEYS}
        for name, service in SERVICES.items()
    }
    assert {name: found for name, found in keys.items() if found} == {
        "web": {"WEB_EVENTS_KEY"},
        "ticket_svc": set(SIGNING_KEYS),
        "migrate_tickets": set(SIGNING_KEYS),
        "analytics_svc": {"ANALYTICS_EVENTS_KEY"},
        "migrate_analytics": {"ANALYTICS_EVENTS_KEY"},
        "classifier_svc": {"CLASSIFIER_EVENTS_KEY"},
    }
    example = (ROOT / ".env.example").read_text().splitlines()
    assert {f"{name}=" for name in SIGNING_KEYS} <= set(example)


def test_health_is_asked_without_the_proxy_that_an_engine_may_set() -> None:
    commands = [
        " ".join(service["healthcheck"]["test"])
        for service in SERVICES.values()
        if "healthcheck" in service
    ]
    assert all("ProxyHandler({})" in command for command in commands if "urllib" in command)


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_gets_no_more_rights_and_publishes_to_this_machine_only(name: str) -> None:
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]
    published = SERVICES[name].get("ports", [])
    assert all(port.startswith("127.0.0.1:") for port in published)
    # AMQP, Erlang's two and PostgreSQL's are for the other containers alone.
    assert not [port for port in published if re.search(r":(5672|4369|25672|5432)$", port)]


def test_services_run_as_a_user_of_their_own_without_any_of_roots_rights() -> None:
    assert re.search("^USER campus$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for service in (s for s in SERVICES.values() if "build" in s):
        assert (service["cap_drop"], service["read_only"], "user" in service) == (
            ["ALL"],
            True,
            False,
        )


def test_the_broker_starts_with_a_cookie_that_nobody_can_guess(tmp_path: Path) -> None:
    start = ROOT / "deploy" / "rabbitmq" / "start.sh"
    broker = SERVICES["rabbitmq"]
    assert "./deploy/rabbitmq/start.sh:/start.sh:ro" in broker["volumes"]
    # What the image brings.
    programs, data = tmp_path / "bin", tmp_path / "data"
    for folder in (programs, data):
        folder.mkdir()
    for name in ("chown", "docker-entrypoint.sh"):
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (programs / name).chmod(0o755)
    cookie = data / ".erlang.cookie"
    cookie.write_text("KDQLZHRUTOMAAIOOKQFY")
    cookies = set()
    for _ in range(2):
        said = subprocess.run(
            [broker["entrypoint"][0], start, *broker["command"]],
            env={"PATH": f"{programs}:{os.environ['PATH']}", "RABBITMQ_DATA_DIR": str(data)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert said == f"chown rabbitmq {cookie}\ndocker-entrypoint.sh rabbitmq-server\n"
        assert cookie.stat().st_mode & 0o777 == 0o400
        cookies.add(cookie.read_text())
    assert len(cookies) == 2
    assert all(re.fullmatch("[0-9a-f]{64}", cookie) for cookie in cookies)
