"""Batches of examples, cut from tensors that already lie on the fastest device."""

import torch

from ..arguments import as_ids, as_integer, as_numbers
from .negatives import UnseenItems, draw_below


def try_gpu():
    """Return the first CUDA device if there is one, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def as_examples(users, items, ratings):
    """Check the columns of a `BatchIterator`: int64, int64 and float32 tensors (n,)."""
    users, items = as_ids("users", users), as_ids("items", items)
    ratings = as_numbers("ratings", ratings).float()
    if not len(users) == len(items) == len(ratings) > 0:
        lengths = f"{len(users)} users, {len(items)} items, {len(ratings)} ratings"
        raise ValueError(f"need equally many of each, and some; got {lengths}")
    wrong = ratings[~ratings.isfinite()]
    if len(wrong):
        raise ValueError(f"ratings must be finite, got {wrong[0]}")
    return users, items, ratings


class BatchIterator:
    """Batches of (user, item, rating); every pass gives each rating once.

    A batch is a list, as a PyTorch `DataLoader` gives it: users int64 (batch,), items
    int64 (batch,), ratings float32 (batch,), all on `device`. The last one may be
    smaller. With `shuffle`, each pass has a new order, from a generator of its own
    seeded with `seed`.

    Args:
        users, items, ratings: tensors (n,), arrays, pandas Series (by position) or
            sequences; ids are integers from 0, ratings finite numbers.
        device: by default `try_gpu()`.
    Raises:
        ValueError: no ratings at all, lengths that differ, another shape, an id or a
            rating that is no such number, or a batch size that is no integer from 1.
    """

    def __init__(
        self, users, items, ratings, batch_size, shuffle=True, seed=0, device=None
    ):
        device = try_gpu() if device is None else torch.device(device)
        columns = as_examples(users, items, ratings)  # each (n,)
        self.users, self.items, self.ratings = (column.to(device) for column in columns)
        self.batch_size, self.shuffle = as_integer("batch_size", batch_size, 1), shuffle
        seed = as_integer("seed", seed, 0)
        self.generator = torch.Generator(device).manual_seed(seed)

    def examples(self):
        """The columns to cut batches from in this pass, each (n,)."""
        return self.users, self.items, self.ratings

    def __len__(self):
        return -(-len(self.ratings) // self.batch_size)  # rounded up

    def __iter__(self):
        columns = self.examples()
        if self.shuffle:
            device, n = columns[0].device, len(columns[0])
            order = torch.randperm(n, generator=self.generator, device=device)  # (n,)
            columns = [x.index_select(0, order) for x in columns]  # x[order], faster
        batches = (column.split(self.batch_size) for column in columns)
        yield from map(list, zip(*batches, strict=True))


class ImplicitIterator(BatchIterator):
    """Batches of (user, item, label): 1 for an interaction, 0 for a negative sample.

    Every pass draws new negatives, `num_negatives` for each interaction, uniformly from
    the items that the user has not interacted with, all in one pass over tensors. A
    batch is as in `BatchIterator`, its labels float32 (batch,). An epoch takes 20 bytes
    per example, and twice that while it is shuffled, whatever the number of users x
    items.

    Args:
        users, items: the interactions to learn from, (n,) each, as `BatchIterator`
            takes ids.
        num_users, num_items: one more than the largest ids allowed.
        options: seed, device and shuffle, as `BatchIterator` takes them, by name.
    Raises:
        ValueError: bad ids or shapes, a batch size that is no integer from 1, negatives
            that are none from 0, or a user who has interacted with all items and so has
            no negative.
    Source: He et al. 2017, section 3.1 and 4.1.
    """

    def __init__(
        self, users, items, num_users, num_items, batch_size, num_negatives=4, **options
    ):
        users = as_ids("users", users)  # (n,)
        super().__init__(users, items, torch.ones(len(users)), batch_size, **options)
        self.num_negatives = as_integer("num_negatives", num_negatives, 0)
        self.unseen = UnseenItems(self.users, self.items, num_users, num_items)
        count, user = self.unseen.counts.min(dim=0)  # (), ()
        if num_negatives and not count:
            raise ValueError(f"user {user} has interacted with all items: none is left")

    def __len__(self):
        return -(-len(self.users) * (1 + self.num_negatives) // self.batch_size)

    def examples(self):
        """The interactions, then new negatives: three of (n * (1 + num_negatives),)."""
        users = self.users.repeat(1 + self.num_negatives)  # (n * (1 + num_negatives),)
        negatives_of = users[len(self.users) :]  # (n * num_negatives,)
        ranks = draw_below(self.unseen.counts[negatives_of], self.generator)
        items = torch.cat([self.items, self.unseen.look_up(negatives_of, ranks)])
        labels = torch.nn.functional.pad(self.ratings, (0, len(negatives_of)))
        return users, items, labels
