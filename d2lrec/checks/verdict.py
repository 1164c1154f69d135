"""What all checks share: how an answer is tried, and how a verdict is said."""

import functools
import textwrap
import traceback

import torch


class NotYetError(Exception):
    """Ends a check; its message is the hint."""


def says_what_is_wrong(check):
    """Let a check, which returns or raises its first hint, print the verdict."""

    @functools.wraps(check)
    def checked(*answers, **named_answers):
        if any(answer is ... for answer in [*answers, *named_answers.values()]):
            todo = "put your answer in the place of the dots (...), then run its cell"
            print(f"Nothing to check yet: {todo} and this one again.")
            return
        try:
            hint = check(*answers, **named_answers)
        except NotYetError as error:
            hint = str(error)
        print(f"Not yet: {hint}" if hint else "Right.")

    return checked


def tried(function, *arguments, on):
    """Give what a reader's function returns; what it raises becomes the hint.

    `on` tells the reader which arguments these are: "for three ratings".
    """
    if not callable(function):
        given = kind_of(function)
        raise NotYetError(f"give the function itself, not what it returns, {given}.")
    try:
        found = function(*arguments)
    except Exception as error:
        said = textwrap.shorten("".join(traceback.format_exception_only(error)), 300)
        raise NotYetError(f"{on} it raises {said}") from error
    if found is None:
        raise NotYetError(f"{on} it returns None: has it a `return`?")
    return found


def tried_number(function, *arguments, on):
    """Give the one number that a reader's function returns, as a float."""
    found = tried(function, *arguments, on=on)
    number = as_doubles(found)
    if number.numel() != 1:
        raise NotYetError(f"{on} it returns {kind_of(found)}: return one number.")
    return number.item()


def refuses(function, *arguments):
    """Whether a function raises ValueError for these arguments."""
    try:
        function(*arguments)
    except Exception as error:
        return isinstance(error, ValueError)
    return False


def kind_of(thing):
    """Name the type of a thing, and its shape if any: "a Tensor of shape (3, 1)"."""
    shape = getattr(thing, "shape", None)
    suffix = "" if shape is None else f" of shape {tuple(shape)}"
    return f"a {type(thing).__name__}{suffix}"


def differs(found, expected):
    """Whether a result is no number, or no tensor of the shape, near what is expected.

    Where one number is expected, a tensor of one number of any shape will do.
    """
    found, expected = as_doubles(found), as_doubles(expected)
    if found.numel() == 1 and expected.dim() == 0:
        found = found.reshape(())
    same_shape = found.shape == expected.shape
    return not (same_shape and torch.allclose(found, expected, rtol=1e-4, atol=1e-5))


def hint_for(found, mistakes):
    """The hint of the first pair (hint, result) whose result was found, or None."""
    return next((hint for hint, result in mistakes if not differs(found, result)), None)


def as_doubles(numbers):
    """Numbers as a float64 tensor on the CPU, of their shape; else an empty one."""
    try:
        return torch.as_tensor(numbers).detach().cpu().double()
    except Exception:  # whatever a reader gives, it is no reason for a traceback
        return torch.empty(0, dtype=torch.float64)
