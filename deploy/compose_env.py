"""Writes `.env` for docker compose: `.env.example` with random secrets where it is empty."""

import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / ".env"

if TARGET.exists():
    sys.exit(".env is there already and stays as it is.")
lines = (ROOT / ".env.example").read_text().splitlines()
TARGET.touch(mode=0o600)
TARGET.write_text(
    "".join(
        f"{line}{secrets.token_urlsafe(18)}\n" if line.endswith("=") else f"{line}\n"
        for line in lines
    )
)
print("Wrote .env with random secrets.")
