"""The mean over the rounds of a sampler, the same for all that have one."""

NUM_ROUNDS, NUM_WARMUP, EVERY = 150, 20, 5


class MeanOfRounds:
    """The mean of what the rounds predict, but the first ones, with a lap after some.

    An epoch of the watch is a round. What `add` does counts.
    """

    def __init__(self, watch):
        self.watch, self.round, self.total = watch, 0, 0.0

    def add(self, predictions):
        """Note what one more round predicts, an array (asked,)."""
        self.round += 1
        kept = self.round - NUM_WARMUP
        if kept > 0:
            self.total = self.total + predictions
            if kept % EVERY == 0:
                mean = self.total / kept
                self.watch.lap(lambda: {"predictions": mean}, self.round)
