"""What the environment says; the password never shows in a repr or an error."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bus.signatures import Keys, read_keys
from contracts.addresses import check_address

TIMEZONE_DEFAULT: Final = "Europe/Rome"
DATA_DEFAULT: Final = ".local/classifier"
EVENTS_KEY: Final = "CLASSIFIER_EVENTS_KEY"


@dataclass(frozen=True)
class Settings:
    """Where the broker is, and where to serve metrics (port 0: nowhere)."""

    amqp_url: str = field(repr=False)
    events_keys: Keys = field(repr=False)
    data: Path
    zone: ZoneInfo
    metrics_host: str
    metrics_port: int

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Return the settings; raises ValueError that names what is missing or wrong."""
        url = environ.get("CLASSIFIER_AMQP_URL")
        if not url:
            raise ValueError("CLASSIFIER_AMQP_URL is not set")
        url = check_address("CLASSIFIER_AMQP_URL", url)
        port = environ.get("CLASSIFIER_METRICS_PORT", "0")
        if not port.isdecimal():
            raise ValueError("CLASSIFIER_METRICS_PORT must be a port number")
        return cls(
            amqp_url=url,
            events_keys=read_keys(EVENTS_KEY, environ.get(EVENTS_KEY)),
            data=data_folder(environ),
            zone=_zone(environ.get("CAMPUS_TIMEZONE") or TIMEZONE_DEFAULT),
            metrics_host=environ.get("CLASSIFIER_METRICS_HOST") or "127.0.0.1",
            metrics_port=int(port),
        )


def data_folder(environ: Mapping[str, str]) -> Path:
    """Return where all workers and the trainer keep corrections and promoted models."""
    return Path(environ.get("CLASSIFIER_DATA_DIR") or DATA_DEFAULT)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"CAMPUS_TIMEZONE is no time zone: {name}") from None
