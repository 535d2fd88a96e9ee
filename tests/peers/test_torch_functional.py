"""Losses, attention, normalisation and tables of nn.functional against PyTorch: values, gradients, running statistics."""

import numpy as np
import pytest

import twain
from twain.nn import functional as F

torch = pytest.importorskip("torch")
from torch_compare import both, close, compare  # noqa: E402

TF = torch.nn.functional
REDUCTIONS = ("mean", "sum", "none")


@pytest.fixture
def rng():
    seed = np.random.SeedSequence().entropy % 2**32
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def floats(rng, *shape):
    return rng.standard_normal(shape).astype("float32")


# ---------------------------------------------------------------- margins
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_pairs(rng, reduction):
    (a, ta), (b, tb) = both(floats(rng, 7)), both(floats(rng, 7))
    y, ty = both(rng.choice([-1.0, 1.0], 7).astype("float32"), grad=False)
    compare(F.margin_ranking_loss(a, b, y, margin=0.3, reduction=reduction),
            TF.margin_ranking_loss(ta, tb, ty, margin=0.3, reduction=reduction), [(a, ta), (b, tb)], rng)  # fmt: skip
    (a, ta), (b, tb) = both(floats(rng, 7, 4)), both(floats(rng, 7, 4))
    compare(F.cosine_embedding_loss(a, b, y, margin=0.1, reduction=reduction),
            TF.cosine_embedding_loss(ta, tb, ty, margin=0.1, reduction=reduction), [(a, ta), (b, tb)], rng)  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("swap", [False, True])
def test_triplets(rng, reduction, swap):
    pairs = [both(floats(rng, 6, 4)) for _ in range(3)]
    for p in (1.0, 2.0, 3.0):
        ours = F.triplet_margin_loss(*[a for a, _ in pairs], margin=0.7, p=p, swap=swap, reduction=reduction)
        theirs = TF.triplet_margin_loss(*[b for _, b in pairs], margin=0.7, p=p, swap=swap, reduction=reduction)
        close(ours, theirs)
    ours = F.triplet_margin_with_distance_loss(*[a for a, _ in pairs], swap=swap, reduction=reduction)
    theirs = TF.triplet_margin_with_distance_loss(*[b for _, b in pairs], swap=swap, reduction=reduction)
    compare(ours, theirs, pairs, rng)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_class_margins(rng, reduction):
    x, tx = both(floats(rng, 5, 4))
    y, ty = both(rng.integers(0, 4, 5), grad=False)
    w, tw = both(rng.uniform(0.5, 2, 4).astype("float32"), grad=False)
    for p in (1, 2):
        compare(F.multi_margin_loss(x, y, p, 0.8, w, reduction), TF.multi_margin_loss(tx, ty, p, 0.8, tw, reduction=reduction),
                [(x, tx)] if p == 1 else [], rng)  # fmt: skip
    x, tx = both(floats(rng, 5, 4))
    labels = np.array([[0, 2, -1, 1], [3, -1, -1, -1], [-1, 0, 1, 2], [0, 1, 2, 3], [2, 2, -1, 0]])
    y, ty = both(labels, grad=False)
    compare(F.multilabel_margin_loss(x, y, reduction=reduction), TF.multilabel_margin_loss(tx, ty, reduction=reduction),
            [(x, tx)], rng)  # fmt: skip
    close(F.multilabel_margin_loss(x[0], y[0]), TF.multilabel_margin_loss(tx[0], ty[0]))
    x, tx = both(floats(rng, 5, 4))
    y, ty = both(rng.integers(0, 2, (5, 4)).astype("float32"), grad=False)
    compare(F.multilabel_soft_margin_loss(x, y, w, reduction),
            TF.multilabel_soft_margin_loss(tx, ty, tw, reduction=reduction), [(x, tx)], rng)  # fmt: skip


