"""A pretended GPU: tensors in the CPU's memory that refuse what a GPU's tensors would
refuse.

Tensors on the device `pretend` cannot be mixed with those of the CPU, nor become arrays
of NumPy before `.cpu()`. Everything else is done by the CPU, so that the results are
the CPU's to the bit. Run as a script with paths of notebooks, it executes their cells
with this device as `try_gpu()`; as it changes torch itself, it needs a process of its
own. It shows where tensors lie, and nothing of a GPU's speed or rounding. Built on
torch's experimental backends in Python.
"""

import json
import sys
from pathlib import Path

import torch
import torch._dynamo
import torch.distributed.tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

_setup_privateuseone_for_python_backend("pretend")
DEVICE, CPU = torch.device("pretend", 0), torch.device("cpu")
INDEXING = {
    torch.ops.aten.index.Tensor, torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default, torch.ops.aten._index_put_impl_.default,
}  # fmt: skip
COPY = torch.ops.aten.copy_.default


class Pretended(torch.Tensor):
    """Says that it is on the device; `raw` is the tensor of the CPU behind it."""

    @staticmethod
    def __new__(cls, raw):
        layout = {"layout": raw.layout}
        if raw.layout == torch.strided:
            layout |= {"strides": raw.stride(), "storage_offset": raw.storage_offset()}
        return torch.Tensor._make_wrapper_subclass(
            cls, raw.shape, dtype=raw.dtype, device=DEVICE, **layout
        )

    def __init__(self, raw):
        self.raw = raw

    def __repr__(self):
        return repr(self.raw)

    def __format__(self, spec):
        return format(self.raw, spec)

    def tolist(self):
        return self.raw.tolist()

    def numpy(self):
        raise TypeError(
            "can't convert a tensor of the device to numpy: use .cpu() first"
        )

    __array__ = numpy

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return run(operation, args, kwargs or {})


class Everywhere(TorchDispatchMode):
    """Sees operations without a tensor on the device, too, as those that make one."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        return run(operation, args, kwargs or {})


def run(operation, args, kwargs):
    """Do an operation on the CPU, after a look at where its tensors are."""
    leaves = tree_leaves((args, kwargs))
    on_device = [leaf for leaf in leaves if isinstance(leaf, Pretended)]
    asked = next((leaf for leaf in leaves if isinstance(leaf, torch.device)), None)
    if not on_device and asked != DEVICE:
        return operation(*args, **kwargs)
    if on_device and operation is not COPY:
        refuse_a_mixture(operation, args[0], leaves)
    raw_args, raw_kwargs = tree_map_only(Pretended, lambda t: t.raw, (args, kwargs))
    raw_args, raw_kwargs = tree_map_only(
        torch.device, lambda d: CPU, (raw_args, raw_kwargs)
    )
    result = operation(*raw_args, **raw_kwargs)
    target = args[0] if operation is COPY else None
    stays = (
        asked == DEVICE
        if asked is not None
        else target is None or isinstance(target, Pretended)
    )
    if not stays:
        return result if operation is not COPY else target
    result = tree_map_only(torch.Tensor, Pretended, result)
    return (
        return_and_correct_aliasing(operation, args, kwargs, result)
        if on_device
        else result
    )


def refuse_a_mixture(operation, first, leaves):
    """As a GPU does: only single numbers and indices into its tensors may be mixed."""
    if operation in INDEXING and isinstance(first, Pretended):
        return
    for leaf in leaves:
        if (
            isinstance(leaf, torch.Tensor)
            and not isinstance(leaf, Pretended)
            and leaf.dim()
        ):
            raise RuntimeError(f"{operation}: tensors on the device and on the CPU")


def install():
    """Let torch know the device where it would ask C++."""
    Generator, tensor, save = torch.Generator, torch.tensor, torch.save

    def to_cpu(state):
        return {name: value.raw if isinstance(value, Pretended) else value
                for name, value in state.items()}  # fmt: skip

    def as_tensor(data, dtype=None, device=None):
        return (data if isinstance(data, torch.Tensor) else tensor(data)).to(
            device, dtype
        )

    torch.Generator = lambda device="cpu": Generator("cpu")
    torch.tensor = lambda data, *, device=None, **options: tensor(data, **options).to(
        device
    )
    torch.as_tensor = as_tensor
    torch.save = lambda state, *rest, **options: save(to_cpu(state), *rest, **options)
    torch.inference_mode = torch.no_grad  # an inference tensor cannot be wrapped
    import d2lrec

    for name, module in list(sys.modules.items()):
        if name.startswith("d2lrec") and hasattr(module, "try_gpu"):
            module.try_gpu = lambda: DEVICE
    Everywhere().__enter__()
    return d2lrec


def execute(path):
    """Run the cells of a notebook, each after the other."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    for cell in json.loads(Path(path).read_text())["cells"]:
        if cell["cell_type"] == "code":
            shell.run_cell("".join(cell["source"])).raise_error()


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    install()
    for path in sys.argv[1:]:
        execute(path)
