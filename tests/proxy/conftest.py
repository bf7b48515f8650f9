"""Proxies with the very text of docs/proxy.md, but other ports and paths, as child processes."""

import asyncio
import re
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from deploy.local.names import free_port
from tests.certificates import make_authority, make_certificate
from tests.conftest import ROOT
from tests.web.conftest import api, people, serve, settings

__all__ = ["api", "people", "serve", "settings"]
DOCUMENT = (ROOT / "docs/proxy.md").read_text()
HOST = "helpdesk.example.edu"
START_SECONDS = 10.0
# What Debian's own nginx.conf is around a file of conf.d, in one folder and one process.
NGINX = """
daemon off; master_process off; worker_processes 1;
pid nginx.pid; error_log stderr warn;
events {{ worker_connections 64; }}
http {{
    access_log off; default_type application/octet-stream;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
{server}
}}
"""
PROGRAMS = {
    "nginx": ("/usr/sbin/nginx", "-p", "{folder}", "-e", "stderr", "-c", "{folder}/configuration"),
    "haproxy": ("/usr/sbin/haproxy", "-db", "-q", "-f", "{folder}/configuration"),
}


def block(kind: str) -> str:
    """Return the configuration of the document that is marked so."""
    found = re.search(rf"^```{kind}\n(.*?)^```", DOCUMENT, re.M | re.S)
    assert found, kind
    return found[1]


def installed(program: str) -> Any:
    """Return the mark of a test that needs a proxy."""
    path = PROGRAMS[program][0]
    return pytest.mark.skipif(not Path(path).exists(), reason=f"{path} is not installed")


@dataclass(frozen=True)
class Certificate:
    """A certificate for HOST, its key, both in one file, and the authority that browsers trust."""

    authority: Path
    certificate: Path
    key: Path
    both: Path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    folder = tmp_path_factory.mktemp("tls")
    authority = make_authority(folder, "authority")
    found = Certificate(authority, *make_certificate(authority, "proxy", HOST), folder / "both.pem")
    found.both.write_text(found.certificate.read_text() + found.key.read_text())
    return found


Start = Callable[..., Awaitable[int]]


@pytest.fixture
async def start(tmp_path: Path, certificate: Certificate) -> AsyncIterator[Start]:
    """Return a starter of a proxy in front of a port; it returns the port for browsers."""
    async with AsyncExitStack() as exits:

        async def run(program: str, text: str, behind: int) -> int:
            port, plain = free_port(), free_port()
            for old, new in (
                ("127.0.0.1:8080", f"127.0.0.1:{behind}"),
                ("/etc/ssl/certs/helpdesk.pem", str(certificate.certificate)),
                ("/etc/ssl/private/helpdesk.key", str(certificate.key)),
                ("/etc/haproxy/helpdesk.pem", str(certificate.both)),
                ("listen 443", f"listen 127.0.0.1:{port}"),
                ("listen 8000", f"listen 127.0.0.1:{port}"),
                ("listen 80;", f"listen 127.0.0.1:{plain};"),
                ("bind :443", f"bind 127.0.0.1:{port}"),
                ("bind :80", f"bind 127.0.0.1:{plain}"),
            ):
                text = text.replace(old, new)
            folder = tmp_path / f"{program}-{port}"
            folder.mkdir()
            (folder / "configuration").write_text(
                NGINX.format(server=text) if program == "nginx" else text
            )
            command = [word.format(folder=folder) for word in PROGRAMS[program]]
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
            exits.callback(process.wait)
            exits.callback(process.terminate)
            async with asyncio.timeout(START_SECONDS):
                while not await _listens(port):
                    assert process.poll() is None, (folder / "log").read_text()
                    await asyncio.sleep(0.05)
            return port

        yield run


async def _listens(port: int) -> bool:
    with suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True
    return False


class _Here(AbstractResolver):
    """Finds every name on this machine."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        pass


Visit = Callable[[int], aiohttp.ClientSession]


@pytest.fixture
async def visit(certificate: Certificate) -> AsyncIterator[Visit]:
    """Return a maker of browsers at `https://HOST:port`, which say `Origin` alone, as old ones."""
    async with AsyncExitStack() as exits:

        def make(port: int) -> aiohttp.ClientSession:
            context = ssl.create_default_context(cafile=certificate.authority)
            session = aiohttp.ClientSession(
                f"https://{HOST}:{port}",
                connector=aiohttp.TCPConnector(ssl=context, resolver=_Here()),
                headers={"Origin": f"https://{HOST}:{port}"},
            )
            exits.push_async_callback(session.close)
            return session

        yield make
