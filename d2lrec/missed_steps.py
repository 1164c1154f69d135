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
"""

import math

import torch
from torch.nn.functional import embedding

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8  # as in torch.optim.Adam
A_RATIO, E_RATIO = BETA1 / BETA2**0.5, BETA1 / BETA2  # the powers in A and in E
LAST_TABLED = 20_000  # beyond this step beta2^j is too small to change the sums


def sums_to_infinity(device):
    """The sums A and E after each step s = 0 ... LAST_TABLED: two float32 tensors."""
    A, E = [A_RATIO / (1 - A_RATIO)], [E_RATIO / (1 - E_RATIO)]  # after the last step
    for j in range(LAST_TABLED, 0, -1):  # what comes after step j, then after j - 1
        root, start = math.sqrt(1 - BETA2**j), 1 - BETA1**j
        A.append(A_RATIO * (root / start + A[-1]))
        E.append(E_RATIO * (root**2 / start + E[-1]))
    return torch.tensor(A[::-1], device=device), torch.tensor(E[::-1], device=device)


def after_missed_steps(param, mean, square, done, step, lr, sums):
    """Bring rows from step `done` to `step`.

    Args:
        param, mean, square: rows of a parameter, of m and of v, float32 (batch, k).
        done, step: int64 (batch, 1) and (1,).
        sums: what `sums_to_infinity` gives.
    Returns the three as Adam would have them, without a gradient in between.
    """
    missed = (step - done).float()  # (batch, 1)
    s, t = done.clamp(max=LAST_TABLED), step.clamp(max=LAST_TABLED)
    A = sums[0][s] - A_RATIO**missed * sums[0][t]  # (batch, 1)
    E = sums[1][s] - E_RATIO**missed * sums[1][t]  # (batch, 1)
    denominator = A * square.sqrt() + EPS * E + torch.finfo(A.dtype).tiny  # A may be 0
    param = param - lr * mean * A.square() / denominator  # (batch, k)
    return param, mean * BETA1**missed, square * BETA2**missed


class RowState:
    """A parameter (n, k), Adam's m and v of its gradient, and each row's last step."""

    def __init__(self, param):
        self.param, self.learns = torch.atleast_2d(param.detach()), param.requires_grad
        self.mean = torch.zeros_like(self.param)
        self.square, self.grad = self.mean.clone(), self.mean.clone()
        self.done = self.param.new_zeros(len(param), 1, dtype=torch.int64)

    def read(self, rows, adam):
        """The parameter, m and v of rows, (batch,), caught up: each (batch, k)."""
        tables = self.done, self.param, self.mean, self.square
        done, *values = (embedding(rows, table) for table in tables)
        return after_missed_steps(*values, done, adam.step, adam.lr, adam.sums)

    def write(self, rows, adam, param, mean, square):
        """Put in values; a row that occurs twice has the same values twice."""
        self.param[rows], self.mean[rows], self.square[rows] = param, mean, square
        self.done[rows] = adam.step

    def update(self, rows, adam, grad, param, mean, square):
        """Take Adam's step on what `read` gave; grad (batch, k) is its gradient."""
        self.grad[rows] = 0.0
        self.grad.index_add_(0, rows, grad)  # a row that occurs twice gets both
        grad = self.grad[rows]  # (batch, k)
        mean = BETA1 * mean + (1 - BETA1) * grad
        square = BETA2 * square + (1 - BETA2) * grad.square()
        # 1 - beta^step, which float32 gives to four digits only if it subtracts.
        mean_hat = mean / -torch.expm1(adam.step * math.log(BETA1))
        square_hat = square / -torch.expm1(adam.step * math.log(BETA2))
        param = param - adam.lr * mean_hat / (square_hat.sqrt() + EPS)
        self.write(rows, adam, param, mean, square)
