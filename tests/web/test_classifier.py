"""The page about categories: for helpdesk, from the first day, and without the classifier."""

import pytest

from tests.web.conftest import NO_BROKER, MakePerson, Person, Serve


async def test_a_user_reads_why_there_is_no_such_page(user: Person) -> None:
    seen = await user.see("/classifier")
    assert seen.status == 403
    assert "for helpdesk only" in seen.text


async def test_helpdesk_finds_the_page(helpdesk: Person) -> None:
    for path in ("/tickets", "/analytics"):
        assert 'href="/classifier"' in (await helpdesk.see(path)).html
    seen = await helpdesk.see("/classifier")
    assert seen.status == 200
    assert "Categories" in seen.text


async def test_the_model_says_what_it_would_and_why(helpdesk: Person) -> None:
    text = "The <b>lift</b> in building C is stuck"
    seen = await helpdesk.see("/classifier", params={"text": text})
    assert seen.status == 200
    assert "goes to Facility management – quite sure. Because of:" in seen.text
    assert "The &lt;b&gt;<mark>lift</mark>&lt;/b&gt;" in seen.html
    assert seen.html.count("<meter value=") == 3
    assert seen.typed("text") == text


@pytest.mark.parametrize("text", ["  \n ", "x" * 10_001, "bell \x07"])
async def test_a_bad_text_comes_back_with_the_reason(helpdesk: Person, text: str) -> None:
    seen = await helpdesk.see("/classifier", params={"text": text})
    assert seen.status == 422
    assert seen.typed("text") == text
    assert 'aria-describedby="text-error"' in seen.html
    assert "The text " in seen.text


async def test_without_the_classifier_the_page_says_so(people: MakePerson, serve: Serve) -> None:
    person = people("helpdesk", await serve(amqp_url=NO_BROKER))
    seen = await person.see("/classifier", params={"text": "The lift is stuck"})
    assert seen.status == 200
    assert seen.typed("text") == "The lift is stuck"
    assert "The model cannot be asked now." in seen.text
    assert "The corrections cannot be shown now." in seen.text
