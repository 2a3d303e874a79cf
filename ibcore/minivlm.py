"""A miniature vision-language model, an OCR encoder with learned queries, and how both are trained.

The base reads 24, 6 or 2 visual tokens of a page of `ibcore.minidoc` and a question, and answers
with two digits. It is trained, rounded to float16 and frozen. The encoder reads the words of a
transcript with their boxes, and the question, next to M learned queries; only the outputs of the
queries go to the base. Weights are drawn with NumPy, so a seed means the same in any version of
torch.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator
from importlib.resources import files
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from ibcore import _validate, minidoc
from ibcore._validate import IntArray
from ibcore.minidoc import Pages

__all__ = [
    "Base",
    "Block",
    "Encoder",
    "ReadOut",
    "align",
    "answer",
    "encode",
    "expand",
    "fourier",
    "freeze",
    "look",
    "pack",
    "pretrain_encoder",
    "pretrained",
    "record",
    "state_hash",
    "train_answers",
    "train_text",
    "train_vision",
]

D = 64
HEADS = 4
OCTAVES = 6
ASKED = len(minidoc.KEYS) + 2
#: Budgets of successive training steps.
BASE_CYCLE = (24, 24, 6, 6, 24, 2, 24, 6, 24, 2)
TEXT_STEPS = (3, 5, 7)
ALIGN_CYCLE = (6, 6, 2, 24)
#: Shares of key, highlight and row questions: in the base's training, in the encoder's.
BASE_SHARES, BOTH, KEY_ONLY = (0.4, 0.4, 0.2), (0.5, 0.5, 0.0), (1.0, 0.0, 0.0)


# --- parts ---------------------------------------------------------------------------------------


def fourier(x: Tensor) -> Tensor:
    """Sines and cosines of pi 2^k x, k = 0..5, of each entry: (..., c) to (..., 12 c)."""
    scaled = x.unsqueeze(-1) * (math.pi * 2.0 ** torch.arange(OCTAVES, dtype=x.dtype))
    return torch.cat([scaled.sin(), scaled.cos()], dim=-1).flatten(-2)


class Block(nn.Module):
    """A transformer block that normalises first: attention of four heads, then a GELU network."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(D), nn.LayerNorm(D)
        self.qkv, self.out = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.up, self.down = nn.Linear(D, 4 * D), nn.Linear(4 * D, D)

    def forward(
        self, x: Tensor, allowed: Tensor | None = None, past: list[Tensor] | None = None
    ) -> Tensor:
        """Transform x, shape (B, n, 64); `allowed` broadcasts to (B, 4, n, n).

        `past` holds keys and values of earlier positions, or nothing yet; those of x join them.
        """
        b, n, _ = x.shape
        qkv = self.qkv(self.before(x)).reshape(b, n, 3, HEADS, D // HEADS)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        if past is not None:
            if past:
                k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
            past[:] = [k, v]
        scores = q @ k.transpose(-1, -2) / math.sqrt(D // HEADS)
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -torch.inf)
        mixed = scores.softmax(dim=-1) @ v
        x = x + self.out(mixed.transpose(1, 2).reshape(b, n, D))
        result: Tensor = x + self.down(functional.gelu(self.up(self.between(x))))
        return result


def _initialise(module: nn.Module, seed: int) -> None:
    """Draw all weights from a NumPy seed: variance 1 / fan-in, embeddings small, biases zero."""
    rng = _stream(seed)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, (nn.LayerNorm, nn.GroupNorm)):
                part.weight.fill_(1.0)
                part.bias.fill_(0.0)
            elif isinstance(part, (nn.Linear, nn.Conv2d)):
                fan_in = part.weight[0].numel()
                part.weight.copy_(_normal(rng, part.weight, 1 / math.sqrt(fan_in)))
                if part.bias is not None:
                    part.bias.fill_(0.0)
            elif isinstance(part, nn.Embedding):
                part.weight.copy_(_normal(rng, part.weight, 0.5))


def _normal(rng: np.random.Generator, like: Tensor, scale: float) -> Tensor:
    return torch.as_tensor(scale * rng.standard_normal(tuple(like.shape))).to(like.dtype)


# --- the base ------------------------------------------------------------------------------------


