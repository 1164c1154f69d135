"""The clock of `make bench`, which stands still while a state is stored."""

import time

import numpy as np


class Stopwatch:
    """Notes when each epoch ends, and stores its state, to be evaluated in the end.

    `points` has a dict for each epoch: its number, the seconds of training up to its
    end, and figures of its quality, if they are known already.
    """

    def __init__(self, folder):
        self.folder, self.points, self.seconds_compiling = folder, [], 0.0
        self.start()

    def start(self):
        """Begin to count the seconds."""
        self.began = time.perf_counter()

    def lap(self, get_state, epoch=None):
        """End an epoch, by default the next; `get_state` gives a dict of arrays."""
        now = time.perf_counter()
        epoch = len(self.points) + 1 if epoch is None else epoch
        self.points.append({"epoch": epoch, "seconds": now - self.began})
        np.savez(self.path_of(epoch), **get_state())
        self.began += time.perf_counter() - now

    def path_of(self, epoch):
        """The file that keeps the state after an epoch."""
        return self.folder / f"{epoch}.npz"

    def in_train(self, state_of):
        """Make an `evaluate` for d2lrec.train, which first calls it untrained."""
        untrained = True

        def evaluate(model):
            nonlocal untrained
            if untrained:
                self.start()
            else:
                self.lap(lambda: state_of(model))
            untrained = False
            return {}

        return evaluate
