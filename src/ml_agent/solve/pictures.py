"""Images in folders: classes, and pixels of one size.

Covered: files that are no images, and images of very many pixels (refused by what they declare,
before they are decoded).
"""

import io
import re
import warnings
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from ml_agent.core.errors import UsageError
from ml_agent.solve.files import FoundFile
from ml_agent.solve.words import names_split, names_unseen

SIDE = 32
"""Pixels; images of any size are brought to it."""
PIXELS_AT_MOST = 50_000_000
IMAGES_AT_MOST = 20_000
_PLAIN = re.compile(r"images?|imgs?|jpe?gs?|pngs?", re.IGNORECASE)
"""Folders that say nothing of what is in them."""
_Path = tuple[str, ...]
"""Folders, outermost first."""


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Images with the class their folder is named by, and images to predict."""

    labelled: tuple[tuple[FoundFile, str], ...]
    unseen: tuple[FoundFile, ...]
    without_class: int = 0
    """Images beside the folders that are classes."""
    copies: int = 0
    """Images that were there twice and count once."""

    @property
    def classes(self) -> list[str]:
        """Names of the classes."""
        return sorted({name for _, name in self.labelled})


def by_folder(images: Sequence[FoundFile]) -> Gallery:
    """Sort images by their folders.

    A folder named like a test makes all in it images to predict. Of the others one level of
    folders is the class (`_class_level`).

    Raises:
        UsageError: There are too many, or no two classes.
    """
    if len(images) > IMAGES_AT_MOST:
        raise UsageError(
            f"{len(images)} images; at most {IMAGES_AT_MOST} are read. Give a sample of them."
        )
    paths = [one.folders for one in images]
    later = {part for path in set(paths) for part in path if names_unseen(part)}
    telling = _telling(set(paths))
    unseen, placed, without_class = [], [], 0
    for one, path in zip(images, paths, strict=True):
        if later.intersection(path):
            unseen.append(one)
        elif telling[path]:
            placed.append((one, telling[path]))
        else:
            without_class += 1
    level = _class_level([folders for _, folders in placed])
    if level is None:
        raise UsageError(
            f"{len(images)} images, but no two folders of several: a folder's name is its images' "
            "class. Sort them into a folder a class, or add a table that names image and label."
        )
    known = _once([(one, folders[level]) for one, folders in placed])
    asked = _once([(one, "") for one in unseen])
    return Gallery(
        labelled=tuple(known),
        unseen=tuple(one for one, _ in asked),
        without_class=without_class,
        copies=len(placed) + len(unseen) - len(known) - len(asked),
    )


def _once(images: Sequence[tuple[FoundFile, str]]) -> list[tuple[FoundFile, str]]:
    """The images, with their classes, without copies: an archive often lies beside what it held.

    A copy has the same class, folder, name and content; the one in fewer folders is kept.
    """
    tails = [(label, *one.name.rsplit("/", 2)[-2:], one.size) for one, label in images]
    often = Counter(tails)
    kept: dict[object, int] = {}
    for place in sorted(range(len(images)), key=lambda place: len(images[place][0].folders)):
        # Pixels are read later: only what looks alike is read here.
        alone = often[tails[place]] == 1
        content = None if alone else sha256(images[place][0].read()).digest()
        kept.setdefault((tails[place], content), place)
    return [images[place] for place in sorted(kept.values())]


def _telling(paths: Collection[_Path]) -> dict[_Path, _Path]:
    """Of each path of folders those that may name a class.

    Not "images", and not "train" or "valid" where other folders lie in it, or no others beside it:
    among cars and ships a train is a class.
    """
    inside: dict[_Path, set[str]] = {}
    for path in paths:
        for depth, name in enumerate(path):
            inside.setdefault(path[:depth], set()).add(name)

    def tells(path: _Path) -> bool:
        if _PLAIN.fullmatch(path[-1]):
            return False
        beside = inside[path[:-1]]
        return not names_split(path[-1]) or not (
            path in inside or all(names_split(one) or names_unseen(one) for one in beside)
        )

    return {
        path: tuple(name for depth, name in enumerate(path, 1) if tells(path[:depth]))
        for path in paths
    }


def _class_level(paths: Sequence[_Path]) -> int | None:
    """Which folder of each path is the class, counted from either end; None: no level is it.

    Of the levels with two names at least, on average of several images, the innermost, unless its
    names are a word and a number ("patient1", "patient2"), or are more than each has images, and
    do not recur in several folders around them ("ann", "bob"). If no level is better, the one of
    fewest names.
    """
    depth = min(map(len, paths), default=0)
    best, best_rank = None, (True, len(paths))
    for level in (*range(-1, -depth - 1, -1), *range(depth - 1, -1, -1)):
        around: dict[str, set[_Path]] = {}
        for path in paths:
            around.setdefault(path[level], set()).add(path[:level])
        if len(around) < 2 or 2 * len(around) > len(paths):
            continue
        # Digits alone are classes, too.
        stems = {re.sub(r"[\W\d_]+", "", name) for name in around}
        numbered = len(stems) == 1 and "" not in stems
        recurring = sum(len(folders) > 1 for folders in around.values()) > len(around) / 2
        singles = not recurring and (numbered or len(around) ** 2 > len(paths))
        rank = (numbered, len(around) if singles else 0)
        if rank < best_rank:
            best, best_rank = level, rank
    return best


def names_of(images: Sequence[FoundFile]) -> tuple[str, ...]:
    """What the user calls images: their bare names, or their paths where these are not unique.

    Paths begin below the folder that all of them lie in.
    """
    paths = [(*one.folders, one.name.rsplit("/", 1)[-1]) for one in images]
    bare = tuple(path[-1] for path in paths)
    if len(set(bare)) == len(bare):
        return bare
    levels = list(zip(*(path[:-1] for path in paths), strict=False))
    shared = next((i for i, names in enumerate(levels) if len(set(names)) > 1), len(levels))
    return tuple("/".join(path[shared:]) for path in paths)


def pixels(files: Sequence[FoundFile]) -> np.ndarray:
    """The images as one array, [N, SIDE, SIDE, 3] uint8.

    Raises:
        UsageError: One is no image, or too large.
    """
    found = np.zeros((len(files), SIDE, SIDE, 3), dtype=np.uint8)
    for place, file in enumerate(files):
        found[place] = _pixels_of(file)
    return found


def _pixels_of(file: FoundFile) -> np.ndarray:
    from PIL import Image

    content = file.read()
    try:
        with warnings.catch_warnings():
            # We refuse by our own bound, right below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as image:
                width, height = image.size
                if width * height <= PIXELS_AT_MOST:
                    return np.asarray(image.convert("RGB").resize((SIDE, SIDE)))
    except Image.DecompressionBombError as error:
        raise UsageError(f"{file.name}: {error}. Make it smaller, or take it out.") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        # SyntaxError is what PIL raises for a broken PNG.
        raise UsageError(
            f"{file.name} is no image that can be read. Take it out, or make it anew."
        ) from error
    raise UsageError(
        f"{file.name} has {width} x {height} pixels; at most {PIXELS_AT_MOST} are read. Make it "
        "smaller."
    )
