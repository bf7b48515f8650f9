"""Progress is for a terminal; in a log or a pipe it would be a line a step."""

import ast
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT

FOLDERS = ("analytics_svc", "bench", "bus", "classifier_svc", "demo", "deploy", "ticket_svc", "web")


def bars() -> Iterator[tuple[str, ast.Call]]:
    for folder in FOLDERS:
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "tqdm":
                    yield f"{file.relative_to(ROOT)}:{node.lineno}", node


@pytest.mark.parametrize(("place", "bar"), bars())
def test_a_progress_bar_is_silent_where_there_is_no_terminal(place: str, bar: ast.Call) -> None:
    # For tqdm, None means: where there is none.
    assert {"disable": "None"}.items() <= {
        keyword.arg: ast.unparse(keyword.value) for keyword in bar.keywords
    }.items(), place
