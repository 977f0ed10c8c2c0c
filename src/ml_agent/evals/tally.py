"""What instructions ask for: their verbs and nouns, counted by rules alone.

No tagger: a verb is the first word of a sentence, and any later word that begins another sentence
and follows a comma, "and", "then" or "to". What is left falls into runs between short words, verbs,
numbers and punctuation; the last word of a run is its noun ("the learning rate of ridge" has rate
and ridge). Rough, but the same for whoever is compared.
"""

import re
from collections import Counter
from collections.abc import Sequence

from ml_agent.core.base import Record

_SENTENCE = re.compile(r"[.;:!?](?:\s+|$)|\n+")
_TOKEN = re.compile(r"[A-Za-z]+|\d[\w.]*|[^\sA-Za-z\d]")
_BEFORE_A_VERB = frozenset({",", "and", "then", "to", "or"})
_OPENERS = frozenset({"also", "finally", "first", "instead", "next", "now", "please", "then"})
"""What may stand before the verb of a sentence."""
_SHORT = frozenset(
    re.findall(
        r"\w+",
        "one two three four five six seven eight nine ten half third twice "
        "a about above after all also an and any are as at be been before below between both but "
        "by can could do does each either else every few first for from had has have how if in "
        "instead into is it its just less like many may more most much must new no nor not now of "
        "off on only onto or other our out over own per rather same should since so some such "
        "than that the their them then there these they this those through to too under until up "
        "upon using very via was we were what when where which while who whose why will with "
        "within without would you your",
    )
)


class Tally(Record):
    """Verbs and nouns, the most frequent first."""

    texts: int
    """How many instructions were read."""
    verbs: dict[str, int]
    nouns: dict[str, int]


def tally(texts: Sequence[str]) -> Tally:
    """Count the verbs and nouns of instructions.

    Examples:
        >>> tally(["Add dropout and scale all inputs.", "Scale it."]).verbs
        {'scale': 2, 'add': 1}
    """
    sentences = [
        tokens for text in texts for part in _SENTENCE.split(text) if (tokens := _tokens(part))
    ]
    begins = {tokens[0] for tokens in sentences if tokens[0].isalpha()}
    verbs: Counter[str] = Counter()
    nouns: Counter[str] = Counter()
    for tokens in sentences:
        run: list[str] = []
        for place, token in enumerate([*tokens, "."]):
            is_verb = token in begins and (place == 0 or tokens[place - 1] in _BEFORE_A_VERB)
            if is_verb:
                verbs[token] += 1
            if not is_verb and _is_content(token):
                run.append(token)
            elif run:
                nouns[_singular(run[-1])] += 1
                run = []
    return Tally(texts=len(texts), verbs=_ranked(verbs), nouns=_ranked(nouns))


def _tokens(sentence: str) -> list[str]:
    tokens = [token.lower() for token in _TOKEN.findall(sentence)]
    while tokens and (tokens[0] in _OPENERS or not tokens[0].isalnum()):
        tokens = tokens[1:]
    return tokens


def _is_content(token: str) -> bool:
    return token.isalpha() and len(token) > 2 and token not in _SHORT and token[-2:] != "ly"


def _singular(noun: str) -> str:
    if noun.endswith("ies") and len(noun) > 4:
        return noun[:-3] + "y"
    if noun.endswith(("sses", "xes", "ches", "shes")):
        return noun[:-2]
    return noun[:-1] if noun.endswith("s") and noun[-2:] not in {"ss", "us", "is"} else noun


def _ranked(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))
