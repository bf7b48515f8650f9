"""Who runs what where root starts a run: each program is a system user of its own.

So a program that is broken into is as alone as in a container: its neighbours' data, their logins
in /proc and what root may do are out of its reach. All are in one group, which may read the code
and nothing else. Where anybody but root starts a run everything is that person's.

    python -m deploy.local.users USER COMMAND …     what `make retrain` does, as who owns the data
"""

import fcntl
import grp
import os
import pwd
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.names import SERVICES

ROOT = Path(__file__).resolve().parent.parent.parent
GROUP = "campus-helpdesk"
POSTGRES, RABBITMQ = "postgres", "rabbitmq"
# What services read. In the same folder are `.env`, `.local` and backups, which they must not.
CODE = ("contracts", "bus", "runtime", "i18n", *SERVICES, "node_modules")
FIRST_FREE_PORT = 1024
READ_AND_PASS = 0o5


class UserError(Exception):
    """A user or a right that cannot be had here, in the words of the program that refused."""


def prepare(*data: Path) -> None:
    """Make the users, and let them read the code and pass to the folders of their data.

    Raises UserError.
    """
    if not _is_root():
        return
    _make_users()
    python = Path(sys.base_prefix).resolve()
    code = [path for name in CODE if (path := ROOT / name).exists()] + [Path(sys.prefix).resolve()]
    for folder in {parent for path in (*code, python, *data) for parent in path.parents}:
        # Python lists the folder in which it starts.
        _grant(folder, "rx" if folder == ROOT else "x")
    for folder in code:
        if any(_is_closed(path) for path in (folder, *folder.rglob("*"))):
            _run("setfacl", "-R", "--modify", f"group:{GROUP}:rX", str(folder))
    # A whole system may lie there, so one file speaks for all.
    if _is_closed(Path(os.__file__)):
        _run("setfacl", "-R", "--modify", f"group:{GROUP}:rX", str(python))


def own(folder: Path, user: str) -> None:
    """Make a folder that its user alone may enter, or give it to them with all that it holds.

    An earlier release ran as root, and a copy on another machine has that one's numbers.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid == os.geteuid():
        folder.chmod(0o700)
    if _is_root() and folder.stat().st_uid != _account(user).pw_uid:
        # The folder itself comes last: what is interrupted is done again.
        _run("chown", "-R", "-h", "-P", f"{name_of(user)}:{GROUP}", str(folder))


@contextmanager
def acting_as(user: str) -> Iterator[None]:
    """Do as a user what is done in their folder: root would follow any link that lies there."""
    if not _is_root():
        yield
        return
    groups, account = os.getgroups(), _account(user)
    os.setgroups([])
    os.setegid(account.pw_gid)
    os.seteuid(account.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def as_user(user: str, command: list[str], port: int = FIRST_FREE_PORT) -> list[str]:
    """Return how a command is run as a user, who may listen on `port` even where that is root's."""
    if not _is_root():
        return command
    who = [f"--reuid={name_of(user)}", f"--regid={GROUP}", "--clear-groups", "--no-new-privs"]
    if port < FIRST_FREE_PORT:
        who += ["--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"]
    return ["setpriv", *who, *command]


def _is_root() -> bool:
    return os.geteuid() == 0


def name_of(user: str) -> str:
    """Return what a user is called in the system."""
    return f"{GROUP}-{user}"


def _account(user: str) -> pwd.struct_passwd:
    return pwd.getpwnam(name_of(user))


def _make_users() -> None:
    # Of two runs that start at once one would be refused.
    etc = os.open("/etc", os.O_RDONLY)
    try:
        fcntl.flock(etc, fcntl.LOCK_EX)
        if GROUP not in {group.gr_name for group in grp.getgrall()}:
            _run("groupadd", "--system", GROUP)
        known = {account.pw_name for account in pwd.getpwall()}
        for name in {name_of(user) for user in (*SERVICES, POSTGRES, RABBITMQ)} - known:
            no_login = ("--no-create-home", "--home-dir=/nonexistent", "--shell=/usr/sbin/nologin")
            _run("useradd", "--system", f"--gid={GROUP}", *no_login, name)
    finally:
        os.close(etc)


def _grant(folder: Path, rights: str) -> None:
    wanted = stat.S_IXOTH | (stat.S_IROTH if "r" in rights else 0)
    if wanted & ~folder.stat().st_mode:
        _run("setfacl", "--modify", f"group:{GROUP}:{rights}", str(folder))


def _is_closed(path: Path) -> bool:
    """Tell whether others lack the right to read or to run what its owner may."""
    mode = path.lstat().st_mode
    return bool(mode >> 6 & READ_AND_PASS & ~mode)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{command[0]} failed: {done.stderr.strip()}")


if __name__ == "__main__":
    try:
        prepare()
    except UserError as error:
        sys.exit(str(error))
    program = as_user(sys.argv[1], sys.argv[2:])
    os.execvp(program[0], program)
