"""Plays on links of graphs: how a pair of nodes is scored or described."""

from ml_agent.agents.playbook.builders import either
from ml_agent.agents.playbook.feature_builders import pair_features, pair_score
from ml_agent.agents.playbook.plays import GRAPH, Play, data, learning, modelling

GRAPH_PLAYS: tuple[Play, ...] = (
    data(
        "common-neighbours",
        "use the number of common neighbours",
        GRAPH,
        either(pair_score("len(N[a] & N[b])"), pair_features("({A} @ {A})[{u}, {v}]")),
    ),
    data(
        "three-steps",
        "use the number of paths of three steps",
        GRAPH,
        either(
            pair_score("sum(len(N[c] & N[b]) for c in N[a])"),
            pair_features("({A} @ {A} @ {A})[{u}, {v}]"),
        ),
    ),
    data(
        "four-steps",
        "use the number of paths of four steps",
        GRAPH,
        either(
            pair_score("sum(len(N[c] & N[d]) for c in N[a] for d in N[b])"),
            pair_features("np.linalg.matrix_power({A}, 4)[{u}, {v}]"),
        ),
    ),
    data(
        "smaller-degree",
        "use the smaller of the two degrees",
        GRAPH,
        either(
            pair_score("min(len(N[a]), len(N[b]))"),
            pair_features("np.minimum({A}[{u}].sum(1), {A}[{v}].sum(1))"),
        ),
    ),
    data(
        "degree-sum",
        "use the sum of the two degrees",
        GRAPH,
        either(
            pair_score("len(N[a]) + len(N[b])"), pair_features("{A}[{u}].sum(1) + {A}[{v}].sum(1)")
        ),
    ),
    data(
        "either-neighbours",
        "use the number of neighbours of either node",
        GRAPH,
        either(
            pair_score("len(N[a] | N[b])"), pair_features("np.maximum({A}[{u}], {A}[{v}]).sum(1)")
        ),
    ),
    modelling(
        "jaccard",
        "score a pair by the Jaccard index of its neighbours",
        GRAPH,
        either(
            pair_score("len(N[a] & N[b]) / (len(N[a] | N[b]) + 1)"),
            pair_features("({A} @ {A})[{u}, {v}] / (np.maximum({A}[{u}], {A}[{v}]).sum(1) + 1)"),
        ),
    ),
    modelling(
        "adamic-adar",
        "weight common neighbours by how few neighbours they have",
        GRAPH,
        either(
            pair_score("sum(len(N[c]) ** -0.5 for c in N[a] & N[b])"),
            pair_features("({A} / ({A}.sum(0) + 1) ** 0.5 @ {A})[{u}, {v}]"),
        ),
    ),
    modelling(
        "resource",
        "score a pair by resource allocation over common neighbours",
        GRAPH,
        either(
            pair_score("sum(1 / len(N[c]) for c in N[a] & N[b])"),
            pair_features("({A} / ({A}.sum(0) + 1) @ {A})[{u}, {v}]"),
        ),
    ),
    modelling(
        "cosine",
        "score a pair by the cosine of its neighbourhoods",
        GRAPH,
        pair_score("len(N[a] & N[b]) / (len(N[a]) * len(N[b]) + 1) ** 0.5"),
    ),
    modelling(
        "sorensen",
        "score a pair by the Sorensen index",
        GRAPH,
        pair_score("len(N[a] & N[b]) / (len(N[a]) + len(N[b]) + 1)"),
    ),
    modelling(
        "hub-promoted",
        "divide common neighbours by the smaller degree",
        GRAPH,
        pair_score("len(N[a] & N[b]) / (min(len(N[a]), len(N[b])) + 1)"),
    ),
    modelling(
        "hub-depressed",
        "divide common neighbours by the larger degree",
        GRAPH,
        pair_score("len(N[a] & N[b]) / (max(len(N[a]), len(N[b])) + 1)"),
    ),
    modelling(
        "local-path",
        "add paths of three steps to common neighbours",
        GRAPH,
        pair_score("len(N[a] & N[b]) + 0.01 * sum(len(N[c] & N[b]) for c in N[a])"),
    ),
    modelling(
        "damped-paths",
        "count paths of three steps, divided by the middle degrees",
        GRAPH,
        pair_score("sum(len(N[c] & N[b]) / len(N[c]) for c in N[a])"),
    ),
    learning(
        "break-ties",
        "break ties between pairs by their degrees",
        GRAPH,
        pair_score("len(N[a] & N[b]) + 1e-6 * len(N[a]) * len(N[b])"),
    ),
    learning(
        "square-degrees",
        "weight the degrees by their squares",
        GRAPH,
        pair_score("(len(N[a]) * len(N[b])) ** 2"),
    ),
    learning(
        "root-degrees",
        "dampen the degrees by a square root",
        GRAPH,
        pair_score("len(N[a]) ** 0.5 + len(N[b]) ** 0.5"),
    ),
    learning(
        "mixed-weights",
        "weight common neighbours ten times as much as degrees",
        GRAPH,
        pair_score("10 * len(N[a] & N[b]) + 0.1 * (len(N[a]) + len(N[b]))"),
    ),
    learning(
        "fewer-hubs",
        "give hubs among the common neighbours less weight",
        GRAPH,
        pair_score("sum(1 / (1 + len(N[c])) ** 2 for c in N[a] & N[b])"),
    ),
    learning(
        "fewer-links",
        "prefer pairs with few other links",
        GRAPH,
        pair_score("-len(N[a]) * len(N[b])"),
    ),
)
"""All plays of this file."""
