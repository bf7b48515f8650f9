"""What broken clients and mistyped addresses get: a clear refusal, never a traceback."""

import asyncio
import re

import pytest

from tests.web.conftest import Person, Serve


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"text=%FF%FE", "application/x-www-form-urlencoded", 400),
        (b"text=\xff\xfe", "application/x-www-form-urlencoded", 400),
        (b"&".join([b"a=1"] * 30), "application/x-www-form-urlencoded", 400),
        (b'{"text": "x"}', "application/json", 415),
        (b"--b\r\n\r\nx\r\n--b--", "multipart/form-data; boundary=b", 415),
        (b"text=" + b"x" * 200_000, "application/x-www-form-urlencoded", 413),
        (b"text=a%00b", "application/x-www-form-urlencoded", 422),
        (b"", "application/x-www-form-urlencoded", 422),
    ],
)
async def test_a_broken_form_is_refused_with_a_page(
    user: Person, body: bytes, content_type: str, status: int
) -> None:
    headers = {"Content-Type": content_type}
    seen = await user.ask("POST", "/tickets", data=body, headers=headers)
    assert seen.status == status
    assert "<h1>" in seen.html


async def test_a_packed_form_is_refused_with_a_page(user: Person) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    seen = await user.ask("POST", "/tickets", data=b"text=The+lift+stands", headers=headers)
    assert seen.status == 415
    assert "Support id" not in seen.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nope", 404),
        ("/tickets/0", 404),
        ("/tickets/999999999", 404),
        ("/tickets/9999999999999999", 404),
        ("/tickets/99999999999999999999", 404),
        ("/tickets/%D9%A1", 404),
        ("/tickets/1%00", 404),
        ("/tickets?cursor=bad", 422),
        ("/tickets?status=bad", 422),
        ("/tickets?q=%00", 422),
        ("/tickets?q=" + "x" * 300, 422),
        ("/tickets?opened_from=yesterday", 422),
        ("/leave", 405),
    ],
)
async def test_a_bad_address_is_refused_with_a_page(user: Person, path: str, status: int) -> None:
    seen = await user.see(path)
    assert seen.status == status
    assert "<h1>" in seen.html
    assert "Traceback" not in seen.html


async def test_who_goes_away_in_the_middle_of_a_form_is_no_defect(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve()
    _, writer = await asyncio.open_connection(server.host, server.port)
    head = b"POST /tickets HTTP/1.1\r\nHost: [::1]\r\nCookie: role=user\r\nContent-Length: 99\r\n"
    writer.write(head + b"Content-Type: application/x-www-form-urlencoded\r\n\r\ntext=abc")
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.close()
    await asyncio.sleep(0.1)
    assert "failed" not in caplog.text
    assert "Traceback" not in caplog.text


async def test_a_refusal_for_htmx_replaces_no_typed_text(user: Person) -> None:
    seen = await user.send("/tickets/999999999/messages", htmx=True, text="typed")
    assert seen.status == 404
    assert re.findall(r'hx-target="#(\w+)"', seen.html) == ["alert"]
