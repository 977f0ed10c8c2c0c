"""Which texts answer a question best: BM25, by words alone.

Robertson and Zaragoza (2009), with k1 = 1.5 and b = 0.75. No index and no model: a few hundred
short texts are ranked in a moment, and always alike.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

K1 = 1.5
B = 0.75
_WORD = re.compile(r"[a-z]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by error for from has have in is it its no not of on or so that the "
        "their them then there they this to was were which with",
    )
)


def words(text: str) -> list[str]:
    """The words of a text, names of code taken apart, without the commonest.

    Every error is called one, so that word is among them.

    Examples:
        >>> words("The HistGradientBoosting of n_jobs=4")
        ['hist', 'gradient', 'boosting', 'n', 'jobs', '4']
    """
    apart = _CAMEL.sub(" ", text).lower()
    return [one for one in _WORD.findall(apart) if one not in _COMMON]


def scores(question: str, texts: Sequence[str]) -> list[float]:
    """How well each text answers.

    The sum over the question's words w of

    ln(1 + (N - n_w + 0.5) / (n_w + 0.5)) * f (k1 + 1) / (f + k1 (1 - b + b L / mean L))

    where n_w of N texts hold w, this one f times among its L words.
    """
    counted = [Counter(words(text)) for text in texts]
    lengths = [sum(one.values()) for one in counted]
    mean = sum(lengths) / len(lengths) if lengths else 0.0
    found = [0.0] * len(texts)
    for word in dict.fromkeys(words(question)):
        holding = sum(word in one for one in counted)
        rarity = math.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
        for place, one in enumerate(counted):
            if often := one[word]:
                weight = K1 * (1 - B + B * lengths[place] / mean)
                found[place] += rarity * often * (K1 + 1) / (often + weight)
    return found


def best(question: str, texts: Sequence[str], *, count: int) -> list[str]:
    """The texts that answer best, best first, those in the order given that answer alike.

    One that shares no word with the question is no answer.
    """
    ranked = sorted(zip(scores(question, texts), texts, strict=True), key=lambda one: -one[0])
    return [text for score, text in ranked[:count] if score > 0]


def pieces(text: str, *, chars: int = 600) -> Iterator[str]:
    """A document in pieces of whole paragraphs; a longer paragraph is cut."""
    piece = ""
    for paragraph in re.split(r"\n\s*\n", text):
        bare = " ".join(paragraph.split())
        if piece and len(piece) + len(bare) > chars:
            yield piece
            piece = ""
        piece = f"{piece} {bare}".strip()
        while len(piece) > chars:
            yield piece[:chars]
            piece = piece[chars:]
    if piece:
        yield piece
