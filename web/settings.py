"""What the web tier reads from its environment, checked once at the start."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from socket import gethostname
from zoneinfo import ZoneInfo

from aiohttp import web

from bus.signatures import Keys, read_keys
from contracts.addresses import check_address
from runtime.http import read_drain_seconds
from runtime.limits import Rate, read_limits
from web.origin import Origin, read_origin, read_place

REPOSITORY = Path(__file__).resolve().parent.parent
SECRET_MIN_CHARACTERS = 16


class Kind(StrEnum):
    """What a sender may do so often and no more."""

    REPORT = "report"
    MESSAGE = "message"  # and edits of the description
    AFFECTED = "affected"
    WORK = "work"  # what only helpdesk does; of many tickets at once each counts
    SEARCH = "search"
    HINT = "hint"  # and tickets that are similar to one, and what the model would say to a text
    TYPING = "typing"


# For one browser, and for all at one address. A person is far below the first. The second lets a
# lecture hall of 300 behind one address report what all of them see, and say "me too", at once; it
# bounds a script that takes a new key for each request.
LIMITS: dict[str, tuple[Rate, ...]] = {
    Kind.REPORT: (Rate(10, 10), Rate(400, 30)),
    Kind.MESSAGE: (Rate(20, 20), Rate(400, 120)),
    Kind.AFFECTED: (Rate(20, 20), Rate(300, 30)),
    # Two lists of 200 at once, which a window of helpdesk can tick.
    Kind.WORK: (Rate(400, 120), Rate(2_000, 600)),
    Kind.SEARCH: (Rate(30, 60), Rate(300, 600)),
    Kind.HINT: (Rate(30, 60), Rate(300, 1_200)),
    Kind.TYPING: (Rate(20, 60), Rate(200, 600)),
}


class SettingsError(Exception):
    """The environment is not usable; the message says what to set."""


@dataclass(frozen=True)
class Settings:
    """The environment of one web process; its repr shows no secret.

    Proxies in front are declared, since anybody can send what they say: `trusted_proxies` names
    them, and `is_behind_proxy` takes whoever connects for one. `origins` are this site's own
    addresses where no proxy says them, and `hosts` more names of it. See docs/proxy.md. `secret`
    signs what browsers keep. `limits` has the rates of one browser and of one address, for each
    kind that has a limit.
    """

    ticket_api_url: str
    ticket_api_token: str = field(repr=False)
    amqp_url: str = field(repr=False)
    secret: str = field(repr=False)
    limits: Mapping[str, tuple[Rate, ...]]
    events_keys: Keys = field(repr=False)
    timezone: ZoneInfo
    host: str
    port: int
    is_behind_proxy: bool
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    origins: tuple[Origin, ...]
    hosts: tuple[str, ...]
    node_modules: Path
    drain_s: float

    @cached_property
    def own_hosts(self) -> frozenset[str]:
        """Return every name of this site: the declared ones, and those of this machine."""
        machine = (gethostname().lower(), self.host.lower())
        declared = (origin.place.host for origin in self.origins)
        return frozenset({"localhost", *machine, *self.hosts, *declared})


SETTINGS: web.AppKey[Settings] = web.AppKey("settings")


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings; raises SettingsError with one sentence about what is wrong."""

    def required(name: str) -> str:
        if not environment.get(name):
            raise SettingsError(f"{name} is not set; see DESIGN.md, “Running”.")
        try:
            return check_address(name, environment[name])
        except ValueError as error:
            raise SettingsError(str(error)) from None

    zone_name = environment.get("CAMPUS_TIMEZONE") or "Europe/Rome"
    try:
        timezone = ZoneInfo(zone_name)
    except (KeyError, ValueError, OSError):
        raise SettingsError(f"CAMPUS_TIMEZONE is not a time zone: {zone_name!r}.") from None
    port = environment.get("WEB_PORT") or "8080"
    if not (port.isascii() and port.isdigit() and int(port) < 65_536):
        raise SettingsError(f"WEB_PORT is not a port number: {port!r}.")
    try:
        drain_s = read_drain_seconds(environment)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    return Settings(
        ticket_api_url=required("TICKET_API_URL").rstrip("/"),
        ticket_api_token=required("TICKET_API_TOKEN"),
        amqp_url=required("WEB_AMQP_URL"),
        secret=_read_secret(environment),
        limits=_read_limits(environment),
        events_keys=_read_keys("WEB_EVENTS_KEY", environment),
        timezone=timezone,
        host=environment.get("WEB_HOST") or "127.0.0.1",
        port=int(port),
        is_behind_proxy=_read_switch("WEB_BEHIND_PROXY", environment),
        trusted_proxies=tuple(_read_networks("WEB_TRUSTED_PROXIES", environment)),
        origins=tuple(_read_origins("WEB_ORIGINS", environment)),
        hosts=tuple(_read_hosts("WEB_HOSTS", environment)),
        node_modules=Path(environment.get("WEB_NODE_MODULES") or REPOSITORY / "node_modules"),
        drain_s=drain_s,
    )


def _read_secret(environment: Mapping[str, str]) -> str:
    secret = environment.get("WEB_SECRET") or ""
    if len(secret) < SECRET_MIN_CHARACTERS:
        raise SettingsError(
            f"WEB_SECRET must be a random text of {SECRET_MIN_CHARACTERS} characters or more, the "
            "same for all web processes; see README.md, “Settings”."
        )
    return secret


def _read_limits(environment: Mapping[str, str]) -> dict[str, tuple[Rate, ...]]:
    try:
        return read_limits(environment.get("WEB_LIMITS") or "", LIMITS, buckets=2)
    except ValueError as error:
        raise SettingsError(f"WEB_LIMITS: {error}.") from None


def _read_keys(name: str, environment: Mapping[str, str]) -> Keys:
    try:
        return read_keys(name, environment.get(name))
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _read_switch(name: str, environment: Mapping[str, str]) -> bool:
    text = environment.get(name) or "0"
    if text not in ("0", "1"):
        raise SettingsError(f"{name} must be 1 or 0, not {text!r}.")
    return text == "1"


def _read_networks(
    name: str, environment: Mapping[str, str]
) -> Iterator[IPv4Network | IPv6Network]:
    for text in _read_list(name, environment):
        try:
            yield ip_network(text, strict=False)
        except ValueError:
            raise SettingsError(
                f"{name} must be addresses or networks such as 127.0.0.1 or 10.1.0.0/16, "
                f"not {text!r}."
            ) from None


def _read_origins(name: str, environment: Mapping[str, str]) -> Iterator[Origin]:
    for text in _read_list(name, environment):
        try:
            yield read_origin(text)
        except ValueError:
            raise SettingsError(
                f"{name} must be addresses such as https://helpdesk.example.edu, without a path, "
                f"not {text!r}."
            ) from None


def _read_hosts(name: str, environment: Mapping[str, str]) -> Iterator[str]:
    for text in _read_list(name, environment):
        place = read_place(text)
        if place is None or place.port or text.endswith((":80", ":443")):
            raise SettingsError(
                f"{name} must be names such as helpdesk.example.edu, without scheme and port, "
                f"not {text!r}."
            )
        yield place.host


def _read_list(name: str, environment: Mapping[str, str]) -> list[str]:
    return (environment.get(name) or "").replace(",", " ").split()
