"""Where a step of `CatchUpAdam` spends its time, and how it was before (`make fast`).

Before, the powers of Adam's constants were computed for each row of a batch, the model
was called with other parameters, and before each call everything was checked that the
compiled function depends on. Both versions take the same steps on the same batches, in
turns; then PyTorch's profiler names the parts.
"""

import time

import pandas as pd
import torch
from torch import nn
from torch.nn.functional import embedding

from d2lrec import GMF, CatchUpAdam, ImplicitIterator
from d2lrec.catch_up_adam import to_check
from d2lrec.missed_steps import A_RATIO, BETA1, BETA2, E_RATIO, EPS, RowState

NUM_STEPS, BCE = 500, nn.BCEWithLogitsLoss()
PROFILED = {"cpp.enable_kernel_profile": True}  # C++ functions get names of their own


class ComputedState(RowState):
    """A `RowState` that computes the powers, in place of looking them up."""

    def read(self, rows, adam):
        tables = self.param, self.mean, self.square
        param, mean, square = (embedding(rows, table) for table in tables)
        done, (_, by_step) = self.done[rows].unsqueeze(1), adam.tables
        missed = (adam.step - done).float()
        A = by_step[done, 0] - A_RATIO**missed * by_step[adam.step, 0]
        E = by_step[done, 1] - E_RATIO**missed * by_step[adam.step, 1]
        denominator = A * square.sqrt() + EPS * E + 2e-38
        param = param - adam.lr * mean * A.square() / denominator
        return param, mean * BETA1**missed, square * BETA2**missed


class Before(CatchUpAdam):
    """`CatchUpAdam` as it was: the model is called, and everything checked."""

    def __init__(self, model, options):
        super().__init__(model, compiled=False)
        self.states = {n: ComputedState(p) for n, p in model.named_parameters()}
        step = self.step_on_batch
        self.take_step = torch.compile(step, dynamic=False, options=options)

    @torch.no_grad()
    def step_on_batch(self, model, loss, user_id, item_id, rating):
        def batch_loss(params):
            place = torch.arange(len(rating))
            scores = torch.func.functional_call(model, params, (place, place))
            return loss(scores, rating)

        ids = {"P.weight": user_id, "Q.weight": item_id}
        rows = {n: ids.get(n, user_id.new_zeros(1)) for n in self.states}
        read = {n: state.read(rows[n], self) for n, state in self.states.items()}
        used = {n: param for n, (param, _, _) in read.items()}
        grads, value = torch.func.grad_and_value(batch_loss)(used)
        self.step += 1
        for n, state in self.states.items():
            state.update(rows[n], self, grads[n], *read[n])
        return value


def after(model, options):
    """`CatchUpAdam`, compiled with more options."""
    adam = CatchUpAdam(model, compiled=False)
    options = {"guard_filter_fn": to_check} | options
    adam.take_step = torch.compile(adam.step_on_batch, dynamic=False, options=options)
    return adam


def part_of(event):
    """To which part of a step an event of the profiler belongs."""
    if "cpp_fused" in event or event.startswith("aten::"):
        return "the compiled function"
    return "checks" if "Cache Lookup" in event else "around it, in Python"


class Steps:
    """Steps of a version on some batches: the first call compiles it."""

    def __init__(self, make, options, batches, num_users, num_items):
        torch.manual_seed(0)
        self.model = GMF(32, num_users, num_items)
        self.adam, self.batches = make(self.model, options), batches
        began = time.perf_counter()
        self.take(batches[:1])
        self.seconds_compiling = time.perf_counter() - began

    def take(self, batches):
        for batch in batches:
            self.adam.take_step(self.model, BCE, *batch)

    def microseconds(self):
        """How long a step takes."""
        began = time.perf_counter()
        self.take(self.batches)
        return (time.perf_counter() - began) / len(self.batches) * 1e6

    def shares(self):
        """The share of each part of a step."""
        with torch.profiler.profile() as profiled:
            self.take(self.batches)
        times = {e.key: e.self_cpu_time_total for e in profiled.key_averages()}
        parts = pd.Series(times).groupby(part_of).sum()
        return dict(parts / parts.sum())


def profile_steps(users, items, _, num_users, num_items):
    """Microseconds of a step, and shares of its parts: a row for each version."""
    batches = ImplicitIterator(users, items, num_users, num_items, 256, device="cpu")
    batches = [batch for batch, _ in zip(batches, range(NUM_STEPS), strict=False)]
    sizes = batches, num_users, num_items
    torch.compiler.reset()  # what was compiled for other measurements
    makes = {"before": Before, "after": after}
    steps = {name: Steps(make, {}, *sizes) for name, make in makes.items()}
    turns = [{name: x.microseconds() for name, x in steps.items()} for _ in range(9)]
    table = pd.DataFrame({"microseconds": pd.DataFrame(turns).median()})
    table["seconds_compiling"] = [x.seconds_compiling for x in steps.values()]
    torch.compiler.reset()
    shares = [Steps(make, PROFILED, *sizes).shares() for make in makes.values()]
    shares = pd.DataFrame(shares, index=table.index)
    return table.join(shares).rename_axis("step").reset_index()
