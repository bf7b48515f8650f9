"""What the environment says, read once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bus.signatures import Keys, read_keys
from contracts.addresses import check_address
from runtime.http import read_drain_seconds
from runtime.limits import Rate, read_limits

# Off unless set: web has one token for everybody, and where a limit of it were reached, one sender
# would have used up what the others need. Web bounds each sender, the gate the work at once. It is
# for programs of an operator's own that get the token.
LIMITS: dict[str, tuple[Rate, ...]] = {"write": (), "search": ()}

# Who hears events, and where the key is that it shares with this service alone.
EVENTS_KEYS: Final = {
    "analytics_svc": "ANALYTICS_EVENTS_KEY",
    "classifier_svc": "CLASSIFIER_EVENTS_KEY",
    "web": "WEB_EVENTS_KEY",
}
ANSWERS_KEY: Final = "TICKET_ANSWERS_KEY"


class SettingsError(Exception):
    """The environment lacks something or holds nonsense; the text says what to set."""


@dataclass(frozen=True)
class SigningKeys:
    """With what events are signed, for each consumer, and what the classifier is asked."""

    events: Mapping[str, Keys] = field(repr=False)
    answers: Keys = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """Addresses and secrets; the secrets stay out of `repr`, and so out of logs."""

    database_url: str = field(repr=False)
    amqp_url: str = field(repr=False)
    api_token: str = field(repr=False)
    keys: SigningKeys
    host: str
    port: int
    drain_s: float = 0.0
    # By kind, for all that come with the token.
    limits: Mapping[str, tuple[Rate, ...]] = field(default_factory=dict)


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings; raises SettingsError naming the variable that is missing or wrong."""
    port = environment.get("TICKET_PORT", "8081")
    if not port.isdecimal() or int(port) > 65_535:
        raise SettingsError(f"TICKET_PORT must be a port number, not {port!r}.")
    try:
        drain_s = read_drain_seconds(environment)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    try:
        limits = read_limits(environment.get("TICKET_LIMITS") or "", LIMITS, buckets=1)
    except ValueError as error:
        raise SettingsError(f"TICKET_LIMITS: {error}.") from None
    return Settings(
        database_url=required("TICKET_DATABASE_URL", environment),
        amqp_url=required("TICKET_AMQP_URL", environment),
        api_token=required("TICKET_API_TOKEN", environment),
        keys=_read_signing_keys(environment),
        host=environment.get("TICKET_HOST", "127.0.0.1"),
        port=int(port),
        drain_s=drain_s,
        limits=limits,
    )


def _read_signing_keys(environment: Mapping[str, str]) -> SigningKeys:
    try:
        return SigningKeys(
            events={
                consumer: read_keys(name, environment.get(name))
                for consumer, name in EVENTS_KEYS.items()
            },
            answers=read_keys(ANSWERS_KEY, environment.get(ANSWERS_KEY)),
        )
    except ValueError as error:
        raise SettingsError(str(error)) from None


def required(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the variable's value; raises SettingsError where it is missing, empty or unusable."""
    value = environment.get(name)
    if not value:
        raise SettingsError(f"Set {name} in the environment.")
    try:
        return check_address(name, value)
    except ValueError as error:
        raise SettingsError(str(error)) from None
