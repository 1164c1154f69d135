"""Arguments as functions need them, or one clear error."""

import operator


def whole_number(name, value, least):
    """Return a whole number (Python's or NumPy's) as an int, if it is at least `least`.

    Raises ValueError, with the name and the value, for anything else: 2.0, True or "2", too.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise ValueError(f"{name} must be a whole number, at least {least}, got {value!r}")
    return number
