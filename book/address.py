"""Puts the address of a fork in the place of this one, in every file, and that of its
pages.

The address comes in the environment variable URL, so that nothing in it is run by a
shell.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# What GitHub lets owners and repositories be called.
ADDRESS = re.compile(
    r"https://github\.com/([A-Za-z\d](?:-?[A-Za-z\d]){0,38})/([\w.-]{1,100})", re.A
)


def forms(address):
    """The address as it is, that of its pages, and where notebooks are run."""
    owner, name = ADDRESS.fullmatch(address).groups()
    colab = f"https://colab.research.google.com/github/{owner}/{name}"
    binder = f"https://mybinder.org/v2/gh/{owner}/{name}"
    return address, f"https://{owner}.github.io/{name}", colab, binder


new = os.environ.get("URL", "").removesuffix("/").removesuffix(".git")
found = ADDRESS.fullmatch(new)
if not found or found[2].endswith((".git", "..")) or found[2] == ".":
    sys.exit("name the repository: make address URL=https://github.com/<owner>/<name>")
config = (ROOT / "_config.yml").read_text(encoding="utf-8")
[old] = re.findall(r"^  url: (\S+)$", config, re.MULTILINE)
listed = subprocess.run(
    ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
)
for name in filter(None, listed.stdout.decode().split("\0")):
    if (ROOT / name).is_file():
        changed = content = (ROOT / name).read_bytes()
        for form, new_form in zip(forms(old), forms(new), strict=True):
            changed = changed.replace(form.encode(), new_form.encode())
        if changed != content:
            (ROOT / name).write_bytes(changed)
