"""The training scripts: they run from a few parts, and the OCR engine reads what is drawn."""

from __future__ import annotations

import importlib.util
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from ibcore import minidoc, minivlm

ROOT = Path(__file__).resolve().parents[1]


def script(name):
    """A script of the folder `training`, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "training" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    module = script("docvlm")
    monkeypatch.setattr(module, "WORK", tmp_path / "work")
    return module


def test_a_part_is_kept_and_found_again(recipe):
    assert recipe.kept("some-part") is None
    recipe.keep("some-part", losses=[1.0, 2.0])
    assert recipe.kept("some-part")["losses"] == [1.0, 2.0]


def test_unknown_parts_are_refused(recipe):
    with pytest.raises(SystemExit, match="no-such-part: expected base, store"):
        recipe.main(["no-such-part"])


def test_the_stored_variants_are_those_of_the_recipe(recipe):
    record = minivlm.record()
    assert set(recipe.STORED.values()) <= set(record["variants"])
    for name, about in record["variants"].items():
        assert vars(recipe.VARIANTS[name]) == about
    assert record["test_seed"] == recipe.TEST_SEED


def test_the_stored_transcripts_are_of_the_test_pages():
    transcripts = script("transcripts")
    record = minivlm.record()
    assert record["transcripts"]["noise_seed"] == transcripts.NOISE_SEED
    assert record["test_seed"] == transcripts.TEST_SEED
    words = record["transcripts"]["words"]
    assert {name: len(words[name]) for name in words} == {s[0]: s[1] for s in transcripts.SCANS}
    pages = minidoc.draw(1000, np.random.default_rng(transcripts.TEST_SEED))
    same = [
        sorted(word[0] for word in read) == sorted(true)
        for read, true in zip(words["clean"], pages.words, strict=False)
    ]
    assert np.mean(same) > 0.95


@pytest.mark.skipif(
    not (find_spec("rapidocr") and find_spec("onnxruntime")),
    reason="the OCR engine is not installed; it comes with the extra `test`",
)
@pytest.mark.filterwarnings("default")
def test_the_engine_reads_three_pages():
    transcripts = script("transcripts")
    pages = minidoc.draw(1000, np.random.default_rng(transcripts.TEST_SEED))
    reader = transcripts.engine()
    stored = minivlm.record()["transcripts"]["words"]["clean"]
    for page in range(3):
        read = transcripts.recognise(reader, minidoc.scan(pages[np.array([page])])[0])
        assert [word[0] for word in read] == [word[0] for word in stored[page]]
        boxes = np.array([word[1:] for word in read])
        np.testing.assert_allclose(boxes, [word[1:] for word in stored[page]], atol=0.03)
    assert transcripts.recognise(reader, np.full((128, 192), 255, np.uint8)) == []
