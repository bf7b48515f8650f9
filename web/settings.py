"""What the web tier reads from its environment, checked once at the start."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from bus.http import read_drain_seconds
from contracts.addresses import check_address

REPOSITORY = Path(__file__).resolve().parent.parent


class SettingsError(Exception):
    """The environment is not usable; the message says what to set."""


@dataclass(frozen=True)
class Settings:
    """The environment of one web process; its repr shows no secret.

    `is_behind_proxy` lets `X-Forwarded-Proto` say that the browser came over TLS; without a proxy
    in front anybody could send that header.
    """

    ticket_api_url: str
    ticket_api_token: str = field(repr=False)
    amqp_url: str = field(repr=False)
    timezone: ZoneInfo
    host: str
    port: int
    is_behind_proxy: bool
    node_modules: Path
    drain_s: float


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings; raises SettingsError with one sentence about what is wrong."""

    def required(name: str) -> str:
        if not environment.get(name):
            raise SettingsError(f"{name} is not set; see DESIGN.md, “Running”.")
        try:
            check_address(name, environment[name])
        except ValueError as error:
            raise SettingsError(str(error)) from None
        return environment[name]

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
        timezone=timezone,
        host=environment.get("WEB_HOST") or "127.0.0.1",
        port=int(port),
        is_behind_proxy=environment.get("WEB_BEHIND_PROXY") == "1",
        node_modules=Path(environment.get("WEB_NODE_MODULES") or REPOSITORY / "node_modules"),
        drain_s=drain_s,
    )
