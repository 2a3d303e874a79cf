"""The ledger: claims read out of notebooks, joined with statements, valid, shown."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import nbformat
import pytest
from bs4 import BeautifulSoup

from ibbook import json_files, ledger
from ibbook.records import Record, claims_in
from ibbook.statements import Statement
from ibcore.claims import Claim, Report, not_checked

CHAPTER = "book/part/tiny2020-chapter"
THEOREM = Statement(
    "tiny2020-chapter-thm3",
    "theorem",
    "3 (limit & <direction>)",
    CHAPTER,
    ("tiny2020-chapter-a1",),
    "seen",
)
LEMMA = Statement("tiny2020-chapter-lemma", "lemma", "Descent", CHAPTER, (), "derived")
PREMISE = Statement("tiny2020-chapter-a1", "assumption", "1 (data)", CHAPTER)
PAPER = {"title": "A paper", "edition": "arXiv v2"}


def report() -> Report:
    claim = Claim(THEOREM.id, grade="finite horizon", scope="t <= 100", seeds=[3])
    claim.equal("the limit", measured=[1.0, 2.0], predicted=[1.0, 2.0], rtol=1e-3)
    claim.control("half the step", measured=[1.5, 3.0])
    claim.exact("support vectors", measured=[3], predicted=[3])
    claim.control("one sample removed", measured=[2])
    return claim.report()


def built() -> dict[str, Any]:
    records = [
        Record(CHAPTER, copy.deepcopy(report().record), PAPER),
        Record(CHAPTER, not_checked(LEMMA.id, "no number in it").record, PAPER),
    ]
    versions = {"python": "3.11.7", "numpy": "2.0.0"}
    return ledger.build([PREMISE, THEOREM, LEMMA], records, versions, "abc")


def link(docname: str, anchor: str) -> str:
    return f"../{docname}.html#{anchor}" if anchor else f"../{docname}.html"


# --- records ------------------------------------------------------------------------------------


def test_claims_are_read_from_the_metadata_of_outputs_in_order() -> None:
    data, metadata = report()._repr_mimebundle_()
    other = not_checked(LEMMA.id, "no number in it")._repr_mimebundle_()
    outputs = [
        nbformat.v4.new_output("stream", text="hello"),
        nbformat.v4.new_output("display_data", data=data, metadata=metadata),
        nbformat.v4.new_output("execute_result", data=other[0], metadata=other[1]),
    ]
    cells = [
        nbformat.v4.new_markdown_cell("prose"),
        nbformat.v4.new_code_cell("code", outputs=outputs),
    ]
    through_json = nbformat.reads(
        nbformat.writes(nbformat.v4.new_notebook(cells=cells)), as_version=4
    )
    found = list(claims_in(through_json))
    assert [claim["id"] for claim in found] == [THEOREM.id, LEMMA.id]
    assert found[0] == json.loads(json.dumps(report().record)), "at full precision"


def test_a_record_without_an_id_has_the_empty_one() -> None:
    assert Record(CHAPTER, {}, {}).id == ""


# --- joining ------------------------------------------------------------------------------------


def test_one_row_a_result_in_the_order_of_the_statements() -> None:
    rows = built()["claims"]
    assert [row["id"] for row in rows] == [THEOREM.id, LEMMA.id], "a premise has no row"
    assert rows[0]["result"] == "Theorem 3"
    assert rows[1]["result"] == "Lemma (Descent)"


def test_the_flat_fields_are_those_of_the_first_comparison() -> None:
    row = built()["claims"][0]
    assert (row["relation"], row["measured"], row["tolerance"]) == ("equal", [1.0, 2.0], 1e-3)
    assert row["instances"] == 3, "but instances count all comparisons"
    assert [(c["quantity"], c["broken"]) for c in row["controls"]] == [
        ("the limit", "half the step"),
        ("support vectors", "one sample removed"),
    ]


def test_a_result_that_is_not_checked_has_no_numbers() -> None:
    row = built()["claims"][1]
    assert (row["status"], row["because"]) == ("not checked", "no number in it")
    assert (row["relation"], row["error"], row["grade"]) == (None, None, None)
    assert (row["instances"], row["controls"]) == (0, [])


# --- the schema ---------------------------------------------------------------------------------

REQUIRED = ledger.schema()["$defs"]["claim"]["required"]


def test_the_schema_itself_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(ledger.schema())


def test_a_built_ledger_fits_the_schema() -> None:
    jsonschema.validate(json.loads(json.dumps(built())), ledger.schema())


@pytest.mark.parametrize("name", REQUIRED)
def test_every_field_of_a_claim_is_required(name: str) -> None:
    found = built()
    del found["claims"][0][name]
    with pytest.raises(jsonschema.ValidationError, match=name):
        jsonschema.validate(found, ledger.schema())


@pytest.mark.parametrize("name", ["schema", "versions", "commit", "claims"])
def test_every_field_of_the_ledger_is_required(name: str) -> None:
    found = built()
    del found[name]
    with pytest.raises(jsonschema.ValidationError, match=name):
        jsonschema.validate(found, ledger.schema())


def first(found: dict[str, Any]) -> dict[str, Any]:
    return found["claims"][0]


MISTAKES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another format": lambda f: f.update(schema="implicit-bias-ledger/2"),
    "a field that nobody knows": lambda f: f.update(score=100),
    "a version that is empty": lambda f: f["versions"].update(numpy=""),
    "an unknown status": lambda f: first(f).update(status="verified"),
    "an unknown relation": lambda f: first(f).update(relation="close to"),
    "an unknown grade": lambda f: first(f).update(grade="excellent"),
    "no grade": lambda f: first(f).update(grade=None),
    "an unknown provenance": lambda f: first(f).update(provenance=""),
    "an id with capitals": lambda f: first(f).update(id="Tiny-thm3"),
    "zero instances": lambda f: first(f).update(instances=0),
    "zero instances of a comparison": lambda f: first(f)["comparisons"][0].update(instances=0),
    "zero instances of a control": lambda f: first(f)["controls"][0].update(instances=0),
    "nothing compared": lambda f: first(f).update(comparisons=[]),
    "no controls": lambda f: first(f).update(controls=[]),
    "a comparison without a control": lambda f: first(f)["comparisons"][1].update(controls=[]),
    "a control without teeth": lambda f: first(f)["controls"][0].update(bites=False),
    "a tolerance below zero": lambda f: first(f).update(tolerance=-1.0),
    "a word for an error": lambda f: first(f)["comparisons"][0].update(error="small"),
    "no reason": lambda f: f["claims"][1].update(because=""),
    "numbers of what was not checked": lambda f: f["claims"][1].update(
        comparisons=first(f)["comparisons"]
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_schema_refuses(mistake: str) -> None:
    found = built()
    MISTAKES[mistake](found)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, ledger.schema())


def test_build_refuses_what_the_schema_refuses() -> None:
    data = copy.deepcopy(report().record) | {"status": "verified"}
    with pytest.raises(jsonschema.ValidationError, match="verified"):
        ledger.build([THEOREM], [Record(CHAPTER, data, PAPER)], {"python": "3", "numpy": "2"}, "")


# --- JSON ---------------------------------------------------------------------------------------


def test_dump_and_load_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "site" / "ledger.json"
    json_files.write(built(), path)
    assert json.loads(path.read_text("utf-8")) == json.loads(json.dumps(built()))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_holds_finite_numbers_only(tmp_path: Path, value: float) -> None:
    found = built()
    first(found)["error"] = value
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_files.write(found, tmp_path / "ledger.json")
    assert not (tmp_path / "ledger.json").exists(), "nothing half-written"


# --- the page -----------------------------------------------------------------------------------


def page(found: dict[str, Any]) -> BeautifulSoup:
    return BeautifulSoup(ledger.as_html(found, link), "html.parser")


def test_the_page_has_a_row_a_result_that_links_to_its_statement() -> None:
    rows = page(built()).select("tbody tr")
    assert len(rows) == 2
    assert rows[0].select_one("th a")["href"] == f"../{CHAPTER}.html#{THEOREM.id}"
    assert "half the step" in rows[0].text
    assert "and 1 more" in rows[0].text
    assert rows[1].select("td")[-1].text == "because no number in it"


def test_the_page_names_paper_and_edition() -> None:
    found = page(built())
    assert found.select_one("h2 a").text == "A paper"
    assert "Counted against: arXiv v2." in found.text


def test_the_page_shows_markup_as_text() -> None:
    assert page(built()).find("direction") is None
    assert "limit & <direction>" in page(built()).text


def test_every_row_is_as_wide_as_the_head() -> None:
    found = page(built())
    width = len(found.select("thead th"))
    for row in found.select("tbody tr"):
        assert sum(int(cell.get("colspan", 1)) for cell in row.select("th, td")) == width


def test_the_page_says_what_a_claim_could_miss() -> None:
    heads = [head.text for head in page(built()).select("thead th")]
    row = page(built()).select_one("tbody tr").select("th, td")
    assert row[heads.index("could miss")].text == "0.1 %"


def test_blunt_comparisons_are_listed_the_bluntest_first() -> None:
    claim = Claim(LEMMA.id, grade="exact instance")
    claim.equal("sharp", measured=[1.0], predicted=[1.0], rtol=1e-3)
    claim.control("broken", measured=[1.5])
    claim.equal("blunt", measured=[1.0], predicted=[1.0], rtol=0.02)
    claim.control("broken", measured=[1.5])
    claim.equal("blunter", measured=[1.0], predicted=[1.0], rtol=0.04)
    claim.control("broken", measured=[1.5])
    claim.rate("a rate", log_x=list(range(9)), log_y=list(range(9)), predicted=1, rtol=0.04)
    claim.control("broken", predicted=2)
    claim.at_most("a bound", measured=[0.5], predicted=[1.0])
    claim.control("broken", measured=[1.5])
    record = Record(CHAPTER, claim.report().record, PAPER)
    found = ledger.build([LEMMA], [record], {"python": "3", "numpy": "2"}, "")
    assert ledger.blunt(found, 0.01, 0.05) == [
        f"{LEMMA.id}: 'blunter' could miss 4.2 %",
        f"{LEMMA.id}: 'blunt' could miss 2 %",
    ]
    assert len(ledger.blunt(found, 0.01, 0.01)) == 3


def test_a_contradicted_result_says_why() -> None:
    claim = Claim(THEOREM.id, grade="exact instance", contradicted="the constant is 2, not 1")
    claim.equal("the constant", measured=[2.0], predicted=[1.0], rtol=1e-3)
    claim.control("the right constant", predicted=[2.0])
    record = Record(CHAPTER, claim.report().record, PAPER)
    found = ledger.build([THEOREM], [record], {"python": "3", "numpy": "2"}, "")
    row = page(found).select_one("tbody tr")
    assert row.select_one(".ib-contradicted").text == "contradicted"
    assert "the constant is 2, not 1" in row.text


def test_the_line_under_a_statement_links_to_claim_users_and_ledger() -> None:
    record = Record(CHAPTER, report().record, PAPER)
    line = ledger.statement_html(THEOREM, record, [("Lemma (Descent)", "#l")], "../ledger.html")
    found = BeautifulSoup(line, "html.parser")
    assert [a["href"] for a in found.select("a")] == [
        f"#claim-{THEOREM.id}", "#l", "../ledger.html",
    ]  # fmt: skip
    assert "corroborated on 3 instances" in found.text
    assert "as in the paper, whose text was read" in found.text


def test_a_premise_that_nothing_uses_has_no_line() -> None:
    assert ledger.statement_html(PREMISE, None, [], "ledger.html") == ""
