"""What a real OCR engine reads on the test pages of the chapter on DocVLM.

    python training/transcripts.py

writes the transcripts into ``ibcore/data/docvlm.json``. It needs the packages of the extra `ocr`.
The engine brings its models along and opens no connection.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ibcore import minidoc

STORE = Path(__file__).resolve().parents[1] / "ibcore" / "data" / "docvlm.json"
#: Name, pages, factor of the size, noise in grey levels.
SCANS = (("clean", 300, 1.0, 0.0), ("degraded", 150, 0.4, 12.0), ("ruined", 150, 0.25, 20.0))
#: Seed of the pages, which are the first of the chapter's test set, and of the noise.
TEST_SEED, NOISE_SEED = 1_000_001, 7


def engine() -> Any:
    """The engine, set up for pages of 128 x 192 pixels and one thread."""
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.use_cls": False,
            "Global.log_level": "error",
            "Det.limit_side_len": 192,
            "Det.limit_type": "min",
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def recognise(reader: Any, scan: minidoc.Scan) -> list[list[Any]]:
    """Words of a scan, each a list of the text and its box: left, top, right, bottom, in pages."""
    found = reader(np.repeat(scan[:, :, None], 3, axis=2))
    if found.txts is None:
        return []
    size = np.array([minidoc.WIDTH, minidoc.HEIGHT])
    corners = [(np.asarray(box) / size) for box in found.boxes]
    return [
        [text, *np.round([*box.min(axis=0), *box.max(axis=0)], 3).tolist()]
        for text, box in zip(found.txts, corners, strict=True)
    ]


def main() -> None:
    """Read the test pages, and store what was read."""
    reader = engine()
    rng = np.random.default_rng(TEST_SEED)
    # All 1,000 pages: the first ones depend on how many are drawn.
    scans = minidoc.scan(minidoc.draw(1000, rng))
    noise = np.random.default_rng(NOISE_SEED)
    words = {}
    for name, n, factor, sigma in SCANS:
        seen = minidoc.degrade(scans[:n], factor, sigma, noise) if sigma else scans[:n]
        words[name] = [recognise(reader, scan) for scan in seen]
    stored = json.loads(STORE.read_text("utf-8")) if STORE.exists() else {}
    versions = {name: version(name) for name in ("rapidocr", "onnxruntime")}
    stored["transcripts"] = {"engine": versions, "noise_seed": NOISE_SEED, "words": words}
    STORE.write_text(json.dumps(stored, separators=(",", ":"), sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
