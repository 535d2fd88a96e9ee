"""Layers without a peer: what they do with modes, seeds, masks and misuse. Values are compared in tests/peers."""

import pytest

import twain
from twain import nn
from twain.nn import functional as F


def test_the_same_seed_gives_the_same_layer():
    def values():
        twain.random.seed(5)
        net = nn.Sequential(nn.Linear(4, 3), nn.Conv2d(1, 2, 3), nn.Embedding(5, 2))
        return [p.tolist() for p in net.parameters()]

    assert values() == values()


def test_dropout():
    twain.random.seed(1)
    layer = nn.Dropout(0.25)
    x = twain.ones((100, 100))
    y = layer(x).numpy()
    assert set(y.reshape(-1).tolist()) == {0.0, y.max()}
    assert abs((y == 0).mean() - 0.25) < 0.03
    assert y.max() == pytest.approx(1 / 0.75)
    assert (layer(x).numpy() != y).any()
    assert layer.eval()(x) is x
    assert nn.Dropout(0.0)(x) is x
    assert nn.Dropout(1.0)(x).abs().max().item() == 0
    with pytest.raises(ValueError, match=r"p in \[0, 1\], got 1.5"):
        nn.Dropout(1.5)


def test_the_gradient_of_dropout_is_that_of_what_was_kept():
    twain.random.seed(1)
    x = twain.ones((50,)).requires_grad_()
    y = nn.Dropout(0.5)(x)
    y.sum().backward()
    assert x.grad.tolist() == y.tolist()


def test_pooling_skips_padding():
    embed = nn.Embedding(6, 3, padding_idx=0)
    text = twain.asarray([[1, 2, 0, 0], [3, 0, 0, 0], [0, 0, 0, 0]])
    vectors = embed(text)
    mean = (embed.weight[1] + embed.weight[2]) * 0.5
    for pooled in (
        nn.GlobalAveragePooling1d(skip_zeros=True)(vectors),
        nn.GlobalAveragePooling1d()(vectors, mask=text != 0),
    ):
        assert pooled[0].tolist() == pytest.approx(mean.tolist())
        assert pooled[1].tolist() == pytest.approx(embed.weight[3].tolist())
        assert pooled[2].tolist() == [0.0, 0.0, 0.0]
    longer = twain.asarray([[1, 2, 0, 0, 0, 0, 0]])
    again = nn.GlobalAveragePooling1d(skip_zeros=True)(embed(longer))[0]
    assert again.tolist() == pytest.approx(mean.tolist())
    assert nn.GlobalAveragePooling1d()(vectors)[0].tolist() == pytest.approx((mean * 0.5).tolist())


def test_padding_gets_no_gradient():
    embed = nn.Embedding(4, 2, padding_idx=0)
    embed(twain.asarray([0, 1, 1])).sum().backward()
    assert embed.weight.grad.tolist() == [[0, 0], [2, 2], [0, 0], [0, 0]]


def test_embedding_of_an_index_out_of_range_is_an_error_eager_and_compiled():
    embed = nn.Embedding(4, 2)
    with pytest.raises(IndexError, match=r"\[embedding\] index 9 is out of range"):
        embed(twain.asarray([9]))
    with pytest.raises(IndexError, match=r"\[embedding\] index -1 is out of range"):
        embed(twain.asarray([0, -1]))
    compiled = twain.compile(lambda x: embed(x))
    with pytest.raises(IndexError, match=r"\[embedding\] index 9 is out of range"):
        compiled(twain.asarray([9]))
    computed = twain.compile(lambda x: embed(x + 1))
    for _ in range(4):
        computed(twain.asarray([1]))
    with pytest.raises(IndexError, match=r"\[embedding\] index 9 is out of range"):
        computed(twain.asarray([8]))


def test_batch_norm_counts_batches_and_keeps_its_statistics_in_eval():
    norm = nn.BatchNorm1d(3)
    x = twain.asarray([[1.0, 2.0, 3.0], [3.0, 2.0, 5.0]])
    norm(x)
    assert norm.num_batches_tracked.item() == 1
    assert norm.running_mean.tolist() == pytest.approx([0.2, 0.2, 0.4])
    norm.eval()(x)
    assert norm.num_batches_tracked.item() == 1
    with pytest.raises(ValueError, match="more than one value per channel"):
        norm.train()(x[:1])
    with pytest.raises(TypeError, match=r"expected input of shape \(N, 3\) or \(N, 3, L\), got \(2, 4\)"):
        norm(twain.ones((2, 4)))


