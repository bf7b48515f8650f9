"""What a person types finds the tickets that have it, and says where it stands in them."""

import asyncio
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.vocabulary import EXCERPT_MAX_CHARACTERS
from ticket_svc import migrations
from ticket_svc.hits import PLACES_MAX
from ticket_svc.wanted import USUAL_USES, is_typo

# The one that first keeps words.
MIGRATION = runpy.run_path(str(Path(migrations.__file__).parent / "versions/0004_search.py"))
UNDO = f"""
    DROP TABLE ticket_text, word, visible_word, relay;
    DROP FUNCTION keep_description_words, keep_message_words, hide_words CASCADE;
    DROP FUNCTION fold_text, text_words, learn_words, tickets_with_word;
    CREATE INDEX ticket_words ON ticket (id);
    CREATE INDEX message_words ON message (id);
    CREATE INDEX ticket_latest ON ticket (id);
    UPDATE alembic_version SET version_num = '{MIGRATION["down_revision"]}';
"""

FOUND = [
    ("printer", "The printer jams"),
    ("Printe", "The printer jams"),
    ("inter", "The printer jams"),
    ("PRINTER", "the printer jams"),
    ("jams printer the", "The printer jams"),
    ("projecter", "No picture from the projector"),
    ("heatign", "The heating is off"),
    ("orinter", "The printer jams"),
    ("wfii", "The wifi is slow"),
    ("hetaing", "The heating is off"),
    ("haeting", "The heating is off"),
    ("heting", "The heating is off"),
    ("heaating", "The heating is off"),
    ("projektor", "No picture from the projector"),
    ("registracion", "The registration failed"),
    ("caffe", "La macchina del caffè è rotta"),
    ("caffè", "La macchina del caffe e rotta"),
    ("CAFFÈ", "La macchina del caffè è rotta"),
    ("caffe\u0300", "La macchina del caffè è rotta"),
    ("caffe", "La macchina del caffe\u0300 e rotta"),
    ("Strasse", "Die Straße ist gesperrt"),
    ("Straße", "Die Strasse ist gesperrt"),
    ("buro", "Das Büro ist zu"),
    ("aula", "Nell'aula magna fa freddo"),
    ("lodz", "A parcel from Łódź"),
    ("ﬁre", "The fire door"),
    ("100%", "Battery at 100% today"),
    ("a_b", "The field a_b is empty"),
    ("c\\d", "The path c\\d is wrong"),
    ("O'Neill", 'Ask "O\'Neill" about it'),
    ('"exact words"', "The exact words"),
    ("c++", "A course on C++"),
    ("it", "The IT room is dark"),
    ("IT ro", "The IT room is dark"),
    ("i", "IT room"),
    ("مكتبة", "الباب في المكتبة لا يغلق"),
    ("מדפסת", "המדפסת תקועה"),
    ("打印机", "三楼的打印机坏了"),
    ("打印", "三楼的打印机坏了"),
    ("坏", "三楼的打印机坏了"),
    ("プリンタ", "図書館のプリンターが動きません"),
    ("библиотеке", "Чайник в библиотеке сломан"),
    ("чайн", "Чайник в библиотеке сломан"),
    ("🔥", "It is on 🔥 here"),
    ("a.rossi@uni.example", "Please call a.rossi@uni.example back"),
    ("rossi", "Please call a.rossi@uni.example back"),
    ("'; DROP TABLE ticket; --", "x'; DROP TABLE ticket; --"),
]
NOT_FOUND = [
    ("wifi", "The printer jams"),
    ("printer wifi", "The printer jams"),
    ("t", "An IT room"),
    ("ro", "An euro"),
    ("100%", "Battery at 1000"),
    ("a_b", "The field axb is empty"),
    ("c\\d", "The path cd is wrong"),
    ("%", "Battery at 1000"),
    ("_", "The field axb"),
    ("lift", "The gift shop is closed, the left door too"),
    ("room 114", "room 115"),
    ("!!!", "Help!!!"),
    ("... ?", "Help ... ?"),
]


