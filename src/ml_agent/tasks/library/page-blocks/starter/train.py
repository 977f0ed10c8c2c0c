import numpy as np
import pandas as pd
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

MEASURES = "height length area p_black mean_tr".split()
SEED = 11


def matrix(blocks):
    return blocks.loc[:, MEASURES].values


train_blocks, new_blocks = (pd.read_csv(f"data/{n}.csv") for n in ("train", "predict"))
is_graphic = train_blocks.no_text.values
Z = matrix(train_blocks)

# random third as check
rand = np.random.RandomState(SEED)
check = rand.rand(len(Z)) < 1 / 3
lda = LinearDiscriminantAnalysis()
lda.fit(Z[~check], is_graphic[~check])
print("auc (random third)", roc_auc_score(is_graphic[check], lda.decision_function(Z[check])))

lda.fit(Z, is_graphic)
submission = pd.Series(lda.decision_function(matrix(new_blocks)), index=new_blocks.id)
submission.rename("prediction").to_csv("submission.csv")
