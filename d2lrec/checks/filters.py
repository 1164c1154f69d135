"""The check of the horizontal filters of Caser by hand."""

import torch

from ..data.batches import try_gpu
from .verdict import (
    NotYetError,
    as_doubles,
    differs,
    hint_for,
    kind_of,
    says_what_is_wrong,
    tried,
)

# The number of images, their length and width, the number of filters, their height.
IMAGES = [(1, 3, 2, 1, 2), (4, 5, 3, 2, 1), (2, 5, 4, 3, 3), (3, 4, 2, 5, 4)]


@says_what_is_wrong
def check_horizontal_filters(horizontal):
    """Check `horizontal(image, weight, bias)`: float32 (batch, num_filters)."""
    cases = [image_and_filters(sizes) for sizes in IMAGES]
    pairs = zip(IMAGES, cases, strict=True)
    found = [filtered_by(horizontal, sizes, case) for sizes, case in pairs]
    numbers = torch.cat([table.flatten() for table in found])

    def all_of(**changes):
        return torch.cat([filtered(*case, **changes).flatten() for case in cases])

    mistakes = [
        ("the bias is missing.", all_of(with_bias=0)),
        ("the negative numbers are left: apply ReLU.", all_of(relu=False)),
        ("take the largest over the places, not the mean.", all_of(pool=torch.mean)),
        ("take the largest over the places, not the sum.", all_of(pool=torch.sum)),
        ("the last place is missing: there are L - h + 1.", all_of(left_out=1)),
        (
            "the filter is upside down: its first row meets the first.",
            all_of(flip=True),
        ),
        ("add the bias to the sum of products, before ReLU.", all_of(late_bias=True)),
    ]
    if not differs(numbers, all_of()):
        return None
    if hint := hint_for(numbers, mistakes):
        return hint
    for sizes, table, case in zip(IMAGES, found, cases, strict=True):
        if differs(table, filtered(*case)):
            return f"{told(sizes)} PyTorch's Conv2d, ReLU and amax give other numbers."


def told(sizes):
    batch, length, k, num_filters, height = sizes
    return (
        f"for images {(batch, length, k)} and {num_filters} "
        f"filter{'s' * (num_filters > 1)} of height {height}"
    )


def image_and_filters(sizes):
    """An image (batch, L, k), filters (f, h, k) and biases (f,), each of one seed."""
    batch, length, k, num_filters, height = sizes
    shapes = [(batch, length, k), (num_filters, height, k), (num_filters,)]
    generator = torch.Generator().manual_seed(sum(sizes))
    return [torch.randn(shape, generator=generator) for shape in shapes]


def filtered_by(horizontal, sizes, case):
    """What a reader's function gives for a case, (batch, num_filters)."""
    arguments = [part.clone().to(try_gpu()) for part in case]
    found = tried(horizontal, *arguments, on=told(sizes))
    table, wanted = as_doubles(found), (sizes[0], sizes[3])
    if table.shape != wanted:
        kind = kind_of(found)
        many = "one number for each image and filter, the largest of its places"
        raise NotYetError(f"{told(sizes)} it returns {kind}, not {wanted}: {many}.")
    return table


def filtered(image, weight, bias, with_bias=1, relu=True, pool=torch.amax, left_out=0,
             flip=False, late_bias=False):  # fmt: skip
    """The pooled outputs of the filters, right unless told otherwise."""
    image, weight, bias = map(as_doubles, (image, weight, bias * with_bias))
    weight = weight.flip(1) if flip else weight
    windows = image.unfold(1, weight.shape[1], 1).transpose(2, 3)  # (b, places, h, k)
    windows = windows[:, : max(1, windows.shape[1] - left_out)]
    sums = torch.einsum("bphk,fhk->bpf", windows, weight)
    sums = sums if late_bias else sums + bias
    sums = sums.relu() if relu else sums
    pooled = pool(sums, dim=1)
    return pooled + bias if late_bias else pooled
