"""What grows with interactions, rows and factors, for the page scale (`make scale`).

MF learns planted data (planted.py) by the book's loop, in batches of 4,000, with
torch.optim.Adam, fused, which moves all rows in each step, with CatchUpAdam, compiled,
or with row-wise Adagrad on sparse gradients. On average there are 100 interactions for
a user and 400 for an item, whatever the size. Learning rates are those that did well at
10^6 interactions. The sweeps:

- size: 10^5 to 10^8 interactions and three epochs, the median of which counts; then the
  RMSE on a held-out chunk, and the share of the planted variance found. Row-wise
  Adagrad does so at every size; beyond 10^7 Adam does 50 steps three times, and the
  time is scaled to an epoch, and CatchUpAdam does nothing.
- data: what the data alone take, streamed, or kept in memory and shuffled by
  BatchIterator.
- rows: a step with tables of 10^4 to 10^7 rows.
- k: a step with 8 to 128 factors, with the tables of 10^7 interactions.

Seconds of an epoch include making the data, milliseconds of a step do not. Every run
has a process of its own, whose peak memory is what the operating system says at the
end, less what it said before the run and after the imports; it includes the planted
truth, and for CatchUpAdam the compiler. Takes about 17 minutes on a CPU core, and 3 GB.
The figures go to d2lrec/results/scale.csv, which the page reads.
"""

import itertools
import time
from pathlib import Path

import pandas as pd
import torch
from planted import CHUNK, RANK
from processes import in_own_process
from scale_measures import SAMPLE, measure

import d2lrec
from d2lrec.files import write_atomically

SIZES = [10**5, 3 * 10**5, 10**6, 3 * 10**6, 10**7, 3 * 10**7, 10**8]
ROWS = [10**4, 10**5, 10**6, 10**7]
FACTORS = [8, 16, 32, 64, 128]
WAYS = ["Adam", "CatchUpAdam", "row-wise Adagrad"]
RESULTS = Path(d2lrec.__file__).parent / "results"


def settings():
    """The arguments of all runs, the quick ones first."""
    for n in SIZES:
        rows = n // 100, n // 400
        yield "data", "streamed", n, *rows, RANK
        if n < 10**8:
            yield "data", "kept", n, *rows, RANK
    for rows, way in itertools.product(ROWS, WAYS):
        yield "rows", way, SAMPLE * CHUNK, rows * 4 // 5, rows // 5, RANK
    for k, way in itertools.product(FACTORS, WAYS):
        yield "k", way, SAMPLE * CHUNK, 100_000, 25_000, k
    for n, way in itertools.product(SIZES, WAYS):
        if way != "CatchUpAdam" or n <= 10**7:
            yield "size", way, n, n // 100, n // 400, RANK


def main():
    began = time.perf_counter()
    rows = []
    for setting in settings():
        rows.append(in_own_process(measure, *setting))
        seconds = time.perf_counter() - began
        print(*setting, f"{seconds:.0f} s", sep=", ", flush=True)
    table = pd.DataFrame(rows)
    print(f"{torch.get_num_threads()} thread(s)")
    print(table.round(3).to_string(index=False))
    content = table.to_csv(index=False, float_format="%.4g")
    write_atomically(RESULTS / "scale.csv", content.encode())


if __name__ == "__main__":
    main()
