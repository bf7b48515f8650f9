"""A port that is taken is said in a sentence, by every service."""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import PIPE
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.local.names import SERVICES, Names

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("service", SERVICES)
async def test_a_taken_port_is_said_in_a_sentence(
    names: Names, tmp_path: Path, service: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        values = names.values | {
            "WEB_URL": f"http://127.0.0.1:{port}",
            "TICKET_API_URL": f"http://127.0.0.1:{port}",
            "CLASSIFIER_DATA_DIR": str(tmp_path),
        }
        ports = dict.fromkeys(("web", "ticket_api", "analytics", "classifier"), port)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            service,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]}
            | replace(names, values=values, ports=ports).of_service(service),
            stderr=PIPE,
        )
        async with asyncio.timeout(20):
            _, said = await process.communicate()
    *_, sentence = said.decode().splitlines()
    assert f"Cannot listen on 127.0.0.1:{port}: " in sentence
    assert "in use" in sentence
    assert b"Traceback" not in said
    assert process.returncode == 1
