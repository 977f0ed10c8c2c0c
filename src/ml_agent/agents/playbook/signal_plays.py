"""Plays on images and series: rows whose neighbouring values belong together."""

from ml_agent.agents.playbook.builders import alike, before_model, constant, either, keywords, rows
from ml_agent.agents.playbook.feature_builders import before_training, row_statistic
from ml_agent.agents.playbook.plays import SIGNAL, TEXT, Play, data, learning
from ml_agent.core.records import Domain

_STEPS = r"(n_?)?(steps|epochs|iterations|iters|rounds)"

SIGNAL_PLAYS: tuple[Play, ...] = (
    data(
        "differences",
        "add the differences of neighbouring values",
        SIGNAL,
        rows("np.c_[Z, np.diff(Z, axis=1)]"),
    ),
    data(
        "smooth",
        "smooth each row over neighbouring values",
        SIGNAL,
        rows("Z + np.roll(Z, 1, axis=1) + np.roll(Z, -1, axis=1)"),
    ),
    data("thin-out", "keep every second value of each row", SIGNAL, rows("np.asarray(Z)[:, ::2]")),
    data(
        "square-root",
        "take the square root of the values",
        (Domain.IMAGE,),
        rows("np.sqrt(np.abs(Z))"),
    ),
    data(
        "unit-rows",
        "scale each row to length one",
        (*SIGNAL, *TEXT),
        either(before_model("Normalizer()"), before_model("Normalizer()", sparse=True)),
    ),
    data(
        "binarise",
        "make the values black or white",
        (Domain.IMAGE,),
        before_model("MinMaxScaler(), Binarizer(threshold=0.3)"),
    ),
    data(
        "shifted-left",
        "add a copy of every image shifted to the left",
        (Domain.IMAGE,),
        before_training(
            "{X}, {y} = np.vstack([{X}, np.roll({X}, -1, axis=1)]), np.concatenate([{y}, {y}])"
        ),
    ),
    data(
        "every-second",
        "train on every second image to be faster",
        SIGNAL,
        before_training("{X}, {y} = {X}[::2], {y}[::2]"),
    ),
    data(
        "smooth-training",
        "blur the training images",
        (Domain.IMAGE,),
        before_training("{X} = ({X} + np.roll({X}, 1, axis=1) + np.roll({X}, -1, axis=1)) / 3"),
    ),
    data(
        "shifted-rows",
        "add a copy of every row shifted by one value",
        (Domain.IMAGE,),
        before_training(
            "{X} = np.vstack([{X}, np.roll({X}, 1, axis=1)])", "{y} = np.concatenate([{y}, {y}])"
        ),
    ),
    data(
        "row-mean",
        "add the mean and spread of each row",
        SIGNAL,
        rows("np.c_[Z, np.mean(Z, axis=1), np.std(Z, axis=1)]"),
    ),
    data(
        "minimum",
        "add the smallest value of each row",
        SIGNAL,
        row_statistic("minimum", "np.nanmin({Z}, axis=1)"),
    ),
    data(
        "length",
        "add how many values each row has",
        SIGNAL,
        row_statistic("length", "np.isfinite({Z}).sum(axis=1)"),
    ),
    data(
        "roughness",
        "add the mean step between neighbouring values",
        SIGNAL,
        row_statistic("roughness", "np.nanmean(np.abs(np.diff({Z}, axis=1)), axis=1)"),
    ),
    data(
        "median-value",
        "add the median of each row",
        SIGNAL,
        row_statistic("median", "np.nanmedian({Z}, axis=1)"),
    ),
    data(
        "energy",
        "add the mean square of each row",
        SIGNAL,
        row_statistic("energy", "np.nanmean({Z} ** 2, axis=1)"),
    ),
    learning(
        "blocks",
        "look at the images in finer blocks",
        (Domain.IMAGE,),
        constant("block|pool|cell", "4"),
    ),
    learning(
        "finest-blocks",
        "look at the images in blocks of two pixels",
        (Domain.IMAGE,),
        constant("block|pool|cell", "2"),
    ),
    learning(
        "many-more-iterations",
        "train ten times as long",
        (Domain.IMAGE, Domain.TIME_SERIES),
        constant(_STEPS, "1500"),
    ),
    learning(
        "fewer-iterations",
        "stop the training early",
        SIGNAL,
        either(constant(_STEPS, "10"), keywords(alike("max_iter=5", "MLP"))),
    ),
)
"""All plays of this file."""
