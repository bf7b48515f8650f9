"""A certificate authority for the tests, and certificates of it for servers on this machine."""

import subprocess
from pathlib import Path


def make_authority(folder: Path, name: str) -> Path:
    """Make an authority; return the file of its certificate."""
    file = folder / f"{name}.crt"
    _openssl(
        "req", "-x509", *_new_key(folder / f"{name}.key"), "-out", file, "-subj", f"/CN={name}"
    )
    return file


def make_certificate(authority: Path, name: str, *hosts: str) -> tuple[Path, Path]:
    """Make a certificate for a server here, under more names too; return its file and its key's."""
    file, key = authority.with_name(f"{name}.crt"), authority.with_name(f"{name}.key")
    names = ["IP:127.0.0.1", "IP:::1", *(f"DNS:{host}" for host in ("localhost", *hosts))]
    _openssl(
        *("req", "-x509", *_new_key(key), "-out", file, "-subj", f"/CN={name}"),
        *("-addext", f"subjectAltName={','.join(names)}"),
        *("-CA", authority, "-CAkey", authority.with_suffix(".key")),
    )
    return file, key


def _new_key(key: Path) -> tuple[str | Path, ...]:
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    return (*curve, "-noenc", "-days", "2", "-keyout", key)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
