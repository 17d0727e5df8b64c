"""k-means by scikit-learn, k = 5, n_init = 10: one JSON line. Usage: kmeans.py points.csv.gz"""

import gzip
import json
import sys
import time

import numpy as np
from sklearn.cluster import KMeans

from memory import peak_rss_mib

with gzip.open(sys.argv[1], "rt") as file:
    points = np.loadtxt(file, delimiter=",", skiprows=1)
KMeans(5, n_init=1, random_state=0).fit(points)  # Threads are started once, outside the time.
started = time.perf_counter()
model = KMeans(5, n_init=10, random_state=0).fit(points)
print(json.dumps({
    "name": "kmeans",
    "seconds": time.perf_counter() - started,
    "peak_rss_mib": peak_rss_mib(),
    "inertia": model.inertia_,
    "rows": len(points),
}))
