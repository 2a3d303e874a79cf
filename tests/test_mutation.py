"""The mutation run: it kills what is planted to be killed, and finds what is planted to survive."""

from __future__ import annotations

import ast
import json
import time
from functools import partial
from pathlib import Path

import pytest

from mutation import __main__ as command
from mutation import judges, mutants, processes, run

ROOT = Path(__file__).resolve().parents[1]

SMALL = '''"""A small module."""

from __future__ import annotations

import math

LIMIT = 3
Table = dict[str, int]


def clipped(x: float, top: float = 2.0) -> float:
    """Return x, at most `top`."""
    if x != x:
        raise ValueError("x is not a number")
    return top if x > top else x


def slept(n: int) -> int:
    """Count down from n, and say where that ends."""
    while n > 0:
        n -= 1
    return n


def unseen(x: float) -> float:
    """Return what no test looks at."""
    return math.sqrt(x) + LIMIT
'''

TESTS = """
import pytest
from ibcore import small

def test_clipped():
    assert small.clipped(1.0) == 1.0
    assert small.clipped(5.0) == 2.0

def test_not_a_number():
    with pytest.raises(ValueError):
        small.clipped(float("nan"))

def test_slept():
    assert small.slept(3) == 0
"""

CELLS = judges.Chapter("book/tiny", ("from ibcore import small", "print(small.unseen(4.0))"))


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Path:
    """A package of one module, with tests for a part of it."""
    root = tmp_path_factory.mktemp("planted")
    for name, text in (("ibcore/__init__.py", ""), ("ibcore/small.py", SMALL)):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, "utf-8")
    (root / "tests").mkdir()
    (root / "tests" / "conftest.py").write_text("", "utf-8")
    (root / "tests" / "test_small.py").write_text(TESTS, "utf-8")
    return root


@pytest.fixture(scope="module")
def verdicts(planted) -> dict[tuple[str, str], run.Verdict]:
    """What the tests say of all mutants of the planted package, by function and change."""
    texts = run.sources(planted)
    everything = mutants.find("small", SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "START", 3.0)
        found = run.judge(planted, everything, texts, {}, jobs=2, claims=False)
    return {(v.mutant.function, v.mutant.after): v for v in found}


def mutant(after: str) -> mutants.Mutant:
    (found,) = (m for m in mutants.find("small", SMALL) if m.after == after)
    return found


# --- the mistakes ---------------------------------------------------------------------------------


def test_what_says_nothing_when_it_runs_is_left_alone() -> None:
    text = "\n".join(f"{m.before} {m.after}" for m in mutants.find("small", SMALL))
    assert all(word not in text for word in ("XX", "import", "Table", "raise"))
    annotated = 'def f(x: tuple[int, 3]) -> "y":\n    z: dict[str, 4] = x\n    return z'
    assert [m.after for m in mutants.find("m", annotated)] == ["return None"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x < 1", {"x >= 1", "x <= 1", "x < 2"}),
        ("x == y", {"x != y"}),
        ("x + y", {"x - y"}),
        ("x / y", {"x * y"}),
        ("a and b", {"a or b"}),
        ("not a", {"a"}),
        ("-x", {"x"}),
        ("True", {"False"}),
        ("0.5", {"1.5"}),
        ("600.0", {"1200.0"}),
        ("'key'", {"'XXkeyXX'"}),
        ("x[1:]", {"x[2:]"}),
        ("np.min(x, axis=0)", {"np.max(x, axis=0)", "np.min(x)", "np.min(x, axis=1)"}),
        ("abs(x)", {"x"}),
        ("w.copy()", {"w"}),
        ("a if b else c", {"a if not b else c"}),
        ("_validate.positive(x, 'x')", {"x"}),
        ("f(x, dtype=np.float64)", set()),
        ("zip(x, z, strict=True)", set()),
    ],
)
def test_expressions(code: str, expected: set[str]) -> None:
    found = {m.after for m in mutants.find("m", f"y = {code}")}
    assert found == {f"y = {change}" for change in expected}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def f():\n    return x", {"return None"}),
        ("def f():\n    return None", set()),
        ("record(x)", {"pass"}),
        ("x += y", {"x -= y"}),
        ("x[k] = y", {"pass"}),
        ("while x:\n    break", {"continue"}),
        ("if x:\n    y = z", {"if not x:"}),
        ("if x:\n    raise ValueError('a word' + b)", {"pass"}),
        ("allowed = f'at least {1 + a}'", set()),
        ("def f(x=1):\n    pass", {"def f(x=2):"}),
    ],
)
def test_statements(code: str, expected: set[str]) -> None:
    assert {m.after for m in mutants.find("m", code)} == expected


