"""Containers have bounded logs, files enough, and images whose version is told."""

import re
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
