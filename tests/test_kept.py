"""Long runs that are broken off go on where they stopped, and mix nothing."""

import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
import compare
import kept
import summary
from contenders import CONTENDERS, ML1M
from kept import Kept

NAMES = [name for name in CONTENDERS if CONTENDERS[name].data == ML1M][:3]
TABLES = "benchmark-curves.csv", "benchmarks.csv"


class Bench:
    """`make bench` with three contenders, whose processes are stood in for here."""

    def __init__(self, monkeypatch, folder):
        self.done, self.folder, self.breaks_off_after = [], folder, None
        monkeypatch.setattr(compare, "in_own_process", self.in_own_process)
        monkeypatch.setattr(compare, "Kept", lambda name: Kept(name, folder))
        monkeypatch.setattr(compare, "draw_pictures", lambda: None)
        monkeypatch.setattr(summary, "show", lambda table: None)
        monkeypatch.setattr(compare, "CURVES", folder / TABLES[0])
        monkeypatch.setattr(compare, "SUMMARY", folder / TABLES[1])

    def in_own_process(self, function, *arguments):
        if function is compare.write_data:
            return None
        name, seed, _ = arguments
        if len(self.done) == self.breaks_off_after:
            raise KeyboardInterrupt
        self.done.append((seed, name))
        about = {"data": ML1M, "contender": name, "seed": seed}
        memory = {"libraries_mib": 1.0, "peak_mib": 2.0, "seconds_compiling": 0.0}
        curve = {"epoch": 1, "seconds": 1.0 + seed, "hit_rate": 0.7, "ndcg": 0.4}
        return [about | memory | curve]

    def files(self):
        return {path.name for path in self.folder.iterdir()}


@pytest.fixture
def bench(monkeypatch, tmp_path):
    return Bench(monkeypatch, tmp_path)


def test_a_run_that_was_broken_off_goes_on_and_repeats_nothing(bench, capsys):
    bench.breaks_off_after = 4
    with pytest.raises(SystemExit, match="goes on"):
        compare.main(NAMES)
    assert not bench.files() & set(TABLES)  # nothing half-written
    bench.breaks_off_after = None
    for table in TABLES:  # of an earlier run
        stored = compare.RESULTS / table
        (bench.folder / table).write_bytes(stored.read_bytes())
    compare.main(NAMES)
    expected = [(seed, name) for seed in range(compare.ROUNDS) for name in NAMES]
    assert bench.done == expected
    assert bench.files() == set(TABLES)  # nothing is left over
    curves = pd.read_csv(compare.CURVES)
    assert len(curves[curves.contender.isin(NAMES)]) == len(expected)
    assert capsys.readouterr().out.count("kept: {") == 4


def test_what_other_code_has_measured_is_not_taken(bench, capsys, monkeypatch):
    bench.breaks_off_after = 2
    with pytest.raises(SystemExit):
        compare.main(NAMES)
    monkeypatch.setattr(kept, "measured_with", lambda: "other")
    bench.breaks_off_after = 3
    with pytest.raises(SystemExit):
        compare.main(NAMES)
    assert bench.done == [(0, NAMES[0]), (0, NAMES[1]), (0, NAMES[0])]
    assert bench.files() == {"bench-other"}
    assert "begun anew" in capsys.readouterr().out


@pytest.fixture
def changed(monkeypatch, tmp_path):
    """A copy of the sources, in which a line may be changed."""
    monkeypatch.setattr(kept, "ROOT", tmp_path)
    for name in ("benchmarks/contenders/one.py", "d2lrec/two.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("x = 1\n")
    return tmp_path


@pytest.mark.parametrize("name", ["benchmarks/contenders/one.py", "d2lrec/two.py"])
def test_other_sources_have_another_name(changed, name):
    before = kept.measured_with()
    assert kept.measured_with() == before
    (changed / name).write_text("x = 2\n")
    assert kept.measured_with() != before


def test_another_processor_or_version_has_another_name(changed, monkeypatch):
    before = kept.measured_with()
    monkeypatch.setattr(kept, "processor", lambda: "another")
    other = kept.measured_with()
    monkeypatch.setattr(kept.metadata, "distributions", lambda: [])
    assert len({before, other, kept.measured_with()}) == 3


def test_what_was_torn_while_it_was_written_is_measured_again(tmp_path):
    run = Kept("run", tmp_path)
    (run.folder / "one.part").write_text('{"result": 1, "beg')
    assert run.get("one", lambda: [2]) == ([2], False)
    assert Kept("run", tmp_path).get("one", lambda: [3]) == ([2], True)


def test_a_result_that_fails_is_not_kept(tmp_path):
    with pytest.raises(ZeroDivisionError):
        Kept("run", tmp_path).get("one", lambda: 1 / 0)
    assert Kept("run", tmp_path).get("one", lambda: 1) == (1, False)


def test_a_long_break_makes_two_sittings(tmp_path, monkeypatch):
    now = iter([0.0, 60.0, 70.0, 90.0, 5000.0, 5001.0])
    monkeypatch.setattr(kept.time, "time", lambda: next(now))
    run = Kept("run", tmp_path)
    for name in ("one", "two"):
        run.get(name, lambda: 0)
    assert run.sittings() == 1
    run.get("three", lambda: 0)
    assert run.sittings() == 2
    assert run.seconds() == {"one": 60.0, "two": 20.0, "three": 1.0}


def test_only_what_was_asked_for_is_forgotten(tmp_path):
    one, both = Kept("run", tmp_path), Kept("run", tmp_path)
    one.get("one", lambda: 1)
    both.get("two", lambda: 2)
    one.forget()
    assert [path.name for path in both.folder.iterdir()] == ["two.json"]
    both.forget()
    assert not both.folder.exists()