@pytest.mark.parametrize("module", ["losses", "claims", "quantized"])
def test_every_mutant_of_the_package_is_another_program(module: str) -> None:
    source = (ROOT / "ibcore" / f"{module}.py").read_text("utf-8")
    original = ast.dump(ast.parse(source))
    found = mutants.find(module, source)
    assert len({m.name for m in found}) == len(found) > 100
    for one in found[:: len(found) // 20]:
        tree = mutants.mutate(source, one.index)
        assert ast.dump(tree) != original
        compile(tree, module, "exec")


def test_the_name_of_an_argument_is_a_word_of_a_message() -> None:
    code = "def _checked(x, name):\n    pass\n\ny = _checked('heavy', 'y')"
    assert [m.after for m in mutants.find("m", code)] == ["y = _checked('XXheavyXX', 'y')"]


def test_an_unknown_mutant_is_refused() -> None:
    with pytest.raises(ValueError, match="index is 999"):
        mutants.mutate(SMALL, 999)


# --- the judges -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "after", "by"),
    [
        ("clipped", "return top if x <= top else x", "test_clipped"),
        ("clipped", "return None", "test_clipped"),
        ("clipped", "pass", "test_not_a_number"),
        ("", "def clipped(x: float, top: float=3.0) -> float:", "test_clipped"),
        ("slept", "while n >= 0:", "test_slept"),
        ("slept", "n += 1", "timeout"),
    ],
)
def test_planted_mutants_are_killed(verdicts, function: str, after: str, by: str) -> None:
    verdict = verdicts[function, after]
    assert verdict.status == "tests"
    assert verdict.by.endswith(by)


@pytest.mark.parametrize(
    ("function", "after"),
    [
        ("clipped", "return top if x >= top else x"),  # the same function
        ("unseen", "return math.sqrt(x) - LIMIT"),  # not tested
        ("", "LIMIT = 4"),  # not tested either
    ],
)
def test_planted_survivors_are_found(verdicts, function: str, after: str) -> None:
    assert verdicts[function, after].status == "survived"


def test_only_tests_of_the_mutated_lines_are_run(planted) -> None:
    heard = run.unit_tests(planted, 1)
    (first, last) = mutant("n += 1").lines
    assert heard.tests("small", first, last, False) == ["tests/test_small.py::test_slept"]
    assert len(heard.tests("small", *mutant("LIMIT = 4").lines, True)) == 3


def ask(planted: Path, cells: judges.Chapter, after: str) -> processes.Result:
    """What a chapter says of a mutant."""
    one = mutant(after)
    call = partial(judges.listen_to_chapter, planted, cells)
    (heard,) = processes.run([processes.Task("heard", call, 60.0)], 1)
    tree = mutants.mutate(SMALL, one.index)
    judge = partial(
        judges.by_chapter, planted, "small", tree, cells, heard.value.outputs, run.differs
    )
    assert set(range(one.lines[0], one.lines[1] + 1)) & heard.value.lines["small"]
    (result,) = processes.run([processes.Task(0, judge, 60.0)], 1)
    return result


def test_a_chapter_kills_by_what_it_prints_or_raises(planted) -> None:
    assert ask(planted, CELLS, "LIMIT = 4").value == "cell 2: prints something else"
    raising = judges.Chapter(
        "book/tiny", ("from ibcore import small", "assert small.unseen(0) == 3")
    )
    assert ask(planted, raising, "LIMIT = 4").value == "cell 2: AssertionError"


def test_a_chapter_that_does_not_look_kills_nothing(planted) -> None:
    blind = judges.Chapter("book/tiny", ("from ibcore import small", "y = small.unseen(0)"))
    assert ask(planted, blind, "LIMIT = 4").value == ""


def test_numbers_of_a_claim_may_move_as_far_as_the_reference_allows() -> None:
    comparison = {
        "quantity": "q", "relation": "equal", "predicted": [1.0], "measured": [1.0],
        "instances": 1, "drift": 0.01,
    }  # fmt: skip

    def record(measured: float) -> dict[str, object]:
        moved = {**comparison, "measured": [measured]}
        return {"id": "a-thm", "status": "corroborated", "comparisons": [moved]}

    before = ["", "", record(1.0)]
    assert run.differs(before, ["", "", record(1.009)]) == ""
    assert "was 1.0, is 1.02" in run.differs(before, ["", "", record(1.02)])
    assert run.differs(before, ["", "", None]) == "makes another claim"
    assert run.differs(before, ["a", "", record(1.0)]) == "prints something else"


