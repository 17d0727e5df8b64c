"""Recommenders by NumPy and implicit, timed and measured: `recommenders.py NAME SPLIT [VALUE…]`.

NAME is ease (λ), ials (factors λ α seed) or item_knn (neighbours), the values in that order; SPLIT is a folder with
train.csv.gz and test.csv.gz (user,item,ts), or the same without .gz. Prints one JSON object: seconds of training, the largest resident memory of
the process, and NDCG@10 by full ranking over the items of training, the user's own left out.

One process a model, since the largest memory is that of a process. Threads: two, as on the other side; implicit asks
for BLAS to have one then.
"""

import csv
import gzip
import json
import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = "2"
os.environ["OPENBLAS_NUM_THREADS"] = "2" if sys.argv[1] == "ease" else "1"

import numpy as np  # noqa: E402  (after the number of threads)
import scipy.sparse as sp  # noqa: E402

from memory import peak_rss_mib  # noqa: E402

DEFAULTS = {"ease": [200], "ials": [64, 50, 16], "item_knn": [100]}


def opened(folder, name):
    path = os.path.join(folder, name)
    return open(path, "rt") if os.path.exists(path) else gzip.open(path + ".gz", "rt")


def load(folder):
    """A matrix of ones, and by row the items of the test table (-1: unknown)."""
    users, items, cells, test = {}, {}, [], {}
    with opened(folder, "train.csv") as file:
        for row in csv.DictReader(file):
            user = users.setdefault(row["user"], len(users))
            cells.append((user, items.setdefault(row["item"], len(items))))
    with opened(folder, "test.csv") as file:
        for row in csv.DictReader(file):
            if row["user"] in users:
                test.setdefault(users[row["user"]], set()).add(items.get(row["item"], -1))
    rows, columns = zip(*cells)
    matrix = sp.csr_matrix((np.ones(len(cells)), (rows, columns)), shape=(len(users), len(items)))
    matrix.data[:] = 1.0
    return matrix, test


def ndcg(scores, matrix, test, k=10):
    total = 0.0
    for user, relevant in test.items():
        own = np.asarray(scores(user)).ravel().copy()
        own[matrix[user].indices] = -np.inf
        best = np.argsort(-own, kind="stable")[:k]
        gain = sum(1 / np.log2(rank + 2) for rank, item in enumerate(best) if item in relevant)
        total += gain / sum(1 / np.log2(rank + 2) for rank in range(min(k, len(relevant))))
    return total / len(test)


def ease(matrix, penalty):
    """Steck 2019, as in the paper's listing."""
    gram = (matrix.T @ matrix).toarray()
    diagonal = np.diag_indices(gram.shape[0])
    gram[diagonal] += penalty
    inverse = np.linalg.inv(gram)
    weights = inverse / (-np.diag(inverse))
    weights[diagonal] = 0
    return lambda user: matrix[user] @ weights


def ials(matrix, factors, penalty, alpha, seed=1):
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=int(factors), regularization=penalty, alpha=alpha, random_state=int(seed), num_threads=2
    )
    model.fit(matrix.astype(np.float32), show_progress=False)
    return lambda user: model.user_factors[user] @ model.item_factors.T


def item_knn(matrix, neighbours):
    """implicit counts an item itself among its neighbours."""
    from implicit.nearest_neighbours import CosineRecommender

    model = CosineRecommender(K=int(neighbours) + 1, num_threads=2)
    model.fit(matrix, show_progress=False)
    return lambda user: (matrix[user] @ model.similarity).toarray()


def main():
    name, folder = sys.argv[1], sys.argv[2]
    values = [float(value) for value in sys.argv[3:]] or DEFAULTS[name]
    matrix, test = load(folder)
    fit = {"ease": ease, "ials": ials, "item_knn": item_knn}[name]
    # Modules are loaded and threads started once, outside the time.
    fit(matrix[:50], *values)
    started = time.perf_counter()
    scores = fit(matrix, *values)
    seconds = time.perf_counter() - started
    peak = peak_rss_mib()
    print(json.dumps({
        "name": name, "seconds": seconds, "peak_rss_mib": peak, "ndcg@10": ndcg(scores, matrix, test),
    }))


if __name__ == "__main__":
    main()
