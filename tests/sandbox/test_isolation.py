import shutil
import subprocess
import sys

import pytest

from ml_agent.core.errors import NoIsolation
from ml_agent.sandbox import isolation
from ml_agent.sandbox.refusal import no_isolation


def test_isolation_is_strong_where_the_tests_run() -> None:
    assert isolation() == "strong"


def test_without_namespaces_it_is_refused_with_the_fix() -> None:
    if shutil.which("unshare") is None:
        pytest.skip("util-linux is not installed")
    script = (
        "from ml_agent.sandbox import isolation\n"
        "open('/proc/sys/user/max_user_namespaces', 'w').write('0')\n"
        "isolation()"
    )
    seen = subprocess.run(
        ["unshare", "--user", "--map-root-user", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    last = seen.stderr.splitlines()[-1]
    assert last.startswith("ml_agent.core.errors.NoIsolation: scripts cannot be isolated")
    assert "new namespaces" in last
    assert last.endswith("sudo sysctl -w user.max_user_namespaces=15000")


def test_a_refusal_says_what_was_found_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    error = no_isolation("this is darwin")
    assert isinstance(error, NoIsolation)
    assert str(error) == (
        "scripts cannot be isolated on this machine (this is darwin). "
        "Isolation needs Linux: run this in a Linux container or virtual machine."
    )
