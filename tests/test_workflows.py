"""What GitHub runs is what runs here: targets of the Makefile, and files that parse."""

import json
import re

import pytest
import yaml
from pages import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
# The few commands that are no target: .ci/run, which is one, and GitHub's own program.
OTHERS = r"bash \.ci/run|gh release [^;&]*( \|\| gh release [^;&]*)?"


def parsed(path):
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


def commands_in(part):
    """All that is run, wherever it stands."""
    if isinstance(part, dict):
        yield from [part["run"]] if isinstance(part.get("run"), str) else []
        part = list(part.values())
    for inner in part if isinstance(part, list) else []:
        yield from commands_in(inner)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_targets_with_few_permissions_and_an_end(path):
    workflow = parsed(path)
    assert {"name", "on", "concurrency", "jobs"} <= workflow.keys()
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert int(job["timeout-minutes"]) <= 150
    commands = list(commands_in(workflow))
    assert commands
    for command in commands:
        if target := re.match(r"make ([a-z-]+)$", command):
            assert re.search(rf"^{target[1]}\b[^:]*:", MAKEFILE, re.M), command
        else:
            assert re.fullmatch(OTHERS, command), command


def test_the_workflows_are_those_that_the_book_needs():
    names = ["links", "nightly", "pages", "release", "tests"]
    assert [path.stem for path in WORKFLOWS] == names


def test_only_the_job_that_needs_it_may_write():
    writing = {
        (path.stem, name, right)
        for path in WORKFLOWS
        for name, job in parsed(path)["jobs"].items()
        for right in job.get("permissions", {})
    }
    assert writing == {
        ("pages", "publish", "pages"),
        ("pages", "publish", "id-token"),
        ("release", "release", "contents"),
    }


def test_an_action_has_one_version_everywhere():
    texts = [path.read_text() for path in (*WORKFLOWS, *ACTIONS)]
    used = set(re.findall(r"uses: ([\w/-]+@\S+)", "\n".join(texts)))
    assert used
    assert len({name.partition("@")[0] for name in used}) == len(used)
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", name) for name in used)


def test_the_other_files_of_services_parse():
    updated = parsed(ROOT / ".github/dependabot.yml")["updates"]
    assert {update["package-ecosystem"] for update in updated} == {
        "pip",
        "github-actions",
    }
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    target = container["postCreateCommand"].removeprefix("make ")
    assert re.search(rf"^{re.escape(target)}:", MAKEFILE, re.M)
    hooks = parsed(ROOT / ".pre-commit-config.yaml")["repos"][0]["hooks"]
    assert re.search(r"^test: lint$", MAKEFILE, re.M)
    assert "lint" in hooks[0]["entry"]