@pytest.mark.parametrize(
    "make,text",
    [
        (lambda: nn.Linear(0, 3), "in_features to be an int of at least 1, got 0"),
        (lambda: nn.Linear(3, 2.5), "out_features"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "multiples of groups=2"),
        (lambda: nn.Conv2d(3, 4, (3, 3, 3)), "kernel_size"),
        (lambda: nn.Conv2d(3, 4, 3, padding="full"), "'same' or 'valid'"),
        (lambda: nn.GroupNorm(3, 4), "multiple of num_groups=3"),
        (lambda: nn.Embedding(3, 4, padding_idx=3), "padding_idx below 3"),
        (lambda: nn.ReLU(3), "ReLU"),
        (lambda: nn.CrossEntropyLoss(smoothing=1), "smoothing"),
    ],
)
def test_wrong_settings(make, text):
    with pytest.raises((ValueError, TypeError), match=text):
        make()


@pytest.mark.parametrize(
    "call,text",
    [
        (lambda: nn.Linear(3, 2)(twain.ones((4, 5))), r"\[linear\] expected x of shape \(\.\.\., 3\)"),
        (lambda: nn.LayerNorm(3)(twain.ones((4, 5))), r"last axes are \(3,\), got shape \(4, 5\)"),
        (lambda: nn.Embedding(3, 2)(twain.ones((4,))), "integer indices, got float32"),
        (lambda: nn.MSELoss()(twain.ones((4, 1)), twain.ones((4,))), r"one shape, got \(4, 1\) and \(4,\)"),
        (lambda: F.cross_entropy(twain.ones((4, 3)), twain.ones((3,), dtype="int64")), r"shape \(4,\).*got \(3,\)"),
        (lambda: F.cross_entropy(twain.ones((4, 3)), twain.ones((4,))), "class indices are integers"),
        (lambda: F.mse_loss(twain.ones((3,)), twain.ones((3,)), reduction="avg"), "reduction to be one of mean, sum"),
        (lambda: F.group_norm(twain.ones((2, 3)), 2), "multiple of num_groups=2"),
        (lambda: F.one_hot(twain.ones((2,)), 3), "expected integers, got float32"),
        (lambda: F.flatten(twain.ones((2, 3)), 2), "start_dim"),
    ],
)
def test_wrong_shapes_and_dtypes(call, text):
    with pytest.raises((ValueError, TypeError), match=text):
        call()


def test_a_label_out_of_range_is_an_error_eager_and_compiled():
    with pytest.raises(IndexError, match=r"labels in \[0, 4\), got 4"):
        F.cross_entropy(twain.zeros((3, 4)), twain.asarray([0, 4, 1]))
    compiled = twain.compile(lambda x, y: F.cross_entropy(x, y, reduction="none"))
    with pytest.raises(IndexError, match=r"labels in \[0, 4\), got 4"):
        compiled(twain.zeros((3, 4)), twain.asarray([0, 4, 1]))
    computed = twain.compile(lambda x, y: F.cross_entropy(x, y + 1, reduction="none"))
    for _ in range(4):
        computed(twain.zeros((3, 4)), twain.asarray([0, 2, 1]))
    with pytest.raises(IndexError, match=r"labels in \[0, 4\), got 4"):
        computed(twain.zeros((3, 4)), twain.asarray([0, 3, 1]))
    ignored = F.cross_entropy(twain.zeros((3, 4)), twain.asarray([0, -100, 1]), reduction="none")
    assert ignored.tolist() == pytest.approx([1.3862944, 0.0, 1.3862944])


def test_loss_modules_hold_their_settings():
    loss = nn.CrossEntropyLoss(twain.asarray([1.0, 2.0]), label_smoothing=0.1)
    x, y = twain.asarray([[1.0, 2.0]]), twain.asarray([1])
    expected = F.cross_entropy(x, y, twain.asarray([1.0, 2.0]), label_smoothing=0.1)
    assert loss(x, y).item() == expected.item()
    assert list(loss.state_dict()) == ["weight"]
    assert list(loss.parameters()) == []


def test_one_hot():
    assert F.one_hot(twain.asarray([1, 0, 2]), 3).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    with pytest.raises(IndexError, match="class numbers"):
        F.one_hot(twain.asarray([1, 0, 5]), 3)
    assert F.one_hot(twain.asarray([[1], [0]]), 2, axis=0).shape == (2, 2, 1)


def test_truncated_normal_stays_inside():
    twain.random.seed(0)
    values = nn.init.trunc_normal_(twain.zeros((10000,)), mean=1.0, std=2.0, a=-1.0, b=2.0).numpy()
    assert values.min() >= -1 and values.max() <= 2


def test_empty_batches():
    assert nn.Linear(3, 2)(twain.zeros((0, 3))).shape == (0, 2)
    assert nn.Conv2d(1, 2, 3)(twain.zeros((0, 1, 5, 5))).shape == (0, 2, 3, 3)
    assert nn.LayerNorm(3)(twain.zeros((0, 3))).shape == (0, 3)
