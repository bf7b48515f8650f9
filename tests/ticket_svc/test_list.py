"""Lists filter, sort, search and page; a walk through the pages shows each ticket once."""

from base64 import urlsafe_b64encode

import pytest


def ids(page):
    return [ticket["id"] for ticket in page["items"]]


async def walk(api, query=""):
    """Return the ids of every page, in order."""
    found, cursor = [], ""
    while True:
        page = await api.list(f"?limit=3{query}{cursor}")
        found += ids(page)
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


@pytest.fixture
async def tickets(api):
    """Return ten tickets in the order of opening: three active, two closed, categories mixed."""
    categories = ["technical_it", "facility_management", "services_complaints", None]
    made = [
        await api.open(f"Problem {n}", **({"category": c} if (c := categories[n % 4]) else {}))
        for n in range(10)
    ]
    for ticket in made[:5]:
        await api.move(ticket, "active")
    for ticket in made[:2]:
        await api.move(ticket, "closed")
    return [await api.get(ticket["id"]) for ticket in made]


async def test_latest_come_first_and_whole(api, tickets):
    page = await api.list()
    assert page == {"items": tickets[::-1], "hits": None, "next": None}


@pytest.mark.parametrize("sort", ["-opened_at", "opened_at", "-modified_at", "modified_at"])
async def test_pages_in_every_order_show_each_ticket_once(api, tickets, sort):
    key = sort.removeprefix("-")
    expected = sorted(tickets, key=lambda t: (t[key], t["id"]), reverse=sort.startswith("-"))
    assert await walk(api, f"&sort={sort}") == [t["id"] for t in expected]


@pytest.fixture
async def differing(api, sql, tickets):
    """Return the ten tickets; some have affected others, some wait, some equally."""
    await sql.execute("UPDATE ticket SET version = 4, affected = id % 4 WHERE id <> 3")
    await sql.execute("UPDATE ticket SET waiting_since = opened_at WHERE id = 4")
    for ticket in tickets[7:]:
        await api.send(ticket, "We are coming", role="helpdesk")
    await sql.execute(
        "UPDATE ticket SET waiting_since = '2026-01-02', opened_at = '2026-01-01'"
        " WHERE id IN (6, 7)"
    )
    return [await api.get(ticket["id"]) for ticket in tickets]


def most_affected_first(ticket):
    return -ticket["affected"], -ticket["id"]


def longest_waiting_first(ticket):
    return ticket["waiting_since"] or "never", ticket["id"]


ORDERS = [("-affected", most_affected_first), ("waiting_since", longest_waiting_first)]


@pytest.mark.parametrize(("sort", "key"), ORDERS)
@pytest.mark.parametrize("query", ["", "&q=problem", "&status=open&category=none"])
async def test_most_affected_and_longest_waiting_come_first(api, differing, sort, key, query):
    shown = ids(await api.list(f"?sort=opened_at&limit=200{query}"))
    expected = sorted((t for t in differing if t["id"] in shown), key=key)
    assert await walk(api, f"&sort={sort}{query}") == [t["id"] for t in expected]
    backwards = "&opened_from=2026-02-01T00:00:00Z"
    assert await walk(api, f"&sort={sort}{query}{backwards}") == [
        t["id"] for t in expected if t["id"] not in (6, 7)
    ]


@pytest.mark.parametrize(("sort", "key"), ORDERS)
async def test_these_pages_stay_stable_while_tickets_arrive(api, differing, sort, key):
    expected = [t["id"] for t in sorted(differing, key=key)]
    found, cursor = [], ""
    while cursor is not None:
        page = await api.list(f"?limit=1&sort={sort}{cursor}")
        found += ids(page)
        cursor = page["next"] and f"&cursor={page['next']}"
        if len(found) < 3:
            await api.open("A late one")
    assert [ticket_id for ticket_id in found if ticket_id <= 10] == expected
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    "query",
    [
        "status=open",
        "status=open&status=active",
        "status=closed",
        "category=technical_it",
        "category=none",
        "category=none&category=technical_it",
        "status=active&category=technical_it&category=services_complaints",
        "status=open&status=open",
    ],
)
async def test_filters_by_status_and_category(api, tickets, query):
    wanted = {"status": set(), "category": set()}
    for part in query.split("&"):
        name, value = part.split("=")
        wanted[name].add(value)
    expected = [
        t["id"]
        for t in reversed(tickets)
        if (not wanted["status"] or t["status"] in wanted["status"])
        and (not wanted["category"] or (t["category"] or "none") in wanted["category"])
    ]
    assert expected
    assert await walk(api, f"&{query}") == expected


async def test_period_of_opening_includes_its_start_and_not_its_end(api, tickets):
    start, end = tickets[3]["opened_at"], tickets[6]["opened_at"]
    page = await api.list(f"?opened_from={start}&opened_to={end}&sort=opened_at")
    assert ids(page) == [t["id"] for t in tickets[3:6]]
    local = start.replace("Z", "%2B00:00")
    assert ids(await api.list(f"?opened_from={local}")) == [t["id"] for t in tickets[:2:-1]]