def test_a_failure_of_the_unchanged_package_is_no_kill(planted, tmp_path) -> None:
    for name in ("ibcore", "tests"):
        (tmp_path / name).symlink_to(planted / name)
    broken = tmp_path / "tests_broken.py"
    broken.write_text("def test_wrong(): assert False\n", "utf-8")
    call = partial(run._spoken, partial(judges.listen_to_tests, tmp_path, [broken.name]))
    (result,) = processes.run([processes.Task(0, call, 60.0)], 1)
    assert "the unchanged package fails: ['tests_broken.py::test_wrong']" in result.value


def test_workers_that_hang_or_die_are_reported() -> None:
    tasks = [
        processes.Task("waits", partial(time.sleep, 60), 0.05),
        processes.Task("hangs", partial(exec, "while True: pass"), 0.5),
        processes.Task("dies", partial(exec, "import os; os._exit(3)"), 60.0),
        processes.Task("works", partial(max, 1, 2), 60.0),
    ]
    found = {result.key: result for result in processes.run(tasks, 2)}
    assert found["waits"].problem == found["hangs"].problem == "timeout"
    assert found["dies"].problem == "crash"
    assert found["works"].value == 2


def test_a_run_that_is_cut_off_counts_what_it_has_seen(planted) -> None:
    everything = mutants.find("small", SMALL)
    seen = run.round_of_tests(planted, everything, run.sources(planted), 1, minutes=0.005)
    assert 0 < len(seen) < len(everything)
    assert list(seen) == [m.name for m in everything][: len(seen)]


# --- explanations ---------------------------------------------------------------------------------

ENTRY = """
[[explained]]
module = "small"
function = "clipped"
before = "return top if x > top else x"
after = "{after}"
why = "{why}"
"""


def explain(tmp_path: Path, after: str, why: str = "The two values are equal.") -> dict:
    path = tmp_path / "explained.toml"
    path.write_text(ENTRY.format(after=after, why=why), "utf-8")
    return run.explanations(path, mutants.find("small", SMALL))


def test_an_explained_mutant_may_survive(planted, tmp_path) -> None:
    explained = explain(tmp_path, "return top if x >= top else x")
    chosen = [mutant("return top if x >= top else x")]
    (verdict,) = run.judge(planted, chosen, run.sources(planted), explained, jobs=1, claims=False)
    assert (verdict.status, verdict.by) == ("explained", "The two values are equal.")


def test_an_explanation_of_what_is_gone_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="explains a mutant that does not exist"):
        explain(tmp_path, "return top if x > other else x")


def test_a_whole_statement_or_function_can_be_explained(tmp_path) -> None:
    path = tmp_path / "explained.toml"
    path.write_text('[[explained]]\nmodule = "small"\nfunction = "unseen"\nwhy = "x"\n', "utf-8")
    found = mutants.find("small", SMALL)
    explained = run.explanations(path, found)
    assert set(explained) == {m.name for m in found if m.function == "unseen"}
    assert not any(explanation.exact for explanation in explained.values())


def test_an_explanation_without_words_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="does not say why"):
        explain(tmp_path, "return top if x >= top else x", why=" ")


def test_an_explanation_of_what_is_killed_is_refused(planted, tmp_path) -> None:
    explained = explain(tmp_path, "return top if x <= top else x")
    with pytest.raises(ValueError, match=r"explains what is killed: .*test_clipped"):
        run.judge(
            planted,
            [mutant("return top if x <= top else x")],
            run.sources(planted),
            explained,
            jobs=1,
            claims=False,
        )


def test_the_committed_explanations_fit_the_package() -> None:
    found = [m for name, text in run.sources(ROOT).items() for m in mutants.find(name, text)]
    run.explanations(ROOT / run.EXPLAINED, found)


# --- the count ------------------------------------------------------------------------------------


def test_a_sample_is_proportional_and_can_be_drawn_again() -> None:
    found = {name: mutants.find(name, SMALL * n) for name, n in (("a", 1), ("b", 40))}
    sizes = {name: len(ones) for name, ones in found.items()}
    drawn = run.sample(found, 100, seed=1)
    assert drawn == run.sample(found, 100, seed=1) != run.sample(found, 100, seed=2)
    assert len({m.name for m in drawn}) == len(drawn)
    count = {name: sum(m.module == name for m in drawn) for name in found}
    assert count["a"] == run.LEAST
    assert count["b"] == round(100 * sizes["b"] / sum(sizes.values()))
    assert len(run.sample(found, 0, seed=1)) == sum(sizes.values())