def hit_of(page):
    """Return the only hit, checked for what holds of each."""
    (ticket,), (hit,) = page["items"], page["hits"]
    assert hit["ticket_id"] == ticket["id"]
    assert len(hit["excerpt"]) <= EXCERPT_MAX_CHARACTERS
    if hit["message_id"] is None:
        assert ticket["description"][hit["start"] :].startswith(hit["excerpt"])
        end = hit["start"] + len(hit["excerpt"])
        assert hit["is_cut"] == (end < len(ticket["description"]))
    return hit


def marked(hit, spans="spans"):
    text = hit["excerpt"]
    return [text[start:end] for start, end in hit[spans]]


async def search(api, q, role="helpdesk", **filters):
    params = {"q": q} | filters
    return (await api.call("GET", "/v1/tickets", role=role, params=params, expect=200)).body


def ids(page):
    assert [hit["ticket_id"] for hit in page["hits"]] == [item["id"] for item in page["items"]]
    return [item["id"] for item in page["items"]]


async def test_what_is_typed_finds_what_was_written_and_marks_it(api):
    for q, text in FOUND:
        ticket = await api.open(text)
        found = ids(await search(api, q))
        assert found == [ticket["id"]], q
        hit = hit_of(await search(api, q))
        assert hit["in_title"], q
        assert marked(hit), q
        assert hit["title_spans"] == hit["spans"], q
        await api.edit(ticket, description="gone")


async def test_what_was_not_written_is_not_found(api):
    for q, text in NOT_FOUND:
        ticket = await api.open(text)
        page = await search(api, q)
        assert (page["items"], page["hits"], page["next"]) == ([], [], None), q
        await api.edit(ticket, description="gone")


async def test_messages_are_searched_and_the_hit_says_which(api):
    ticket = await api.open("Nothing works")
    await api.send(ticket, "Since Monday")
    second = (await api.send(ticket, "The beamer was exchanged", role="helpdesk")).body
    hit = hit_of(await search(api, "beamer"))
    assert (hit["message_id"], hit["message_number"]) == (second["id"], 2)
    assert hit["author"] == "helpdesk"
    assert marked(hit) == ["beamer"]
    assert (hit["in_title"], hit["title_spans"]) == (False, [])


async def test_words_may_be_spread_over_description_and_messages(api):
    ticket = await api.open("The printer jams")
    await api.send(ticket, "It is in the library")
    last = (await api.send(ticket, "The magenta of the printer in the library")).body
    hit = hit_of(await search(api, "library jams"))
    assert hit["message_id"] is None
    assert hit["title_spans"] == [[12, 16]]
    hit = hit_of(await search(api, "magenta library jams"))
    assert hit["message_id"] == last["id"], "the text with the most words"
    assert marked(hit) == ["magenta", "library"]


async def test_a_hit_in_the_description_is_preferred_to_one_in_a_message(api):
    ticket = await api.open("Cold\nThe radiator")
    await api.send(ticket, "The radiator again")
    hit = hit_of(await search(api, "radiator"))
    assert (hit["message_id"], hit["message_number"], hit["author"]) == (None, None, None)
    assert (hit["in_title"], marked(hit)) == (False, ["radiator"])


async def test_without_a_search_there_are_no_hits(api):
    await api.open("x")
    for query in ("", "?q=", "?q=%20"):
        page = await api.list(query)
        assert (len(page["items"]), page["hits"]) == (1, None), query


async def test_an_edited_description_is_found_at_once_and_the_old_one_no_more(api):
    ticket = await api.open("The projector is dark")
    await api.send(ticket, "The beamer, I mean")
    await api.edit(ticket | {"version": 2}, description="The screen is torn")
    assert ids(await search(api, "screen")) == [ticket["id"]]
    assert ids(await search(api, "projector")) == []
    assert ids(await search(api, "beamer torn")) == [ticket["id"]], "messages stay"