# ---------------------------------------------------------------- CTC
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("concatenated", [False, True])
def test_ctc(rng, reduction, concatenated):
    steps, number, classes = 20, 4, 6
    lengths, wanted = [20, 15, 3, 11], [5, 0, 6, 7]
    logits, tl = both(rng.standard_normal((steps, number, classes)))
    labels = rng.integers(1, classes, (number, 7))
    if concatenated:
        labels = np.concatenate([row[:n] for row, n in zip(labels, wanted)])
    y, ty = both(labels, grad=False)
    ours = F.ctc_loss(F.log_softmax(logits, -1), y, lengths, wanted, 0, reduction, True)
    theirs = TF.ctc_loss(TF.log_softmax(tl, -1), ty, torch.tensor(lengths), torch.tensor(wanted), 0, reduction, True)
    compare(ours, theirs, [(logits, tl)], rng, rtol=1e-9, atol=1e-11)
    if not concatenated:
        alone = F.ctc_loss(F.log_softmax(logits[:, 0], -1), y[0], twain.asarray(20), twain.asarray(5), reduction="sum")
        one = F.ctc_loss(F.log_softmax(logits[:, :1], -1), y[:1], [20], [5], reduction="sum")
        assert alone.ndim == 0 and alone.item() == one.item()
        impossible = F.ctc_loss(F.log_softmax(logits, -1), y, lengths, wanted, 0, "none")
        assert np.isinf(impossible.detach().numpy()).tolist() == [False, False, True, False]


def test_ctc_refusals():
    x, y = twain.zeros((4, 2, 3)), twain.zeros((2, 2), dtype="int64")
    with pytest.raises(ValueError, match=r"\[ctc_loss\] expected input_lengths in \[0, 4\]"):
        F.ctc_loss(x, y, [5, 1], [1, 1])
    with pytest.raises(ValueError, match=r"\[ctc_loss\] expected target_lengths of shape \(2,\)"):
        F.ctc_loss(x, y, [4, 1], [1])
    with pytest.raises(ValueError, match=r"\[ctc_loss\] expected blank in \[0, 3\)"):
        F.ctc_loss(x, y, [4, 1], [1, 1], blank=3)


# ---------------------------------------------------------------- attention
@pytest.mark.parametrize("kind", ["none", "bool", "float", "causal", "scale"])
def test_attention(rng, kind):
    pairs = [both(floats(rng, 2, 3, n, 4)) for n in (5, 6, 6)]
    settings, theirs = {}, {}
    if kind in ("bool", "float"):
        mask = rng.random((2, 1, 5, 6)) < 0.7 if kind == "bool" else floats(rng, 5, 6)
        mask[..., 0] = True if kind == "bool" else 0.0
        settings["attn_mask"], theirs["attn_mask"] = both(mask, grad=False)
    elif kind == "causal":
        settings = theirs = {"is_causal": True}
    elif kind == "scale":
        settings = theirs = {"scale": 0.3}
    ours = F.scaled_dot_product_attention(*[a for a, _ in pairs], **settings)
    compare(ours, TF.scaled_dot_product_attention(*[b for _, b in pairs], **theirs), pairs, rng)


def test_grouped_heads(rng):
    pairs = [both(floats(rng, 2, heads, n, 4)) for heads, n in ((6, 5), (2, 7), (2, 7))]
    mask, theirs = both(rng.random((2, 6, 5, 7)) < 0.8, grad=False)
    ours = F.scaled_dot_product_attention(*[a for a, _ in pairs], attn_mask=mask, enable_gqa=True)
    compare(
        ours, TF.scaled_dot_product_attention(*[b for _, b in pairs], attn_mask=theirs, enable_gqa=True), pairs, rng
    )


def test_attention_dropout_keeps_the_mean(rng):
    q, k, v = (twain.asarray(floats(rng, 4, 32, 8)) for _ in range(3))
    plain = F.scaled_dot_product_attention(q, k, v).numpy()
    many = np.mean([F.scaled_dot_product_attention(q, k, v, dropout_p=0.3).numpy() for _ in range(200)], 0)
    assert np.abs(many - plain).max() < 0.3
    assert np.abs(many - plain).mean() < 0.03
    assert not F.scaled_dot_product_attention(q, k, v, dropout_p=1.0).numpy().any()


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("extras", [False, True])
def test_multi_head_attention(rng, need_weights, extras):
    layer = torch.nn.MultiheadAttention(8, 2, add_bias_kv=extras, add_zero_attn=extras)
    state = {n: twain.asarray(p.detach().numpy()) for n, p in layer.named_parameters()}
    pairs = [both(floats(rng, n, 3, 8)) for n in (5, 6, 6)]
    padding, theirs = both(np.arange(6) >= np.array([[6], [4], [5]]), grad=False)
    mask, their_mask = both(np.triu(np.ones((5, 6), dtype=bool), 2), grad=False)
    ours, weights = F.multi_head_attention_forward(
        *[a for a, _ in pairs], 8, 2, state["in_proj_weight"], state["in_proj_bias"], state.get("bias_k"),
        state.get("bias_v"), extras, 0.0, state["out_proj.weight"], state["out_proj.bias"], key_padding_mask=padding,
        attn_mask=mask, need_weights=need_weights,
    )  # fmt: skip
    wanted, shares = layer(
        *[b for _, b in pairs], key_padding_mask=theirs, attn_mask=their_mask, need_weights=need_weights
    )
    compare(ours, wanted, pairs, rng)
    assert (weights is None) == (shares is None)
    if shares is not None:
        close(weights, shares)


