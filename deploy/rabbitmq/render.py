"""Fills the users' passwords into `definitions.json`, for the broker to load at its start.

    python deploy/rabbitmq/render.py TARGET_FILE

Reads `WEB_RABBITMQ_PASSWORD`, `TICKET_SVC_RABBITMQ_PASSWORD`, `ANALYTICS_SVC_RABBITMQ_PASSWORD`,
`CLASSIFIER_SVC_RABBITMQ_PASSWORD` and `RABBITMQ_OPERATOR_PASSWORD`, and writes salted hashes only.
Where `RABBITMQ_ADMIN_PASSWORD` is set too, there is also a user `admin` who may do everything.
Standard library only: it runs before anything is installed. Source of the hash's shape: RabbitMQ's
guide on passwords (base64 of a 4-byte salt and SHA-256 over salt and password).
"""

import base64
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DEFINITIONS = Path(__file__).with_name("definitions.json")
OPERATOR, ADMIN = "operator", "admin"


def password_variable(user: str) -> str:
    """Return the name of the environment variable that holds the user's password."""
    if user in (OPERATOR, ADMIN):
        return f"RABBITMQ_{user.upper()}_PASSWORD"
    return f"{user.upper()}_RABBITMQ_PASSWORD"


def hash_password(password: str) -> str:
    """Return what RabbitMQ stores for a password, with a fresh salt."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def render(environment: Mapping[str, str]) -> str:
    """Return the definitions with password hashes; raises KeyError naming a missing variable."""
    definitions = json.loads(DEFINITIONS.read_text())
    if environment.get(password_variable(ADMIN)):
        _add_administrator(definitions)
    for user in definitions["users"]:
        user["password_hash"] = hash_password(environment[password_variable(user["name"])])
    return json.dumps(definitions, indent=1)


def _add_administrator(definitions: dict[str, Any]) -> None:
    definitions["users"].append(
        {
            "name": ADMIN,
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": ["administrator"],
        }
    )
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    definitions["permissions"].append({"user": ADMIN, "vhost": "campus", **everything})


if __name__ == "__main__":
    try:
        Path(sys.argv[1]).write_text(render(os.environ))
    except KeyError as missing:
        sys.exit(f"render.py: the environment lacks {missing.args[0]}")
