"""Batches of ratings, cut from tensors that already lie on the fastest device."""

import torch


def try_gpu():
    """Return the first CUDA device if there is one, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


class BatchIterator:
    """Batches of (user, item, rating); every pass gives each rating once.

    A batch is a list, as a PyTorch `DataLoader` gives it: users int64 (batch,), items int64
    (batch,), ratings float32 (batch,), all on `device`. The last one may be smaller. With
    `shuffle`, each pass has a new order, from a generator of its own seeded with `seed`.

    Args:
        users, items, ratings: tensors, or sequences of numbers, of the same length n.
        device: by default `try_gpu()`.
    Raises:
        ValueError: no ratings at all, lengths that differ, or a batch size below 1.
    """

    def __init__(self, users, items, ratings, batch_size, shuffle=True, seed=0, device=None):
        device = try_gpu() if device is None else torch.device(device)
        if not len(users) == len(items) == len(ratings) > 0:
            lengths = f"{len(users)} users, {len(items)} items, {len(ratings)} ratings"
            raise ValueError(f"need as many users as items and ratings, and some; got {lengths}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.users = torch.as_tensor(users, dtype=torch.int64, device=device)  # (n,)
        self.items = torch.as_tensor(items, dtype=torch.int64, device=device)  # (n,)
        self.ratings = torch.as_tensor(ratings, dtype=torch.float32, device=device)  # (n,)
        self.batch_size, self.shuffle = batch_size, shuffle
        self.generator = torch.Generator(device).manual_seed(seed)

    def __len__(self):
        return -(-len(self.ratings) // self.batch_size)  # rounded up

    def __iter__(self):
        columns = [self.users, self.items, self.ratings]
        if self.shuffle:
            device, n = self.ratings.device, len(self.ratings)
            order = torch.randperm(n, generator=self.generator, device=device)  # (n,)
            columns = [column[order] for column in columns]
        batches = (column.split(self.batch_size) for column in columns)
        for batch in zip(*batches, strict=True):
            yield list(batch)
