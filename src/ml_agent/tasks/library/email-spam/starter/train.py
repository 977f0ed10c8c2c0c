import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

mails = pd.read_csv("data/train.csv")
unseen = pd.read_csv("data/predict.csv")

USED = ["cc", "attach", "dollar", "password", "exclaim_mess", "num_char", "image"]

pipe = Pipeline(
    [
        ("scale", MinMaxScaler()),
        ("clf", LogisticRegression(C=0.05, max_iter=100)),
    ]
)
scores = cross_val_score(pipe, mails[USED], mails["spam"], cv=3, scoring="roc_auc")
print(f"cv auc {scores.mean():.3f} +- {scores.std():.3f}")

pipe.fit(mails[USED], mails["spam"])
proba = pipe.predict_proba(unseen[USED])[:, 1]
pd.DataFrame({"id": unseen["id"], "prediction": proba}).to_csv("submission.csv", index=False)