class Base(nn.Module):
    """The vision-language model: vision tower, projector, causal language model.

    Parameters
    ----------
    seed : int
        Of the initial weights.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        channels = (1, 16, 32, 64)
        stem: list[nn.Module] = []
        for before, after in pairwise(channels):
            stem += [nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(4, after), nn.GELU()]
        self.stem = nn.Sequential(*stem, nn.Conv2d(64, D, 3, 2, 1))
        self.place = nn.Linear(4 * OCTAVES + 1, D)
        self.tower = nn.ModuleList(Block() for _ in range(2))
        self.tower_norm = nn.LayerNorm(D)
        self.projector = nn.Linear(D, D)
        self.key, self.tens, self.units = (nn.Embedding(n, D) for n in (8, 10, 10))
        self.position = nn.Embedding(2 * minidoc.ROWS, D)
        self.asked, self.first = nn.Embedding(ASKED, D), nn.Embedding(10, D)
        self.blocks = nn.ModuleList(Block() for _ in range(3))
        self.norm, self.digit = nn.LayerNorm(D), nn.Linear(D, 10)
        _initialise(self, seed)

    def features(self, images: Tensor) -> Tensor:
        """Outputs of the vision tower: images of shape (B, h, w) to (B, tokens, 64)."""
        x = self.stem(2 * images.unsqueeze(1))
        height, width = x.shape[-2:]
        reach = minidoc.HEIGHT / images.shape[1] / 8
        y, z = torch.meshgrid(
            (torch.arange(height, dtype=x.dtype) + 0.5) / height,
            (torch.arange(width, dtype=x.dtype) + 0.5) / width,
            indexing="ij",
        )
        where = fourier(torch.stack([z, y], dim=-1).flatten(0, 1))
        where = torch.cat([where, torch.full((len(where), 1), reach, dtype=x.dtype)], dim=1)
        x = x.flatten(2).transpose(1, 2) + self.place(where)
        for block in self.tower:
            x = block(x)
        result: Tensor = self.tower_norm(x)
        return result

    def look(self, images: Tensor) -> Tensor:
        """Visual tokens of the language model: images of shape (B, h, w) to (B, tokens, 64)."""
        result: Tensor = self.projector(self.features(images))
        return result

    def read(self, keys: Tensor, values: Tensor) -> Tensor:
        """Raw text in the prompt: keys and values, shape (B, 4) each, to (B, 8, 64)."""
        value = self.tens(values // 10) + self.units(values % 10)
        words = torch.stack([self.key(keys), value], dim=2).flatten(1, 2)
        result: Tensor = words + self.position.weight
        return result

    def hidden(self, context: Tensor, asked: Tensor, first: Tensor) -> Tensor:
        """Hidden states of the causal model over context, question and first digit.

        Parameters
        ----------
        context : Tensor, shape (B, n, 64)
            Visual tokens, OCR queries, raw text, in any order; n may be zero.
        asked, first : Tensor of int, shape (B,)

        Returns
        -------
        Tensor, shape (B, n + 2, 64)
        """
        prompt = torch.stack([self.asked(asked), self.first(first)], dim=1)
        x = torch.cat([context, prompt], dim=1)
        causal = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()
        for block in self.blocks:
            x = block(x, causal)
        return x

    def forward(self, context: Tensor, asked: Tensor, first: Tensor) -> Tensor:
        """Logits of the two digits, shape (B, 2, 10); arguments as in `hidden`."""
        result: Tensor = self.digit(self.norm(self.hidden(context, asked, first)[:, -2:]))
        return result


class Encoder(nn.Module):
    """The OCR encoder: words and boxes, the question and M learned queries, of which only M leave.

    Parameters
    ----------
    n_queries : int
        M.
    seed : int
        Of the initial weights.
    aware : bool
        Whether it sees the question.
    compress : bool
        False lets the outputs of the words leave instead of those of the queries.
    """

    def __init__(
        self, n_queries: int, seed: int = 0, *, aware: bool = True, compress: bool = True
    ) -> None:
        super().__init__()
        _validate.integer(n_queries, "n_queries", 1)
        self.aware = _validate.flag(aware, "aware")
        self.compress = _validate.flag(compress, "compress")
        self.characters = nn.Embedding(minidoc.OTHER + 1, 16)
        self.spell = nn.Linear(16 * minidoc.LETTERS, D)
        self.place = nn.Linear(8 * OCTAVES, D)
        self.queries = nn.Embedding(n_queries, D)
        self.asked = nn.Embedding(ASKED, D)
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.norm, self.projector = nn.LayerNorm(D), nn.Linear(D, D)
        _initialise(self, seed)

    def states(
        self, letters: Tensor, boxes: Tensor, asked: Tensor, present: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Normalised outputs of the queries (B, M, 64) and of the words (B, W, 64)."""
        words = self.spell(self.characters(letters).flatten(-2)) + self.place(fourier(boxes))
        b, w = words.shape[:2]
        m = self.queries.num_embeddings
        parts = [self.queries.weight.expand(b, m, D), words]
        if self.aware:
            parts.append(self.asked(asked).unsqueeze(1))
        x = torch.cat(parts, dim=1)
        allowed = None
        if present is not None:
            allowed = torch.ones(b, 1, 1, x.shape[1], dtype=torch.bool)
            allowed[:, 0, 0, m : m + w] = present
        for block in self.blocks:
            x = block(x, allowed)
        x = self.norm(x)
        return x[:, :m], x[:, m : m + w]

    def forward(
        self, letters: Tensor, boxes: Tensor, asked: Tensor, present: Tensor | None = None
    ) -> Tensor:
        """What the language model gets.

        Parameters
        ----------
        letters : Tensor of int, shape (B, W, 6)
        boxes : Tensor, shape (B, W, 4)
            In pages.
        asked : Tensor of int, shape (B,)
        present : Tensor of bool, shape (B, W), optional
            False for words that only pad.

        Returns
        -------
        Tensor, shape (B, M, 64), or (B, W, 64) without compression
        """
        queries, words = self.states(letters, boxes, asked, present)
        result: Tensor = self.projector(queries if self.compress else words)
        return result


