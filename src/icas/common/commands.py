"""What both commands do alike: errors become one line and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

from icas.common.errors import IcasError
from icas.common.progress import fill_streams, unheard, warn

INTERRUPTED = 130


def guarded(name: str, run: Callable[[], int], debug: bool) -> int:
    """The exit code of `run`, with every error told in one line on stderr.

    Parameters
    ----------
    name : str
        The command, which begins the line.
    run : callable
    debug : bool
        Let errors through with their traceback.
    """
    fill_streams()
    try:
        code = run()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt as error:
        warn(": ".join((name, "interrupted", *map(str, error.args))))
        return INTERRUPTED
    except BrokenPipeError:  # `clusterimg … | head`: the reader has gone, that is no error
        unheard(sys.stdout)
        return 0
    except IcasError as error:
        if debug:
            raise
        warn(f"{name}: {error}")
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        warn(f"{name}: {_words(error)}")
        return 1


def _words(error: Exception) -> str:
    if _is_of_memory(error):
        return "out of memory: try a smaller --batch-size, --size or --jobs"
    if isinstance(error, OSError):
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return "too many open files: try a smaller --jobs, or raise the limit (ulimit -n)"
        if isinstance(error, FileNotFoundError) and not error.filename and _is_adrift():
            return "the current folder is not there any more: go to another, or give whole paths"
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}"
    kind = type(error).__name__
    return f"this should not happen, please report it ({kind}: {error}); --debug shows where"


def _is_of_memory(error: Exception) -> bool:
    """Whether memory ran out: it may do so as well while a library is loaded."""
    if isinstance(error, ImportError):
        return "failed to map segment" in str(error) or "allocate memory" in str(error)
    return isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM


def _is_adrift() -> bool:
    """Whether the current folder was removed."""
    try:
        os.getcwd()  # noqa: PTH109 - what Path.cwd does
    except OSError:
        return True
    return False
