"""What both commands do alike: errors become one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from icas.common.errors import IcasError
from icas.common.progress import printable

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
    try:
        code = run()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `clusterimg … | head`: the reader has gone, that is no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except IcasError as error:
        if debug:
            raise
        print(printable(f"{name}: {error}"), file=sys.stderr)
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        print(printable(f"{name}: {_words(error)}"), file=sys.stderr)
        return 1


def _words(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "out of memory: try a smaller --batch-size, --size or --jobs"
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}"
    kind = type(error).__name__
    return f"this should not happen, please report it ({kind}: {error}); --debug shows where"
