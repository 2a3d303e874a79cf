"""Train the miniature of the chapter on DocVLM, and store it.

    python training/docvlm.py            # all parts, one after the other, then `store`
    python training/docvlm.py base m8-0  # these parts; several processes can share the work
    python training/docvlm.py store      # write ibcore/data/docvlm.npz and docvlm.json

Every part leaves a file in ``_build/training`` and is not trained again while that is there. All
seeds are fixed, one thread is used, and no download is needed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ibcore import minidoc, minivlm
from ibcore.minivlm import Base, Encoder

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "_build" / "training"
DATA = ROOT / "ibcore" / "data"
#: Nothing was chosen on these pages; choices were made on seed 1_000_000.
TEST_SEED = 1_000_001


@dataclass(frozen=True)
class Variant:
    """One trained encoder."""

    n_queries: int
    seed: int = 0
    aware: bool = True
    compress: bool = True
    image_steps: int = 650
    text_steps: int = 50
    stage0: bool = True


VARIANTS = {
    "m8-0": Variant(8),
    "m1": Variant(1),
    "m4": Variant(4),
    "m8-1": Variant(8, seed=1),
    "m8-2": Variant(8, seed=2),
    "m1-blind": Variant(1, aware=False),
    "m8-no-stage-2": Variant(8, image_steps=0, text_steps=700),
    "words": Variant(1, compress=False),
    "m2": Variant(2),
    "m3": Variant(3),
}
STORED = {1: "m1", 4: "m4", 8: "m8-0"}


def drain(losses: Iterator[float]) -> list[float]:
    """Take all steps; keep the losses."""
    return [round(loss, 6) for loss in losses]


def kept(name: str) -> dict[str, Any] | None:
    """What a part has left, if it has been trained."""
    path = WORK / f"{name}.pt"
    return torch.load(path, weights_only=True) if path.exists() else None


def keep(name: str, **content: Any) -> None:
    """Leave what a part has learned, in one step, so that a part is there or not."""
    WORK.mkdir(parents=True, exist_ok=True)
    content["cpu"] = round(time.process_time(), 1)
    torch.save(content, WORK / f"{name}.tmp-{id(content)}")
    (WORK / f"{name}.tmp-{id(content)}").replace(WORK / f"{name}.pt")


def base(seed: int = 0) -> Base:
    """The base: language model, vision tower, then both on questions; rounded and frozen."""
    model, heads = Base(seed), minivlm.ReadOut(seed)
    found = kept("base")
    if found is None:
        losses = {
            "text": drain(minivlm.train_text(model, 10 * seed + 1)),
            "vision": drain(minivlm.train_vision(model, heads, 10 * seed + 2)),
            "answers": drain(minivlm.train_answers(model, heads, 10 * seed + 3)),
        }
        minivlm.freeze(model)
        keep("base", state=model.state_dict(), losses=losses)
    else:
        model.load_state_dict(found["state"])
        minivlm.freeze(model)
    return model


def trunk(seed: int, aware: bool) -> Encoder:
    """The encoder of one query after the first part of stage 0."""
    name = f"trunk-{seed}" + "-blind" * (not aware)
    model, found = Encoder(1, 100 + seed, aware=aware), kept(name)
    if found is None:
        losses = drain(minivlm.pretrain_encoder(model, 100 + seed))
        keep(name, state=model.state_dict(), losses=losses)
    else:
        model.load_state_dict(found["state"])
    return model


def encoder(name: str) -> Encoder:
    """An encoder after stages 0, I and II on the frozen base."""
    about, found = VARIANTS[name], kept(name)
    frozen = base()
    seed = 1000 + about.seed
    model = minivlm.expand(trunk(about.seed, about.aware), about.n_queries, seed)
    model.compress = about.compress
    if found is None:
        before = minivlm.state_hash(frozen)
        losses = {
            "stage 0": drain(minivlm.pretrain_encoder(model, seed, 120, 2e-3)),
            "stages": drain(
                minivlm.align(
                    frozen, model, seed,
                    text_steps=about.text_steps, image_steps=about.image_steps,
                )
            ),
        }  # fmt: skip
        minivlm.freeze(model)
        hashes = [before, minivlm.state_hash(frozen)]
        keep(name, state=model.state_dict(), losses=losses, hashes=hashes)
    else:
        model.load_state_dict(found["state"])
        minivlm.freeze(model)
    return model


# --- measuring -----------------------------------------------------------------------------------


def sample(seed: int) -> tuple[minidoc.Pages, minidoc.Questions, minidoc.Scan]:
    """1,000 pages, one question each, and their scans."""
    rng = np.random.default_rng(seed)
    pages = minidoc.draw(1000, rng)
    return pages, minidoc.ask(pages, rng), minidoc.scan(pages)


def measure(name: str, seed: int = TEST_SEED) -> dict[str, list[int]]:
    """Right answers to key and to highlight questions, by budget, in float64."""
    found = kept(f"right-{name}-{seed}")
    if found is not None:
        return dict(found["counts"])
    pages, asked, scans = sample(seed)
    frozen = base().double()
    context = []
    if name == "raw text":
        context = [frozen.read(torch.as_tensor(pages.keys), torch.as_tensor(pages.values))]
    elif name != "base":
        letters, boxes = minidoc.transcript(pages)
        context = [minivlm.encode(encoder(name).double(), letters, boxes, asked.asked)]
    counts = {}
    for budget in (0, 2, 6, 24):
        seen = minivlm.look(frozen, scans, budget)
        right = minivlm.answer(frozen, asked.asked, seen, *context) == asked.answer
        of_key = asked.asked < minidoc.HIGHLIGHT
        counts[str(budget)] = [int(right[of_key].sum()), int(right[~of_key].sum())]
    keep(f"right-{name}-{seed}", counts=counts)
    return counts


def first_losses(steps: int = 20) -> dict[str, list[float]]:
    """Losses of the first steps of the parts that begin with a seed, taken once more."""
    runs = {
        "text": minivlm.train_text(Base(0), 1),
        "vision": minivlm.train_vision(Base(0), minivlm.ReadOut(0), 2),
        "stage 0": minivlm.pretrain_encoder(Encoder(1, 100), 100),
    }
    return {name: drain(islice(losses, steps)) for name, losses in runs.items()}


def store() -> None:
    """Write the weights of the base and of three encoders, and the record."""
    DATA.mkdir(exist_ok=True)
    modules: dict[str, torch.nn.Module] = {"base": base()}
    modules |= {f"encoder{m}": encoder(name) for m, name in STORED.items()}
    np.savez_compressed(DATA / "docvlm.npz", **minivlm.pack(modules))
    path = DATA / "docvlm.json"
    record = json.loads(path.read_text("utf-8")) if path.exists() else {}
    trained = [name for name in VARIANTS if kept(name)]
    parts = {name: kept(name) or {} for name in ["base", "trunk-0", *trained]}
    record |= {
        "recipe": "python training/docvlm.py",
        "versions": {"torch": torch.__version__.split("+")[0], "numpy": np.__version__},
        "test_seed": TEST_SEED,
        "cpu_seconds": {name: part["cpu"] for name, part in parts.items()},
        "base_hash": minivlm.state_hash(modules["base"]),
        "hashes_around_training": {name: parts[name]["hashes"] for name in trained},
        "first_losses": first_losses(),
        "losses": {
            name: {k: v[9::10] for k, v in parts[name]["losses"].items()}
            for name in ["base", *trained]
        },
        "variants": {name: vars(VARIANTS[name]) for name in trained},
        "right": {name: measure(name) for name in ["base", "raw text", *trained]},
    }
    text = json.dumps(record, separators=(",", ":"), sort_keys=True)
    path.write_text(text + "\n", "utf-8")


def main(parts: list[str]) -> None:
    """Train the named parts, or all of them and store the result."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for part in parts or ["base", *VARIANTS, "store"]:
        if part == "base":
            base()
        elif part == "store":
            store()
        elif part in VARIANTS:
            encoder(part)
        else:
            sys.exit(f"{part}: expected base, store or one of {', '.join(VARIANTS)}")


if __name__ == "__main__":
    main(sys.argv[1:])
