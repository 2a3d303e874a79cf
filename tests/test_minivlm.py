"""The miniature vision-language model: its structure exactly, and that the recipe reproduces."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from ibcore import minidoc, minivlm
from ibcore.minivlm import Base, Encoder


@pytest.fixture(scope="module")
def stored():
    return minivlm.pretrained()


@pytest.fixture(scope="module")
def record():
    return minivlm.record()


@pytest.fixture(scope="module")
def small():
    """40 pages with a question each, and their scans."""
    rng = np.random.default_rng(5)
    pages = minidoc.draw(40, rng)
    return pages, minidoc.ask(pages, rng), minidoc.scan(pages)


@pytest.fixture
def frozen():
    base = Base(3)
    minivlm.freeze(base)
    return base


def context(n, seed=0, length=6):
    return torch.as_tensor(np.random.default_rng(seed).normal(size=(n, length, 64)))


# --- structure ----------------------------------------------------------------------------------


def test_fourier_features_by_numpy():
    x = np.random.default_rng(0).random((5, 3))
    waves = np.pi * 2.0 ** np.arange(6) * x[..., None]
    expected = np.concatenate([np.sin(waves), np.cos(waves)], axis=-1).reshape(5, 36)
    np.testing.assert_allclose(minivlm.fourier(torch.as_tensor(x)).numpy(), expected, atol=1e-12)


def test_a_seed_means_the_same_weights():
    assert minivlm.state_hash(Base(1)) == minivlm.state_hash(Base(1))
    assert minivlm.state_hash(Base(1)) != minivlm.state_hash(Base(2))
    weights = Base(0).digit.weight
    assert float(weights.detach().std()) == pytest.approx(1 / 8, rel=0.1)


def test_block_is_torch_s_encoder_layer():
    block = minivlm.Block().double()
    layer = torch.nn.TransformerEncoderLayer(
        64, 4, 256, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    ).double()
    layer.load_state_dict(
        {
            "self_attn.in_proj_weight": block.qkv.weight,
            "self_attn.in_proj_bias": block.qkv.bias,
            "self_attn.out_proj.weight": block.out.weight,
            "self_attn.out_proj.bias": block.out.bias,
            "linear1.weight": block.up.weight,
            "linear1.bias": block.up.bias,
            "linear2.weight": block.down.weight,
            "linear2.bias": block.down.bias,
            "norm1.weight": block.before.weight,
            "norm1.bias": block.before.bias,
            "norm2.weight": block.between.weight,
            "norm2.bias": block.between.bias,
        }
    )
    layer.train()  # the fused inference kernel is another code path
    causal = torch.ones(6, 6, dtype=torch.bool).tril()
    x = context(2)
    torch.testing.assert_close(block(x, causal), layer(x, src_mask=~causal))
    torch.testing.assert_close(block(x), layer(x))


@pytest.mark.parametrize(("budget", "tokens"), [(24, 24), (6, 6), (2, 2), (0, 0)])
def test_a_budget_is_a_number_of_tokens(small, budget, tokens):
    assert minivlm.look(Base(0), small[2], budget).shape == (40, tokens, 64)


def test_later_tokens_do_not_change_earlier_states():
    base, asked = Base(0).double(), torch.arange(4)
    first = torch.zeros(4, dtype=torch.long)
    states = [base.hidden(x, asked, first) for x in (context(4), context(4)[:, :3])]
    torch.testing.assert_close(states[0][:, :3], states[1][:, :3], rtol=0, atol=1e-12)


def test_greedy_answers_digit_by_digit():
    base, asked, before = Base(0).double(), torch.arange(8), context(8)
    answers = minivlm.answer(base, asked, before)
    for tens, units, logits in zip(
        answers // 10,
        answers % 10,
        base(before, asked, torch.as_tensor(answers // 10)),
        strict=True,
    ):
        assert logits.argmax(dim=1).tolist() == [tens, units]
    with pytest.raises(ValueError, match="context: expected at least one"):
        minivlm.answer(base, asked)


def test_raw_text_is_words_in_order():
    base = Base(0)
    text = base.read(torch.tensor([[0, 1, 2, 3]]), torch.tensor([[42, 7, 99, 0]]))[0]
    position = base.position.weight
    torch.testing.assert_close(text[2], base.key.weight[1] + position[2])
    torch.testing.assert_close(text[1], base.tens.weight[4] + base.units.weight[2] + position[1])


@pytest.mark.parametrize("m", [1, 8])
def test_only_queries_leave_and_their_words_are_a_set(small, m):
    pages, asked, _ = small
    encoder = Encoder(m).double()
    letters, boxes = minidoc.transcript(pages)
    out = minivlm.encode(encoder, letters, boxes, asked.asked)
    assert out.shape == (40, m, 64)
    order = np.random.default_rng(0).permutation(8)
    again = minivlm.encode(encoder, letters[:, order], boxes[:, order], asked.asked)
    torch.testing.assert_close(again, out, rtol=0, atol=1e-12)
    apart = minivlm.encode(encoder, letters, boxes[:, order], asked.asked)
    assert float((apart - out).abs().max()) > 0.01


def test_padding_is_not_seen(small):
    pages, asked, _ = small
    encoder = Encoder(4).double()
    letters, boxes = minidoc.transcript(pages)
    read = [
        [(word, *box) for word, box in zip(words, page, strict=True)]
        for words, page in zip(pages.words, boxes, strict=True)
    ]
    codes, padded, present = minidoc.pad([*read, read[0] * 2, []])
    assert codes.shape == (42, 16, 6)
    assert present.sum(axis=1).tolist() == [8] * 40 + [16, 0]
    told = np.append(asked.asked, [0, 0])
    out = minivlm.encode(encoder, codes, padded, told, present)
    expected = minivlm.encode(encoder, letters, boxes, asked.asked)
    torch.testing.assert_close(out[:40], expected, rtol=0, atol=1e-12)
    assert bool(out[41].isfinite().all())


def test_word_outputs_and_blind_encoders(small):
    pages, asked, _ = small
    letters, boxes = minidoc.transcript(pages)
    words = minivlm.encode(Encoder(1, compress=False), letters, boxes, asked.asked)
    assert words.shape == (40, 8, 64)
    blind = Encoder(2, aware=False)
    one, two = (minivlm.encode(blind, letters, boxes, np.full(40, k)) for k in (0, 8))
    assert torch.equal(one, two)


def test_hash_sees_one_ulp_and_no_precision():
    base = Base(0)
    before = minivlm.state_hash(base)
    assert minivlm.state_hash(base.double()) == before
    base = base.float()
    with torch.no_grad():
        weight = base.digit.weight
        weight[0, 0] = torch.nextafter(weight[0, 0], torch.tensor(1.0))
    assert minivlm.state_hash(base) != before


def test_freezing_rounds_once(frozen):
    before = minivlm.state_hash(frozen)
    minivlm.freeze(frozen)
    assert minivlm.state_hash(frozen) == before
    assert not any(p.requires_grad for p in frozen.parameters())


# --- training -----------------------------------------------------------------------------------


def test_a_few_steps_lower_the_losses():
    base, heads = Base(0), minivlm.ReadOut(0)
    vision = list(minivlm.train_vision(base, heads, 0, steps=12))
    text = list(minivlm.train_text(base, 0, steps=12))
    assert vision[-1] < vision[0]
    assert text[-1] < text[0]
    before = minivlm.state_hash(base)
    assert np.isfinite(list(minivlm.train_answers(base, heads, 0, steps=6))).all()
    assert minivlm.state_hash(base) != before


@pytest.mark.parametrize(("m", "aware"), [(1, True), (5, True), (1, False)])
def test_stage_0(m, aware):
    encoder = Encoder(m, aware=aware)
    losses = list(minivlm.pretrain_encoder(encoder, 0, steps=8))
    assert losses[-1] < losses[0]


def test_expansion_copies_all_but_the_queries():
    one = Encoder(1, 2)
    wide = minivlm.expand(one, 400, 3)
    assert torch.equal(wide.spell.weight, one.spell.weight)
    noise = (wide.queries.weight - one.queries.weight).detach()
    assert float(noise.std()) == pytest.approx(0.3, rel=0.02)


def test_stage_1_moves_queries_first_and_the_base_never(frozen):
    encoder = Encoder(2)
    base_before = minivlm.state_hash(frozen)
    inner, outer = encoder.spell.weight.clone(), encoder.queries.weight.clone()
    steps = minivlm.align(frozen, encoder, 0, text_steps=6, image_steps=3)
    list(islice(steps, 2))
    assert torch.equal(encoder.spell.weight, inner)
    assert not torch.equal(encoder.queries.weight, outer)
    assert len(list(steps)) == 7
    assert not torch.equal(encoder.spell.weight, inner)
    assert minivlm.state_hash(frozen) == base_before
    assert all(p.grad is None for p in frozen.parameters())


def test_aligning_refuses_a_base_that_would_move():
    with pytest.raises(ValueError, match="base: expected frozen"):
        next(minivlm.align(Base(0), Encoder(1), 0))


# --- what is stored -----------------------------------------------------------------------------


def test_the_recipe_takes_the_stored_first_steps(record):
    """From the same seeds, the losses of the first steps are those of the stored run."""
    runs = {
        "text": minivlm.train_text(Base(0), 1),
        "vision": minivlm.train_vision(Base(0), minivlm.ReadOut(0), 2),
        "stage 0": minivlm.pretrain_encoder(Encoder(1, 100), 100),
    }
    for name, losses in runs.items():
        expected = record["first_losses"][name][:12]
        np.testing.assert_allclose(list(islice(losses, 12)), expected, rtol=1e-3, err_msg=name)


def test_the_stored_base_is_the_one_that_was_trained_and_frozen(stored, record):
    assert minivlm.state_hash(stored[0]) == record["base_hash"]
    for before, after in record["hashes_around_training"].values():
        assert before == after == record["base_hash"]


def test_the_stored_weights_answer_as_recorded(stored, record):
    base, encoders = stored
    rng = np.random.default_rng(record["test_seed"])
    pages = minidoc.draw(1000, rng)
    asked, scans = minidoc.ask(pages, rng), minidoc.scan(pages)
    letters, boxes = minidoc.transcript(pages)
    for budget in (6, 24):
        seen = minivlm.look(base, scans, budget)
        right = minivlm.answer(base, asked.asked, seen) == asked.answer
        assert right.sum() == pytest.approx(sum(record["right"]["base"][str(budget)]), abs=5)
    seen = minivlm.look(base, scans, 6)
    for m, name in ((1, "m1"), (4, "m4"), (8, "m8-0")):
        queries = minivlm.encode(encoders[m], letters, boxes, asked.asked)
        right = minivlm.answer(base, asked.asked, seen, queries) == asked.answer
        assert right.sum() == pytest.approx(sum(record["right"][name]["6"]), abs=5), name


def test_packing_keeps_float16_weights(stored):
    base = stored[0]
    packed = minivlm.pack({"base": base})
    state = base.state_dict()
    assert all(np.array_equal(packed[f"base/{k}"], v.numpy()) for k, v in state.items())


def test_a_base_that_is_frozen_in_part_is_refused(frozen):
    next(frozen.parameters()).requires_grad_(True)
    with pytest.raises(ValueError, match="expected frozen parameters"):
        next(minivlm.align(frozen, Encoder(1), 0, text_steps=1, image_steps=0))


def test_frozen_weights_are_half_precision_numbers():
    base = Base(3)
    with torch.no_grad():
        next(base.parameters()).fill_(1 / 3)
    minivlm.freeze(base)
    assert all(torch.equal(p, p.half().float()) for p in base.parameters())


# --- the losses of the recipe, written out --------------------------------------------------------


@pytest.fixture
def untrained(monkeypatch):
    """Trains nothing: what each stage asks for, and its losses at the initial weights."""
    stages = []

    def descend(parameters, loss_of, steps, rate, held=lambda step: ()):
        counts = [len(list(held(step))) for step in range(steps)]
        stages.append({"steps": steps, "rate": rate, "held": counts, "trained": list(parameters)})
        yield from (loss_of(step).item() for step in range(steps))

    monkeypatch.setattr(minivlm, "_descend", descend)
    return stages


def cross_entropy(logits, truth):
    logits = np.asarray(logits.detach(), dtype=np.float64).reshape(np.size(truth), -1)
    chosen = np.take_along_axis(logits, np.reshape(truth, (-1, 1)), axis=1)[:, 0]
    return (np.log(np.exp(logits).sum(axis=1)) - chosen).mean()


def answer_loss(base, before, asked):
    tens, units = torch.as_tensor(asked.answer // 10), torch.as_tensor(asked.answer % 10)
    logits = base(before, torch.as_tensor(asked.asked), tens)
    return cross_entropy(logits, torch.stack([tens, units], dim=1).numpy())


def in_any_order(pages, rng):
    """Words in a random order, with boxes moved by a hundredth of a page, and their rows."""
    letters, boxes = minidoc.transcript(pages)
    order = np.argsort(rng.random(letters.shape[:2]), axis=1)[..., None]
    moved = (boxes + 0.01 * rng.standard_normal(boxes.shape)).astype(np.float32)
    return (*(np.take_along_axis(part, order, axis=1) for part in (letters, moved)), order // 2)


def head_loss(base, heads, pages, images):
    """Of the four rows which is marked, and at each of 24 tokens the key and digits of its row."""
    logits = heads.head(base.features(images))
    rows = logits[..., 28].reshape(-1, 4, 6).mean(dim=2)
    digits = pages.values // 10, pages.values % 10
    told = zip((logits[..., :8], logits[..., 8:18], logits[..., 18:28]), (pages.keys, *digits),
               strict=True)  # fmt: skip
    return cross_entropy(rows, pages.marked) + sum(
        cross_entropy(guess, np.repeat(truth, 6, axis=1)) for guess, truth in told
    )


def test_the_losses_of_alignment(frozen, untrained):
    encoder = Encoder(2)
    found = list(minivlm.align(frozen, encoder, 7, text_steps=12, image_steps=5))
    rng = np.random.default_rng(7)
    for step, loss in enumerate(found):
        pages, images = minidoc.draw(24, rng), step >= 12
        shares = (0.5, 0.5, 0.0) if images else (1.0, 0.0, 0.0)
        asked = minidoc.ask(pages, rng, per_page=4, shares=shares)
        letters, boxes, _ = in_any_order(pages, rng)
        page = asked.page
        before = [minivlm.encode(encoder, letters[page], boxes[page], asked.asked)]
        if images:
            budget = (6, 6, 2, 24, 6)[step - 12]
            before.insert(0, minivlm.look(frozen, minidoc.scan(pages), budget)[page])
        expected = answer_loss(frozen, torch.cat(before, dim=1), asked)
        assert loss == pytest.approx(expected, rel=1e-4), step
    inner = sum(1 for name, _ in encoder.named_parameters()
                if name.split(".")[0] not in ("queries", "projector"))  # fmt: skip
    assert [stage["rate"] for stage in untrained] == [2e-3, 2e-3]
    assert untrained[0]["held"] == [inner] * 4 + [0] * 8
    assert untrained[1]["held"] == [0] * 5
    assert all(len(s["trained"]) == len(list(encoder.parameters())) for s in untrained)


def test_the_losses_of_answers(untrained):
    base, heads = Base(4), minivlm.ReadOut(5)
    found = list(minivlm.train_answers(base, heads, 6, steps=11))
    rng = np.random.default_rng(6)
    for step, loss in enumerate(found):
        budget = (24, 24, 6, 6, 24, 2, 24, 6, 24, 2, 24)[step]
        pages = minidoc.draw(24, rng)
        asked = minidoc.ask(pages, rng, per_page=4, shares=(0.4, 0.4, 0.2))
        images = torch.as_tensor(minidoc.reduce(minidoc.scan(pages), budget))
        before = [base.look(images)[asked.page]]
        if step in (3, 5, 7):
            keys, values = (
                torch.as_tensor(part[asked.page]) for part in (pages.keys, pages.values)
            )
            before.append(base.read(keys, values))
        expected = answer_loss(base, torch.cat(before, dim=1), asked)
        if budget == 24:
            expected += 0.3 * head_loss(base, heads, pages, images)
        assert loss == pytest.approx(expected, rel=1e-4), step
    (stage,) = untrained
    assert stage["rate"] == 3e-3
    trained = {id(p) for p in stage["trained"]}
    assert trained == {id(p) for part in (base, heads) for p in part.parameters()}


def test_the_losses_of_text_and_vision(untrained):
    base, heads = Base(1), minivlm.ReadOut(2)
    text, vision = (
        next(minivlm.train_text(base, 3, steps=1)),
        next(minivlm.train_vision(base, heads, 3, steps=1)),
    )
    rng = np.random.default_rng(3)
    pages = minidoc.draw(64, rng)
    asked = minidoc.ask(pages, rng, per_page=4, shares=(1.0, 0.0, 0.0))
    keys, values = (torch.as_tensor(part[asked.page]) for part in (pages.keys, pages.values))
    assert text == pytest.approx(answer_loss(base, base.read(keys, values), asked), rel=1e-4)
    pages = minidoc.draw(24, np.random.default_rng(3))
    images = torch.as_tensor(minidoc.reduce(minidoc.scan(pages), 24))
    assert vision == pytest.approx(head_loss(base, heads, pages, images), rel=1e-4)
    assert [stage["rate"] for stage in untrained] == [2e-3, 3e-3]
    names = {id(p): name.split(".")[0] for name, p in base.named_parameters()}
    trained = [{names.get(id(p), "heads") for p in stage["trained"]} for stage in untrained]
    assert trained[0] == set(names.values()) - {"stem", "tower"}
    assert trained[1] == {"stem", "place", "tower", "tower_norm", "heads"}


@pytest.mark.parametrize(("m", "aware"), [(1, True), (5, True), (4, False), (3, False)])
def test_the_losses_of_stage_0(m, aware, untrained):
    encoder = Encoder(m, 8, aware=aware)
    (loss,) = minivlm.pretrain_encoder(encoder, 9, steps=1)
    rng, heads = np.random.default_rng(9), minivlm.WordHeads(m, 9)
    pages = minidoc.draw(48, rng)
    asked = minidoc.ask(pages, rng, per_page=4)
    letters, boxes, row = in_any_order(pages, rng)
    told = [torch.as_tensor(part) for part in (letters[asked.page], boxes[asked.page], asked.asked)]
    queries, words = encoder.states(*told)

    def value_loss(logits, values):
        tens, units = logits[..., :10], logits[..., 10:]
        return cross_entropy(tens, values // 10) + cross_entropy(units, values % 10)

    own = [np.take_along_axis(part, row[..., 0], 1) for part in (pages.keys, pages.values)]
    guess = heads.word(words[::4])
    expected = cross_entropy(guess[..., :8], own[0]) + value_loss(guess[..., 8:], own[1])
    key = asked.asked < minidoc.HIGHLIGHT if aware else np.zeros(len(asked.asked), dtype=bool)
    if aware:
        answers = np.repeat(asked.answer[key][:, None], m, axis=1)
        expected += value_loss(heads.query(queries[key]), answers)
    values = pages.values[asked.page][~key]
    if m >= 4:
        guess, values = heads.query(queries[~key]), values[:, np.arange(m) % 4]
    else:
        guess = heads.joint(queries[~key].flatten(1)).reshape(-1, 4, 20)
    assert loss == pytest.approx(expected + value_loss(guess, values), rel=1e-4)
    assert untrained[0]["rate"] == 3e-3


def test_one_cycle_of_the_learning_rate(monkeypatch):
    """Up in a tenth of the steps, then down along a cosine, never below a thousandth."""
    weight = torch.nn.Parameter(torch.zeros(2))
    rates, norms = [], []

    class Watched(torch.optim.AdamW):
        def step(self):
            rates.append(self.param_groups[0]["lr"])
            norms.append(float(weight.grad.norm()))
            assert self.param_groups[0]["weight_decay"] == 0.01
            return super().step()

    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    pull = torch.tensor([3.0, 4.0])
    losses = list(minivlm._descend([weight], lambda step: 1 + pull @ weight, 20, 0.5))
    share = np.arange(1, 21) / 20
    cosine = (1 + np.cos(np.pi * np.clip((share - 0.1) / 0.9, 0, 1))) / 2
    np.testing.assert_allclose(
        rates, 0.5 * np.maximum(1e-3, np.minimum(1, 10 * share) * cosine), rtol=1e-12
    )
    np.testing.assert_allclose(norms, 1.0, rtol=1e-5)  # of 5, clipped
    assert losses[0] == 1.0
    assert losses[1] == pytest.approx(1 - 7 * rates[0], rel=1e-5)  # AdamW begins with the sign


def test_gradients_that_are_held_do_not_count():
    """A held parameter stays; its gradient is gone before the rest is clipped."""
    moved, held = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    losses = minivlm._descend([moved, held], lambda step: 0.1 * moved.sum() + 1e3 * held.sum(), 2,
                              0.1, lambda step: [held] if step == 0 else [])  # fmt: skip
    next(losses)
    assert held.item() == 0.0
    share = (1 + np.cos(np.pi * 0.4 / 0.9)) / 2  # of the largest rate, after one step of two
    assert moved.item() == pytest.approx(-0.1 * share, rel=1e-5)
    next(losses)
    assert held.item() < 0.0


def test_what_is_seen_is_finite_and_a_tensor():
    base, seen = Base(0), context(2).float()
    hole = seen.clone()
    hole[1, 2, 3] = torch.nan
    for second, message in ((hole, "has entries that are NaN"), (seen.numpy(), "is a ndarray")):
        with pytest.raises(ValueError, match=rf"^context\[1\] {message}"):
            minivlm.answer(base, [0, 1], seen, second)


@pytest.mark.parametrize("side", [2, 4, 8])
def test_tokens_know_where_they_are_and_how_far_they_see(side):
    """Centres of the cells of the tower's grid, left to right, and the share that a token sees."""
    base = Base(0).double()
    seen = []
    base.place.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    height, width = -(-128 // side // 16), -(-192 // side // 16)
    base.features(torch.zeros(1, 128 // side, 192 // side, dtype=torch.float64))
    (where,) = seen
    y, x = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    places = np.array([(b, a) for a in y for b in x])
    expected = minivlm.fourier(torch.as_tensor(places)).numpy()
    assert where.dtype == torch.float64
    np.testing.assert_allclose(where[:, :-1].numpy(), expected, atol=1e-13)
    np.testing.assert_array_equal(where[:, -1].numpy(), side / 8)


def test_a_budget_of_nothing_keeps_the_type(small):
    for base in (Base(0), Base(0).double()):
        seen = minivlm.look(base, small[2][:3], 0)
        assert (seen.shape, seen.dtype) == ((3, 0, 64), base.digit.weight.dtype)


@pytest.mark.parametrize(("aware", "compress"), [(True, False), (False, True)])
def test_expansion_keeps_what_an_encoder_does(aware, compress):
    wide = minivlm.expand(Encoder(1, aware=aware, compress=compress), 3, 0)
    assert (wide.aware, wide.compress) == (aware, compress)
    assert wide.queries.weight.shape == (3, 64)
    noise = 0.3 * np.random.default_rng(5).standard_normal((2, 64))
    one = Encoder(1, 7)
    wide = minivlm.expand(one, 2, 5)
    np.testing.assert_allclose(
        (wide.queries.weight - one.queries.weight).detach().numpy(), noise, atol=1e-6
    )


def test_weights_are_drawn_one_by_one():
    """Variance one over the fan-in, embeddings of one half, norms one and zero, in order."""
    rng = np.random.default_rng(11)
    for part in (module for module in Base(11).modules() if not list(module.children())):
        if isinstance(part, (torch.nn.Linear, torch.nn.Conv2d)):
            scale = part.weight[0].numel() ** -0.5
        elif isinstance(part, torch.nn.Embedding):
            scale = 0.5
        elif isinstance(part, (torch.nn.LayerNorm, torch.nn.GroupNorm)):
            assert bool((part.weight == 1).all() & (part.bias == 0).all())
            continue
        else:
            continue
        drawn = scale * rng.standard_normal(tuple(part.weight.shape))
        np.testing.assert_allclose(part.weight.detach().numpy(), drawn, rtol=1e-6)
        if getattr(part, "bias", None) is not None:
            assert bool((part.bias == 0).all())


def test_no_steps_train_nothing(frozen):
    encoder = Encoder(1)
    before = minivlm.state_hash(encoder)
    assert not list(minivlm.align(frozen, encoder, 0, text_steps=0, image_steps=0))
    assert not list(minivlm.pretrain_encoder(encoder, 0, steps=0))
    assert not list(minivlm.train_text(Base(0), 0, steps=0))
    assert minivlm.state_hash(encoder) == before
