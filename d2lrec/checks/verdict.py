"""What all checks share."""

import functools

import torch


def says_what_is_wrong(check):
    """Let a check, which returns the first hint that applies or None, print its verdict."""

    @functools.wraps(check)
    def checked(*answers, **named_answers):
        if any(answer is ... for answer in [*answers, *named_answers.values()]):
            print("Nothing to check yet: put your own result in the place of the dots.")
        else:
            hint = check(*answers, **named_answers)
            print(f"Not yet: {hint}" if hint else "Right.")

    return checked


def differs(found, expected):
    """Whether a result is no number, or no tensor of the shape, near what is expected."""
    found, expected = as_doubles(found), as_doubles(expected)
    same_shape = found.shape == expected.shape
    return not (same_shape and torch.allclose(found, expected, rtol=1e-4, atol=1e-5))


def as_doubles(numbers):
    """Numbers as a float64 tensor of their shape, on the CPU, and all else as an empty one."""
    try:
        return torch.as_tensor(numbers).detach().cpu().double()
    except (TypeError, ValueError, RuntimeError):
        return torch.empty(0, dtype=torch.float64)


def refuses(function, *arguments):
    """Whether a function raises ValueError for these arguments."""
    try:
        function(*arguments)
    except ValueError:
        return True
    except Exception:
        pass
    return False
