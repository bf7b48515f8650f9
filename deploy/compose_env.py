"""Writes `.env` for docker compose: `.env.example` with random secrets where it is empty.

An `.env` that is there keeps what it says, and gets the secrets that a newer version asks for.
"""

import secrets
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / ".env"


def with_secret(line: str) -> str:
    """Return a line of the example, with a random secret where it is empty."""
    return f"{line}{secrets.token_urlsafe(18)}" if line.endswith("=") else line


example = (ROOT / ".env.example").read_text().splitlines()
if TARGET.exists():
    old = TARGET.read_text().rstrip().splitlines()
    names = {line.partition("=")[0].strip() for line in old}
    lacking = [line for line in example if line.endswith("=") and line[:-1] not in names]
    lines = [*old, *map(with_secret, lacking)]
    said = f"Added to .env: {', '.join(line[:-1] for line in lacking) or 'nothing was lacking'}."
else:
    TARGET.touch(mode=0o600)
    lines = [with_secret(line) for line in example]
    said = "Wrote .env with random secrets."
TARGET.write_text("".join(f"{line}\n" for line in lines))
print(said)
