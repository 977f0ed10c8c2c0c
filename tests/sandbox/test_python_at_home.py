"""Pythons that are installed amid a user's own files: nothing else of those is shown."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_python import attack_from
from reachable import open_python

from ml_agent.sandbox import Tier

SECRETS = (".ssh/id", ".local/share/keyring", "project/train.csv", "project/runs/report.html")


@pytest.fixture
def home() -> Iterator[Path]:
    """A home with secrets; ~/bin/python3 leads to the Python of the tests by two links."""
    # Not below /tmp, where a box shows nothing.
    with tempfile.TemporaryDirectory(prefix="ml-agent-", dir="/var/tmp") as name:
        home = Path(name)
        home.chmod(0o755)
        for secret in SECRETS:
            (home / secret).parent.mkdir(parents=True, exist_ok=True)
            (home / secret).write_text("secret")
        (home / "bin").mkdir()
        (home / "bin" / "python3").symlink_to("../.local/python")
        (home / ".local" / "python").symlink_to(Path(sys.base_prefix, "bin", "python3"))
        yield home


@pytest.mark.parametrize("tier", ["strong", "reduced"])
def test_neither_a_home_that_python_is_linked_through_nor_a_project_it_lies_in_is_shown(
    home: Path, tier: Tier
) -> None:
    project = home / "project"
    make = [home / "bin" / "python3", "-m", "venv", "--without-pip", "."]
    subprocess.run(make, cwd=project, check=True)
    script = f"""
        for secret in {SECRETS}:
            attempt(secret, lambda: open({str(home)!r} + "/" + secret).read())
        attempt("list", lambda: os.listdir({str(home)!r} + "/.ssh"))
        print(sys.prefix == {str(project)!r}, sys.base_prefix == {sys.base_prefix!r})
        subprocess.run([sys.executable, "-c", "import zipfile; print('runs')"])
        """
    with open_python():
        lines = attack_from(project, script, tier=tier, home=home / "cache")
    errors = {"strong": 2, "reduced": 13}
    assert lines[:-2] == [f"{name} {errors[tier]}" for name in (*SECRETS, "list")]
    assert lines[-2:] == ["True True", "runs"]
