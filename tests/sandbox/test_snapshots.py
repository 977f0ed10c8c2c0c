import hashlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ml_agent.core.errors import SandboxError
from ml_agent.sandbox import Snapshots


def test_a_blob_is_named_by_its_sha256(snapshots: Snapshots) -> None:
    digest = snapshots.put(b"abc")
    assert digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert snapshots.get(digest) == b"abc"


def test_a_manifest_is_a_blob_that_maps_paths_to_blobs(snapshots: Snapshots) -> None:
    digest = snapshots.save({"b/x.py": b"1", "a": b""})
    assert json.loads(snapshots.get(digest)) == {
        "a": hashlib.sha256(b"").hexdigest(),
        "b/x.py": hashlib.sha256(b"1").hexdigest(),
    }
    assert snapshots.load(digest) == {"a": b"", "b/x.py": b"1"}


def test_equal_files_are_kept_once(snapshots: Snapshots) -> None:
    snapshots.save({"a": b"same", "b": b"same"})
    assert len([path for path in snapshots.root.rglob("*") if path.is_file()]) == 2


def test_a_missing_file_is_noticed(snapshots: Snapshots) -> None:
    digest = snapshots.save({"a": b"1"})
    blob = snapshots.put(b"1")
    (snapshots.root / blob[:2] / blob).unlink()
    with pytest.raises(SandboxError, match=blob[:12]):
        snapshots.load(digest)


def test_an_altered_file_is_noticed(snapshots: Snapshots) -> None:
    blob = snapshots.put(b"1")
    (snapshots.root / blob[:2] / blob).write_bytes(b"2")
    with pytest.raises(SandboxError, match="altered"):
        snapshots.get(blob)


def test_a_file_that_was_cut_off_is_repaired_when_it_is_kept_again(snapshots: Snapshots) -> None:
    blob = snapshots.put(b"whole")
    (snapshots.root / blob[:2] / blob).write_bytes(b"wh")
    assert snapshots.put(b"whole") == blob
    assert snapshots.get(blob) == b"whole"


def test_a_state_read_lately_is_its_own_copy_and_the_oldest_make_room(
    snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml_agent.sandbox.snapshots._KEPT_BYTES", 10)
    snapshots = Snapshots(snapshots.root)
    first, second, third = (snapshots.save({"a": 4 * text}) for text in (b"1", b"2", b"3"))
    for digest in (first, second):
        snapshots.load(digest)["a"] = b"changed"
    for path in snapshots.root.rglob("*"):
        if path.is_file() and path.read_bytes() != b"3333" and path.name != third:
            path.unlink()
    # Four and four bytes are kept; the third state pushes the first out, and not the second.
    assert snapshots.load(first) == {"a": b"1111"}
    assert snapshots.load(second) == {"a": b"2222"}
    assert snapshots.load(third) == {"a": b"3333"}
    assert snapshots.load(second) == {"a": b"2222"}
    with pytest.raises(SandboxError, match="cannot be read"):
        snapshots.load(first)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "0" * 63, "G" * 64])
def test_what_is_no_digest_is_no_snapshot(snapshots: Snapshots, name: str) -> None:
    with pytest.raises(SandboxError, match="is no snapshot"):
        snapshots.load(name)


def test_a_file_is_no_workspace(snapshots: Snapshots) -> None:
    for content in (b"\xff", b"[1]", b"print()"):
        with pytest.raises(SandboxError, match="is a file"):
            snapshots.load(snapshots.put(content))


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SandboxError, match="cannot keep a snapshot"):
        Snapshots(tmp_path / "file").put(b"1")


def test_many_threads_may_keep_the_same_files(snapshots: Snapshots) -> None:
    files = {str(number): bytes([number % 7]) * 1000 for number in range(40)}
    digests: list[str] = []
    threads = [
        threading.Thread(target=lambda: digests.append(snapshots.save(files))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(digests) == 8
    assert len(set(digests)) == 1
    assert snapshots.load(digests[0]) == files


def test_a_writer_that_is_killed_leaves_nothing_wrong(snapshots: Snapshots) -> None:
    script = (
        "import sys, itertools\nfrom pathlib import Path\n"
        "from ml_agent.sandbox.snapshots import Snapshots\n"
        "kept = Snapshots(Path(sys.argv[1]))\n"
        "for number in itertools.count(): kept.put(b'%d' % (number % 50) * 100_000)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(snapshots.root)]) as writer:
        while not snapshots.root.exists():
            time.sleep(0.01)
        time.sleep(0.05)
        writer.kill()
    kept = [path.name for path in snapshots.root.rglob("*") if len(path.name) == 64]
    assert kept
    for digest in kept:
        assert hashlib.sha256(snapshots.get(digest)).hexdigest() == digest