# ---------------------------------------------------------------- normalisation, tables, maps
def test_instance_norm(rng):
    x, tx = both(floats(rng, 3, 4, 5, 2))
    (w, tw), (b, tb) = both(floats(rng, 4)), both(floats(rng, 4))
    stats = [both(s, grad=False) for s in (np.zeros(4, "float32"), np.ones(4, "float32"))]
    ours = F.instance_norm(x, *[a for a, _ in stats], w, b, momentum=0.3)
    compare(ours, TF.instance_norm(tx, *[s for _, s in stats], tw, tb, momentum=0.3), [(x, tx), (w, tw), (b, tb)], rng)
    for a, s in stats:
        close(a, s)
    close(F.instance_norm(x, *[a for a, _ in stats], use_input_stats=False),
          TF.instance_norm(tx, *[s for _, s in stats], use_input_stats=False))  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_local_response_norm(rng, size):
    x, tx = both(floats(rng, 2, 5, 3))
    compare(
        F.local_response_norm(x, size, 0.3, 0.6, 2.0), TF.local_response_norm(tx, size, 0.3, 0.6, 2.0), [(x, tx)], rng
    )


def test_embedding_with_limits(rng):
    table = floats(rng, 6, 4) * 2
    (w, tw), (i, ti) = both(table), both(rng.integers(0, 6, (3, 2)), grad=False)
    for p in (1.0, 2.0):
        limited, theirs = both(table, grad=False)
        close(F.embedding(i, limited, max_norm=1.3, norm_type=p), TF.embedding(ti, theirs, max_norm=1.3, norm_type=p))
        close(limited, theirs)
    compare(F.embedding(i, w, padding_idx=1, scale_grad_by_freq=True),
            TF.embedding(ti, tw, padding_idx=1, scale_grad_by_freq=True), [(w, tw)], rng)  # fmt: skip


def test_bilinear(rng):
    leaves = [both(floats(rng, *s)) for s in ((3, 2, 4), (3, 2, 5), (6, 4, 5), (6,))]
    compare(F.bilinear(*[a for a, _ in leaves]), TF.bilinear(*[b for _, b in leaves]), leaves, rng)


# ---------------------------------------------------------------- noise
def test_dropout_family(rng):
    x = twain.asarray(np.ones((64, 32, 4, 4), "float32"))
    for function in (F.dropout, F.dropout2d):
        y = function(x, 0.4).numpy()
        assert set(np.unique(y)) <= {np.float32(0), np.float32(1 / 0.6)}
        assert abs(y.mean() - 1) < 0.1
    y = F.dropout2d(x, 0.4).numpy()
    assert (y.reshape(64, 32, 16) == y.reshape(64, 32, 16)[..., :1]).all()
    assert F.dropout3d(x.reshape(64, 32, 4, 2, 2), 0.4).shape == (64, 32, 4, 2, 2)
    normal = twain.asarray(floats(rng, 200, 200))
    for p in (0.1, 0.5):
        y = F.alpha_dropout(normal, p, training=True).numpy()
        assert abs(y.mean()) < 0.05 and abs(y.std() - 1) < 0.05
    assert F.feature_alpha_dropout(x, 0.5, training=True).shape == x.shape
    for function in (F.dropout1d, F.dropout2d, F.dropout3d):
        with pytest.raises(ValueError, match=r"\[dropout.d\] expected input of"):
            function(normal[0], 0.5)
    with pytest.raises(ValueError, match=r"\[alpha_dropout\] expected p"):
        F.alpha_dropout(normal, 1.5)


