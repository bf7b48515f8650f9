"""Charts and tables as files: a chart holds shapes, a table holds numbers, and neither acts."""

import csv

import pytest

from bus.rpc import RpcError
from tests.security.inert import PAYLOAD, assert_locked
from tests.web.conftest import Api, Person
from web.pages.report_files import safe_svg, to_csv

ANALYSES = ("unclosed", "resolution", "active")


@pytest.fixture
async def poisoned(api: Api) -> int:
    """Return the id of a ticket whose text is the payload."""
    return (await api.open(PAYLOAD)).id


@pytest.mark.parametrize("name", ANALYSES)
async def test_a_chart_opened_by_itself_can_run_nothing(
    helpdesk: Person, poisoned: int, name: str
) -> None:
    async with helpdesk.session.get(f"/analytics/{name}.svg") as answer:
        assert_locked(answer)
        assert answer.content_type == "image/svg+xml"
        assert answer.headers["Content-Disposition"].startswith("attachment;")
        svg = await answer.text()
    assert safe_svg(svg) == svg
    assert "hacked" not in svg


@pytest.mark.parametrize(
    "svg",
    [
        '<svg><a href="javascript:x" tabindex="-1"></a></svg>',
        '<svg><a href="//evil.example/tickets?x" tabindex="-1"></a></svg>',
        '<svg><a href="/tickets" tabindex="-1"></a></svg>',
        '<svg><a href="/tickets?status=open"></a></svg>',
        '<svg><a href="/tickets?q=&#x22;" tabindex="-1"></a></svg>',
        '<svg><a href="/tickets?q=x" tabindex="-1" onclick="x"></a></svg>',
        '<svg><a href="/tickets?q=x" target="_top" tabindex="-1"></a></svg>',
        '<svg><a xlink:href="/tickets?q=x" tabindex="-1"></a></svg>',
        '<svg><rect fill="url(//evil.example/#x)"/></svg>',
        '<svg role="img"></svg>',
        '<svg><text tabindex="0"></text></svg>',
        '<svg><g class="x" href="/tickets?q=x"></g></svg>',
        "<svg><pattern></pattern></svg>",
        "<svg><script>1</script></svg>",
        "<svg><SCRIPT/></svg>",
        "<svg><x:script/></svg>",
        "<svg><ForeignObject/></svg>",
        "<svg><style>*{}</style></svg>",
        "<svg onload='x'/>",
        '<svg onload="x"/>',
        "<svg/onload=x>",
        '<svg class="a"onload=x>',
        "<svg\nonload=x>",
        '<svg style="background:url(//evil.example)"/>',
        "<svg><a href='javascript:x'/></svg>",
        '<svg><use href="data:image/svg+xml,x"/></svg>',
        '<svg><image href="//evil.example"/></svg>',
        '<svg><set attributeName="onload" to="x"/></svg>',
        "<svg><![CDATA[x]]></svg>",
        "<!DOCTYPE svg [<!ENTITY x 'y'>]><svg/>",
        "<?xml-stylesheet href='//evil.example'?><svg/>",
        "<svg><!-- --><img src=x></svg>",
        "<svg></svg><p>",
        "<svg",
    ],
)
def test_a_chart_that_holds_more_than_shapes_is_not_shown(svg: str) -> None:
    with pytest.raises(RpcError):
        safe_svg(svg)


FORMULAS = ("=1+1", "+1", "-2+3", "@x", "\t=1", "\r=1")


def test_no_cell_is_a_formula() -> None:
    text = to_csv([FORMULAS, (None, -5, 15, 'say "hi", twice')])
    rows = list(csv.reader(text.splitlines(keepends=True), lineterminator="\r\n"))
    assert text.startswith("'=1+1,'+1,'-2+3,'@x,'\t=1,")
    assert rows[-1] == ["", "-5", "15", 'say "hi", twice']


@pytest.mark.parametrize("name", ANALYSES)
async def test_no_served_cell_is_a_formula_or_a_word_of_a_ticket(
    helpdesk: Person, poisoned: int, name: str
) -> None:
    async with helpdesk.session.get(f"/analytics/{name}.csv") as answer:
        assert_locked(answer)
        assert answer.headers["Content-Disposition"].startswith("attachment;")
        text = await answer.text()
    assert "hacked" not in text
    for row in csv.reader(text.splitlines()):
        assert not [cell for cell in row if cell[:1] in ("=", "+", "-", "@", "\t")]
