"""Neighbourhood scores, a spectral embedding, tags and popularity; boosted trees on known pairs."""

import networkx as nx
import numpy as np
import pandas as pd
from scipy.sparse import diags_array, eye_array
from scipy.sparse.linalg import svds
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

artists = pd.read_csv("data/artists.csv").set_index("node")
edges = pd.read_csv("data/edges.csv")
n = len(artists)
graph = nx.Graph()
graph.add_nodes_from(range(n))
graph.add_edges_from(edges.itertuples(index=False, name=None))
links = nx.to_scipy_sparse_array(graph, nodelist=range(n), dtype=float)

degree = np.maximum(links.sum(axis=0), 1)
scale = diags_array(1 / np.sqrt(degree))
walk = scale @ links @ scale
two = walk @ walk
katz = (walk / 2 + two / 4 + two @ walk / 8 + two @ two / 16).toarray()
left, values, right = svds(walk + eye_array(n), k=48, v0=np.ones(n))
spectral = (left * values) @ right
log_listeners = np.log1p(artists["listeners"].to_numpy())
first = artists["first_album"].fillna(artists["first_album"].median()).to_numpy()
tag = artists["best_tag"].to_numpy()


def features(pairs: pd.DataFrame) -> np.ndarray:
    """[N, 10] symmetric features of pairs."""
    a, b = pairs["a"].to_numpy(), pairs["b"].to_numpy()
    ends = list(zip(a, b, strict=True))
    adamic = [score for _, _, score in nx.adamic_adar_index(graph, ends)]
    jaccard = [score for _, _, score in nx.jaccard_coefficient(graph, ends)]
    return np.column_stack(
        [
            adamic,
            jaccard,
            katz[a, b],
            spectral[a, b] + spectral[b, a],
            tag[a] == tag[b],
            np.minimum(degree[a], degree[b]),
            np.maximum(degree[a], degree[b]),
            np.abs(log_listeners[a] - log_listeners[b]),
            log_listeners[a] + log_listeners[b],
            np.abs(first[a] - first[b]),
        ]
    )


train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
X, y, X_new = features(train), train["linked"], features(predict)
forest = RandomForestClassifier(n_estimators=300, min_samples_leaf=3, random_state=0)
boosted = HistGradientBoostingClassifier(
    max_iter=100, learning_rate=0.05, max_leaf_nodes=8, random_state=0
)
scores = [model.fit(X, y).predict_proba(X_new)[:, 1] for model in (forest, boosted)]
predict["prediction"] = np.mean(scores, axis=0)
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
print(f"{X.shape[1]} features, {graph.number_of_edges()} links")
