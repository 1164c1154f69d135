"""MovieLens 1M in small: three users with 50 items each, the last one held out."""

import hashlib

USERS, ITEMS_EACH, NUM_ITEMS = range(3), 50, 150
SEEN = [list(range(ITEMS_EACH * user, ITEMS_EACH * (user + 1))) for user in USERS]
UNSEEN = [[item for item in range(NUM_ITEMS) if item not in seen][:99] for seen in SEEN]
# Of the pairs to train on, sorted.
PAIRS = [
    [user for user in USERS for _ in SEEN[user][:-1]],
    [item for seen in SEEN for item in seen[:-1]],
]
CANDIDATES = [[SEEN[user][-1], *UNSEEN[user]] for user in USERS]

# NCF's training file is not sorted.
LINES = {
    "ml-1m.train.rating": [
        f"{user}\t{item}\t5\t{item}"
        for user in (2, 0, 1)
        for item in reversed(SEEN[user][:-1])
    ],
    "ml-1m.test.negative": [
        "\t".join([f"({user},{SEEN[user][-1]})", *map(str, UNSEEN[user])])
        for user in USERS
    ],
}
# As GroupLens has it: users from 1, films with numbers of their own.
RATINGS_LINES = [
    f"{user + 1}::{3952 - 7 * item}::5::{978300000 + item}"
    for user in USERS
    for item in SEEN[user]
]


def bytes_of(lines):
    return "".join(f"{line}\n" for line in lines).encode()


NCF = {name: bytes_of(lines) for name, lines in LINES.items()}
RATINGS = bytes_of(RATINGS_LINES)


def let_be_right(monkeypatch, ncf):
    """Let the module take these files for MovieLens 1M."""
    pairs = [NUM_ITEMS * user + item for user, item in zip(*PAIRS, strict=True)]
    content = b"".join(pair.to_bytes(8, "little") for pair in pairs)
    monkeypatch.setattr(ncf, "NUM_PAIRS", len(pairs))
    monkeypatch.setattr(ncf, "NUM_USERS", len(USERS))
    monkeypatch.setattr(ncf, "NUM_ITEMS", NUM_ITEMS)
    monkeypatch.setattr(ncf, "PAIRS_SHA256", hashlib.sha256(content).hexdigest())