# --- training ------------------------------------------------------------------------------------


def _descend(
    parameters: Iterable[nn.Parameter],
    loss_of: Callable[[int], Tensor],
    steps: int,
    rate: float,
    held: Callable[[int], Iterable[nn.Parameter]] = lambda step: (),
) -> Iterator[float]:
    """AdamW with one cycle: 10 % linear warm-up, then a cosine to zero. Yields the losses."""
    steps, rate = _validate.integer(steps, "steps", 0), _validate.positive(rate, "rate")
    trained = list(parameters)
    optimiser = torch.optim.AdamW(trained, lr=rate, weight_decay=0.01)
    for step in range(steps):
        done = (step + 1) / steps
        cycle = min(1.0, 10 * done) * (1 + math.cos(math.pi * max(0.0, done - 0.1) / 0.9)) / 2
        for group in optimiser.param_groups:
            group["lr"] = rate * max(cycle, 1e-3)
        optimiser.zero_grad()
        loss = loss_of(step)
        loss.backward()  # type: ignore[no-untyped-call]
        for parameter in held(step):
            parameter.grad = None
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        yield loss.item()


def _stream(seed: int) -> np.random.Generator:
    """The random numbers of a seed; without a seed they would differ from run to run."""
    return np.random.default_rng(_validate.integer(seed, "seed", 0))


def _ints(values: ArrayLike) -> Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.long)


def _images(scans: minidoc.Scan, budget: int) -> Tensor:
    return torch.as_tensor(minidoc.reduce(scans, budget))


