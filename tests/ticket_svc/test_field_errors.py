"""A refused field says why in a sentence for people, and in a code with numbers for programs."""

import pytest

from tests.ticket_svc.test_list import forged


@pytest.fixture
async def errors(api):
    """Return a function that sends a request and returns the errors of its refusal."""
    await api.open()

    async def send(method, path, json=None, role="helpdesk", **headers):
        answer = await api.call(method, f"/v1{path}", role=role, json=json, headers=headers)
        assert answer.status >= 400
        for error in answer.body["errors"]:
            assert error["code"]
            assert error["message"]
        return [(e["field"], e["code"], e["params"]) for e in answer.body["errors"]]

    return send


LONG = {"description": "x" * 10_001}
CASES = [
    ("POST", "/tickets", {"description": " "}, ("description", "blank", {})),
    (
        "POST",
        "/tickets",
        LONG,
        ("description", "too_long", {"max": 10_000, "n": 10_001, "over": 1}),
    ),
    (
        "POST",
        "/tickets",
        {"description": "a\x00"},
        ("description", "control_character", {"code": "0000"}),
    ),
    ("POST", "/tickets", {}, ("description", "missing", {})),
    ("POST", "/tickets", {"description": "x", "a": 1}, ("a", "extra_forbidden", {})),
    ("PATCH", "/tickets/1", {}, ("body", "nothing_given", {})),
    ("PATCH", "/tickets/1", {"category": None}, ("category", "null", {})),
    ("PUT", "/tickets/1/duplicate_of", {"ticket": 1}, ("ticket", "same_ticket", {})),
    ("PUT", "/tickets/1/duplicate_of", {"ticket": 7}, ("ticket", "unknown_ticket", {"ticket": 7})),
    ("PUT", "/tickets/1/duplicate_of", {"ticket": 0}, ("ticket", "greater_than_equal", {"ge": 1})),
    (
        "PUT",
        "/tickets/1/status",
        {"status": "closed"},
        ("status", "wrong_step", {"before": "open", "after": "closed"}),
    ),
    (
        "PUT",
        "/tickets/1/status",
        {"status": "done"},
        ("status", "enum", {"expected": "'open', 'active' or 'closed'"}),
    ),
    ("PUT", "/tickets/1/affected/x", None, ("key", "uuid", {})),
    ("PUT", "/replies/7", {"title": "x", "body": "x"}, ("id", "unknown_reply", {"reply": 7})),
    ("GET", "/tickets/7", None, ("id", "unknown_ticket", {"ticket": 7})),
    ("GET", "/tickets?limit=0", None, ("limit", "greater_than_equal", {"ge": 1})),
    ("GET", "/tickets?q=a&q=b", None, ("q", "given_twice", {})),
    ("GET", "/tickets?status=open&status=x", None, ("status", "enum", None)),
    ("GET", "/tickets?cursor=x", None, ("cursor", "cursor", {})),
    (
        "GET",
        f"/tickets?cursor={forged('-affected 1 1')}",
        None,
        ("cursor", "other_sort", {"sort": "-affected"}),
    ),
]


@pytest.mark.parametrize(("method", "path", "json", "expected"), CASES)
async def test_code_and_numbers_are_stable(errors, method, path, json, expected):
    [(field, code, params)] = await errors(method, path, json, **{"If-Match": "*"})
    assert (field, code) == expected[:2]
    assert expected[2] in (None, params)


async def test_what_is_helpdesk_s_has_codes_of_its_own(errors):
    for method, path, json, code in (
        ("PATCH", "/tickets/1", {"category": "technical_it"}, "category_for_helpdesk"),
        ("PUT", "/tickets/1/status", {"status": "active"}, "status_for_helpdesk"),
        ("PUT", "/tickets/1/duplicate_of", {"ticket": 2}, "duplicate_for_helpdesk"),
        ("GET", "/tickets?status=closed", None, "closed_for_helpdesk"),
    ):
        [(_, found, params)] = await errors(method, path, json, "user", **{"If-Match": "*"})
        assert (found, params) == (code, {})
