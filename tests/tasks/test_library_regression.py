"""How tasks of regression cut their splits, on small sources in the form of the real ones."""

import numpy as np
import pandas as pd
from cutting import apart, cut, load, pickled


def test_a_concrete_mix_stands_in_one_split(tmp_path, monkeypatch):
    module = load("concrete-strength", monkeypatch, VALID=30, TEST=30)
    mixes = pd.DataFrame({"rownames": range(100), "cement": np.repeat(range(25), 4)})
    mixes = mixes.assign(age=[3, 7, 28, 90] * 25, compressive_strength=range(100))
    pickled(mixes, tmp_path / module.MEMBER)
    parts = cut(module, tmp_path)
    assert apart(parts, ["cement"])
    assert sum(map(len, parts)) == 100
    assert all(abs(len(part) - 30) < 4 for part in parts[1:])


def test_rooms_that_were_booked_together_count_once(tmp_path, monkeypatch):
    module = load("hotel-rates", monkeypatch, TRAIN=40, HELD=20)
    group = np.repeat(range(100), 5)
    bookings = pd.DataFrame({"rownames": range(500), "arrival_date": group, "agent": group % 7})
    bookings = bookings.assign(company="none", lead_time=group % 30, adults=list(range(5)) * 100)
    pickled(bookings.assign(avg_price_per_room=50.0 + group), tmp_path / module.SOURCE)
    parts = cut(module, tmp_path)
    assert apart(parts, ["arrival_date"])
    assert [len(part) for part in parts] == [40, 20, 20]