def test_rrelu_and_gumbel(rng):
    x = twain.asarray(floats(rng, 50, 40))
    close(F.rrelu(x), TF.rrelu(torch.tensor(x.numpy())))
    y = (F.rrelu(x, 0.2, 0.4, training=True) / x).numpy()
    slopes = y[x.numpy() < 0]
    assert slopes.min() >= 0.2 - 1e-6 and slopes.max() <= 0.4 + 1e-6 and abs(slopes.mean() - 0.3) < 0.02
    logits = twain.asarray(np.log([0.1, 0.2, 0.7], dtype="float32")).requires_grad_()
    hard = F.gumbel_softmax(logits * twain.ones((4000, 3)), hard=True)
    assert np.abs(hard.detach().numpy().mean(0) - [0.1, 0.2, 0.7]).max() < 0.04
    (hard[:, 0].sum()).backward()
    assert np.abs(logits.grad.numpy()).sum() > 0


# ---------------------------------------------------------------- layers
@pytest.mark.parametrize("settings", [{}, {"kdim": 6, "vdim": 5}, {"batch_first": True, "bias": False}])
def test_attention_layer(rng, settings):
    theirs = torch.nn.MultiheadAttention(8, 2, **settings)
    ours = twain.nn.MultiheadAttention(8, 2, **settings)
    assert {n: tuple(p.shape) for n, p in ours.named_parameters()} == {
        n: tuple(p.shape) for n, p in theirs.named_parameters()
    }
    ours.load_state_dict({n: twain.asarray(v.numpy()) for n, v in theirs.state_dict().items()})
    pairs = [both(floats(rng, 4, 4, n)) for n in (8, settings.get("kdim", 8), settings.get("vdim", 8))]
    result, weights = ours(*[a for a, _ in pairs])
    wanted, shares = theirs(*[b for _, b in pairs])
    compare(result, wanted, pairs, rng)
    close(weights, shares)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_instance_norm_layer(rng, rank):
    name = f"InstanceNorm{rank}d"
    ours = getattr(twain.nn, name)(4, affine=True, track_running_stats=True)
    theirs = getattr(torch.nn, name)(4, affine=True, track_running_stats=True)
    x, tx = both(floats(rng, 3, 4, *(5, 2, 3)[:rank]))
    compare(ours(x), theirs(tx), [(x, tx)], rng)
    ours.eval(), theirs.eval()
    close(ours(x), theirs(tx))
    close(ours(x[0]), theirs(tx[0]))
    with pytest.raises(TypeError, match=rf"\[{name}\] expected x of shape"):
        ours(x.reshape((-1,)))


def test_other_layers(rng):
    ours, theirs = twain.nn.Bilinear(3, 4, 5), torch.nn.Bilinear(3, 4, 5)
    ours.load_state_dict({n: twain.asarray(v.numpy()) for n, v in theirs.state_dict().items()})
    (a, ta), (b, tb) = both(floats(rng, 2, 3)), both(floats(rng, 2, 4))
    compare(ours(a, b), theirs(ta, tb), [(a, ta), (b, tb)], rng)
    (a, ta), (b, tb), (c, tc) = (both(floats(rng, 6, 4)) for _ in range(3))
    y, ty = both(rng.choice([-1, 1], 6), grad=False)
    for name, operands, other in (
        ("CosineSimilarity", (a, b), (ta, tb)),
        ("PairwiseDistance", (a, b), (ta, tb)),
        ("TripletMarginLoss", (a, b, c), (ta, tb, tc)),
        ("TripletMarginWithDistanceLoss", (a, b, c), (ta, tb, tc)),
        ("CosineEmbeddingLoss", (a, b, y), (ta, tb, ty)),
        ("MarginRankingLoss", (a[:, 0], b[:, 0], y), (ta[:, 0], tb[:, 0], ty)),
        ("GaussianNLLLoss", (a, b, c * c), (ta, tb, tc * tc)),
    ):
        close(getattr(twain.nn, name)()(*operands), getattr(torch.nn, name)()(*other))
    x, tx = both(floats(rng, 2, 5, 4))
    close(twain.nn.LocalResponseNorm(3)(x), torch.nn.LocalResponseNorm(3)(tx))
    for name in ("Dropout1d", "AlphaDropout", "FeatureAlphaDropout", "RReLU"):
        layer = getattr(twain.nn, name)()
        assert layer(x).shape == x.shape
        layer.eval()
        close(layer(x), getattr(torch.nn, name)().eval()(tx))