def test_a_module_counts_by_its_size_and_not_by_its_sample() -> None:
    one = mutant("LIMIT = 4")
    verdicts = [
        run.Verdict(mutants.Mutant(**{**vars(one), "module": module}), status, "")
        for module, status in (
            ("a", "tests"),
            ("a", "survived"),
            ("b", "explained"),
            ("b", "claims"),
        )
    ]
    counted = run.count(verdicts, {"a": 10, "b": 30, "not drawn": 5})
    everything = counted["all"]
    assert everything["rate"] == pytest.approx(0.25 * 0.5 + 0.75)
    assert everything["rate_without_explanations"] == pytest.approx(0.25 * 0.5 + 0.75 * 0.5)
    assert everything["interval"][0] < everything["rate"] < everything["interval"][1]
    assert everything["mutants"] == 40
    assert counted["modules"]["not drawn"]["rate"] is None


def test_the_interval_is_wilson_s() -> None:
    low, high = run.interval(0.9, 100)
    for bound in (low, high):  # its ends are where the distance is z standard deviations
        assert abs(bound - 0.9) == pytest.approx(1.96 * (bound * (1 - bound) / 100) ** 0.5)
    assert run.interval(1.0, 10)[1] == 1.0


# --- the command and its record -------------------------------------------------------------------


def test_the_command_writes_a_record_and_names_the_survivors(planted, monkeypatch, capsys) -> None:
    (planted / "tests" / "mutation").mkdir()
    (planted / run.EXPLAINED).write_text("", "utf-8")
    monkeypatch.setattr(command, "ROOT", planted)
    monkeypatch.setattr(run, "START", 3.0)
    path = planted / "record.json"
    assert command.main(["--no-claims", "--sample", "5", "--jobs", "2", "--record", str(path)]) == 0
    written = json.loads(path.read_text("utf-8"))
    survived = written["all"]["survived"]
    assert written["explained_since"] == 0
    assert survived == len(written["survivors"]) > 0
    assert capsys.readouterr().out.count("survived") == survived + 1
    before = path.read_bytes()
    assert command.main(["--no-claims", "--again", "--record", str(path)]) == 0
    assert path.read_bytes() == before
    assert capsys.readouterr().out.count("survived") == survived + 1


def test_a_survivor_can_be_explained_after_the_run(tmp_path) -> None:
    chosen = [mutant("return top if x >= top else x"), mutant("LIMIT = 4"), mutant("n += 1")]
    status = ("survived", "survived", "tests")
    verdicts = [run.Verdict(m, s, "") for m, s in zip(chosen, status, strict=True)]
    record = run.count(verdicts, {"small": 30, "other": 7})
    record["survivors"] = [run.as_entry(m) for m in chosen[:2]]
    record["explained_since"] = 3
    after = run.explained_since(record, explain(tmp_path, chosen[0].after))
    assert after["survivors"] == [run.as_entry(chosen[1])]
    assert (after["all"]["explained"], after["all"]["survived"]) == (1, 1)
    assert after["explained_since"] == 4
    assert after["all"]["rate"] == pytest.approx(2 / 3, abs=1e-4)
    assert after["modules"]["other"] == record["modules"]["other"]


def test_an_unknown_module_is_refused(capsys) -> None:
    assert command.main(["nothing"]) == 1
    assert "modules has 'nothing'; allowed: _validate, claims" in capsys.readouterr().err


def test_the_committed_record_is_of_the_whole_package_and_adds_up() -> None:
    record = json.loads(command.RECORD.read_text("utf-8"))
    everything, modules = record["all"], record["modules"]
    assert set(modules) == set(run.sources(ROOT))
    assert all(row["sampled"] > 0 for row in modules.values())
    for status in (*run.STATUSES, "sampled", "mutants"):
        assert everything[status] == sum(row[status] for row in modules.values())
    assert everything["sampled"] == sum(everything[status] for status in run.STATUSES)
    assert len(record["survivors"]) == everything["survived"]
    assert record["claims_heard"] or not everything["claims"]
    assert 0 <= record["explained_since"] <= everything["explained"]
    low, high = everything["interval"]
    assert low < everything["rate"] < high
    assert all(module in run.table(record) for module in modules)
