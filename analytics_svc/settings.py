"""What the environment says; secrets never show in a repr or an error."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

from bus.signatures import Keys, read_keys
from contracts.addresses import check_address

TIMEZONE_DEFAULT: Final = "Europe/Rome"
HOST_DEFAULT: Final = "127.0.0.1"
PORT_DEFAULT: Final = "8083"

DATABASE: Final = frozenset({"ANALYTICS_DATABASE_URL"})
BROKER: Final = frozenset({"ANALYTICS_AMQP_URL"})
TICKET_API: Final = frozenset({"TICKET_API_URL", "TICKET_API_TOKEN"})
EVENTS_KEY: Final = "ANALYTICS_EVENTS_KEY"
EVENTS: Final = frozenset({EVENTS_KEY})


class SettingError(Exception):
    """A setting is missing or makes no sense; the message is for an operator."""


@dataclass(frozen=True)
class Settings:
    """What a command asked for; what it did not ask for may be empty."""

    database_url: str = field(repr=False)
    amqp_url: str = field(repr=False)
    ticket_api_url: str
    ticket_api_token: str = field(repr=False)
    events_keys: Keys = field(repr=False)
    timezone: str
    host: str
    port: int | None

    @classmethod
    def read(cls, environ: Mapping[str, str], needed: frozenset[str]) -> "Settings":
        """Return the settings; raises SettingError where one in `needed` is absent or wrong."""
        if missing := sorted(name for name in needed if not environ.get(name)):
            raise SettingError(f"Set {' and '.join(missing)} in the environment.")
        values = {name: _checked(name, environ[name]) for name in needed}
        return cls(
            database_url=values.get("ANALYTICS_DATABASE_URL", ""),
            amqp_url=values.get("ANALYTICS_AMQP_URL", ""),
            ticket_api_url=values.get("TICKET_API_URL", "").rstrip("/"),
            ticket_api_token=values.get("TICKET_API_TOKEN", ""),
            events_keys=_keys(values[EVENTS_KEY]) if EVENTS_KEY in needed else (),
            timezone=_timezone(environ.get("CAMPUS_TIMEZONE") or TIMEZONE_DEFAULT),
            host=environ.get("ANALYTICS_HOST") or HOST_DEFAULT,
            port=_port(environ.get("ANALYTICS_PORT", PORT_DEFAULT)),
        )


def _checked(name: str, value: str) -> str:
    try:
        return check_address(name, value)
    except ValueError as error:
        raise SettingError(str(error)) from None


def _keys(text: str) -> Keys:
    try:
        return read_keys(EVENTS_KEY, text)
    except ValueError as error:
        raise SettingError(str(error)) from None


def _timezone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, KeyError):
        raise SettingError(
            f"CAMPUS_TIMEZONE {name!r} is no time zone; an example is {TIMEZONE_DEFAULT}."
        ) from None


def _port(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or int(text) > 65535:
        raise SettingError(f"ANALYTICS_PORT {text!r} is no port (0 or empty: no health server).")
    return int(text) or None