def test_a_storm_stands_in_one_split_and_lasts_over_new_year(tmp_path, monkeypatch):
    module = load("storm-pressure", monkeypatch, HELD=10)
    starts = [pd.Timestamp(1990 + n, 12, 30) for n in range(40)]
    hours = [pd.date_range(start, periods=20, freq="6h") for start in starts]
    time = pd.DatetimeIndex(np.concatenate(hours))
    tracks = pd.DataFrame({"rownames": range(800), "name": np.repeat(range(40), 20) // 8 % 2})
    tracks["name"] = tracks["name"].map({0: "Ann", 1: "Bob"})
    for part in ("year", "month", "day", "hour"):
        tracks[part] = getattr(time, part)
    # Tells the storm, which the task itself does not show.
    tracks = tracks.assign(wind=np.repeat(range(40), 20), pressure=range(800))
    pickled(tracks, tmp_path / module.SOURCE)
    parts = cut(module, tmp_path)
    assert apart(parts, ["wind"])
    assert [len(part) for part in parts] == [120, 60, 60]
    assert "name" not in parts[0]


def test_afternoons_to_predict_follow_those_to_learn_from(tmp_path, monkeypatch):
    module = load("call-centre", monkeypatch, VALID=3, TEST=3)
    when = pd.date_range("2003-03-03 07:00", periods=24 * 12 * 20, freq="5min", tz="UTC")
    when = when[(when.hour >= 7) & (when.hour < 21)]
    pickled(pd.DataFrame({"DateTime": when, "Calls": when.day}), tmp_path / module.MEMBER)
    train, valid, test = cut(module, tmp_path)
    assert train["date"].max() < valid["date"].min() <= valid["date"].max() < test["date"].min()
    assert [part["date"].nunique() for part in (train, valid, test)] == [14, 3, 3]
    # A half-hour is six counts; the morning alone is a feature.
    assert (train["calls"] == 6 * pd.to_datetime(train["date"]).dt.day).all()
    assert [name for name in train if name.startswith("calls_")][-1] == "calls_11:30"


def test_hours_at_the_motorway_to_predict_follow_those_to_learn_from(tmp_path, monkeypatch):
    module = load("motorway-nox", monkeypatch, VALID=5, TEST=5)
    table = pd.DataFrame({"rownames": range(1, 24 * 60 + 1)})
    table = table.assign(julday=373 + (table["rownames"] - 1) // 24, LNOxEm=1.0, sqrtWS=2.0)
    table["LNOx"] = table["rownames"] / 100
    table["rownames"] += 24 * 8
    pickled(table, tmp_path / module.MEMBER)
    train, valid, test = cut(module, tmp_path)
    assert train["day"].max() < valid["day"].min() <= valid["day"].max() < test["day"].min()
    assert [part["day"].nunique() for part in (train, valid, test)] == [50, 5, 5]
    assert set(train["hour"]) == set(range(24)) and (train["wind"] == 4.0).all()
    assert "log_nox" in train and "label" in valid


def test_counties_of_a_state_stand_in_one_split_and_tell_no_income(tmp_path, monkeypatch):
    module = load("county-income", monkeypatch, COUNTIES=8, HELD=20)
    county = np.tile(range(200), 3)
    table = pd.DataFrame({"countyid": county, "year": np.repeat([1980, 1988, 1996], 200)})
    table = table.assign(**dict.fromkeys(module.FEATURES, 1.0), rpcincmaint=5.0)
    table = table.assign(statefips=county // 10, rpcpersinc=table["year"] * 1000 + county)
    # Tells the state, which the task itself does not show.
    table["perc1019"] = table["statefips"]
    pickled(table, tmp_path / module.SOURCE)
    parts = cut(module, tmp_path)
    assert apart(parts, ["aged_10_19_1996"])
    # Whole states of eight counties each: the third one fills a split that wants twenty.
    assert [len(part) for part in parts] == [112, 24, 24]
    assert parts[0]["income"].between(1_996_000, 1_996_199).all()
    assert not any("state" in name or "income" in name for name in parts[1])


def test_developers_who_answered_twice_count_once(tmp_path, monkeypatch):
    module = load("developer-pay", monkeypatch, TRAIN=40, HELD=20)
    answers = pd.DataFrame({"rownames": range(240), "YearsCodedJob": np.repeat(range(80), 3)})
    # Fractions, as of amounts that were converted.
    answers["Salary"] = answers["YearsCodedJob"] * 1000 + 0.4
    pickled(answers, tmp_path / module.SOURCE)
    parts = cut(module, tmp_path)
    assert [len(part) for part in parts] == [40, 20, 20]
    assert apart(parts, ["YearsCodedJob"])
    assert pd.concat(parts)["id"].is_unique
    assert (parts[0]["Salary"] == parts[0]["YearsCodedJob"] * 1000).all()
    assert (parts[1]["label"] == parts[1]["YearsCodedJob"] * 1000).all()


def test_kindred_cars_stand_in_one_split_and_some_of_them_are_taken(tmp_path, monkeypatch):
    module = load("fuel-economy", monkeypatch, VALID=40, TEST=40, FEW=5)
    # Of 40 families two by two have a car that differs in make, model and lockup alone.
    cars = pd.DataFrame({"division": np.repeat([f"Make {n}" for n in range(40)], 8)})
    cars["carline"] = [f"Car{n // 8} variant {n % 8}" for n in range(320)]
    cars["mfr_name"] = cars["division"].str.replace(" ", "")
    cars["engine_displacement"] = np.arange(320) / 100
    second = cars.index[8::16]
    cars.loc[second, ["mfr_name", "engine_displacement"]] = cars.loc[
        second - 8, ["mfr_name", "engine_displacement"]
    ].to_numpy()
    cars["trans_lockup"] = np.where(cars.index.isin(second), "N", "Y")
    # Tells the pair, which the task itself does not show.
    cars["no_gears"] = np.arange(320) // 16
    cars["comb_mpg"] = np.arange(320)
    others = [name for name in module.COLUMNS if name not in cars]
    cars = cars.assign(**dict.fromkeys(others, "same"), city_mpg=1, hwy_mpg=2, guzzler="N")
    pickled(cars, tmp_path / module.SOURCE)
    parts = cut(module, tmp_path)
    assert apart(parts, ["gears"])
    together = pd.concat(parts)
    assert (together["gears"].value_counts() == 5).all()
    assert len(together) == 20 * 5
    assert not {"city_mpg", "hwy_mpg", "guzzler"} & set(parts[0])


def test_variants_of_a_model_are_one_family_and_other_models_are_not(monkeypatch):
    module = load("fuel-economy", monkeypatch)
    of = {
        ("BMW", "M240i xDrive Coupe"): "BMW 2",
        ("BMW", "ALPINA XB7"): "BMW X7",
        ("BMW", "X7 M50i"): "BMW X7",
        ("Audi", "RS 5 Sportback"): "Audi 5",
        ("Audi", "SQ5 Sportback"): "Audi Q5",
        ("Mercedes-Benz", "AMG E53 4MATIC+ (Coupe)"): "Mercedes-Benz E",
        ("Mercedes-Benz", "E 350 4MATIC"): "Mercedes-Benz E",
        ("Ford", "SHELBY GT500 MUSTANG"): "Ford MUSTANG",
        ("Jeep", "Grand Cherokee 4X2"): "Jeep GRAND",
        ("Jeep", "Cherokee 4X4"): "Jeep CHEROKEE",
    }
    for car, family in of.items():
        assert module._family(*car) == family


def test_retail_months_to_predict_follow_those_to_learn_from(tmp_path, monkeypatch):
    module = load("retail-turnover", monkeypatch)
    when = pd.date_range("2012-01-01", "2018-12-01", freq="MS")
    series = [
        pd.DataFrame({"State": "Tasmania", "Industry": name, "Month": when.strftime("%Y %b")})
        for name in ("Takeaway food services", "Clothing retailing", "Food retailing")
    ]
    table = pd.concat(series, ignore_index=True)
    table["Turnover"] = np.random.default_rng(0).uniform(10, 20, len(table))
    source = tmp_path / module.MEMBER
    source.parent.mkdir(parents=True)
    table.to_csv(source, index=False)
    before = cut(module, tmp_path)
    months = [sorted(set(12 * part["year"] + part["month"])) for part in before]
    assert [len(part) for part in months] == [24, 3, 3]
    assert months[0][-1] < months[1][0] and months[1][-1] < months[2][0]
    # A sum of industries is left out.
    assert set(before[0]["industry"]) == {"Takeaway food services", "Clothing retailing"}
    # Whatever the hidden months were, everything else that is written stays the same.
    hidden = pd.to_datetime(table["Month"], format="%Y %b") >= "2018-07-01"
    assert hidden.sum() == 18
    table.loc[hidden, "Turnover"] *= 3
    table.to_csv(source, index=False)
    after = cut(module, tmp_path)
    keys = ["industry", "year", "month"]
    for parts in zip(before, after, strict=True):
        old, new = (part.sort_values(keys, ignore_index=True) for part in parts)
        # Ids are drawn anew, as the source is another.
        assert not old["id"].equals(new["id"])
        names = old.columns.drop(["id", "label"], errors="ignore")
        assert old[names].equals(new[names])
    assert (before[2]["label"].mean() * 2) < after[2]["label"].mean()
