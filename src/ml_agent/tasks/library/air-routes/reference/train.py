"""Neighbourhood scores, a spectral embedding, airlines and size; forest and boosted trees."""

import networkx as nx
import numpy as np
import pandas as pd
from scipy.sparse.linalg import svds
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier

airports = pd.read_csv("data/airports.csv").set_index("code")
graph = nx.from_pandas_edgelist(pd.read_csv("data/routes.csv"), "a", "b")
codes = list(airports.index)
place = {code: number for number, code in enumerate(codes)}
links = nx.to_numpy_array(graph, nodelist=codes)
degree = links.sum(axis=0)
scaled = links / np.sqrt(np.outer(degree, degree))
two = links @ links
three = scaled @ scaled @ scaled
adamic = links / np.sqrt(degree) @ links
resource = links / degree @ links
low_rank = []
for rank in (6, 20):
    left, values, right = svds(scaled, k=rank, v0=np.ones(len(codes)))
    low_rank.append((left * values) @ right)
length = np.sqrt((scaled**2).sum(axis=1))
overlap = scaled @ scaled / np.outer(length, length)
# How far the neighbours of one airport resemble another airport.
resembling = links @ overlap / degree[:, None]
airlines = airports[["lufthansa", "american", "united", "adria"]].to_numpy()
sizes = np.log1p(airports[["movements", "passengers", "cargo"]].fillna(0)).to_numpy()


def features(pairs: pd.DataFrame) -> np.ndarray:
    """[N, F] features of pairs, the same whichever end comes first."""
    a, b = pairs["a"].map(place).to_numpy(), pairs["b"].map(place).to_numpy()
    low, high = np.minimum(degree[a], degree[b]), np.maximum(degree[a], degree[b])
    alike = resembling[a, b] + resembling[b, a]
    both = airlines[a] * airlines[b]
    return np.column_stack(
        [
            *(table[a, b] for table in (two, three, adamic, resource, overlap, *low_rank)),
            two[a, b] / (low + high - two[a, b]),
            two[a, b] / low,
            alike,
            low,
            high,
            both,
            both.sum(axis=1),
            np.minimum(sizes[a], sizes[b]),
            np.maximum(sizes[a], sizes[b]),
        ]
    )


train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
X, y, X_new = features(train), train["linked"], features(predict)
trees = ExtraTreesClassifier(500, min_samples_leaf=3, max_features=0.4, random_state=0)
boosted = HistGradientBoostingClassifier(
    max_iter=120, learning_rate=0.05, max_leaf_nodes=8, random_state=0
)
scores = [model.fit(X, y).predict_proba(X_new)[:, 1] for model in (trees, boosted)]
predict["prediction"] = np.mean(scores, axis=0)
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
print(f"{X.shape[1]} features, {graph.number_of_edges()} links")
