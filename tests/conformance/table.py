"""Prints the Autobahn report by section; ends with an error when a case failed."""

import collections
import json
import sys

SECTIONS = {
    1: "framing", 2: "pings and pongs", 3: "reserved bits", 4: "opcodes", 5: "fragmentation", 6: "UTF-8",
    7: "close handling", 9: "limits and performance", 10: "miscellaneous", 12: "compression", 13: "compression",
}
GOOD = {"OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED"}

report = json.load(open(sys.argv[1]))["tidings"]
counts = collections.defaultdict(collections.Counter)
failed = []
for case, result in report.items():
    section = int(case.split(".")[0])
    counts[section][result["behavior"]] += 1
    good = result["behavior"] in GOOD and result["behaviorClose"] in GOOD
    if result["behavior"] == "UNIMPLEMENTED" and section not in (12, 13):
        good = False
    if not good:
        failed.append((case, result["behavior"], result["behaviorClose"]))

print(f"{'section':<34} {'ok':>5} {'non-strict':>11} {'informational':>14} {'unimplemented':>14} {'failed':>7}")
for section in sorted(counts):
    count = counts[section]
    bad = sum(1 for case, *_ in failed if int(case.split(".")[0]) == section)
    name = f"{section:>2} {SECTIONS.get(section, '')}"
    print(f"{name:<34} {count['OK']:>5} {count['NON-STRICT']:>11} {count['INFORMATIONAL']:>14} {count['UNIMPLEMENTED']:>14} {bad:>7}")
for case, behavior, close in sorted(failed):
    print(f"failed: {case}: {behavior}, closing {close}")
sys.exit(1 if failed else 0)
