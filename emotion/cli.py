"""The `emotion` command: one line in a table for each subcommand, whose module is imported only when it is called.

A subcommand's module offers `add_arguments(parser)` and `run(arguments) -> int`, the exit status.
"""

import argparse
import errno
import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, ModuleType
from typing import Any, NoReturn

import emotion
from emotion.commands.terminal.saying import silence, tell
from emotion.foundation.errors import UserError, disk_problem, shown

BAD_INPUT = 2
INTERRUPTED = 130
_MEMORY_FULL = "the memory is full; close other programs, or give smaller files, or fewer of them"
_TOO_DEEP = "what was given nests too deeply to be read; a file for this command needs a few levels"
# What to do about errors that the names on the command line lead to; those of the disk are in disk_problem.
_CURES = {
    errno.EEXIST: "a file is where a folder should be; name another path",
    errno.EISDIR: "name a file in it",
    errno.ELOOP: "its links lead in a circle; name another path",
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.ENOENT: "check the name",
    errno.ENOTDIR: "a file is where a folder should be; name another path",
}
_EXTRAS = {"search": "pipeline,search"}  # what a subcommand needs, where that is more than `pipeline`

# name: (module, what it does)
COMMANDS = {
    "predict": ("emotion.commands.predict", "find the faces of pictures and recognise their emotion"),
    "score": ("emotion.commands.score", "how good a model is on your own labelled pictures"),
    "video": ("emotion.commands.video", "label the faces of a video, a camera or a stream"),
    "app": ("emotion.commands.app", "a web page for pictures and the webcam, on this machine"),
    "export": ("emotion.commands.export", "convert a trained .keras for other runtimes, and check the result"),
    "compare": ("emotion.commands.compare", "two revisions' predictions: is the change larger than chance?"),
    "networks": ("emotion.commands.networks", "what each network costs: parameters and multiply-adds"),
    "search": ("emotion.commands.search", "search hyper-parameters: Optuna proposes, DVC runs, validation decides"),
    "about": ("emotion.commands.about", "what a model file holds: labels, size, what it was made with"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; 0 on success, 2 on bad input with one line on stderr."""
    _mend_streams()
    with _ended_as_by_ctrl_c():
        status = _run(list(sys.argv[1:] if argv is None else argv))
    try:
        sys.stdout.flush()
    except OSError as error:
        return _output_lost(error)
    return status


class Ended(KeyboardInterrupt):
    """A signal that asks the process to end, which it does as by Ctrl-C: nothing half-written stays."""

    def __init__(self, number: int) -> None:
        self.status = 128 + number


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong with the arguments on one line."""

    def error(self, message: str) -> NoReturn:
        """Exit with 2."""
        self.exit(BAD_INPUT, f"{self.prog}: {message} ({self.prog} --help tells more)\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        (file or sys.stderr).write(message)  # argparse would hide that the disk is full


def complain(message: str) -> int:
    """Say on one line of stderr what is wrong; returns the exit status for bad input."""
    tell(" ".join(message.split()))
    return BAD_INPUT


def _run(argv: list[str]) -> int:
    try:
        name = argv[0] if argv and argv[0] in COMMANDS else None
        if name is None:
            return _overview(argv)
        module = importlib.import_module(COMMANDS[name][0])
        return int(module.run(_parser(name, module).parse_intermixed_args(argv[1:])))
    except SystemExit as stop:  # argparse: --help, or a wrong option
        return stop.code if isinstance(stop.code, int) else BAD_INPUT
    except UserError as error:
        return complain(str(error))
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("emotion", "stages"):
            raise
        return complain(_lacks(argv[0], str(error.name)))
    except OSError as error:
        return _output_lost(error)
    except MemoryError:
        return complain(_MEMORY_FULL)
    except RecursionError:
        return complain(_TOO_DEEP)
    except Ended as ended:
        return ended.status
    except KeyboardInterrupt:
        return INTERRUPTED


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """Let `kill` and a closed terminal raise Ended; signals that are ignored (`nohup`) or handled already stay so."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise Ended(number)

    endings = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows: one
    is_main = threading.current_thread() is threading.main_thread()  # or Python sets none
    ours = [ending for ending in endings if is_main and signal.getsignal(ending) is signal.SIG_DFL]
    for ending in ours:
        signal.signal(ending, end)
    try:
        yield
    finally:
        for ending in ours:
            signal.signal(ending, signal.SIG_DFL)


def _lacks(command: str, module: str) -> str:
    from emotion.install_hint import install_command  # here, as it takes as long to import as all the rest

    how = install_command(_EXTRAS.get(command, "pipeline"))
    return f"`emotion {command}` needs {module}, which the plain install lacks: {how}"


def _output_lost(error: OSError) -> int:
    """The exit status when something cannot be written or read: a full disk, a forbidden folder, a reader that left."""
    try:
        sys.stdout.flush()
    except OSError:
        silence(sys.stdout)
    if isinstance(error, BrokenPipeError):  # `emotion predict ... | head`
        return 0
    where = f"{shown(os.fsdecode(error.filename))}: " if isinstance(error.filename, str | bytes | os.PathLike) else ""
    cure = _CURES.get(error.errno or 0)
    return complain(disk_problem(error) or f"{where}{error.strerror or error}{f'; {cure}' if cure else ''}")


def _mend_streams() -> None:
    """Open the null device for each standard stream that is closed (`>&-`), or the next file would get its number.

    A file name that is not UTF-8 is printed with escapes.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _parser(name: str, module: ModuleType) -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=f"emotion {name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.add_arguments(parser)
    return parser


def _overview(argv: Sequence[str]) -> int:
    parser = OneLineParser(prog="emotion", description="Recognise the emotion of faces.")
    parser.add_argument("--version", action="store_true", help="print the version")
    subparsers = parser.add_subparsers(metavar="COMMAND")
    for name, (_, what) in COMMANDS.items():
        subparsers.add_parser(name, help=what)
    if parser.parse_args(argv).version:
        print(f"emotion {emotion.__version__}")
    else:
        parser.print_help(sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
