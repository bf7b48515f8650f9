"""What helpdesk may rely on when it corrects a category: kept, learnt, never for the worse."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from classifier_svc import model, models
from classifier_svc.corrections import (
    CORRECTIONS_FILE,
    Correction,
    Corrections,
    DiskAway,
    count_confused,
    count_weeks,
)
from classifier_svc.models import MODELS_FOLDER, Models
from classifier_svc.retrain import is_held_back
from contracts.vocabulary import Category
from tests.conftest import ROOT

F, T, S = Category.FACILITY_MANAGEMENT, Category.TECHNICAL_IT, Category.SERVICES_COMPLAINTS
MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)


def correction(ticket_id: int, text: str = "the flurb hums", **fields: object) -> Correction:
    given = Correction(ticket_id, 2, MONDAY, text, T, F, "first")
    return given._replace(**fields)  # type: ignore[arg-type]


def test_the_newest_correction_of_a_ticket_is_kept_however_they_arrive(tmp_path: Path) -> None:
    corrections = Corrections(tmp_path / CORRECTIONS_FILE)
    corrections.keep([correction(1, version=3, category=S), correction(2)])
    corrections.keep([correction(1, version=2, category=T), correction(2)])
    assert corrections.read() == [correction(1, version=3, category=S), correction(2)]
    # Another worker on the same volume sees the same.
    assert Corrections(tmp_path / CORRECTIONS_FILE).read() == corrections.read()


def test_weeks_begin_on_the_campus_monday(tmp_path: Path) -> None:
    sunday_night = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    kept = [correction(1), correction(2, at=sunday_night), correction(3, at=MONDAY - timedelta(7))]
    weeks = count_weeks(kept, ZoneInfo("Europe/Rome"))
    assert [(week.week.isoformat(), week.corrected) for week in weeks] == [
        ("2026-02-23", 1),
        ("2026-03-02", 2),
    ]
    assert {week.week.isoformat() for week in count_weeks(kept[1:2], ZoneInfo("UTC"))} == {
        "2026-02-23"
    }


def test_only_what_the_model_said_otherwise_counts_as_confused() -> None:
    kept = [correction(1), correction(2), correction(3, said=S), correction(4, said=T)]
    assert [(c.said, c.category, c.tickets) for c in count_confused(kept)] == [(F, T, 2), (S, T, 1)]


def retrain(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "CLASSIFIER_DATA_DIR": str(data)}
    return subprocess.run(
        [sys.executable, "-m", "classifier_svc.retrain", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def answering(data: Path) -> model.Model:
    return Models(data / MODELS_FOLDER, None).current


@pytest.mark.timeout(360)  # it trains twice, a minute each where others keep the cores busy
async def test_corrections_make_a_better_model_that_can_be_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "LOOK_SECONDS", 0.0)
    worker = Models(tmp_path / MODELS_FOLDER, None)
    before = worker.current.version
    places = ("in the atrium", "of room 3", "near the stairs", "on level two", "by the gate")
    taught = [
        correction(n, f"The flurb {place} {verb}", category=T)
        for n, (place, verb) in enumerate(
            [(p, v) for p in places for v in ("hums", "is dark", "smells", "got stuck")], start=1
        )
    ]
    assert sum(map(is_held_back, taught)) == 4
    Corrections(tmp_path / CORRECTIONS_FILE).keep(taught)
    assert "too few" in retrain(tmp_path).stdout
    taught.append(correction(25, "Our flurb does not start", category=T))
    Corrections(tmp_path / CORRECTIONS_FILE).keep(taught)

    done = await asyncio.to_thread(retrain, tmp_path)
    assert "promoted: " in done.stdout, done.stdout + done.stderr
    after = worker.current
    assert after.version != before, "a running worker takes the new model over by itself"
    assert after.classify(["The flurb of the lab flickers"])[0].category is T

    again = await asyncio.to_thread(retrain, tmp_path)
    assert "not promoted" in again.stdout, "the same corrections make no better model"

    back = retrain(tmp_path, "--back")
    assert f"{before} answers" in back.stdout
    assert worker.current.version == before
    assert retrain(tmp_path, "--back").returncode == 1


def test_a_broken_model_file_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / MODELS_FOLDER
    folder.mkdir()
    (folder / "0001-broken.npz").write_bytes(b"PK\x03\x04 cut off")
    assert answering(tmp_path).version == model.load(None).version
    assert "0001-broken.npz is passed over" in caplog.text


def test_a_disk_that_takes_nothing_is_away_and_written_when_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "volume"
    folder.write_text("no folder: as a volume that is not there")
    corrections = Corrections(folder / CORRECTIONS_FILE)
    for use in (corrections.read, lambda: corrections.keep([correction(1)])):
        with pytest.raises(DiskAway):
            use()
    folder.unlink()
    corrections.keep([correction(1)])
    kept = (folder / CORRECTIONS_FILE).read_bytes()
    (folder / CORRECTIONS_FILE).write_bytes(b"no database" * 1_000)
    with pytest.raises(DiskAway, match="not a database"):
        corrections.keep([correction(2)])
    (folder / CORRECTIONS_FILE).write_bytes(kept)
    corrections.keep([correction(2)])
    assert corrections.read() == [correction(1), correction(2)]
