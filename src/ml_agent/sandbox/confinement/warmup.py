"""What a zygote does once so that no worker has to: first calls import and compile lazily.

Trusted code of ours. It leaves no global state behind but used random generators, and every worker
seeds those anew (`script`).
"""

import io
import sys
import warnings


def warm_up() -> None:
    """Call the most used parts of whichever libraries are loaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "sklearn" in sys.modules and "pandas" in sys.modules:
            _sklearn()
        if "torch" in sys.modules:
            _torch()


def _sklearn() -> None:
    import numpy as np
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4))
    y = (x[:, 0] > 0).astype(int)
    written = pd.DataFrame(x, columns=list("abcd")).assign(e=["u", "v", "w"] * 20).to_csv()
    frame = pd.read_csv(io.StringIO(written))
    columns = ColumnTransformer(
        [("numbers", StandardScaler(), list("abcd")), ("words", OneHotEncoder(), ["e"])]
    )
    make_pipeline(columns, LogisticRegression()).fit(frame, y).predict(frame)
    cross_val_score(LogisticRegression(), x, y, cv=2)
    Ridge().fit(x, y).predict(x)
    HistGradientBoostingClassifier(max_iter=2).fit(x, y).predict_proba(x)
    RandomForestClassifier(n_estimators=2, random_state=0).fit(x, y).predict(x)


def _torch() -> None:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    x = torch.randn(16, 4)
    rows = TensorDataset(x, (x[:, 0] > 0).long())
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    optimizer = torch.optim.Adam(network.parameters())
    for inputs, labels in DataLoader(rows, batch_size=8):
        loss = torch.nn.functional.cross_entropy(network(inputs), labels)
        if torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
            # What follows would ask the driver how many GPUs there are, and with that a thread
            # runs for good: no process could be forked any more.
            continue
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
