"""What a sentence or a README says: the metric, the target, the kind of problem. By rules alone.

Not covered: anything that has to be understood. What a rule finds is a claim, which the files may
contradict.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ml_agent.core.errors import UsageError
from ml_agent.solve.naming import apart
from ml_agent.tasks import METRICS

_OURS: dict[str, str] = {
    "rmsle": r"rmsle|root mean squared? log(arithmic)? error",
    "rmse": r"(mc)?rmse|root mean squared? error",
    "mse": r"mse|mean squared? error",
    "mae": r"mae|(mean )?absolute error",
    "smape": r"smape|symmetric mean absolute percentage error",
    "mape": r"mape|mean absolute percentage error",
    "r2": r"r(2|\^2|²)( score)?|r squared|coefficient of determination",
    "pearson": r"pearsons?( r)?( correlation)?( coefficient)?",
    "spearman": r"spearmans?( rank)?( correlation)?( coefficient)?",
    "auc": (
        r"(roc )?auc( roc)?( score)?|auroc|roc( curve)?"
        r"|area under (the |a )?(roc |receiver operat(ing|or) (characteristics? )?)?curve"
    ),
    "log_loss": (
        r"(binary |categorical |multi ?class )?(log ?loss|logarithmic loss|cross entropy)( loss)?"
    ),
    "qwk": r"qwk|quadratic(ally)? weighted (cohens? )?kappa",
    "mcc": r"mcc|matthews( correlation)?( coefficient)?",
    "macro_f1": (
        r"(macro (averaged? |avg )?)?f ?1( score| measure)?( (averaged? )?macro)?( averaged?)?"
    ),
    "accuracy": r"(multi ?class )?(classification |categorization )?accuracy( score)?",
}
"""Our metric, and what people call it, in the form of `_spaced`."""
_BEFORE = (
    r"(weighted|balanced|micro|normali[sz]ed|relative|scaled|median|adjusted|partial|subset|pixel"
    r"|top ?(k|n|\d+)|(mean |average |per ){1,2}class)( averaged?| avg| mean)?( of( the)?)? "
)
_ENDS = r"(?=\s*($|[;,:|!?/]|\.(?!\d)))"
"""Where a clause ends."""
_AT = rf"( ?@ ?\w+| at (k|\d+)({_ENDS}|(?= (and|or|of|for|on|in|over|is|as)\b)))"
"""Of the first so many; but "at 5 minutes" is a time, and "at 0.5" a threshold."""
_AFTER = (
    rf"( (averaged? )?(weighted(?! (equally|alike))|micro|samples?(?! (is|are|have|has)\b))"
    rf"|, (averaged? )?(weighted|micro|samples?)( average)?({_ENDS}|(?= by\b))"
    r"| (balanced|normali[sz]ed|top ?(k|\d+))| ?@ ?\w+)"
)
"""What makes of one of our metrics another, before its name and after it."""
_STRANGE = (
    r"rmspe|mspe|msle|nrmse|w?rmsse|wrmse|wape|wmae|wmape|nmae|mdape|medae|mase|smapep1"
    r"|(root )?mean squared? (percentage|scaled|relative) error|mean squared? log(arithmic)? error"
    r"|mean absolute (scaled|relative|log) error|median absolute (percentage )?(error|deviation)"
    r"|crps|continuous ranked probability score|(huber|hinge|focal|hamming|quantile|pinball) loss"
    r"|log cosh|log(arithmic)? (mae|mse|mean absolute error)|brier( score)?"
    r"|(poisson|gamma|tweedie) deviance|ndcg|c index|concordance index|kendalls? tau"
    r"|pr ?auc|auprc|(auc|area under)( of| under)?( the| a)? (prc?|precision|lift|gains?)"
    r"( recall)?( curve)?|(mean )?average precision"
    rf"|(map|{_OURS['accuracy']}|precision|recall){_AT}"
    r"|f ?(beta|2|0\.5)( score)?|fbeta( score)?|f (score|measure)"
    r"|(mean|binary|samples?|average) f ?1( score)?|f ?1( score)?,? (binary|(of|for|on) "
    r"(the |a |one )?((?!each |every |all )\w+ )?class)"
)
_ORDINARY = (
    r"kappa|precision|recall|gini|jaccard|dice|iou|sensitivity|specificity|deviance|error rate"
    r"|huber|pinball|perplexity|bleu|rouge|levenshtein|hausdorff|kendall|concordance"
    r"|hamming distance|explained variance|max(imum)? error"
)
"""Metrics that are none of ours and are named by words of other uses, too."""
_ANY = "|".join(_OURS.values())
# At one place the first that fits is taken: "F1 weighted" before "F1".
_NAMES = re.compile(
    rf"(?<!\w)(?=\w)(?:(?P<strange>({_BEFORE})({_ANY})|({_ANY}){_AFTER}|{_STRANGE})|"
    + "|".join(f"(?P<{name}>{words})" for name, words in _OURS.items())
    + rf"|(?P<ordinary>{_ORDINARY}))(?!\w)",
    re.IGNORECASE,
)
_FILLING = {"the", "by", "score", "metric", "neg", "negative"}
_OF_ROWS = r"(ing)?(data)?(set|file|csv|features?|values?|labels?|targets?)?"
"""What is glued to "train" and "test"."""
_LABELLED = rf"[xy]?train{_OF_ROWS}"
_LABELS = r"y(train)?|(train(ing)?)?(labels?|targets?)"
_UNSEEN = rf"[xy]?test{_OF_ROWS}|tests|pred(ict(ed|ions?)?)?|unseen|hold ?out"
_ASKED = r"predict|forecast|classify|estimate|target(?: column| variable)?(?: is|:)?"
_OPENING = re.compile(r"a|an|the|each|every|that|which|who|whose|this|i|not|having|under|across")
"""Words that begin something else, but in a clause go on with it."""
_CLAUSE = re.compile(r"whether|if|which|who|when|how|what")
_ENDING = re.compile(
    r"\W|of|for|from|by|per|with|without|using|given|based|on|in|at|to|as|and|or|via|after|before"
    r"|over|during|within|between|where|when|if|but|except|excluding|ignoring|while|because"
)
"""Marks and words after which something else than what is to be predicted follows."""
_WORDS_AT_MOST = 12
"""Of a column's name."""
_KINDS: tuple[tuple[str, str], ...] = (
    ("time-series", r"forecast\w*|time[- ]series"),
    ("regression", r"regress\w*"),
    ("classification", r"classif\w*"),
)


