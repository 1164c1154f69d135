"""How far Adam moves a row of a table in steps without a gradient, all at once.

In every step Adam (Kingma and Ba 2015, algorithm 1) moves every row of an embedding table: one
without a gradient goes on with its momentum, which fades. But nothing looks at that row until
it is in a batch again, and then the missed steps can be made up for at once. For a row with
the averages m and v after step s, the steps s + 1 ... t without a gradient add up to

    lr * m * sum of a_j / (sqrt(v) + eps * e_j) over j = s + 1 ... t, where
    a_j = (beta1 / sqrt(beta2))^(j - s) * sqrt(1 - beta2^j) / (1 - beta1^j),
    e_j = sqrt(1 - beta2^j) / sqrt(beta2)^(j - s).

With A the sum of a_j and E that of a_j * e_j, this is lr * m * A / (sqrt(v) + eps * E / A), but
for terms of second order in eps / sqrt(v). A and E depend on s and t alone: a sum from s to
infinity, which is looked up in a table, less what comes after t.
"""

import math

import torch

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8  # as in torch.optim.Adam
RATIOS = BETA1 / BETA2**0.5, BETA1 / BETA2  # of a term of A, of E, to the one before
LAST_TABLED = 20_000  # beyond this step beta2^j is too small to change the sums
NUM_TERMS = 400  # of a sum to infinity; the next one is below 1e-17


def sums_to_infinity(device):
    """A and E from each s = 0 ... LAST_TABLED to infinity: two float32 tensors."""
    steps = torch.arange(1, LAST_TABLED + NUM_TERMS + 1, dtype=torch.float64)  # j
    powers = torch.arange(1, NUM_TERMS + 1, dtype=torch.float64)  # j - s
    squared = 1 - BETA2**steps
    terms = squared.sqrt() / (1 - BETA1**steps), squared / (1 - BETA1**steps)
    pairs = zip(terms, RATIOS, strict=True)
    sums = [term.unfold(0, NUM_TERMS, 1) @ ratio**powers for term, ratio in pairs]
    return [each.float().to(device) for each in sums]


class RowState:
    """A parameter, Adam's averages m and v of its gradient, and how far each row has come."""

    def __init__(self, param):
        self.param = param.detach()  # (n, ...)
        self.mean, self.square, self.grad = (torch.zeros_like(self.param) for _ in range(3))
        self.done = torch.zeros(len(param), dtype=torch.int64, device=param.device)  # steps

    def every_row(self):
        """The numbers of all rows: int64 (n,)."""
        return torch.arange(len(self.param), device=self.param.device)

    def read(self, rows, step, lr, sums):
        """Rows of the parameter, of m and of v, as they are after a step: each (batch, ...)."""
        rows = rows.long() & torch.iinfo(torch.int64).max  # -1 is the last row, but for its sign
        mean, square, done = self.mean[rows], self.square[rows], self.done[rows]
        missed = (step - done).float()  # (batch,)
        A, E = (
            full[done.clamp(max=LAST_TABLED)] - ratio**missed * full[step.clamp(max=LAST_TABLED)]
            for full, ratio in zip(sums, RATIOS, strict=True)
        )  # (batch,)
        missed, A, E = (x.view(-1, *[1] * (mean.dim() - 1)) for x in (missed, A, E))
        denominator = A * square.sqrt() + EPS * E + torch.finfo(A.dtype).tiny
        param = self.param[rows] - lr * mean * A.square() / denominator
        return param, mean * BETA1**missed, square * BETA2**missed

    def write(self, rows, step, param, mean, square):
        """Put new values into rows; those that occur twice have the same values twice."""
        self.param[rows], self.mean[rows], self.square[rows] = param, mean, square
        self.done[rows] = step.expand(len(rows))

    def update(self, rows, step, lr, grad, param, mean, square):
        """Take Adam's step on rows as `read` gives them; grad (batch, ...) is their gradient."""
        self.grad.index_add_(0, rows, grad)  # a row that occurs twice gets the sum of both
        grad = self.grad[rows]  # (batch, ...)
        mean = BETA1 * mean + (1 - BETA1) * grad
        square = BETA2 * square + (1 - BETA2) * grad.square()
        # 1 - beta^step, which float32 gives to four digits only if it subtracts.
        mean_hat = mean / -torch.expm1(step * math.log(BETA1))
        square_hat = square / -torch.expm1(step * math.log(BETA2))
        self.write(rows, step, param - lr * mean_hat / (square_hat.sqrt() + EPS), mean, square)
        self.grad[rows] = 0.0  # for the next step