async def test_users_find_open_and_active_tickets_only(api):
    closed = await api.close(await api.open("A leaking tap"))
    active = await api.open("Another leaking tap")
    await api.move(active, "active")
    assert ids(await search(api, "leak", role="user")) == [active["id"]]
    assert ids(await search(api, "leak")) == [active["id"], closed["id"]]
    assert ids(await search(api, "leak", status="closed")) == [closed["id"]]


@pytest.mark.parametrize(
    "sort",
    ["-opened_at", "opened_at", "-modified_at", "modified_at", "-affected", "waiting_since"],
)
@pytest.mark.parametrize("word", ["usual", "rare", "usual rare", "usaul", "ra", "s"])
async def test_pages_of_a_search_show_each_hit_once_in_every_order(api, sort, word):
    made = [await api.open(f"usual {'rare' if n % 3 else ''} s{n}") for n in range(USUAL_USES + 5)]
    for ticket in made[:4]:
        await api.send(ticket, "a message")
    wanted = [t for n, t in enumerate(made) if n % 3 or "ra" not in word]
    wanted = [await api.get(ticket["id"]) for ticket in wanted]
    key = sort.removeprefix("-")
    expected = sorted(wanted, key=lambda t: (t[key], t["id"]), reverse=sort.startswith("-"))
    found, cursor = [], {}
    while True:
        page = await search(api, word, sort=sort, limit="4", **cursor)
        found += ids(page)
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert found == [ticket["id"] for ticket in expected]


async def test_a_common_word_is_found_beyond_the_first_tickets_of_the_order(api, sql):
    oldest = [await api.open(f"The heating is off, {n}") for n in range(USUAL_USES + 1)]
    await sql.execute("UPDATE ticket SET opened_at = opened_at - interval '1 day'")
    await sql.execute(
        "INSERT INTO ticket (description) SELECT 'Dark' FROM generate_series(1, 5100)"
    )
    found = ids(await search(api, "heating", limit="200"))
    assert found == [ticket["id"] for ticket in reversed(oldest)]
    page = await search(api, "heating", limit="20")
    assert ids(page) == found[:20]
    assert ids(await search(api, "heating", limit="20", cursor=page["next"])) == found[20:]


async def test_a_part_of_very_many_words_finds_each_of_them(api, sql):
    await sql.execute(
        "INSERT INTO ticket (description)"
        " SELECT 'part' || n || ' other' || n % 7 FROM generate_series(1, 1100) AS n"
    )
    assert ids(await search(api, "part other3", limit="1")) == [1095]
    await sql.execute("INSERT INTO ticket (description) SELECT 'x' FROM generate_series(1, 5100)")
    assert ids(await search(api, "part", limit="2")) == [1100, 1099]
    assert ids(await search(api, "part other3", limit="2")) == [1095, 1088]


async def test_a_typo_that_others_made_too_still_finds_what_is_more_usual(api):
    typo = await api.open("The projecter is dark")
    right = [await api.open("The projector is dark") for _ in range(2)]
    page = await search(api, "projecter")
    assert ids(page) == [right[1]["id"], right[0]["id"], typo["id"]]
    assert [marked(hit) for hit in page["hits"]] == [["projector"], ["projector"], ["projecter"]]
    assert ids(await search(api, "projector")) == [ticket["id"] for ticket in right[::-1]]


async def test_what_was_typed_is_marked_before_the_words_that_it_may_be_a_typo_of(api):
    for _ in range(2):
        await api.open("The wifi is slow")
    await api.open("wifi " * 25 + "wfii")
    marks = marked((await search(api, "wfii"))["hits"][0])
    assert len(marks) == PLACES_MAX
    assert marks[-1] == "wfii"


@pytest.mark.parametrize(
    ("typed", "meant", "expected"),
    [
        ("heatign", "heating", True),
        ("haeting", "heating", True),
        ("heatin", "heating", True),
        ("heaating", "heating", True),
        ("hetaign", "heating", False),
        ("projecter", "projector", True),
        ("porjecter", "projector", True),
        ("porjecetr", "projector", False),
        ("wfii", "wifi", True),
        ("lift", "gift", True),
        ("usaul", "usual", True),
        ("lift", "light", False),
    ],
)
def test_one_slip_is_a_typo_and_two_are_in_a_long_word(typed, meant, expected):
    assert is_typo(typed, meant) is expected


