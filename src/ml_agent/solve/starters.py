"""Scripts to start from: honest, short and mediocre, one for each kind of problem.

Written like the starters of the library's tasks, so that the same ideas apply to them. They use a
few of the columns: what the others are worth is for the search to find.
"""

from ml_agent.core.records import Domain
from ml_agent.solve.records import Perceived
from ml_agent.tasks import METRICS

_COLUMNS_USED = 8

_TABLE = """import pandas as pd
{imports}

train = pd.read_csv("data/train.csv")
predict = pd.read_csv("data/predict.csv")

# keep it simple: a few numeric columns, missing values as 0
columns = {columns}
X = train[columns].fillna(0)
y = train[{target}]
X_new = predict[columns].fillna(0)

"""

_WORDS = """import pandas as pd
{imports}
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

train = pd.read_csv("data/train.csv")
predict = pd.read_csv("data/predict.csv")

# there are no numbers: every category is a column of its own
columns = {columns}
X = train[columns].astype(str)
y = train[{target}]
X_new = predict[columns].astype(str)

"""

_TEXT = """import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
{imports}

train = pd.read_csv("data/train.csv")
predict = pd.read_csv("data/predict.csv")

# the 300 most frequent words say what a text is about
words = TfidfVectorizer(max_features=300)
X = words.fit_transform(train[{text}].fillna(""))
y = train[{target}]
X_new = words.transform(predict[{text}].fillna(""))

"""

_IMAGES = """import numpy as np
import pandas as pd
{imports}

train = pd.read_csv("data/train.csv")
predict = pd.read_csv("data/predict.csv")

# every fourth pixel of every fourth row
images = np.load("data/train_images.npy")[:, ::4, ::4]
new_images = np.load("data/predict_images.npy")[:, ::4, ::4]
X = images.reshape(len(images), -1) / 255.0
y = train[{target}]
X_new = new_images.reshape(len(new_images), -1) / 255.0

"""

_END = """model = {model}
model.fit(X, y)
print("score on the rows it learned from:", round(model.score(X, y), 4))
submission = pd.DataFrame({{"id": predict["id"], "prediction": {prediction}}})
submission.to_csv("submission.csv", index=False)
"""
"""How every one of them ends,"""

_END_PROBABILITIES = """model = {model}
model.fit(X, y)
print("score on the rows it learned from:", round(model.score(X, y), 4))
# a column of probabilities for each class
submission = pd.DataFrame(model.predict_proba(X_new), columns=sorted(set(y)))
submission.insert(0, "id", predict["id"])
submission.to_csv("submission.csv", index=False)
"""
"""and where the metric wants the probability of every class."""


def starter_script(perceived: Perceived) -> str:
    """A script of ours for a task."""
    numbers = [name for name, kind in perceived.features.items() if kind == "number"]
    words = [name for name, kind in perceived.features.items() if kind == "category"]
    columns: list[str] = []
    match perceived.domain:
        case Domain.TEXT:
            template, models = _TEXT, ("LogisticRegression(C=0.1)", "Ridge(alpha=10.0)")
        case Domain.IMAGE:
            template, models = _IMAGES, ("KNeighborsClassifier(15)", "Ridge(alpha=100.0)")
        case Domain.TIME_SERIES if numbers:
            template, models = _TABLE, ("LogisticRegression(C=0.1)", "Ridge(alpha=10.0)")
            columns = _spread(numbers)
        case _ if numbers:
            template = _TABLE
            models = (
                "DecisionTreeClassifier(max_depth=3, random_state=0)",
                "DecisionTreeRegressor(max_depth=3, random_state=0)",
            )
            columns = _spread(numbers)
        case _:
            template, models = _WORDS, ("LogisticRegression(C=0.05)", "Ridge(alpha=10.0)")
            columns = _spread(words or list(perceived.features))
    measure = METRICS[perceived.metric.name]
    model = models[0] if measure.of_classes else models[1]
    end = _END_PROBABILITIES if measure.predicts == "probabilities" else _END
    imports = _import_of(model)
    if template is _WORDS:
        model = f'make_pipeline(OneHotEncoder(handle_unknown="ignore"), {model})'
    return (template + end).format(
        imports=imports,
        columns=repr(columns),
        target=repr(perceived.target),
        text=repr(perceived.text),
        model=model,
        prediction=_prediction(perceived),
    )


def _spread(names: list[str]) -> list[str]:
    """A few names from all over the table, in its order."""
    step = max(1, len(names) // _COLUMNS_USED)
    return names[::step][:_COLUMNS_USED]


def _prediction(perceived: Perceived) -> str:
    measure = METRICS[perceived.metric.name]
    if measure.two_classes:
        return "model.predict_proba(X_new)[:, 1]"
    if measure.lowest is not None:
        return f"model.predict(X_new).clip({measure.lowest:g})"
    return "model.predict(X_new)"


def _import_of(model: str) -> str:
    name = model.split("(", maxsplit=1)[0]
    module = {"D": "tree", "L": "linear_model", "R": "linear_model", "K": "neighbors"}[name[0]]
    return f"from sklearn.{module} import {name}"
