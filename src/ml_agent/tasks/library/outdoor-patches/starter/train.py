import pandas as pd
from sklearn.model_selection import ShuffleSplit, cross_validate
from sklearn.svm import SVC

colours = ["red", "green", "blue"]
edges = ["v_edge_mean", "v_edge_var", "h_edge_mean", "h_edge_var"]


def read_patches(which):
    patches = pd.read_csv("data/" + which)
    return patches.set_index("id")


def main(kernel="rbf", C=1.0):
    patches = read_patches("train.csv")
    inputs, shown = patches[colours + edges], patches["shows"]

    svc = SVC(kernel=kernel, C=C)
    splits = ShuffleSplit(n_splits=4, test_size=0.25, random_state=2)
    result = cross_validate(svc, inputs, shown, cv=splits)
    print("accuracy of 4 splits", result["test_score"].mean().round(3))

    svc = svc.fit(inputs, shown)
    unseen = read_patches("predict.csv")
    unseen["prediction"] = svc.predict(unseen[colours + edges])
    unseen[["prediction"]].to_csv("submission.csv")


main()