def metric_called(name: str) -> str:
    """Our name of a metric.

    Raises:
        UsageError: None of ours is called so, or more is said than a name.
    """
    found = {ours for ours, _ in _named_in(name)}
    rest = re.findall(r"\w+", _NAMES.sub(" ", _spaced(name)).lower())
    if len(found) != 1 or not found <= _OURS.keys() or set(rest) - _FILLING:
        raise UsageError(
            f"the metric {name!r} is not one of: {', '.join(METRICS)}. Choose the nearest with "
            "--metric"
        )
    return found.pop()


def metric_in(text: str) -> str | None:
    """The metric a text names first; None: it names none, or first one that is none of ours.

    "Precision" and other words of many uses count as names only where there is nothing else.
    """
    found = next((name for name, _ in _meant_in(text)), None)
    # "RMSE between the logarithms of the prices", as people write RMSLE.
    if found == "rmse" and re.search(r"\b(log|logarithms?|rmsle)\b", text, re.IGNORECASE):
        return "rmsle"
    return found if found in _OURS else None


def unknown_metric_in(text: str, *, plainly: bool = False) -> str | None:
    """A metric that a text names and that cannot be computed here.

    Args:
        text: What is said.
        plainly: Words of many uses do not count even where there is nothing else.
    """
    none = {"ordinary", *_OURS} if plainly else _OURS.keys()
    return next((spoken for name, spoken in _meant_in(text) if name not in none), None)


def _meant_in(text: str) -> list[tuple[str, str]]:
    """Names of metrics as by `_named_in`; ordinary words only where there is nothing else."""
    every = list(_named_in(text))
    return [one for one in every if one[0] != "ordinary"] or every


def _named_in(text: str) -> Iterator[tuple[str, str]]:
    """Names of metrics in their order: which of ours, "strange" or "ordinary", and as spoken."""
    for match in _NAMES.finditer(_spaced(text)):
        yield str(match.lastgroup), match.group(0)


def _spaced(text: str) -> str:
    """The same words with one space between them: no hyphens, brackets, colons, apostrophes.

    Items of a list, and paragraphs, stay apart.
    """
    # "acc" is a word for accuracy; "acc_x" is a column.
    text = re.sub(r"(?<![\w-])acc(?![\w-])", "accuracy", text, flags=re.IGNORECASE)
    text = re.sub(r"\n(?=[ \t]*(?:[-*+#|>\n]|\d+[.)]))", " ; ", text)
    text = re.sub(r"['’`]", "", text)
    return re.sub(r'[-_()\[\]{}=:"“”\s]+', " ", text)


def kind_in(text: str) -> str | None:
    """The kind of problem a text names; None: it names none."""
    for kind, words in _KINDS:
        if re.search(rf"(?<!\w)({words})(?!\w)", text, re.IGNORECASE):
            return kind
    return None


def names_labelled(name: str) -> bool:
    """Whether a file or folder is named like one of labelled rows."""
    return _has_word(_LABELLED, name)


def names_split(name: str) -> bool:
    """Whether a folder is named like a split of labelled rows."""
    return _has_word(rf"{_LABELLED}|valid(ation)?|val|eval(uation)?|dev", name)


def names_labels(name: str) -> bool:
    """Whether a file is named like one of labels without features."""
    return _has_word(_LABELS, name)