async def test_marks_count_characters_as_they_were_written(api):
    for q, text, places in (
        ("caffe", "Il ☕ caffè, il caffe\u0300!", ["caffè", "caffe\u0300"]),
        ("strasse", "🔥 Hauptstraße 5", ["straße"]),
        ("inter", "The printers", ["inter"]),
        ("it", "Wait: IT is in its room", ["IT", "it"]),
        ("heatign", "Heating, heatings and reheating", ["Heating"]),
        ("print printer", "printer and print", ["printer", "print"]),
        ("打印", "三楼的打印机坏了", ["打印"]),
    ):
        ticket = await api.open(text)
        assert marked(hit_of(await search(api, q))) == places, q
        await api.edit(ticket, description="gone")


async def test_the_excerpt_shows_the_place_in_a_long_text(api):
    filler = "Lorem ipsum dolor sit amet. " * 20
    await api.open(f"A title\n{filler}The xylophone, then {filler}")
    hit = hit_of(await search(api, "xylophone"))
    assert marked(hit) == ["xylophone"]
    assert hit["start"] > 0
    assert hit["is_cut"]
    assert hit["excerpt"] == hit["excerpt"].strip()
    await api.open(f"{filler}marimba {filler}balalaika and marimba{filler}")
    assert marked(hit_of(await search(api, "marimba balalaika"))) == ["balalaika", "marimba"]


async def test_odd_texts_and_searches_get_an_answer(api):
    for text in ("🔥" * 10_000, "字" * 10_000, "a " * 5_000, "x" * 10_000, ".", "a\u0301 \u0301"):
        await api.open(text)
    for q in ("字" * 200, "x" * 200, "🔥" * 200, "a " * 100, "x\u0301", ".", "\\", "%%%%"):
        page = await search(api, q)
        assert len(page["items"]) == len(page["hits"]), q
    # A reader sees an empty box, and the list as without it.
    for q in ("\u0301", "\u202e", "\u200b \u2800"):
        page = await search(api, q)
        assert (len(page["items"]), page["hits"]) == (6, None), q
    assert len((await search(api, "字" * 50))["items"]) == 1
    assert len((await search(api, "x" * 200))["items"]) == 1
    many = " ".join(chr(0x61 + n % 26) + str(n) for n in range(60))[:200]
    assert (await search(api, many))["items"] == []


async def test_what_is_there_before_the_migration_is_found_after_it(api, sql, ticket_database_url):
    # --- As it was: no words are kept.
    ticket = await api.open("The élan of old tickets")
    await api.send(ticket, "and a message")
    await api.send(ticket, "and another message")
    await api.close(await api.open("Another old one"))
    tables = {
        table: await sql.fetch(f"SELECT * FROM {table} ORDER BY {key}")
        for table, key in (
            ("ticket_text", "ticket_id, message_id"),
            ("word", "text"),
            ("visible_word", "text, in_message"),
        )
    }
    assert [row["words"] for row in tables["ticket_text"]] == [
        " elan of old the tickets ",
        " a and message ",
        " and another message ",
        " another old one ",
    ]
    await sql.execute(UNDO)
    command = [sys.executable, "-m", "ticket_svc", "migrate"]
    environment = {"TICKET_DATABASE_URL": ticket_database_url}
    await asyncio.to_thread(subprocess.run, command, env=environment, check=True)
    for table, rows in tables.items():
        after = await sql.fetch(f"SELECT * FROM {table}")
        assert sorted(after, key=tuple) == sorted(rows, key=tuple), table
    assert ids(await search(api, "elan message")) == [ticket["id"]]
    assert ids(await search(api, "elan message", role="user")) == [ticket["id"]]
