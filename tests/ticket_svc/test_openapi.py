"""The OpenAPI document tells the truth: generated requests, good and bad, are answered by it."""

import asyncio
import sys
from asyncio.subprocess import PIPE, STDOUT

from ticket_svc.routes import REST

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "ignored_auth",
)


async def test_document_names_every_rest_address(api):
    document = (await api.call("GET", "/openapi.json", expect=200)).body
    assert document["openapi"] == "3.1.0"
    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    assert described == {(route.method, route.path) for route in REST}


async def test_answers_keep_to_the_document(api, tmp_path):
    for _ in range(3):
        await api.open()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "schemathesis.cli", "run", str(api.client.make_url("/openapi.json"))),
        *("--header", "Authorization: Bearer a token for tests"),
        *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"),
        *("--max-examples", "10", "--generation-deterministic", "--no-color"),
        *("--warnings", "off", "--continue-on-failure"),
        cwd=tmp_path,
        stdout=PIPE,
        stderr=STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