def names_unseen(name: str) -> bool:
    """Whether a file or folder is named like one of what is to be predicted.

    By whole words: "contest" and "predictors" are something else.
    """
    return _has_word(_UNSEEN, name)


def twins(names: Iterable[str]) -> dict[str, str]:
    """Names by others that are equal to them but for "train", where these have "test"."""
    every = list(names)
    small = {one.lower(): one for one in every}
    return {
        one: small[other]
        for one in every
        for at in re.finditer("train", one.lower())
        if (other := f"{one[: at.start()]}test{one[at.end() :]}".lower()) in small
    }


def _has_word(words: str, name: str) -> bool:
    parts = " ".join(re.findall(r"[^\W\d_]+", apart(name))).lower()
    return bool(re.search(rf"(?<!\w)({words})(?!\w)", parts))


def column_in(text: str, columns: Sequence[str]) -> str | None:
    """The column that a user's sentence asks to predict; None: it names none, or several alike.

    One named after "predict" or "target", else the only one that is named at all.
    """
    if (asked := column_asked_in(text, columns)) is not None:
        return asked
    named = {one.column for one in _mentions(_words(text), _spellings(columns)).values()}
    mentioned = [name for name in named if len(name) > 2 or not name.isascii()]
    return mentioned[0] if len(mentioned) == 1 else None


def column_asked_in(text: str, columns: Sequence[str]) -> str | None:
    """The column named after "predict" or "target"; what is only mentioned does not count.

    A column counts as named in any spelling: "sale price" is SalePrice. Of several the last is
    meant before a comma or a word like "of" or "from": of "next week's sales by shop" the sales.
    So ends "the price a client pays" with its second article, but not "whether a client leaves".
    """
    names = _spellings(columns)
    for spoken in re.findall(rf"(?<!\w)(?:{_ASKED})\s+(.{{1,120}})", text, re.IGNORECASE):
        words = _words(spoken)
        mentions = _mentions(words, names)
        found: str | None = None
        clause = False
        at = 0
        while at < len(words):
            if at in mentions:
                found = mentions[at].column
                at = mentions[at].end
                continue
            word = words[at]
            if found and (_ENDING.fullmatch(word) or (_OPENING.fullmatch(word) and not clause)):
                return found
            clause = clause or bool(_CLAUSE.fullmatch(word))
            at += 1
        if found:
            return found
    return None


def without_asked(text: str, column: str) -> str:
    """A sentence without the column it asks for, which may be called like a metric."""
    if column_asked_in(text, [column]) is None:
        return text
    parts = (re.escape(word) for word in _words(column) if word.isalnum())
    spelled = r"[\W_]*".join(parts)
    return re.sub(rf"(?<!\w){spelled}s?(?!\w)", "", text, count=1, flags=re.IGNORECASE)


def closest(name: str, columns: Iterable[str]) -> str | None:
    """The column a name means whatever its case and spaces; None: there is none."""
    found = [one for one in columns if _compact(one) == _compact(name)]
    return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class _Mention:
    """A column that a text names."""

    column: str
    end: int
    """The word after it."""


def _spellings(columns: Sequence[str]) -> dict[str, str]:
    """The columns by their names in small letters and digits; the first of several alike."""
    return {_compact(one): one for one in reversed(columns)}


def _mentions(words: Sequence[str], names: Mapping[str, str]) -> dict[int, _Mention]:
    """The columns that are named, by the word they begin with; none lies in a longer one."""
    found: dict[int, _Mention] = {}
    at = 0
    while at < len(words):
        best = None
        spelled = ""
        for end, word in enumerate(words[at : at + _WORDS_AT_MOST], at + 1):
            if word in ",;:!?":
                break
            spelled += word if word.isalnum() else ""
            column = names.get(spelled) or names.get(re.sub(r"(?<=\w\w\w)s$", "", spelled))
            if column and word.isalnum() and not (end == at + 1 and _is_small(words, at)):
                best = _Mention(column, end)
        if best is not None and words[at].isalnum():
            found[at] = best
            at = best.end
        else:
            at += 1
    return found


def _is_small(words: Sequence[str], at: int) -> bool:
    """Whether a word that is a column's name, too, is the "a" of "a price"."""
    small = any(kind.fullmatch(words[at]) for kind in (_OPENING, _CLAUSE, _ENDING))
    return small and at + 1 < len(words) and not _ENDING.fullmatch(words[at + 1])


def _words(text: str) -> list[str]:
    """Words in small letters, and the marks between them; "SalePrice" is two words.

    A hyphen in a word and a quote before one are no marks: they do not end what was said.
    """
    whole = re.sub(r"(?<=\w)['’](?=\w)", "", apart(unicodedata.normalize("NFKC", text)))
    return re.findall(r'[^\W_]+|[,;:.!?()|/~+–—]|(?<!\w)-|-(?!\w)|(?<=\w)["”`]', whole.lower())


def _compact(name: str) -> str:
    return "".join(word for word in _words(name) if word.isalnum())