async def test_pages_stay_stable_while_tickets_arrive(api, tickets):
    first = await api.list("?limit=4")
    await api.open("A late one")
    second = await api.list(f"?limit=4&cursor={first['next']}")
    await api.open("A later one")
    third = await api.list(f"?limit=4&cursor={second['next']}")
    assert ids(first) + ids(second) + ids(third) == [t["id"] for t in reversed(tickets)]


async def test_exactly_full_last_page_has_no_next(api, tickets):
    assert (await api.list("?limit=10"))["next"] is None
    assert (await api.list("?limit=9"))["next"] is not None


async def test_tickets_opened_at_the_same_instant_are_paged_by_id(api, sql, tickets):
    await sql.execute("UPDATE ticket SET opened_at = '2026-01-01' WHERE id > 4")
    assert sorted(await walk(api)) == [t["id"] for t in tickets]


async def test_search_finds_words_in_any_order_and_parts_of_words(api):
    printer = await api.open("The PRINTER in room 12 jams\nagain and again")
    wifi = await api.open("Wifi is slow in room 3")
    for query, found in (
        ("printe", [printer]),
        ("room printer", [printer]),
        ("room", [wifi, printer]),
        ("again%20%20jam", [printer]),
        ("printer wifi", []),
        ("", [wifi, printer]),
        ("%20", [wifi, printer]),
    ):
        assert ids(await api.list(f"?q={query}")) == [t["id"] for t in found], query


async def test_search_takes_wildcards_and_backslashes_as_they_are(api):
    percent = await api.open("Battery at 100% and a_b and c\\d")
    await api.open("Battery at 1000 and axb and cd")
    for query in ("100%25", "a_b", "c%5Cd"):
        assert ids(await api.list(f"?q={query}")) == [percent["id"]], query


async def test_search_respects_filters_and_pages(api, tickets):
    assert await walk(api, "&q=problem") == [t["id"] for t in reversed(tickets)]
    assert await walk(api, "&q=problem&status=active&sort=opened_at") == [
        t["id"] for t in tickets[2:5]
    ]


def forged(cursor):
    return urlsafe_b64encode(cursor.encode()).decode().rstrip("=")


@pytest.mark.parametrize("sort", ["-opened_at", "modified_at", "-affected", "waiting_since"])
async def test_a_forged_cursor_starts_somewhere_and_breaks_nothing(api, tickets, sort):
    for value in ("none", 0, -1, 10**16):
        for last in (0, 1, 9_007_199_254_740_991):
            cursor = forged(f"{sort} {value} {last}")
            assert (await api.list(f"?sort={sort}&cursor={cursor}"))["next"] is None


BAD_PARAMETERS = [
    ("status=done", "status"),
    ("category=plumbing", "category"),
    ("q=" + "x" * 201, "q"),
    ("q=%00", "q"),
    ("q=a&q=b", "q"),
    ("opened_from=yesterday", "opened_from"),
    ("opened_from=2026-05-31", "opened_from"),
    ("opened_from=2026-05-31T08:00:00", "opened_from"),
    ("opened_to=1780000000", "opened_to"),
    ("opened_to=0001-01-01T00:00:00%2B23:59", "opened_to"),
    ("sort=id", "sort"),
    ("limit=0", "limit"),
    ("limit=201", "limit"),
    ("limit=many", "limit"),
    ("limit=", "limit"),
    ("page=2", "page"),
    ("cursor=", "cursor"),
    ("cursor=abc", "cursor"),
    ("cursor=%F0%9F%98%80", "cursor"),
    ("cursor=LW9wZW5lZF9hdCA5OTk5OTk5OTk5OTk5OTk5OTkgMQ", "cursor"),
    ("cursor=b3BlbmVkX2F0IDEgMQ", "cursor"),
    (f"cursor={forged('-opened_at now 1')}", "cursor"),
    (f"sort=opened_at&cursor={forged('-affected 1 1')}", "cursor"),
    (f"sort=-affected&cursor={forged('waiting_since none 1')}", "cursor"),
]


async def test_bad_parameter_is_422_and_named(api):
    for query, field in BAD_PARAMETERS:
        answer = await api.call("GET", f"/v1/tickets?{query}")
        assert (answer.status, answer.body["code"]) == (422, "invalid"), query
        assert [error["field"] for error in answer.body["errors"]] == [field]


async def test_similar_tickets_are_open_or_active_and_best_first(api):
    close = await api.open("The wifi in the library is very slow")
    far = await api.open("The wifi in the canteen does not work at all")
    await api.open("Broken chair")
    await api.close(await api.open("The wifi in the library is slow"))
    answer = await api.call(
        "GET", "/v1/tickets/similar?text=wifi in the library slow", role="user", expect=200
    )
    items = answer.body["items"]
    assert [item["ticket"]["id"] for item in items] == [close["id"], far["id"]]
    assert 1 >= items[0]["score"] > items[1]["score"] > 0
    answer = await api.call("GET", "/v1/tickets/similar?text=wifi&limit=1")
    assert len(answer.body["items"]) == 1


async def test_similar_takes_a_whole_report(api):
    text = "😀" * 10_000
    await api.call("GET", "/v1/tickets/similar", params={"text": text}, expect=200)


async def test_bad_similar_is_422(api):
    for query in ("", "text=", "text=%20", "text=x&limit=21", "text=x&limit=0", "words=x"):
        await api.call("GET", f"/v1/tickets/similar?{query}", expect=422)
