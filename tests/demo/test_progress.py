"""Progress is for a terminal; in a log or a pipe it would be a line a step."""

import ast

from tests.conftest import ROOT

FOLDERS = ("analytics_svc", "bench", "classifier_svc", "demo", "deploy", "ticket_svc")


def test_a_progress_bar_is_silent_where_there_is_no_terminal() -> None:
    bars = {
        f"{file.relative_to(ROOT)}:{node.lineno}": [ast.unparse(word) for word in node.keywords]
        for folder in FOLDERS
        for file in (ROOT / folder).rglob("*.py")
        if "node_modules" not in file.parts
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "tqdm"
    }
    assert bars
    # For tqdm, None means: where there is none.
    assert [place for place, words in bars.items() if "disable=None" not in words] == []
