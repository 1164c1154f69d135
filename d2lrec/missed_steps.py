"""The steps of Adam that a row of a table has missed, made up for at once.

In every step Adam (Kingma and Ba 2015, algorithm 1) moves every row of an embedding
table: one without a gradient goes on with its momentum, which fades. With the averages
m and v of the gradient and its square after step s, the missed step j moves a row by

    lr * m * a_j / (sqrt(v) + eps * e_j), where
    a_j = (beta1 / sqrt(beta2))^(j - s) * sqrt(1 - beta2^j) / (1 - beta1^j),
    e_j = sqrt(1 - beta2^j) / sqrt(beta2)^(j - s).

Let A be the sum of a_j over the missed steps s + 1 ... t, and E that of a_j * e_j. If
eps were 0, the steps would add up to lr * m * A / sqrt(v). With eps, the mean E / A
stands for each e_j: they add up to lr * m * A / (sqrt(v) + eps * E / A), but for terms
of second order in eps / sqrt(v). A and E depend on s and t alone. Each is what comes
after step s, less what comes after step t, and these two are looked up in a table:

    after s:   a_s+1 + ... + a_t   +   a_t+1 + a_t+2 + ...
    after t:                           a_t+1 + a_t+2 + ...   times ratio^(t - s)

(The table counts powers from t on: each of its terms has t - s of them too few.)

Powers are looked up too: computing them for each row takes half of the time of a step.
"""

import torch
from torch.nn.functional import embedding

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8  # as in torch.optim.Adam
A_RATIO, E_RATIO = BETA1 / BETA2**0.5, BETA1 / BETA2  # the powers in A and in E
LAST_TABLED = 20_000  # beyond this step beta2^j is too small to change the sums


def sums_to_infinity():
    """The sums A and E after each step s = 0 ... LAST_TABLED: two float32 tensors."""
    A, E = [A_RATIO / (1 - A_RATIO)], [E_RATIO / (1 - E_RATIO)]  # after the last step
    for j in range(LAST_TABLED, 0, -1):  # what comes after step j, then after j - 1
        A.append(A_RATIO * ((1 - BETA2**j) ** 0.5 / (1 - BETA1**j) + A[-1]))
        E.append(E_RATIO * ((1 - BETA2**j) / (1 - BETA1**j) + E[-1]))
    return torch.tensor(A[::-1]), torch.tensor(E[::-1])


def tables_of_steps(device):
    """What is looked up for each number of steps, float32.

    Returns:
        by_missed: (100_001, 4), the powers of A_RATIO, E_RATIO, BETA1 and BETA2 for a
            number of missed steps. A row that missed more has no momentum left.
        by_step: (LAST_TABLED + 1, 4), A and E after step t, and what Adam multiplies m
            and the root of v by in it: 1 / (1 - BETA1^t) and 1 / sqrt(1 - BETA2^t).
    """
    bases = torch.tensor([A_RATIO, E_RATIO, BETA1, BETA2], dtype=torch.float64)
    by_missed = bases ** torch.arange(100_001).unsqueeze(1)  # in double precision
    start, root = (1 - by_missed[: LAST_TABLED + 1, 2:]).T
    by_step = torch.stack([*sums_to_infinity(), 1 / start, root.rsqrt()], dim=1)
    return by_missed.float().to(device), by_step.float().to(device)


def after_missed_steps(param, mean, square, done, adam):
    """Bring rows from step `done` to the last one that Adam has taken.

    Args:
        param, mean, square: rows of a parameter, of m and of v, float32 (batch, k).
        done: int64 (batch,).
        adam: has `step`, int64 (1,), `lr`, and `tables`, as `tables_of_steps` gives.
    Returns the three as Adam would have them, without a gradient in between.
    """
    by_missed, by_step = adam.tables
    missed = (adam.step - done).clamp(max=len(by_missed) - 1)  # (batch,)
    ratios, of_mean, of_square = embedding(missed, by_missed).split([2, 1, 1], dim=1)
    s, t = done.clamp(max=LAST_TABLED), adam.step.clamp(max=LAST_TABLED)
    A, E = (by_step[s, :2] - ratios * by_step[t, :2]).split(1, dim=1)  # (batch, 1)
    denominator = A * square.sqrt() + (EPS * E + 2e-38)  # A and E may be 0
    param = param - adam.lr * A.square() * mean / denominator  # (batch, k)
    return param, mean * of_mean, square * of_square


class RowState:
    """A parameter (n, k), Adam's m and v of its gradient, and each row's last step."""

    def __init__(self, param):
        self.param, self.learns = torch.atleast_2d(param.detach()), param.requires_grad
        self.mean, self.square, self.grad = map(torch.zeros_like, 3 * [self.param])
        self.done = self.param.new_zeros(len(param), dtype=torch.int64)

    def read(self, rows, adam):
        """The parameter, m and v of rows, (batch,), caught up: each (batch, k)."""
        values = (embedding(rows, x) for x in (self.param, self.mean, self.square))
        return after_missed_steps(*values, self.done[rows], adam)

    def write(self, rows, adam, param, mean, square):
        """Put in values; a row that occurs twice has the same values twice."""
        self.param[rows], self.mean[rows], self.square[rows] = param, mean, square
        self.done[rows] = adam.step

    def update(self, rows, adam, grad, param, mean, square):
        """Take Adam's step on what `read` gave; grad (batch, k) is its gradient."""
        self.grad[rows] = 0.0
        grad = self.grad.index_add_(0, rows, grad)[rows]  # twice in it: both
        mean = BETA1 * mean + (1 - BETA1) * grad
        square = BETA2 * square + (1 - BETA2) * grad.square()
        _, _, of_mean, of_root = adam.tables[1][adam.step.clamp(max=LAST_TABLED)][0]
        moved = adam.lr * of_mean * mean / (of_root * square.sqrt() + EPS)
        self.write(rows, adam, param - moved, mean, square)
