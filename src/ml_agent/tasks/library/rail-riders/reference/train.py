"""Weekday, season and holidays, and the station's change since 14 days before; boosted trees."""

import numpy as np
import pandas as pd
from pandas.tseries.holiday import USFederalHolidayCalendar
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor

LAG = pd.Timedelta(days=14)
HOLIDAYS = USFederalHolidayCalendar().holidays("2000-12-01", "2017-01-31")


def near(dates: pd.Series) -> np.ndarray:
    """Days since the nearest federal holiday, negative before it; at most 4 either way."""
    apart = (dates.to_numpy()[:, None] - HOLIDAYS.to_numpy()) / np.timedelta64(1, "D")
    nearest = np.abs(apart).argmin(axis=1)
    return np.clip(apart[np.arange(len(dates)), nearest], -4, 4)


def features(rows: pd.DataFrame) -> pd.DataFrame:
    """What stands in the row, and what its date means now and 14 days before."""
    made = rows.drop(columns=["id", "date", "ridership"], errors="ignore")
    date = pd.to_datetime(rows["date"])
    made["weekday"], made["day_of_year"] = date.dt.dayofweek, date.dt.dayofyear
    made["time"] = date.dt.year + date.dt.dayofyear / 365
    for name, day in (("now", date), ("then", date - LAG)):
        made[f"holiday_{name}"] = day.isin(HOLIDAYS).astype(int)
        made[f"near_{name}"] = near(day)
        thanksgiving = (day.dt.month == 11) & (day.dt.dayofweek == 4) & day.dt.day.between(23, 29)
        christmas = (day.dt.month == 12) & (day.dt.day >= 24)
        made[f"bridge_{name}"] = (thanksgiving | christmas).astype(int)
        made[f"closed_{name}"] = ((day.dt.dayofweek >= 5) | day.isin(HOLIDAYS)).astype(int)
    return made


train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
X, y, X_new = features(train), train["ridership"], features(predict)
boosted = HistGradientBoostingRegressor(
    loss="absolute_error",
    max_iter=200,
    learning_rate=0.07,
    max_leaf_nodes=10,
    max_features=0.3,
    random_state=0,
)
change = y - train["Clark_Lake"]
trees = ExtraTreesRegressor(80, max_features=0.5, min_samples_leaf=2, random_state=0)
changed = predict["Clark_Lake"] + trees.fit(X, change).predict(X_new)
predict["prediction"] = 0.7 * boosted.fit(X, y).predict(X_new) + 0.3 * changed
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
print(f"{X.shape[1]} columns, {len(X)} days")
