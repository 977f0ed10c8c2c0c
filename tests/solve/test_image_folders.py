"""Which images are of which class, which are to predict, and what they are called."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from ml_agent.solve.files import FoundFile
from ml_agent.solve.perceive import perceive
from ml_agent.solve.pictures import by_folder, names_of
from ml_agent.solve.records import Hints


def images(*names: str) -> list[FoundFile]:
    """Files that nobody reads."""
    return [FoundFile(name=name, size=1, read=lambda: b"") for name in names]


def numbered(*folders: str, count: int = 4) -> list[FoundFile]:
    """So many images in each folder, of the same names in all."""
    return images(*(f"{folder}/{i}.png" for folder in folders for i in range(count)))


@pytest.mark.parametrize("folder", ["tested positive", "contest", "predictable"])
def test_a_class_is_not_to_be_predicted_for_a_part_of_its_name(folder: str) -> None:
    gallery = by_folder(numbered(folder, "healthy"))
    assert gallery.classes == sorted([folder, "healthy"])
    assert gallery.unseen == ()


@pytest.mark.parametrize("folder", ["test", "test1", "seg_test/all", "TestImages", "to-predict"])
def test_a_folder_is_to_be_predicted_for_a_whole_word_of_its_name(folder: str) -> None:
    gallery = by_folder(numbered("ill", "healthy", folder))
    assert gallery.classes == ["healthy", "ill"]
    assert [one.name for one in gallery.unseen] == [f"{folder}/{i}.png" for i in range(4)]


@pytest.mark.parametrize(
    ("paths", "called"),
    [
        (["test/a/0.png", "test/a/1.png"], ("0.png", "1.png")),
        (["test/cat/0.png", "test/dog/1.png"], ("0.png", "1.png")),
        (["in/test/cat/0.png", "in/test/dog/0.png"], ("cat/0.png", "dog/0.png")),
        (["test/0.png", "test/more/0.png"], ("0.png", "more/0.png")),
        (["test1/a/0.png", "test2/a/0.png"], ("test1/a/0.png", "test2/a/0.png")),
        ([], ()),
    ],
)
def test_images_to_predict_have_different_names(
    paths: Sequence[str], called: tuple[str, ...]
) -> None:
    assert names_of(images(*paths)) == called


def test_predictions_of_images_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for name in ("train/cat", "train/dog", "test/cat", "test/dog"):
        (tmp_path / name).mkdir(parents=True)
        for i in range(20 if name.startswith("train") else 2):
            Image.new("L", (4, 4), color=i).save(tmp_path / name / f"{i}.png")
    found = perceive(tmp_path, Hints()).material
    assert found.unseen_ids == ("cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png")
    assert len(found.labelled) == 40
