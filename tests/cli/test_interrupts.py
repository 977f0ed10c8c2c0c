"""Ctrl-C waits for an import to end, and is not lost in code that swallows it."""

import os
import signal
import subprocess
import sys

import pytest

HEAD = """
import os, signal
from ml_agent.cli.interrupts import held, listen, stop_if_asked
listen()
def ctrl_c(): os.kill(os.getpid(), signal.SIGINT)
"""


def played(code: str, *, ignored: bool = False) -> str:
    done = subprocess.run(
        [sys.executable, "-c", HEAD + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        # What a process inherits: a shell's background job ignores Ctrl-C, and so would this one.
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_IGN if ignored else signal.SIG_DFL
        ),
        env=os.environ,
    )
    return done.stdout + done.stderr.strip().rpartition("\n")[2]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("ctrl_c()\nprint('went on')", "KeyboardInterrupt"),
        ("with held():\n ctrl_c()\n print('inside')\nprint('after')", "inside\nKeyboardInterrupt"),
        ("with held():\n pass\nctrl_c()\nprint('went on')", "KeyboardInterrupt"),
        (
            "try: ctrl_c()\nexcept BaseException: print('swallowed')\nstop_if_asked()\nprint('on')",
            "swallowed\nKeyboardInterrupt",
        ),
        ("stop_if_asked()\nprint('nobody asked')", "nobody asked\n"),
    ],
    ids=["at-once", "held", "after-a-hold", "swallowed", "not-asked"],
)
def test_ctrl_c_stops_the_process_as_soon_as_it_can(code: str, said: str) -> None:
    assert played(code) == said


def test_a_process_told_to_ignore_ctrl_c_goes_on_ignoring_it() -> None:
    assert played("ctrl_c()\nprint('went on')", ignored=True) == "went on\n"


@pytest.mark.parametrize(
    ("before", "code", "said"),
    [("ctrl_c()", 130, "stopped. The same command goes on"), ("pass", 1, "KeyError: 'node'")],
)
def test_an_error_on_the_way_out_from_ctrl_c_is_no_fault_of_the_program(
    before: str, code: int, said: str
) -> None:
    library = f"def fails():\n try: {before}\n finally: {{}}['node']\n"
    called = "import sys\nfrom ml_agent.cli import main\nmain.app.command()(fails)\n"
    called += "sys.argv = ['ml-agent', 'fails']\nprint(main.run())"
    told = played(library + called)
    assert told.startswith(f"{code}\nml-agent: ")
    assert said in told
