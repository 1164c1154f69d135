"""The items that a user has not interacted with, and negatives drawn from them."""

import torch

from ..arguments import as_counts, as_ids, as_integer


def as_pairs(users, items, num_users, num_items):
    """Return users and items as int64 tensors (n,); errors as of `UnseenItems`."""
    num_users, num_items = as_counts(num_users, num_items)
    users, items = as_ids("users", users, num_users), as_ids("items", items, num_items)
    if len(users) != len(items):
        raise ValueError(f"need as many users as items: {len(users)} != {len(items)}")
    return users, items.to(users.device)


class UnseenItems:
    """The items that each user has not interacted with, without a users x items table.

    The unseen items of user u, in rising order, have the ranks 0 ... counts[u] - 1. If
    item i is the j-th seen item of u (j from 0), then i - j unseen ones come before it;
    so a rank r belongs to the item r + (number of seen items with i - j <= r), found by
    binary search.
    Memory: 8 bytes per interaction and 16 per user, also for 10^5 users x 10^5 items.

    Args:
        users, items: integers (n,), counted from 0, in a tensor or whatever `as_ids`
            reads; a repeated pair counts once.
        num_users, num_items: one more than the largest ids allowed.
    Raises:
        ValueError: lengths that differ, another shape, an id that is out of range or no
            integer, or 2^62 possible pairs or more.
    """

    def __init__(self, users, items, num_users, num_items):
        users, items = as_pairs(users, items, num_users, num_items)
        pairs = (users * num_items + items).unique()  # (n,), sorted
        owners = pairs // num_items  # (n,)
        seen = torch.bincount(owners, minlength=num_users)  # (num_users,)
        self.num_items, self.counts = num_items, num_items - seen  # (num_users,)
        self.starts = seen.cumsum(0) - seen  # (num_users,), where a user's pairs begin
        places = torch.arange(len(pairs), device=pairs.device)  # (n,)
        # A key is u * num_items + (i - j), so the keys of all users are in one order.
        self.keys = pairs - (places - self.starts[owners])  # (n,)

    def __call__(self, users, ranks):
        """Return the items of these ranks for these users: int64, all of one shape.

        Raises ValueError for a user there is not, or whose unseen items are no more
        than the rank.
        """
        device = self.counts.device
        users = as_ids("users", users, len(self.counts), dim=None).to(device)
        ranks = as_ids("ranks", ranks, dim=None).to(device)
        if users.shape != ranks.shape or (ranks >= self.counts[users]).any():
            raise ValueError("give each user one rank, from 0 to counts[user] - 1")
        return self.look_up(users, ranks)

    def look_up(self, users, ranks):
        """`self(users, ranks)` for int64 tensors that are right: no wait for a GPU."""
        keys = users * self.num_items + ranks
        smaller = torch.searchsorted(self.keys, keys, right=True)
        return ranks + smaller - self.starts[users]


def draw_below(limits, generator):
    """Draw one integer from 0 to limit - 1 for each limit: int64, of their shape."""
    # 2^62 is so large that none is favored by more than 1e-12.
    return torch.empty_like(limits).random_(2**62, generator=generator) % limits


def draw_distinct(unseen, num_negatives, seed):
    """Draw distinct unseen items for each user, every subset being equally likely.

    Returns an int64 tensor (num_users, num_negatives). Floyd's algorithm, for all users
    at once: draw from 0 ... last, take `last` itself for what is taken, and go on with
    last + 1, so that each step adds one rank.
    """
    num_negatives = as_integer("num_negatives", num_negatives, 0)
    count, user = unseen.counts.min(dim=0)  # (), ()
    if count < num_negatives:
        raise ValueError(f"user {user} has {count} unseen items, not {num_negatives}")
    device = unseen.counts.device
    generator = torch.Generator(device).manual_seed(as_integer("seed", seed, 0))
    users = torch.arange(len(unseen.counts), device=device)  # (num_users,)
    ranks = torch.empty(len(users), 0, dtype=torch.int64, device=device)
    steps = torch.arange(num_negatives, device=device).unsqueeze(1)
    for last in unseen.counts - num_negatives + steps:  # (num_users,)
        drawn = draw_below(last + 1, generator)  # (num_users,)
        taken = (ranks == drawn.unsqueeze(1)).any(dim=1)  # (num_users,)
        ranks = torch.cat([ranks, torch.where(taken, last, drawn).unsqueeze(1)], dim=1)
    return unseen.look_up(users.unsqueeze(1).expand_as(ranks), ranks)
