"""What of a person's environment must not reach the programs of a local run.

Settings for other servers on the machine (`PGHOST`, `RABBITMQ_NODENAME`, `ERL_FLAGS`), for other
Python programs, and proxies: everything here talks to addresses of its own. Knows no default.
"""

from collections.abc import Mapping, MutableMapping

from deploy.local.names import NAME_OF_PORT, PORT_SHIFT, PRIVATE, PUBLIC

OURS = frozenset({*PUBLIC, *PRIVATE, *NAME_OF_PORT.values(), PORT_SHIFT})
FOREIGN_BEGINNINGS = ("PG", "RABBITMQ_", "ERL_", "PYTHON")
# RabbitMQ would report to the service manager of whoever started us.
FOREIGN = frozenset({"NOTIFY_SOCKET"})
PROXIES = frozenset({"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"})


def foreign(environment: Mapping[str, str]) -> list[str]:
    """Return the names that are meant for others."""
    return [
        name
        for name in environment
        if name not in OURS
        and (name.startswith(FOREIGN_BEGINNINGS) or name in FOREIGN or name.lower() in PROXIES)
    ]


def forget_foreign(environment: MutableMapping[str, str]) -> None:
    """Remove them, for this process and all that it starts."""
    for name in foreign(environment):
        del environment[name]
