"""Which images are of which class, which are to predict, and what they are called."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from ml_agent.core.errors import UsageError
from ml_agent.solve.files import FoundFile
from ml_agent.solve.perceive import perceive
from ml_agent.solve.pictures import by_folder, names_of
from ml_agent.solve.records import Hints


def images(*names: str) -> list[FoundFile]:
    """Files that hold their names."""
    return [FoundFile(name=name, size=1, read=name.encode) for name in names]


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


@pytest.mark.parametrize(
    ("folders", "classes"),
    [
        ("cat dog", "cat dog"),
        ("all/train/cat all/train/dog", "cat dog"),
        ("train/cat train/dog valid/cat valid/dog", "cat dog"),
        ("seg_train/seg_train/sea seg_train/seg_train/ice seg_test/seg_test/sea", "ice sea"),
        ("train/0 train/1 train/2", "0 1 2"),
        ("train/0 train/1 eval/0 eval/1", "0 1"),
        ("ann/0 ann/1 ann/2 ann/3 bob/0 bob/1 bob/2 bob/3 cy/0 cy/1 cy/2 cy/3", "0 1 2 3"),
        # Of kinds of kinds the innermost are classes.
        ("animals/cat animals/dog vehicles/car vehicles/bus", "bus car cat dog"),
        ("Tomato/healthy Tomato/blight Potato/healthy Potato/rot", "blight healthy rot"),
        # Patients of a class are no classes, whether they are numbered or named.
        ("covid/patient1 covid/patient2 healthy/patient1 healthy/patient3", "covid healthy"),
        ("ill/ann ill/bob ill/eve well/jim well/kim well/lea", "ill well"),
        ("covid/1 covid/2 covid/5 well/3 well/4 well/7", "covid well"),
        # Neither are those who made images of all classes.
        ("ann/wave ann/clap ann/nod bob/wave bob/clap bob/nod", "clap nod wave"),
        ("part1/cat part1/dog part2/cat part2/dog", "cat dog"),
        # As tiny-imagenet lies on a disk.
        ("train/n01/images train/n02/images val/images test/images", "n01 n02"),
        ("cat/train cat/val dog/train dog/val", "cat dog"),
        # An archive beside folders.
        ("more/cat cat dog", "cat dog"),
        # Here a train is a class.
        ("train car ship", "car ship train"),
        ("train/train train/car test/car", "car train"),
    ],
)
def test_one_level_of_folders_is_the_class(folders: str, classes: str) -> None:
    gallery = by_folder(numbered(*folders.split()))
    assert gallery.classes == classes.split()
    named = [one.name for one, _ in gallery.labelled]
    assert len(set(named)) == len(named)
    assert all(label in one.folders for one, label in gallery.labelled)


@pytest.mark.parametrize("folders", ["", "all", "train", "train test", "a b c"])
def test_images_without_two_classes_are_refused(folders: str) -> None:
    # In folders of one image each, no name is a class.
    with pytest.raises(UsageError, match="no two folders of several"):
        by_folder(numbered(*folders.split(), count=1) or images("0.png"))


def test_images_beside_the_classes_are_counted(tmp_path: Path) -> None:
    found = by_folder(numbered("train/n01/images", "train/n02/images", "val/images", "test"))
    assert (len(found.labelled), len(found.unseen), found.without_class) == (8, 4, 4)
    assert by_folder([*numbered("cat", "dog"), *images("x.png")]).without_class == 1


@pytest.mark.parametrize("archive", ["all.zip", "train.zip"])
def test_an_archive_left_beside_its_images_changes_nothing(archive: str, tmp_path: Path) -> None:
    for place, name in enumerate(("train/cat", "train/dog", "test")):
        (tmp_path / name).mkdir(parents=True)
        for i in range(16):
            # Of one size as files, so that content alone tells them apart.
            Image.new("L", (4, 4), color=100 + 16 * place + i).save(tmp_path / name / f"{i}.bmp")
    alone = perceive(tmp_path, Hints())
    top = tmp_path / "train" if archive == "train.zip" else tmp_path
    with zipfile.ZipFile(tmp_path / archive, "w") as packed:
        for path in sorted(top.glob("**/*.bmp")):
            packed.write(path, path.relative_to(top))
    beside = perceive(tmp_path, Hints())
    assert beside.material.ids == alone.material.ids
    assert beside.material.unseen_ids == tuple(sorted(f"{i}.bmp" for i in range(16)))
    assert beside.material.labelled["class"].tolist() == ["cat"] * 16 + ["dog"] * 16
    copies = 32 if archive == "train.zip" else 48
    assert beside.perceived.warnings == (f"{copies} images are there twice and count once.",)


def test_images_of_one_name_and_size_are_no_copies_unless_they_are_alike() -> None:
    found = by_folder(numbered("part1/cat", "part2/cat", "part1/dog", "part2/dog"))
    assert (len(found.labelled), found.copies) == (16, 0)


def test_as_many_images_as_are_allowed_are_sorted() -> None:
    # Minutes, if each were sought among the others.
    gallery = by_folder(numbered("train/a", "train/b", "test/a", "test/b", count=5_000))
    assert (len(gallery.labelled), len(gallery.unseen)) == (10_000, 10_000)
