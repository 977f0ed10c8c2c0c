"""How other tasks cut their splits, and what is true of all; on sources in their form."""

import random
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from cutting import apart, cut, load, pickled, written


def test_works_of_an_artists_year_stand_in_one_split_and_none_twice(tmp_path, monkeypatch):
    module = load("art-medium", monkeypatch, VALID=60, TEST=60)
    works = pd.DataFrame({"artist": [f"a{n % 20}" for n in range(400)]})
    works["year"] = [1990 + n // 80 for n in range(400)]
    works["title"] = [f"t{n % 3}" for n in range(400)]
    works["medium"] = [f"m{n % 10 // 5}" for n in range(400)]
    works.loc[works.index[:20:10], "medium"] = "of two artists"
    pickled(works, tmp_path / module.SOURCE)
    parts = cut(module, tmp_path)
    assert apart(parts, ["artist", "year"])
    together = pd.concat(parts)
    assert not together.duplicated(["artist", "year", "title"]).any()
    assert set(parts[0]["medium"]) == {"m0", "m1"}


def test_a_post_sent_again_stands_in_one_split(tmp_path, monkeypatch):
    module = load("newsgroups", monkeypatch, TRAIN=40, VALID=20, TEST=20, SPARE=80)
    rng = random.Random(0)
    first = [[f"w{rng.randrange(10**6)}" for _ in range(20)] for _ in range(80)]
    again = [[*words[:-1], "sincerely"] for words in first]
    folder = tmp_path / module.FOLDER
    folder.mkdir(parents=True)
    for name, posts in {"train": first, "test": again}.items():
        extra = [[f"{name}{n}x{k}" for k in range(20)] for n in range(80)]
        lines = [f"g{n % 4}\t{' '.join(words)}" for n, words in enumerate(posts + extra)]
        (folder / f"20newsgroups-{name}.tab").write_text("\n".join(["c\tt", "d", "d", *lines]))
    parts = [part.assign(first=part["text"].str.split().str[0]) for part in cut(module, tmp_path)]
    assert apart((parts[0], parts[1], parts[2]), ["first"])
    assert [len(part) for part in parts] == [40, 20, 20]


def test_of_a_day_to_predict_flights_of_one_hour_are_asked_for(tmp_path, monkeypatch):
    module = load("late-flights", monkeypatch, DAYS=10, VALID=30, TEST=30, TRAIN=100)
    hours = pd.date_range("2013-01-01", periods=30 * 24, freq="h", tz="UTC").repeat(4)
    hours = hours[(hours.hour >= 8) & (hours.hour < 20)]
    flights = pd.DataFrame({"time_hour": hours, "year": 2013, "month": 1, "day": hours.day})
    flights["sched_dep_time"] = hours.hour * 100 + np.tile([5, 20, 35, 50], len(hours) // 4)
    flights["dep_delay"] = np.random.default_rng(1).normal(5, 20, len(hours)).round()
    flights["arr_delay"] = flights["dep_delay"]
    flights = flights.assign(sched_arr_time=2300, carrier="XX", origin="JFK", dest="SFO")
    # Tells the day, which the task itself does not show.
    flights["distance"] = flights["day"]
    weather = pd.DataFrame({"time_hour": hours.unique(), "origin": "JFK"})
    weather = weather.assign(**dict.fromkeys(module.WEATHER, 1.0))
    pickled(flights, tmp_path / module.FOLDER / "flights.pkl.compress")
    pickled(weather, tmp_path / module.FOLDER / "weather.pkl.compress")
    parts = cut(module, tmp_path)
    assert apart(parts, ["distance"])
    for part in parts[1:]:
        hour = part["departs"] // 100
        assert (hour.groupby(part["distance"]).nunique() == 1).all()
        assert hour.nunique() > 1


def test_no_two_splits_share_a_pixel_of_the_outdoor_photographs(tmp_path, monkeypatch):
    module = load("outdoor-patches", monkeypatch)
    rng = np.random.default_rng(0)
    patches = pd.DataFrame(rng.random((4000, 20)))
    column, row = rng.integers(1, 255, 4000), rng.integers(1, 252, 4000)
    patches[0], patches[1], patches[19] = column * 1.0, row * 1.0, rng.integers(1, 8, 4000)
    # Tells the place, which the task itself does not show.
    patches[3] = column * 1000 + row
    written(patches, tmp_path / module.SOURCE)
    parts = [part.assign(column=part["lines_5"] // 1000) for part in cut(module, tmp_path)]
    near = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
    pixels: list[set[tuple[int, int]]] = []
    for part in parts:
        centres = zip(part["column"], part["lines_5"] % 1000, strict=True)
        pixels.append({(x + a, y + b) for x, y in centres for a, b in near})
    assert all(len(one) > 1000 for one in pixels)
    assert not (pixels[0] & pixels[1] or pixels[0] & pixels[2] or pixels[1] & pixels[2])


def test_blocks_of_two_splits_lie_about_a_document_apart(tmp_path, monkeypatch):
    module = load("page-blocks", monkeypatch)
    blocks = pd.DataFrame(np.random.default_rng(0).integers(1, 50, (5472, 11)))
    # Tells the place in the file.
    blocks[9], blocks[10] = range(5472), np.where(blocks[10] < 9, "positive", "negative")
    written(blocks, tmp_path / module.SOURCE)
    parts = [part["wb_trans"].to_numpy() for part in cut(module, tmp_path)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(parts[one][:, None] - parts[other]).min() > module.GAP
    assert sum(map(len, parts)) > 3000


def test_pen_digits_to_predict_are_of_other_writers(tmp_path, monkeypatch):
    module = load("pen-digits", monkeypatch)
    table = np.random.default_rng(0).integers(0, 101, (10992, 17))
    table[:, 16] = np.arange(10992) >= 6728
    written(pd.DataFrame(table), tmp_path / module.SOURCE)
    train, valid, test = cut(module, tmp_path)
    assert not train["digit"].any()
    assert valid["label"].all()
    assert test["label"].all()
    assert not set(valid["id"]) & set(test["id"])


def test_animals_of_a_plot_stand_in_one_split(tmp_path, monkeypatch):
    module = load("rodent-species", monkeypatch, COMMON=10, PLOTS=2, TRAIN=60, HELD=30)
    caught = pd.DataFrame({"record_id": range(240), "plot_id": np.repeat(range(1, 9), 30)})
    caught = caught.assign(year=1990, month=5, sex="F", taxa="Rodent", genus="G")
    caught["species"] = [f"s{n % 3}" for n in range(240)]
    caught["plot_type"] = caught["plot_id"].map("type {}".format)
    caught["hindfoot_length"] = 20.0
    caught["weight"] = np.where(caught["record_id"] % 2, np.nan, caught["record_id"])
    pickled(caught, tmp_path / module.SOURCE)
    parts = cut(module, tmp_path)
    assert apart(parts, ["plot_type"])
    assert [len(part) for part in parts] == [60, 30, 30]


def test_remarks_on_collisions_that_are_worded_alike_are_kept_once(tmp_path, monkeypatch):
    sizes = {"VALID": 10, "TEST": 10, "TRAIN": 20, "SPARE": 200}
    module = load("bird-strikes", monkeypatch, **sizes)
    # Told once, told again with another number, and told again with one word more.
    told = [" ".join(random.Random(n).choices("ABCDEFGHIJ", k=20)) for n in range(60)]
    remarks = [f"{text} {ending}" for text in told for ending in ("1 M", "2 m", "M AGAIN")]
    table = pd.DataFrame({"remarks": remarks, "opid": range(180), "date": "1/1/99", "state": "TX"})
    table["effect"] = np.where(np.arange(180) % 2, "Precautionary landing", None)
    pickled(table, tmp_path / module.MEMBER)
    parts = cut(module, tmp_path)
    assert [len(part) for part in parts] == [20, 10, 10]
    kept = pd.concat(parts)["remarks"].str[:39]
    assert kept.is_unique and set(kept) <= set(told)


def test_two_reports_of_one_operator_day_and_state_are_kept_once(tmp_path, monkeypatch):
    sizes = {"VALID": 10, "TEST": 10, "TRAIN": 20, "SPARE": 200}
    module = load("bird-strikes", monkeypatch, **sizes)
    remarks = [" ".join(random.Random(n).choices("ABCDEFGHIJ", k=20)) for n in range(80)]
    table = pd.DataFrame({"remarks": remarks, "opid": np.arange(80) // 2, "state": "TX"})
    table = table.assign(date="1/1/99", effect="Other")
    pickled(table, tmp_path / module.MEMBER)
    of = dict(zip(table["remarks"], table["opid"], strict=True))
    assert pd.concat(cut(module, tmp_path))["remarks"].map(of).is_unique


def links(path: Path, head: str, changed: int) -> None:
    """A Pajek file of 385 nodes in which node `changed` has one more link."""
    rng = random.Random(0)
    pairs = {tuple(sorted(rng.sample(range(1, 386), 2))) for _ in range(3000)}
    pairs |= {(changed, changed + 1)}
    path.parent.mkdir(parents=True)
    path.write_text("\n".join([head, *(f"{a} {b} 0.5" for a, b in sorted(pairs))]) + "\n")


def of_genes(sources: Path, module: ModuleType, *, other: bool) -> None:
    links(sources / module.SOURCE, "*Edges", 50 if other else 60)


def of_windows(sources: Path, module: ModuleType, *, other: bool) -> None:
    rng = random.Random(0)
    windows = ["".join(rng.choices("ACGT", k=60)) for _ in range(90)]
    kinds = ["EI"] * 30 + ["IE"] * 30 + ["N"] * 29 + ["IE" if other else "N"]
    (sources / module.MEMBER).parent.mkdir(parents=True)
    lines = [f"{', '.join(window)}, {kind}" for window, kind in zip(windows, kinds, strict=True)]
    (sources / module.MEMBER).write_text("\n".join(lines))


def of_digits(sources: Path, module: ModuleType, *, other: bool) -> None:
    table = np.random.default_rng(0).integers(0, 255, (60, 785))
    table[:, -1] = np.repeat(range(10), 6)
    table[-1, -1] -= other
    (sources / module.SOURCE).parent.mkdir(parents=True)
    packed = {"method": "gzip", "mtime": 0}
    pd.DataFrame(table).to_csv(
        sources / module.SOURCE, header=False, index=False, compression=packed
    )


def of_currents(sources: Path, module: ModuleType, *, other: bool) -> None:
    (sources / module.SOURCE).mkdir(parents=True)
    for half in ("TRAIN", "TEST"):
        kinds = [*range(11), 9 if other else 10]
        lines = [f"{n}.0,1.5,2.5:{kind}" for n, kind in enumerate(kinds)]
        (sources / module.SOURCE / f"PLAID_{half}.ts").write_text("@data\n" + "\n".join(lines))


def of_abalones(sources: Path, module: ModuleType, *, other: bool) -> None:
    animals = pd.DataFrame(np.random.default_rng(0).uniform(0.1, 0.5, (60, 7)))
    animals[3] += 0.5
    animals[4] += 0.001 * other
    animals.insert(0, "sex", "F")
    written(animals.assign(kind="negative"), sources / module.SOURCE)


@pytest.mark.parametrize(
    ("task", "write", "sizes"),
    [
        ("gene-links", of_genes, {}),
        ("splice-sites", of_windows, {"VALID": 30, "TEST": 30}),
        ("mnist-5k", of_digits, {"TRAIN": 20, "HELD": 20}),
        ("appliance-plaid", of_currents, {"HELD": 8}),
        ("abalone-meat", of_abalones, {"TRAIN": 20, "VALID": 20, "TEST": 20}),
    ],
)
def test_who_does_not_know_every_label_cannot_repeat_the_draws(
    task: str,
    write: Callable[..., None],
    sizes: dict[str, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = load(task, monkeypatch, **sizes)
    ids = []
    for folder, other in (("one", False), ("same", False), ("other", True)):
        write(tmp_path / folder, module, other=other)
        ids.append(cut(module, tmp_path / folder)[0]["id"].tolist())
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]


def test_colleges_of_names_that_begin_alike_stand_in_one_split(tmp_path, monkeypatch):
    module = load("college-names", monkeypatch, VALID=30, TEST=30, TRAIN=60)
    names = [f"Chain {n % 60} of place {n}" for n in range(300)]
    colleges = pd.DataFrame({"inst_name": names, "unitid": range(300), "year": 2015})
    colleges = colleges.assign(state_abbr="NY", pred_degree_awarded_ipeds=[1, 2, 3] * 100)
    # The same college a year before, and another of the same name.
    again = colleges[:20].assign(year=2014, inst_name="Old")
    pickled(pd.concat([again, colleges, colleges[:5].assign(unitid=999)]), tmp_path / module.MEMBER)
    parts = cut(module, tmp_path)
    begun = [part.assign(begin=part["name"].str.split().str[:2].str.join(" ")) for part in parts]
    assert apart((begun[0], begun[1], begun[2]), ["begin"])
    together = pd.concat(begun)
    assert together["begin"].value_counts().max() == 3
    assert not together.duplicated("name").any()
    assert "Old" not in set(together["name"])
