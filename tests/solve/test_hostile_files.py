"""Broken, empty, huge and hostile files: one clear line, and nothing is unpacked or run."""

import gzip
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from user_folders import flowers, made

from ml_agent.core.errors import UsageError
from ml_agent.solve import files
from ml_agent.solve.perceive import perceive
from ml_agent.solve.records import Hints

HEAD = "a,b,target\n"
ROWS = "".join(f"{i},{i % 7},{i % 2}\n" for i in range(60))


def refusal(folder: Path) -> str:
    with pytest.raises(UsageError) as raised:
        perceive(folder, Hints())
    said = str(raised.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "rows.csv is empty"),
        (b"  \n \n", "rows.csv is empty"),
        (HEAD.encode(), "has a header and no row"),
        (b"\x7fELF\x00\x00" + ROWS.encode(), "is no text: there is a NUL byte at 4"),
        (b"\xff\xfea\x00\xff", "is broken UTF-16"),
        ((HEAD + ROWS + "1,2\n").encode(), "line 62 has 2 fields, the header 3. Correct"),
        ((HEAD + ROWS + "1,2,3,4\n" * 3).encode(), "has 4 fields, the header 3 and 2 more such"),
        ((HEAD + ROWS + '1,"2,0\n').encode(), "the row that ends at line 62 is no CSV"),
        ((HEAD + "1,2,0\n" * 12).encode(), "12 rows have a target; 30 are the least"),
        ((HEAD + "1,2,0\n" * 60).encode(), "target is '0' in every row"),
        (b"x" * (2 << 20), "its first line has 2097152 characters"),
        ((",".join(f"c{i}" for i in range(100_000)) + "\n1\n").encode(), "100000 columns; at most"),
        (("target\n" + "1\n0\n" * 30).encode(), "there is no column to learn from"),
    ],
)
def test_a_broken_table_is_refused_in_one_line(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(content)
    assert said in refusal(tmp_path)


def test_broken_lines_are_left_out_only_when_asked(tmp_path: Path) -> None:
    folder = made("broken_csv", tmp_path)
    assert "line 8 has 6 fields, the header 4 and 1 more such line" in refusal(folder)
    told = perceive(folder, Hints(skip_broken=True)).perceived.conclusions
    assert any("2 broken lines left out" in one.found + one.because for one in told)


def test_a_table_of_another_encoding_is_read_and_that_is_said(tmp_path: Path) -> None:
    told = perceive(made("european_csv", tmp_path), Hints()).perceived.conclusions
    said = " ".join(one.because for one in told)
    assert "Windows-1252" in said
    assert "decimal commas in Fläche" in said


def test_an_empty_or_missing_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no file" in refusal(tmp_path / "empty")
    assert "there is no" in refusal(tmp_path / "nowhere")


def test_what_is_no_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.parquet").write_bytes(b"PAR1")
    assert "holds no table and no images (data.parquet)" in refusal(tmp_path)


def test_an_archive_that_declares_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", HEAD + ROWS)
    content = bytearray(path.read_bytes())
    # The size in the archive's directory: what it claims to unpack to.
    at = content.rindex(b"PK\x01\x02") + 24
    content[at : at + 4] = struct.pack("<I", 3 << 30)
    path.write_bytes(content)
    assert "would unpack to 1 files of 3072 MiB" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("at", "written", "said"),
    [
        # Of the directory's entry: the version that is needed to unpack it; a name's first byte.
        (6, struct.pack("<H", 99), "data.zip is no whole zip archive"),
        (46, b"\xff", "data.zip is no whole zip archive"),
    ],
)
def test_an_archive_that_cannot_be_opened_is_refused(
    at: int, written: bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("\u00e9.csv", HEAD + ROWS)
    content = bytearray(path.read_bytes())
    at += content.rindex(b"PK\x01\x02")
    content[at : at + len(written)] = written
    path.write_bytes(content)
    assert said in refusal(tmp_path)


def test_a_broken_member_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("rows.csv", HEAD + ROWS)
    content = bytearray(path.read_bytes())
    # After the local header (30 bytes and the name) and LZMA's own.
    start = 30 + len("rows.csv") + 9
    content[start : start + 40] = bytes(40)
    path.write_bytes(content)
    assert "rows.csv in data.zip cannot be unpacked" in refusal(tmp_path)


def test_a_table_that_was_packed_twice_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("rows.csv.gz", gzip.compress((HEAD + ROWS).encode()))
    assert len(perceive(tmp_path, Hints()).material.labelled) == 60


def test_a_long_text_and_a_column_called_self_are_no_trouble(tmp_path: Path) -> None:
    rows = "".join(f'{i % 2},"{"word " * (1 + i % 5)}"\n' for i in range(60))
    long = f'1,"{"word " * 40_000}"\n'
    (tmp_path / "rows.csv").write_text("self,said\n" + rows + long)
    found = perceive(tmp_path, Hints(target="self"))
    assert found.perceived.target == "self"
    assert len(found.material.labelled) == 61


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_entered_is_named(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(HEAD + ROWS)
    (tmp_path / "lost+found").mkdir(mode=0)
    assert "lost+found cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("kind", ["zip", "gz"])
def test_an_archive_that_holds_more_than_allowed_is_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "FILE_BYTES", 1 << 20)
    bomb = (HEAD + ROWS).encode() + b"0,0,0\n" * 500_000
    if kind == "gz":
        (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(bomb))
        assert "unpacks to more; at most 1 MiB" in refusal(tmp_path)
        return
    with zipfile.ZipFile(tmp_path / "data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", bomb)
    assert "has 2 MiB; at most 1 MiB" in refusal(tmp_path)


def test_an_archive_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", HEAD + ROWS * 100)
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02") + 24
    content[at : at + 4] = struct.pack("<I", 64)
    path.write_bytes(content)
    assert "cannot be unpacked" in refusal(tmp_path)


def test_an_honest_archive_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("flowers.csv", flowers().to_csv(index=False))
        archive.writestr("../outside.csv", "a\n1\n")
    found = perceive(tmp_path, Hints())
    assert len(found.material.labelled) == 120


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text(HEAD + ROWS)
    folder = made("csv_classification", tmp_path)
    (folder / "train.csv").symlink_to(tmp_path / "secret.csv")
    found = perceive(folder, Hints()).perceived
    assert found.target == "species"
    assert any("1 links are passed over" in one for one in found.warnings)


def _png_of(width: int, height: int) -> bytes:
    """A PNG that declares any size and holds four pixels."""
    image = io.BytesIO()
    Image.fromarray(np.zeros((2, 2, 3), dtype=np.uint8)).save(image, "png")
    content = bytearray(image.getvalue())
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


def _not_an_image() -> bytes:
    return b"\x89PNG\r\n\x1a\nnothing"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda: _png_of(60_000, 60_000), "decompression bomb"),
        (lambda: _png_of(9_000, 9_000), "has 9000 x 9000 pixels"),
        (_not_an_image, "is no image that can be read"),
    ],
)
def test_an_image_bomb_is_refused_before_it_is_decoded(
    content: Callable[[], bytes], said: str, tmp_path: Path
) -> None:
    folder = made("image_folders", tmp_path)
    (folder / "pictures/train/standing/p0.png").write_bytes(content())
    assert said in refusal(folder)


def test_images_of_one_folder_have_no_class(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    assert "no two folders of several" in refusal(tmp_path)


def test_a_script_in_the_folder_is_not_run(tmp_path: Path) -> None:
    folder = made("csv_classification", tmp_path)
    (folder / "setup.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    warnings = perceive(folder, Hints()).perceived.warnings
    assert any("setup.py is not run" in one for one in warnings)
    assert not (tmp_path / "ran").exists()


def test_names_that_would_fake_a_line_are_put_on_one(tmp_path: Path) -> None:
    (tmp_path / "rows\nml-agent: done.csv").write_text("")
    assert (
        refusal(tmp_path) == "rows?ml-agent: done.csv is empty. Give a file with a header and rows."
    )


def test_column_names_are_put_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text('"a\n\x1b[2Jb",c,target\n' + ROWS)
    found = perceive(tmp_path, Hints()).perceived
    assert (found.id, list(found.features)) == ("a [2Jb", ["c"])
