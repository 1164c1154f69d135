"""A model's parameters in a file."""

import io
import zipfile

import torch

from .files import write_atomically


def save_checkpoint(model, path, ids=None):
    """Write the model's state to `path`, in one step: a killed run damages no file.

    The file is what `torch.save` makes of `model.state_dict()`. With `ids`, the `IdMap`
    of a model with tables P and Q, it is that of {"parameters": model.state_dict(),
    "ids": ids.state_dict()}. Raises ValueError if there are not as many ids as rows.
    """
    state = model.state_dict()
    if ids is not None:
        rows = [len(state.get(f"{table}.weight", [])) for table in ("P", "Q")]
        if rows != [ids.num_users, ids.num_items]:
            theirs = f"{ids.num_users} users and {ids.num_items} items"
            ours = f"{rows[0]} users and {rows[1]} items in its tables P and Q"
            raise ValueError(f"the ids are those of {theirs}, the model has {ours}")
        state = {"parameters": state, "ids": ids.state_dict()}
    content = io.BytesIO()
    torch.save(state, content)
    write_atomically(path, content.getvalue())


def read_checkpoint(path):
    """Read what `save_checkpoint` has written: (parameters, state of the ids or None).

    The parameters are a dict from name to dense tensor on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a checkpoint, or a bit of it is not as it was written.
    """
    try:
        state, ids = torch.load(verified(path), "cpu", weights_only=True), None
        if state.keys() == {"parameters", "ids"}:
            state, ids = state["parameters"], dict(state["ids"])
        for x in state.values():
            if x.layout != torch.strided or x.is_nested or x.is_meta:
                raise ValueError("not dense")
    except FileNotFoundError:
        raise
    except Exception as error:  # a file can be wrong in any way
        wrong = f"{path} is not a checkpoint of a model, or damaged"
        raise ValueError(wrong) from error
    return state, ids


def verified(path):
    """A copy of a zip archive in memory, made of parts whose checksums are right.

    `torch.load` looks at no checksum. `ZipFile.testzip` does, but not at the archive's
    directory, where a flipped bit makes PyTorch take a table for a folder, and so for
    zeros.
    """
    copy = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))  # BadZipFile if its checksum differs
    copy.seek(0)
    return copy


def load_checkpoint(model, path):
    """Give the model the parameters kept at `path`, on the device the model is on.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a checkpoint or is damaged, or its parameters have other
            names, shapes or dtypes than the model's; the model is left as it was.
    """
    parameters, _ = read_checkpoint(path)
    found, expected = shapes_and_types(parameters), shapes_and_types(model.state_dict())
    for name in [*expected, *found]:
        ours, theirs = expected.get(name, "absent"), found.get(name, "absent")
        if ours != theirs:
            wrong = f"{name} is {theirs}, not {ours}"
            raise ValueError(f"{path} does not fit the model: {wrong}")
    model.load_state_dict(parameters)


def shapes_and_types(state):
    """What must be alike for a state to fit a model, by the name of the parameter."""
    return {name: f"{tuple(x.shape)} {x.dtype}" for name, x in state.items()}
