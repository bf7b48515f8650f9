"""A helpdesk that is moved or copied goes on there with its data, and leaves the old folder be."""

import os
from pathlib import Path

import pytest

from deploy.local.moved import MADE_IN, lead_queues_here
from deploy.local.names import choose, read, write

HERE = '"/proc/self/cwd/data/campus@localhost/quorum/campus@localhost"'
# A queue's settings as RabbitMQ 3.10 writes them, shortened.
SETTINGS = """\
#{{cluster_name => 'campus_analytics_svc.tickets',
  system_config =>
      #{{data_dir =>
            {0},
        name => quorum_queues,
        wal_data_dir =>
            {0},
        wal_garbage_collect => false}},
  uid => <<"CAMPUSZU0MBDVHLTR1">>}}."""
OLD = "/old/.local/rabbitmq/data/campus@localhost/quorum/campus@localhost"


def test_what_rabbitmq_keeps_names_no_folder_but_its_own() -> None:
    home = Path(os.environ["CAMPUS_HOME"])
    kept = [file for file in (home / "rabbitmq" / "data").rglob("*") if file.is_file()]
    queues = [file for file in kept if file.name == "config" and "quorum" in file.parts]
    assert queues
    assert not [file for file in kept if os.fsencode(home) in file.read_bytes()]


@pytest.mark.parametrize(
    "old",
    [
        f'"{OLD}"'.encode(),
        f'"{OLD[:20]}"\n              "{OLD[20:]}"'.encode(),
        f'"{OLD.replace("old", "ö")}"'.encode("latin-1"),
        str(list(map(ord, OLD.replace("old", "家")))).encode(),
    ],
)
def test_a_queue_of_an_earlier_release_follows_its_folder(old: bytes, tmp_path: Path) -> None:
    queue = tmp_path / "campus@localhost" / "quorum" / "campus@localhost" / "CAMPUSZU0MBDVHLTR1"
    queue.mkdir(parents=True)
    config = queue / "config"
    config.write_bytes(SETTINGS.format("OLD").encode().replace(b"OLD", old))
    lead_queues_here(tmp_path)
    assert b"".join(config.read_bytes().split()) == "".join(SETTINGS.format(HERE).split()).encode()
    assert list(queue.iterdir()) == [config]


def chosen(home: Path, **environment: str) -> str:
    """Return where a run learns, after it has kept its names."""
    home.mkdir(parents=True, exist_ok=True)
    names = choose(home, free_ports=False, environment=environment)
    write(home / "env", names)
    return names["CLASSIFIER_DATA_DIR"]


def moved(old: Path, new: Path) -> Path:
    """Return a home that has the names of another."""
    new.mkdir(parents=True)
    (new / "env").write_text((old / "env").read_text())
    return new


def test_what_was_learnt_follows_its_folder(tmp_path: Path) -> None:
    assert chosen(tmp_path / "a") == f"{tmp_path}/a/classifier"
    copy = moved(tmp_path / "a", tmp_path / "b")
    assert chosen(copy) == chosen(copy) == f"{tmp_path}/b/classifier"
    assert chosen(tmp_path / "a") == f"{tmp_path}/a/classifier"


def test_what_is_learnt_in_a_folder_that_was_named_stays_there(tmp_path: Path) -> None:
    assert chosen(tmp_path / "a", CLASSIFIER_DATA_DIR="/data/classifier") == "/data/classifier"
    copy = moved(tmp_path / "a", tmp_path / "b")
    assert chosen(copy) == chosen(copy) == "/data/classifier"


def test_what_an_earlier_release_learnt_follows_its_folder(tmp_path: Path) -> None:
    old = tmp_path / "a" / ".local"
    chosen(old)
    kept = read(old / "env")
    del kept[MADE_IN]
    (old / "env").write_text("".join(f"{name}={value}\n" for name, value in kept.items()))
    copy = moved(old, tmp_path / "b" / ".local")
    assert chosen(copy) == f"{tmp_path}/b/.local/classifier"
