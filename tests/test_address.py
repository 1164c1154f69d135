"""The repository has one address, which a fork can change everywhere at once."""

import os
import re
import shutil
import subprocess

import pytest
import yaml
from pages import ADDRESS, CONFIG, ROOT


def tracked_files(root):
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True
    )
    return [root / name for name in listed.stdout.split("\0") if name]


def addresses_in(root):
    texts = (
        path.read_text(errors="ignore")
        for path in tracked_files(root)
        if path.parent.name != "tests"
    )
    services = "github.com|colab.research.google.com/github|mybinder.org/v2/gh".replace(
        ".", r"\."
    )
    pattern = rf"https://(?:{services})/([\w-]+/[\w.-]+\w)"
    return {address for text in texts for address in re.findall(pattern, text)}


# Repositories that are sources of what a page says, and have no documentation to cite.
CITED = {
    "d2l-ai/d2l-en",
    "d2l-ai/d2l-en-sagemaker",
    "smolix/d2l-neu",
    "hexiangnan/neural_collaborative_filtering",
    "google-research/google-research",
    "benfred/implicit",
    "guoyang9/NCF",
    "RUCAIBox/RecBole",
}


def test_there_is_one_address():
    own = ADDRESS.removeprefix("https://github.com/")
    assert addresses_in(ROOT) == {own, *CITED}


HUB = "https://github.com/"


@pytest.fixture
def copied(tmp_path):
    """The tracked files, in a repository of their own."""
    for path in tracked_files(ROOT):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def make_address(root, *arguments, **variables):
    command = ["make", "--silent", "address", *arguments]
    surroundings = os.environ | variables
    return subprocess.run(
        command, cwd=root, env=surroundings, capture_output=True, text=True
    )


@pytest.mark.parametrize("end", ["", "/", ".git", ".git/"])
def test_the_address_can_be_changed_everywhere_at_once(copied, end):
    owner, name = "some-body", "their.fork"
    done = make_address(copied, f"URL={HUB}{owner}/{name}{end}")
    assert done.returncode == 0, done.stderr
    assert addresses_in(copied) == {f"{owner}/{name}", *CITED}
    config = yaml.safe_load((copied / "_config.yml").read_text())
    assert config["html"]["baseurl"] == f"https://{owner}.github.io/{name}/"
    old = CONFIG["html"]["baseurl"].strip("/")
    for path in tracked_files(copied):
        assert old not in path.read_text(errors="ignore"), path
    assert make_address(copied, URL=ADDRESS).returncode == 0, (
        "and back, from the environment"
    )
    for path in tracked_files(ROOT):
        assert (copied / path.relative_to(ROOT)).read_bytes() == path.read_bytes()


NOT_AN_ADDRESS = {
    "nothing": "",
    "an owner": HUB + "a",
    "no name": HUB + "a/",
    "a folder": HUB + "a/b/c",
    "a branch": HUB + "a/b/tree/main",
    "no owner": HUB + "/b",
    "only .git": HUB + "a/.git",
    ".git twice": HUB + "a/b.git.git",
    "up": HUB + "a/..",
    "here": HUB + "a/.",
    "up and up": HUB + "../..",
    "slashes": HUB + "a/b//",
    "http": "http://github.com/a/b",
    "ssh": "git@github.com:a/b.git",
    "file": "file:///etc/passwd",
    "capitals": "HTTPS://github.com/a/b",
    "another host": "https://gitlab.com/a/b",
    "a host that begins so": "https://github.com.evil.org/a/b",
    "a host that looks so": "https://githubXcom/a/b",
    "a user": "https://me@github.com/a/b",
    "a password": "https://me:secret@github.com/a/b",
    "a port": "https://github.com:443/a/b",
    "a query": HUB + "a/b?tab=readme",
    "a fragment": HUB + "a/b#readme",
    "per cent": HUB + "a/b%2Fc",
    "a space": HUB + "a/b c",
    "a new line": HUB + "a/b\n",
    "a second line": HUB + "a/b\ntouch made",
    "a line before": "touch made\n" + HUB + "a/b",
    "a tab": HUB + "a/b\t",
    "backticks": HUB + "a/`touch made`",
    "a substitution": HUB + "a/$(touch made)",
    "make's own": HUB + "a/$(shell touch made)",
    "make's own, alone": "$(shell touch made)" + HUB + "a/b",
    "make's error": HUB + "a/$(error made)",
    "doubled": HUB + "a/$$(touch made)",
    "a variable": HUB + "a/$HOME",
    "make's variable": HUB + "a/$(PYTHON)",
    "a quote": HUB + "a/b'; touch made; '",
    "quotes": HUB + 'a/b"; touch made; "',
    "a semicolon": HUB + "a/b;touch made",
    "an ampersand": HUB + "a/b&",
    "and": HUB + "a/b && touch made",
    "a pipe": HUB + "a/b|touch made",
    "into a file": HUB + "a/b>made",
    "sed's end": HUB + "a/b|g;w made",
    "sed's group": HUB + r"a/\1",
    "a backslash": HUB + "a/b\\",
    "a star": HUB + "a/*",
    "a comment": HUB + "a/b # c",
    "a hyphen first": HUB + "-a/b",
    "a hyphen last": HUB + "a-/b",
    "an underscore": HUB + "a_a/b",
    "long": HUB + "a" * 40 + "/b",
    "a long name": HUB + "a/" + "b" * 101,
    "umlauts": HUB + "a/bücher",
    "other digits": HUB + "a/b\N{ARABIC-INDIC DIGIT THREE}",
    "an option": "--help",
}


@pytest.mark.slow
def test_what_is_not_an_address_changes_and_runs_nothing(copied):
    def state():
        files = (
            path
            for path in copied.rglob("*")
            if path.is_file() and ".git" not in path.parts
        )
        return {path: path.read_bytes() for path in files}

    before = state()
    for name, url in NOT_AN_ADDRESS.items():
        for refused in (
            make_address(copied, f"URL={url}"),
            make_address(copied, URL=url),
        ):
            assert refused.returncode != 0, name
            assert "name the repository: make address URL=https://" in refused.stderr, (
                name
            )
        assert not (copied / "made").exists(), name
    assert "name the repository" in make_address(copied).stderr
    assert state() == before
