"""Frequent itemsets and association rules by mlxtend, timed: `rules.py BASKETS [SUPPORT] [CONFIDENCE]`.

Prints one JSON object: what it found, seconds from opening the file, and the largest resident memory.
"""

import gzip
import json
import sys
import time

import pandas as pd
from mlxtend.frequent_patterns import association_rules, fpgrowth
from mlxtend.preprocessing import TransactionEncoder

from memory import peak_rss_mib


def main() -> None:
    path = sys.argv[1]
    support = float(sys.argv[2]) if len(sys.argv) > 2 else 0.01
    confidence = float(sys.argv[3]) if len(sys.argv) > 3 else 0.3
    started = time.perf_counter()
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt") as file:
        baskets = [line.split() for line in file]
    encoder = TransactionEncoder()
    table = pd.DataFrame(encoder.fit(baskets).transform(baskets), columns=encoder.columns_)
    itemsets = fpgrowth(table, min_support=support, use_colnames=True)
    rules = association_rules(itemsets, metric="confidence", min_threshold=confidence)
    print(
        json.dumps(
            {
                "name": "mlxtend",
                "seconds": time.perf_counter() - started,
                "peak_rss_mib": peak_rss_mib(),
                "itemsets": len(itemsets),
                "rules": len(rules),
            }
        )
    )


if __name__ == "__main__":
    main()
