"""Checkpoints of a model split over processes, each of which writes its part."""

import json
import shutil
import sys

import torch.distributed as dist
import torch.distributed.checkpoint as dcp


def save(folder, state, settings):
    """Write a checkpoint; until it is complete, its name ends in .part."""
    complete = folder / f"epoch-{state['epoch']:04}"
    part = complete.with_suffix(".part")
    if dist.get_rank() == 0:
        shutil.rmtree(part, ignore_errors=True)  # of a run that died here
    dist.barrier()
    dcp.save(state, checkpoint_id=part)
    if dist.get_rank() == 0:
        (part / "settings.json").write_text(json.dumps(settings))
        older = list(folder.glob("epoch-????"))
        part.rename(complete)
        for checkpoint in older:
            shutil.rmtree(checkpoint)


def resume(folder, num_epochs, state, settings):
    """Read the newest complete checkpoint, if any, into `state`, as the model's is."""
    newest = max(folder.glob("epoch-????"), default=None)
    if newest is None:
        return
    written = json.loads((newest / "settings.json").read_text())
    if written != settings:
        changed = [name for name in settings if written[name] != settings[name]]
        had = "; ".join(f"{x} {written[x]}, not {settings[x]}" for x in changed)
        sys.exit(f"{newest} is of another run, which had {had}")
    dcp.load(state, checkpoint_id=newest)
    if state["epoch"] > num_epochs:
        sys.exit(f"{newest} is beyond --epochs {num_epochs}")
