"""scikit-learn's gradient boosting, 5 folds: a JSON line each. Usage: boosting.py sessions.csv.gz Revenue [FOLDS]

FOLDS is a file with the fold of each row, a number from 0 a line; without it stratified folds are drawn.
"""

import csv
import gzip
import json
import sys
import time

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import PredefinedSplit, StratifiedKFold

from memory import peak_rss_mib

with gzip.open(sys.argv[1], "rt") as file:
    header, *rows = csv.reader(file)
target = header.index(sys.argv[2])
columns = []
for index in range(len(header)):
    if index == target:
        continue
    texts = [row[index].replace("TRUE", "1").replace("FALSE", "0") for row in rows]
    try:
        columns.append(np.array(texts, dtype=float))
    except ValueError:
        columns.extend(np.array([text == value for text in texts], dtype=float) for value in sorted(set(texts)))
x, y = np.column_stack(columns), np.array([row[target] == "TRUE" for row in rows], dtype=int)
if len(sys.argv) > 3:
    folds = list(PredefinedSplit(np.loadtxt(sys.argv[3], dtype=int)).split())
else:
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(x, y))
for name, make in [
    ("gradient_boosting", lambda: GradientBoostingClassifier(random_state=0)),
    ("hist_gradient_boosting", lambda: HistGradientBoostingClassifier(random_state=0)),
]:
    seconds, p = 0.0, np.zeros(len(y))
    for train, test in folds:
        started = time.perf_counter()
        model = make().fit(x[train], y[train])
        seconds += time.perf_counter() - started
        p[test] = model.predict_proba(x[test])[:, 1]
    print(json.dumps({
        "name": name,
        "seconds": seconds,
        "peak_rss_mib": peak_rss_mib(),
        "auc": roc_auc_score(y, p),
        "log_loss": log_loss(y, p),
        "brier": brier_score_loss(y, p),
        "observed_expected": y.sum() / p.sum(),
    }))
