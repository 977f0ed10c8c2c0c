"""Images in folders: classes, and pixels of one size.

Covered: files that are no images, and images of very many pixels (refused by what they declare,
before they are decoded).
"""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml_agent.core.errors import UsageError
from ml_agent.solve.files import FoundFile
from ml_agent.solve.words import names_unseen

SIDE = 32
"""Pixels; images of any size are brought to it."""
PIXELS_AT_MOST = 50_000_000
IMAGES_AT_MOST = 20_000


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Images with the class their folder is named by, and images to predict."""

    labelled: tuple[tuple[FoundFile, str], ...]
    unseen: tuple[FoundFile, ...]

    @property
    def classes(self) -> list[str]:
        """Names of the classes."""
        return sorted({name for _, name in self.labelled})


def by_folder(images: Sequence[FoundFile]) -> Gallery:
    """Sort images by their folders.

    The innermost folder is the class, unless some folder around the image is named like a test.

    Raises:
        UsageError: There are too many, or no two classes.
    """
    if len(images) > IMAGES_AT_MOST:
        raise UsageError(
            f"{len(images)} images; at most {IMAGES_AT_MOST} are read. Give a sample of them."
        )
    later = {part for one in images for part in one.folders if names_unseen(part)}
    unseen = [one for one in images if later & set(one.folders)]
    rest = [one for one in images if one.folders and not later & set(one.folders)]
    gallery = Gallery(labelled=tuple((one, one.folders[-1]) for one in rest), unseen=tuple(unseen))
    if len(gallery.classes) < 2:
        raise UsageError(
            f"{len(images)} images, but no two folders of them: a folder's name is its images' "
            "class. Sort them into a folder a class, or add a table that names image and label."
        )
    return gallery


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
