"""What the checks of exercises say to right answers, usual wrong ones and nonsense."""

import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from answers import FORGETFUL, RIGHT, WRONG, sizes
from hypothesis import given, settings
from hypothesis import strategies as st
from test_devices import DEVICES

from d2lrec import checks

# The last five give no tensors to the answer.
TRIES_FUNCTIONS = [
    *sorted(FORGETFUL),
    "check_figures",
    "check_fm_gradient",
    "check_ranking_losses",
    "check_sgd_step",
    "check_split_by_count",
]


def said(name, *answers, **named_answers):
    with redirect_stdout(StringIO()) as out:
        assert getattr(checks, name)(*answers, **named_answers) is None
    return out.getvalue()


def listed(answers):
    return list(answers) if isinstance(answers, tuple) else [answers]


def each_case(cases):
    return [
        pytest.param(check, case, id=f"{check}: {name}")
        for check in cases
        for name, case in cases[check].items()
    ]


def test_each_check_has_cases():
    assert sorted(RIGHT) == sorted(WRONG) == sorted(checks.__all__)


@pytest.mark.parametrize(("check", "answers"), each_case(RIGHT))
def test_right_answers_are_right(check, answers):
    assert said(check, *listed(answers)) == "Right.\n"


@pytest.mark.parametrize(("check", "answers"), each_case(FORGETFUL))
def test_on_the_cpu_who_forgets_the_device_is_right_too(check, answers):
    assert said(check, *listed(answers)) == "Right.\n"


@pytest.mark.parametrize(("check", "case"), each_case(WRONG))
def test_a_wrong_answer_gets_the_hint_that_fits(check, case):
    answers, phrase = case
    hint = said(check, *listed(answers))
    assert hint.startswith("Not yet: ")
    assert hint.count("\n") == 1
    assert phrase in hint


def all_cases_on_a_gpu():
    """All cases where `try_gpu` gives a GPU; to be called in a process of its own."""
    unexpected = []
    for check in RIGHT:
        for name, answers in RIGHT[check].items():
            verdict = said(check, *listed(answers))
            if verdict != "Right.\n":
                unexpected.append((check, name, verdict))
        for name, (answers, phrase) in WRONG[check].items():
            hint = said(check, *listed(answers))
            if not hint.startswith("Not yet: ") or phrase not in hint:
                unexpected.append((check, name, hint))
        for name, answer in FORGETFUL.get(check, {}).items():
            hint = said(check, answer)
            noticed = " raises " in hint or "and where it is" in hint
            if not hint.startswith("Not yet: ") or not noticed:
                unexpected.append((check, name, hint))
    assert unexpected == [], "\n".join(map(str, unexpected))


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_on_a_gpu_the_right_are_right_and_who_forgets_the_device_gets_a_hint(device):
    install = "import pretend; pretend.install(); " if device == "pretended" else ""
    call = f"{install}import test_checks; test_checks.all_cases_on_a_gpu()"
    done = subprocess.run(
        [sys.executable, "-c", call],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("check", checks.__all__)
def test_dots_are_nothing_to_check(check):
    rights = listed(next(iter(RIGHT[check].values())))
    for place in range(len(rights)):
        hint = said(check, *rights[:place], ..., *rights[place + 1 :])
        assert hint.startswith("Nothing to check yet")


def test_answers_may_be_given_by_name_in_any_order():
    assert said("check_latent_size", best_k=20, table=sizes()) == "Right.\n"


@pytest.mark.parametrize("check", sorted(FORGETFUL))
def test_a_wrong_answer_does_not_make_the_next_one_wrong(check):
    """An answer may write into what it is given; the next one is given it anew."""
    right = next(iter(RIGHT[check].values()))

    def overwrite_arguments(*arguments):
        found = right(*arguments)
        for part in arguments:
            for tensor in part if isinstance(part, tuple | list) else [part]:
                if isinstance(tensor, torch.Tensor):
                    tensor.zero_()
        return found

    said(check, overwrite_arguments)
    assert said(check, right) == "Right.\n"


class SaysNothing(Exception):
    def __str__(self):
        raise RuntimeError("no words")


ERRORS = {
    "two lines": RuntimeError("the first line\n\nand the third"),
    "no words": AssertionError(),
    "a key": KeyError("user"),
    "very long": ValueError("x" * 10_000),
    "cannot be said": SaysNothing(),
    "the end of an iterator": StopIteration(),
    "a warning": UserWarning("not good"),
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS.keys())
@pytest.mark.parametrize("check", TRIES_FUNCTIONS)
def test_what_an_answer_raises_is_said_with_the_input(check, error):
    def raising(*arguments):
        raise error

    hint = said(check, raising)
    assert hint.startswith(("Not yet: for ", "Not yet: when "))
    assert f" raises {type(error).__name__}" in hint.replace("test_checks.", "")
    assert hint.count("\n") == 1
    assert len(hint) < 600


def test_the_user_can_still_interrupt():
    def slow(*arguments):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        said("check_rmse", slow)


COLUMNS = [*sizes().columns, "lr", "optimizer", "num_negatives"]
OTHER_THINGS = {
    "nothing": None,
    "a number": -1.5,
    "a string": "3.5",
    "a vector": torch.arange(2),
    "no number": float("nan"),
    "a large number": 10**40,
    "an empty list": [],
    "two of nothing": (None, None),
    "four of nothing": [None] * 4,
    "lists of several lengths": [[1, 2], [3], [], 4],
    "a type": int,
    "objects": np.array([object(), None]),
    "a sparse tensor": torch.eye(3).to_sparse(),
    "a dict": {
        "epoch": None,
        "train_rmse": None,
        "valid_rmse": "2.1",
        "test_rmse": [2],
    },
    "a table": pd.DataFrame({"seed": [0]}),
    "a table of lists": pd.DataFrame({name: [[1], [2]] for name in COLUMNS}),
    "no rows": sizes()[:0],
}


def wrong_things(check, thing):
    """What is said to a thing as each of the answers, or to a function returning it."""
    rights = listed(next(iter(RIGHT[check].values())))
    if check in TRIES_FUNCTIONS:
        return [said(check, thing), said(check, lambda *arguments: thing)]
    places = range(len(rights))
    return [
        said(check, *rights[:place], thing, *rights[place + 1 :]) for place in places
    ]


@pytest.mark.parametrize("thing", OTHER_THINGS.values(), ids=OTHER_THINGS.keys())
@pytest.mark.parametrize("check", checks.__all__)
def test_whatever_is_returned_or_given_the_check_gives_a_hint(check, thing):
    for hint in wrong_things(check, thing):
        assert hint.startswith("Not yet: ")
        assert hint.count("\n") == 1


NUMBERS = st.floats() | st.integers() | st.booleans() | st.none() | st.text(max_size=3)
THINGS = st.recursive(
    NUMBERS,
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner),
    max_leaves=6,
)


@pytest.mark.parametrize("check", checks.__all__)
@given(thing=THINGS)
@settings(max_examples=30)
def test_no_made_up_thing_is_right_or_ends_in_a_traceback(check, thing):
    if not (check == "check_latent_size" and thing == 20):  # which is its best k
        assert all(hint.startswith("Not yet: ") for hint in wrong_things(check, thing))
