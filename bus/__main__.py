"""The operator's command line; see `python -m bus dead-letters --help`."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence

from bus import dead_letters
from bus.dead_letters import LOOK_AT_MOST, BrokerAway, Found, OperatorError
from bus.letter_text import page, table
from bus.letters import Letter
from contracts.addresses import check_address
from contracts.topology import DURABLE_QUEUES


def main() -> int:
    """Run a command; return 2 for what an operator got wrong, 1 for what is away or left."""
    arguments = _parser().parse_args()
    try:
        url = _url()
        queues = [arguments.queue] if arguments.queue else list(DURABLE_QUEUES)
        found = dead_letters.look(url, queues)
        match arguments.command:
            case "list":
                return _list(found)
            case "show":
                return _show(_chosen(found, [arguments.id]))
            case "replay":
                return _replay(url, _chosen(found, arguments.ids, all_=arguments.all))
            case _:
                return _drop(url, _chosen(found, arguments.ids, all_=arguments.all), arguments.yes)
    except OperatorError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokerAway as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _url() -> str:
    url = os.environ.get("OPERATOR_AMQP_URL", "")
    if not url:
        raise OperatorError("Set OPERATOR_AMQP_URL (`make run` writes it to .local/env).")
    try:
        return check_address("OPERATOR_AMQP_URL", url)
    except ValueError as error:
        raise OperatorError(str(error)) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bus")
    topics = parser.add_subparsers(dest="topic", required=True)
    topic = topics.add_parser("dead-letters", help="what a queue refused", description=main.__doc__)
    one_queue = argparse.ArgumentParser(add_help=False)
    one_queue.add_argument("--queue", choices=DURABLE_QUEUES, help="only what this queue refused")
    some = argparse.ArgumentParser(add_help=False, parents=[one_queue])
    some.add_argument("ids", nargs="*", metavar="ID", help="as `list` shows it")
    some.add_argument("--all", action="store_true", help="all that `list` shows")
    commands = topic.add_subparsers(dest="command", required=True)
    commands.add_parser("list", parents=[one_queue], help="one line for each")
    show = commands.add_parser("show", parents=[one_queue], help="everything about one, and why")
    show.add_argument("id", metavar="ID")
    commands.add_parser("replay", parents=[some], help="send to the queue that refused it")
    drop = commands.add_parser("drop", parents=[some], help="delete for ever")
    drop.add_argument("--yes", action="store_true", help="don't ask")
    return parser


def _chosen(found: Found, ids: Sequence[str], *, all_: bool = False) -> list[Letter]:
    if all_ == bool(ids):
        raise OperatorError("Name the dead letters by their ids, or say --all.")
    if unknown := sorted({*ids} - {letter.id for letter in found.letters}):
        raise OperatorError(f"There is no dead letter {', '.join(unknown)}.")
    return [letter for letter in found.letters if all_ or letter.id in ids]


def _list(found: Found) -> int:
    if not found.letters:
        print("There are no dead letters.")
        return 0
    print(table(found.letters))
    if found.behind:
        print(f"… and {found.behind} more: the first {LOOK_AT_MOST} of each queue are shown.")
    return 0


def _show(copies: list[Letter]) -> int:
    print(page(copies[0], len(copies)))
    return 0


def _replay(url: str, letters: list[Letter]) -> int:
    pointless = {letter.id: reason for letter in letters if (reason := letter.why_not_again())}
    sent = dead_letters.send_again(url, [x for x in letters if x.id not in pointless])
    for queue, count in Counter(letter.queue for letter in sent).items():
        print(f"Sent {count} to {queue} again.")
    for id_, reason in pointless.items():
        print(f"{id_} stays a dead letter: {reason}.", file=sys.stderr)
    return _tell_missing(len(letters) - len(sent)) if not pointless else 1


def _drop(url: str, letters: list[Letter], yes: bool) -> int:
    if letters and not yes:
        if not sys.stdin.isatty():
            raise OperatorError("Nobody can be asked here: say --yes to delete for ever.")
        if input(f"Delete {len(letters)} dead letter(s) for ever? [y/N] ").lower() != "y":
            print("Nothing was deleted.")
            return 1
    dropped = dead_letters.drop(url, letters)
    print(f"Deleted {len(dropped)}.")
    return _tell_missing(len(letters) - len(dropped))


def _tell_missing(count: int) -> int:
    if count <= 0:
        return 0
    print(f"{count} were gone: somebody else looks after them too.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
