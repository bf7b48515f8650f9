"""docs/reports.md says what is so: every parameter, every file and its columns, every address."""

import re

from contracts.vocabulary import EVERY_CATEGORY, PERIOD_MAX_DAYS
from tests.conftest import ROOT
from tests.web.conftest import Person
from web.pages.report_question import PARAMETERS

TEXT = (ROOT / "docs/reports.md").read_text()


async def test_the_columns_are_those_of_the_files(helpdesk: Person) -> None:
    files = re.findall(r"^\| `([a-z]+\.csv\S*?)` \| `([a-z_,]+)`", TEXT, re.MULTILINE)
    assert [name for name, _ in files] == [
        "unclosed.csv",
        "unclosed.csv?part=ages",
        "resolution.csv",
        "active.csv",
    ]
    for name, columns in files:
        assert (await helpdesk.see(f"/analytics/{name}")).html.split("\r\n")[0] == columns


async def test_the_examples_work(helpdesk: Person) -> None:
    examples = re.findall(r"127\.0\.0\.1:8080(/analytics/\S+)\"", TEXT)
    assert len(examples) == 2
    for path in examples:
        assert (await helpdesk.see(path, headers={"Accept": "application/json"})).status == 200


def test_every_parameter_is_named() -> None:
    for analysis, parameters in PARAMETERS.items():
        [row] = re.findall(rf"^\| `/analytics/{analysis}` \| (.*) \|$", TEXT, re.MULTILINE)
        assert row == "all of them" or all(f"`{name}`" in row for name in parameters)
    assert all(f"`{category}`" in TEXT for category in EVERY_CATEGORY)
    assert f"{PERIOD_MAX_DAYS:,}".replace(",", " ") in TEXT
