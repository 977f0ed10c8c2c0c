"""Run a script in this process as `python SCRIPT` would in a fresh one, then end the process.

For workers of a zygote: the interpreter and the libraries are there already, and the process has
just been confined. Not covered: a submodule that the zygote has imported is there before the script
does it, so `import sklearn; sklearn.ensemble` works here and not in a cold interpreter.
"""

# pathlib is slow to import.
# ruff: noqa: PTH100, PTH109, PTH112, PTH120, PTH123

import atexit
import os
import sys
import threading
import traceback
import types
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader


def run(argv: Sequence[str], *, threads: int = 1) -> int:
    """Run `argv[0]` in the current folder as `__main__`, all the way to the interpreter's end.

    Args:
        argv: The script and its arguments.
        threads: How many the numerical libraries use; the parent has loaded them with one.

    Returns:
        What the process is to exit with; everything printed is flushed.
    """
    path = os.path.abspath(argv[0])
    sys.argv = list(argv)
    # What the host's site-packages point to and the box does not show is not on a cold path either.
    shown = [folder for folder in sys.path[1:] if folder.endswith(".zip") or os.path.isdir(folder)]
    sys.path[:] = [os.path.dirname(path), *shown]
    _forget_the_zygote()
    _use_threads(threads)
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        reason = f"[Errno {error.errno}] {error.strerror}"
        sys.stderr.write(f"{sys.executable}: can't open file {path!r}: {reason}\n")
        return 2
    status = _executed(source, path)
    # What the interpreter does at its end.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if not stream.closed:
                stream.flush()
        except Exception:  # noqa: BLE001 -- the script may have put anything there
            status = status or 120
    return status


def _executed(source: bytes, path: str) -> int:
    main = types.ModuleType("__main__")
    builtins, loader = sys.modules["builtins"], SourceFileLoader("__main__", path)
    main.__dict__.update(
        __annotations__={}, __builtins__=builtins, __cached__=None, __file__=path, __loader__=loader
    )
    sys.modules["__main__"] = main
    try:
        exec(compile(source, path, "exec", dont_inherit=True), main.__dict__)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        sys.stderr.write(f"{end.code}\n")
        return 1
    except BaseException as error:  # noqa: BLE001 -- whatever it is, it is the script's
        _report(error)
        return 1
    return 0


def _report(error: BaseException) -> None:
    """Print the traceback that the script would have had alone: without this module's frames."""
    own = error.__traceback__.tb_next if error.__traceback__ else None
    error = error.with_traceback(own)
    try:
        sys.excepthook(type(error), error, own)
    except BaseException:  # noqa: BLE001 -- the script's own hook is broken
        traceback.print_exception(error)


def _use_threads(count: int) -> None:
    """Tell libraries that are loaded already, for they read the environment only once."""
    if count > 1 and (control := sys.modules.get("threadpoolctl")) is not None:
        control.threadpool_limits(count)
    if count > 1 and (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(count)


def _forget_the_zygote() -> None:
    """Undo what would make two runs alike, or tell that other code ran in this process before."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        # Every fork would go on from the same global state; a fresh interpreter draws its own.
        numpy.random.seed()
    if (torch := sys.modules.get("torch")) is not None:
        torch.seed()
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None:
        processes.ORIGINAL_DIR = os.getcwd()  # type: ignore[attr-defined]