def _answer_loss(logits: Tensor, answers: IntArray) -> Tensor:
    digits = torch.stack([_ints(answers // 10), _ints(answers % 10)], dim=1)
    return functional.cross_entropy(logits.flatten(0, 1), digits.flatten())


def _text(base: Base, pages: Pages, which: IntArray) -> Tensor:
    return base.read(_ints(pages.keys[which]), _ints(pages.values[which]))


def train_text(base: Base, seed: int, steps: int = 500) -> Iterator[float]:
    """Train the language model alone to answer key questions from raw text; yields losses.

    Parameters
    ----------
    base : Base
        Changed in place, while losses are taken.
    seed : int
        Of the pages and questions.
    steps : int
    """
    _validate.instance(base, "base", Base)
    rng = _stream(seed)

    def loss_of(step: int) -> Tensor:
        pages = minidoc.draw(64, rng)
        asked = minidoc.ask(pages, rng, per_page=4, shares=KEY_ONLY)
        logits = base(_text(base, pages, asked.page), _ints(asked.asked), _ints(asked.answer // 10))
        return _answer_loss(logits, asked.answer)

    tower = {id(p) for part in (base.stem, base.tower) for p in part.parameters()}
    yield from _descend((p for p in base.parameters() if id(p) not in tower), loss_of, steps, 2e-3)


class ReadOut(nn.Module):
    """Throw-away heads: every token of a row tells the key, the value and the mark of the row."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.head = nn.Linear(D, 8 + 10 + 10 + 1)
        _initialise(self, seed)

    def loss(self, base: Base, pages: Pages, images: Tensor) -> Tensor:
        """Cross-entropies of what stands in the rows, from 24 tokens a page, six a row."""
        logits = self.head(base.features(images))
        key, tens, units, mark = logits.split([8, 10, 10, 1], dim=-1)
        rows = mark.squeeze(-1).reshape(len(pages), minidoc.ROWS, 6).mean(dim=2)
        loss = functional.cross_entropy(rows, _ints(pages.marked))
        told = (key, pages.keys), (tens, pages.values // 10), (units, pages.values % 10)
        for guess, truth in told:
            of_token = _ints(truth.repeat(6, axis=1)).flatten()
            loss = loss + functional.cross_entropy(guess.flatten(0, 1), of_token)
        return loss


def train_vision(base: Base, heads: ReadOut, seed: int, steps: int = 500) -> Iterator[float]:
    """Train the vision tower through read-out heads at 24 tokens; yields losses.

    Parameters
    ----------
    base : Base
        Changed in place.
    heads : ReadOut
        Changed in place.
    seed : int
        Of the pages.
    steps : int
    """
    _validate.instance(base, "base", Base)
    _validate.instance(heads, "heads", ReadOut)
    rng = _stream(seed)

    def loss_of(step: int) -> Tensor:
        pages = minidoc.draw(24, rng)
        return heads.loss(base, pages, _images(minidoc.scan(pages), 24))

    parts: list[nn.Module] = [base.stem, base.place, base.tower, base.tower_norm, heads]
    yield from _descend((p for part in parts for p in part.parameters()), loss_of, steps, 3e-3)


def train_answers(base: Base, heads: ReadOut, seed: int, steps: int = 1200) -> Iterator[float]:
    """Train the whole base to answer questions at all budgets; yields losses.

    Parameters
    ----------
    base : Base
        Changed in place.
    heads : ReadOut
        Changed in place; their loss counts 0.3, at 24 tokens.
    seed : int
        Of the pages and questions.
    steps : int
    """
    _validate.instance(base, "base", Base)
    _validate.instance(heads, "heads", ReadOut)
    rng = _stream(seed)

    def loss_of(step: int) -> Tensor:
        place = step % len(BASE_CYCLE)
        budget = BASE_CYCLE[place]
        pages = minidoc.draw(24, rng)
        asked = minidoc.ask(pages, rng, per_page=4, shares=BASE_SHARES)
        images = _images(minidoc.scan(pages), budget)
        context = base.look(images)[asked.page]
        if place in TEXT_STEPS:
            context = torch.cat([context, _text(base, pages, asked.page)], dim=1)
        logits = base(context, _ints(asked.asked), _ints(asked.answer // 10))
        loss = _answer_loss(logits, asked.answer)
        return loss + 0.3 * heads.loss(base, pages, images) if budget == 24 else loss

    trained = [*base.parameters(), *heads.parameters()]
    yield from _descend(trained, loss_of, steps, 3e-3)


def _shuffled(
    pages: Pages, rng: np.random.Generator, jitter: float
) -> tuple[Tensor, Tensor, IntArray]:
    """Letters and boxes in a random order, the boxes moved a little, and the row of each word."""
    letters, boxes = minidoc.transcript(pages)
    order = np.argsort(rng.random(letters.shape[:2]), axis=1)
    rows = np.arange(len(pages))[:, None]
    moved = boxes + jitter * rng.standard_normal(boxes.shape)
    return _ints(letters[rows, order]), torch.as_tensor(moved[rows, order]).float(), order // 2


class WordHeads(nn.Module):
    """Throw-away heads of the encoder's pre-training."""

    def __init__(self, n_queries: int, seed: int) -> None:
        super().__init__()
        _validate.integer(n_queries, "n_queries", 1)
        self.word, self.query = nn.Linear(D, 28), nn.Linear(D, 20)
        self.joint = nn.Linear(n_queries * D, minidoc.ROWS * 20)
        _initialise(self, seed)


def _value_loss(logits: Tensor, values: Tensor) -> Tensor:
    tens, units = logits[..., :10], logits[..., 10:]
    return functional.cross_entropy(
        tens.flatten(0, -2), (values // 10).flatten()
    ) + functional.cross_entropy(units.flatten(0, -2), (values % 10).flatten())


def pretrain_encoder(
    encoder: Encoder, seed: int, steps: int = 400, rate: float = 3e-3
) -> Iterator[float]:
    """Stage 0: train the encoder on text alone, through throw-away heads; yields losses.

    It stands in for a pretrained document encoder. Every word learns its row's key and value,
    every query the answer of a key question; for a question about the highlight, query m learns
    the value of row m mod 4 where there are four queries, and all together the four values where
    there are fewer.

    Parameters
    ----------
    encoder : Encoder
        Changed in place.
    seed : int
        Of the pages, the questions and the heads.
    steps : int
    rate : float
        Largest learning rate.
    """
    _validate.instance(encoder, "encoder", Encoder)
    rng = _stream(seed)
    m = encoder.queries.num_embeddings
    heads = WordHeads(m, seed)

    def loss_of(step: int) -> Tensor:
        pages = minidoc.draw(48, rng)
        asked = minidoc.ask(pages, rng, per_page=4)
        letters, boxes, row = _shuffled(pages, rng, 0.01)
        queries, words = encoder.states(
            letters[asked.page], boxes[asked.page], _ints(asked.asked), None
        )
        own = np.take_along_axis(pages.keys, row, 1), np.take_along_axis(pages.values, row, 1)
        key, value = heads.word(words[::4]).split([8, 20], dim=-1)
        loss = functional.cross_entropy(key.flatten(0, 1), _ints(own[0]).flatten())
        loss = loss + _value_loss(value, _ints(own[1]))
        # A reader who does not see the question can only prepare for all of them.
        of_key = (asked.asked < minidoc.HIGHLIGHT) & encoder.aware
        values = _ints(pages.values)[asked.page]
        if of_key.any():
            told = queries[of_key]
            truth = _ints(asked.answer[of_key]).unsqueeze(1).expand(-1, m)
            loss = loss + _value_loss(heads.query(told), truth)
        rest, truth = queries[~of_key], values[~of_key]
        if m >= minidoc.ROWS:
            spread = torch.arange(m) % minidoc.ROWS
            return loss + _value_loss(heads.query(rest), truth[:, spread])
        joint = heads.joint(rest.flatten(1)).reshape(-1, minidoc.ROWS, 20)
        return loss + _value_loss(joint, truth)

    trained = [*encoder.parameters(), *heads.parameters()]
    yield from _descend(trained, loss_of, steps, rate)


def expand(encoder: Encoder, n_queries: int, seed: int) -> Encoder:
    """Copy an encoder of one query to one of `n_queries` noisy copies of it.

    Parameters
    ----------
    encoder : Encoder
    n_queries : int
    seed : int
        Of the noise, whose standard deviation is 0.3.

    Returns
    -------
    Encoder
    """
    _validate.instance(encoder, "encoder", Encoder)
    wide = Encoder(n_queries, seed, aware=encoder.aware, compress=encoder.compress)
    state = {k: v for k, v in encoder.state_dict().items() if k != "queries.weight"}
    wide.load_state_dict(state, strict=False)
    noise = _normal(np.random.default_rng(seed), wide.queries.weight, 0.3)
    with torch.no_grad():
        wide.queries.weight.copy_(encoder.queries.weight[:1] + noise)
    return wide


def align(
    base: Base, encoder: Encoder, seed: int, *, text_steps: int = 50, image_steps: int = 650
) -> Iterator[float]:
    """Stages I and II: train the encoder through the frozen base; yields losses.

    Stage I has no image and only key questions; in its first third only queries and projection
    move. Stage II has images at the budgets 6, 6, 2, 24, and both kinds of questions.

    Parameters
    ----------
    base : Base
        Not changed; its parameters must be frozen.
    encoder : Encoder
        Changed in place.
    seed : int
        Of the pages and questions.
    text_steps, image_steps : int

    Raises
    ------
    ValueError
        The base is not frozen.
    """
    _validate.instance(base, "base", Base)
    _validate.instance(encoder, "encoder", Encoder)
    if any(p.requires_grad for p in base.parameters()):
        raise ValueError("base: expected frozen parameters; see `freeze`")
    rng = _stream(seed)
    text_steps = _validate.integer(text_steps, "text_steps", 0)
    image_steps = _validate.integer(image_steps, "image_steps", 0)
    inner = [
        p for name, p in encoder.named_parameters() if not name.startswith(("queries", "projector"))
    ]

    def loss_of(step: int, images: bool) -> Tensor:
        pages = minidoc.draw(24, rng)
        asked = minidoc.ask(pages, rng, per_page=4, shares=BOTH if images else KEY_ONLY)
        letters, boxes, _ = _shuffled(pages, rng, 0.01)
        context = encoder(letters[asked.page], boxes[asked.page], _ints(asked.asked))
        if images:
            budget = ALIGN_CYCLE[step % len(ALIGN_CYCLE)]
            with torch.no_grad():
                seen = base.look(_images(minidoc.scan(pages), budget))
            context = torch.cat([seen[asked.page], context], dim=1)
        logits = base(context, _ints(asked.asked), _ints(asked.answer // 10))
        return _answer_loss(logits, asked.answer)

    yield from _descend(
        encoder.parameters(),
        lambda step: loss_of(step, False),
        text_steps,
        2e-3,
        lambda step: inner if 3 * step < text_steps else (),
    )
    yield from _descend(encoder.parameters(), lambda step: loss_of(step, True), image_steps, 2e-3)


# --- use -----------------------------------------------------------------------------------------


def freeze(module: nn.Module) -> None:
    """Round all weights to float16 values, kept in float32, and switch their gradients off."""
    _validate.instance(module, "module", nn.Module)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(parameter.half().float())
            parameter.requires_grad_(False)


def state_hash(module: nn.Module) -> str:
    """SHA-256 of the weights: names in alphabetical order, and float64 bytes, little end first.

    Parameters
    ----------
    module : torch.nn.Module
        In any precision up to float64, to which its weights are converted without loss.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    _validate.instance(module, "module", nn.Module)
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().numpy().astype("<f8").tobytes())
    return digest.hexdigest()


@torch.no_grad()
def look(base: Base, scans: minidoc.Scan, budget: int) -> Tensor:
    """Visual tokens of scans at a budget; shape (n, budget, 64), with none for budget 0.

    Parameters
    ----------
    base : Base
    scans : ndarray of uint8, shape (n, 128, 192)
    budget : {24, 6, 2, 0}

    Raises
    ------
    ValueError
        Another budget.
    """
    dtype = _validate.instance(base, "base", Base).digit.weight.dtype
    _validate.instance(scans, "scans", np.ndarray)
    if _validate.integer(budget, "budget") == 0:
        return torch.zeros(len(scans), 0, D, dtype=dtype)
    parts = np.array_split(scans, math.ceil(len(scans) / 250))
    return torch.cat([base.look(_images(part, budget).to(dtype)) for part in parts])


@torch.no_grad()
def encode(
    encoder: Encoder,
    letters: ArrayLike,
    boxes: ArrayLike,
    asked: ArrayLike,
    present: ArrayLike | None = None,
) -> Tensor:
    """The encoder's tokens for transcripts and questions; arguments as in `Encoder.forward`.

    Parameters
    ----------
    encoder : Encoder
    letters : array_like of int, shape (q, W, 6)
    boxes : array_like, shape (q, W, 4)
    asked : array_like of int, shape (q,)
    present : array_like of bool, shape (q, W), optional

    Returns
    -------
    Tensor, shape (q, M, 64)
    """
    like = _validate.instance(encoder, "encoder", Encoder).queries.weight.dtype
    n = _validate.real(letters, "letters").shape[:2]
    codes = _validate.indices(letters, "letters", minidoc.OTHER + 1, (*n, minidoc.LETTERS))
    where = _validate.shaped(_validate.array(boxes, "boxes"), "boxes", (*n, 4))
    questions = _validate.indices(asked, "asked", ASKED, n[:1])
    mask = None
    if present is not None:
        mask = torch.as_tensor(_validate.shaped(_validate.flags(present, "present"), "present", n))
    result: Tensor = encoder(_ints(codes), torch.as_tensor(where).to(like), _ints(questions), mask)
    return result


@torch.no_grad()
def answer(base: Base, asked: ArrayLike, *context: Tensor) -> IntArray:
    """Answer questions greedily, digit by digit.

    Parameters
    ----------
    base : Base
    asked : array_like of int, shape (q,)
    *context : Tensor, shape (q, n, 64)
        What stands in front of the question, in this order.

    Returns
    -------
    ndarray of int, shape (q,)
        Numbers 0..99.

    Raises
    ------
    ValueError
        No context at all.
    """
    if not context:
        raise ValueError("context: expected at least one tensor; an empty one says nothing is seen")
    _validate.instance(base, "base", Base)
    for k, part in enumerate(context):
        if not torch.isfinite(_validate.instance(part, f"context[{k}]", Tensor)).all():
            raise ValueError(f"context[{k}] has entries that are NaN; allowed: finite numbers")
    question = _ints(_validate.indices(asked, "asked", ASKED, (len(context[0]),)))
    before = torch.cat(context, dim=1)
    # Parts that stay in the processor's cache.
    parts = [slice(start, start + 200) for start in range(0, len(question), 200)]
    return np.concatenate([_greedy(base, before[part], question[part]) for part in parts])


def _greedy(base: Base, context: Tensor, asked: Tensor) -> IntArray:
    """Both digits; the second pass reads one token, and keeps the rest from the first."""
    x = torch.cat([context, base.asked(asked).unsqueeze(1)], dim=1)
    past: list[list[Tensor]] = [[] for _ in base.blocks]
    causal = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()
    for block, kept in zip(base.blocks, past, strict=True):
        x = block(x, causal, kept)
    tens = base.digit(base.norm(x[:, -1])).argmax(dim=-1)
    x = base.first(tens).unsqueeze(1)
    for block, kept in zip(base.blocks, past, strict=True):
        x = block(x, None, kept)
    units = base.digit(base.norm(x[:, -1])).argmax(dim=-1)
    return np.asarray((10 * tens + units).numpy(), dtype=np.int64)


# --- storing -------------------------------------------------------------------------------------


def pack(modules: dict[str, nn.Module]) -> dict[str, np.ndarray[Any, Any]]:
    """The weights of modules as float16 arrays, named ``module/weight``."""
    _validate.instance(modules, "modules", dict)
    return {
        f"{name}/{key}": value.detach().numpy().astype(np.float16)
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }


def _unpack(module: nn.Module, name: str, arrays: Any) -> None:
    state = {
        key: torch.as_tensor(arrays[f"{name}/{key}"].astype(np.float32))
        for key in module.state_dict()
    }
    module.load_state_dict(state)
    freeze(module)


def pretrained(dtype: torch.dtype = torch.float64) -> tuple[Base, dict[int, Encoder]]:
    """Load the stored base and its encoders of 1, 4 and 8 queries, frozen.

    Parameters
    ----------
    dtype : torch.dtype
        To compute in. The weights are float16 numbers; with float64 arithmetic on them, no
        answer depends on the order of a sum, so every machine gives the same ones.

    Returns
    -------
    base : Base
    encoders : dict of Encoder
        By the number of queries.
    """
    _validate.instance(dtype, "dtype", torch.dtype)
    base, encoders = Base(), {m: Encoder(m) for m in (1, 4, 8)}
    with (files("ibcore") / "data" / "docvlm.npz").open("rb") as file, np.load(file) as arrays:
        _unpack(base, "base", arrays)
        for m, encoder in encoders.items():
            _unpack(encoder, f"encoder{m}", arrays)
    return base.to(dtype), {m: encoder.to(dtype) for m, encoder in encoders.items()}


def record() -> dict[str, Any]:
    """What was stored with the weights: recipe, versions, losses, accuracies, transcripts."""
    text = (files("ibcore") / "data" / "docvlm.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
