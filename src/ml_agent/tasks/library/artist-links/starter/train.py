import csv
from collections import defaultdict


def rows(name):
    with open(f"data/{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


friends = defaultdict(set)
for edge in rows("edges"):
    friends[edge["a"]].add(edge["b"])
    friends[edge["b"]].add(edge["a"])


def score(a, b):
    # well connected artists are more likely to be linked
    return len(friends[a]) * len(friends[b])


known = [(score(p["a"], p["b"]), p["linked"] == "1") for p in rows("train")]
for kind in (True, False):
    values = [s for s, linked in known if linked == kind]
    print("linked" if kind else "not linked", sum(values) / len(values))

with open("submission.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["id", "prediction"])
    writer.writerows([p["id"], score(p["a"], p["b"])] for p in rows("predict"))
