"""Transforms of colour and place, policies, and mixed batches: against Pillow, and against sums written out."""

import math

import numpy as np
import pytest

import twain
from twain import data
from twain.data.augment import colours, warps

RNG = np.random.default_rng()
SIZES = [(7, 9), (16, 5), (1, 1)]


def image(height=7, width=9, channels=3):
    return RNG.integers(0, 256, (height, width, channels), "uint8")


def planes(array):
    return array.transpose(2, 0, 1)


def close(made, wanted, tolerance=1, share=0.0):
    assert made.dtype == wanted.dtype and made.shape == wanted.shape
    assert (np.abs(made.astype(float) - wanted.astype(float)) > tolerance).mean() <= share


def enhanced(name):
    enhance = pytest.importorskip("PIL.ImageEnhance")
    return lambda picture, factor: getattr(enhance, name)(picture).enhance(factor)


def operated(name):
    ops = pytest.importorskip("PIL.ImageOps")
    return lambda picture, *arguments: getattr(ops, name)(picture, *arguments)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("ours", "theirs", "arguments"),
    [
        (colours.adjust_brightness, enhanced("Brightness"), [0.0, 0.4, 1.0, 1.9]),
        (colours.adjust_contrast, enhanced("Contrast"), [0.0, 0.4, 1.0, 1.9]),
        (colours.adjust_saturation, enhanced("Color"), [0.0, 0.4, 1.0, 1.9]),
        (colours.adjust_sharpness, enhanced("Sharpness"), [0.0, 0.4, 1.0, 1.9]),
        (colours.posterize, operated("posterize"), [1, 4, 8]),
        (colours.solarize, operated("solarize"), [0, 100, 256]),
        (colours.invert, operated("invert"), [None]),
        (colours.autocontrast, operated("autocontrast"), [None]),
        (colours.equalize, operated("equalize"), [None]),
    ],
)
def test_colours_are_pillows(size, ours, theirs, arguments):
    pillow = pytest.importorskip("PIL.Image")
    x = image(*size) // 2 + 20
    if ours is colours.equalize:  # enough pixels that there is something to do
        x = np.tile(x, (8, 7, 1))
    for argument in arguments:
        given = () if argument is None else (argument,)
        # Pillow's picture is an argument of its own to the filters, so one more rounding may come in between.
        tolerance = 2 if ours is colours.adjust_saturation else 1
        if ours is colours.adjust_sharpness and min(size) > 2:
            wanted = np.asarray(theirs(pillow.fromarray(x), *given))[1:-1, 1:-1]
            close(planes(ours(planes(x), *given).transpose(1, 2, 0)[1:-1, 1:-1]), planes(wanted), tolerance)
        elif ours is not colours.adjust_sharpness:
            close(ours(planes(x), *given), planes(np.asarray(theirs(pillow.fromarray(x), *given))), tolerance)


def test_hue_is_that_of_colorsys():
    import colorsys

    x = RNG.random((3, 4, 5), "float32")
    for shift in (-0.5, -0.13, 0.0, 0.4):
        made = colours.adjust_hue(x, shift)
        wanted = np.empty_like(x)
        for place in np.ndindex(4, 5):
            hue, saturation, value = colorsys.rgb_to_hsv(*x[(slice(None), *place)].tolist())
            wanted[(slice(None), *place)] = colorsys.hsv_to_rgb((hue + shift) % 1, saturation, value)
        np.testing.assert_allclose(made, wanted, atol=1e-5)
    flat = np.full((3, 2, 2), 77, "uint8")
    assert (colours.adjust_hue(flat, 0.3) == flat).all()


def test_grey():
    pillow = pytest.importorskip("PIL.Image")
    x = image()
    wanted = np.asarray(pillow.fromarray(x).convert("L"))[..., None]
    close(data.Grayscale()(x), wanted)
    close(data.Grayscale(3)(x), np.repeat(wanted, 3, 2))
    assert (data.RandomGrayscale(1.0)(x) == data.Grayscale(3)(x)).all() and (data.RandomGrayscale(0)(x) == x).all()
    assert data.Grayscale(3)(x[..., 0]).shape == (7, 9, 3)


def test_blur_is_the_weighted_sum():
    x = RNG.random((2, 6, 8))
    made = colours.gaussian_blur(x, (5, 3), (1.2, 0.6))

    def weights(count, sigma):
        values = np.array([math.exp(-(i**2) / (2 * sigma**2)) for i in range(-(count // 2), count // 2 + 1)])
        return values / values.sum()

    kernel = weights(3, 0.6)[:, None] * weights(5, 1.2)[None]
    wide = np.pad(x, ((0, 0), (1, 1), (2, 2)), mode="reflect")
    wanted = np.stack(
        [[[(wide[c, i : i + 3, j : j + 5] * kernel).sum() for j in range(8)] for i in range(6)] for c in range(2)]
    )
    np.testing.assert_allclose(made, wanted, atol=1e-12)


@pytest.mark.parametrize("expand", [False, True])
def test_rotation_is_pillows(expand):
    pillow = pytest.importorskip("PIL.Image")
    x = image(21, 34)
    for angle in (0, 33.3, 90, 180, -70):
        wanted = np.asarray(pillow.fromarray(x).rotate(angle, expand=expand, fillcolor=(1, 2, 3)))
        close(warps.rotate(planes(x), angle, expand=expand, fill=(1, 2, 3)), planes(wanted), 0, share=0.02)


def test_affine_reads_where_it_should():
    x = image(15, 20)
    right, down = 3, -4
    moved = warps.affine(planes(x), 0, (right, down), 1.0, (0, 0), fill=9).transpose(1, 2, 0)
    assert (moved[:down, right:] == x[-down:, :-right]).all()
    assert (moved[down:] == 9).all() and (moved[:, :right] == 9).all()
    turned = warps.affine(planes(x), 180, (0, 0), 1.0, (0, 0), "bilinear").transpose(1, 2, 0)
    assert (turned == x[::-1, ::-1]).all()
    # Clockwise, where rotate goes the other way.
    assert (warps.affine(planes(x), 21, (0, 0), 1, (0, 0)) == warps.rotate(planes(x), -21)).all()
    # Each row moves by its distance from the middle, times the tangent.
    ramp = np.broadcast_to(np.arange(20.0), (1, 15, 20))
    sheared = warps.affine(ramp, 0, (0, 0), 1.0, (45, 0), "bilinear")[0]
    np.testing.assert_allclose(sheared[5:10, 8:12], np.arange(8.0, 12) + (np.arange(5, 10) - 7)[:, None], atol=1e-9)
    doubled = warps.affine(ramp, 0, (0, 0), 2.0, (0, 0), "bilinear")[0]
    np.testing.assert_allclose(doubled[7], 9.5 + (np.arange(20) - 9.5) / 2, atol=1e-9)


def test_perspective_moves_corners():
    pillow = pytest.importorskip("PIL.Image")
    x = image(12, 17)
    assert (warps.perspective(planes(x), [(0, 0), (16, 0), (16, 11), (0, 11)], "bilinear") == planes(x)).all()
    corners = [(2, 1), (14, 3), (15, 9), (1, 11)]
    rows = []
    for (a, b), (u, v) in zip(corners, [(0, 0), (16, 0), (16, 11), (0, 11)], strict=True):
        rows += [[a, b, 1, 0, 0, 0, -u * a, -u * b], [0, 0, 0, a, b, 1, -v * a, -v * b]]
    values = [n for corner in [(0, 0), (16, 0), (16, 11), (0, 11)] for n in corner]
    solved = np.linalg.solve(np.array(rows, float), values)
    wanted = pillow.fromarray(x).transform((17, 12), pillow.Transform.PERSPECTIVE, solved.tolist())
    close(warps.perspective(planes(x), corners, "nearest"), planes(np.asarray(wanted)), 0, share=0.02)


def test_padding():
    x = image(4, 5)
    for mode in ("edge", "reflect", "symmetric"):
        wanted = np.pad(x, ((2, 3), (1, 2), (0, 0)), mode=mode)
        assert (data.Pad((1, 2, 2, 3), padding_mode=mode)(x) == wanted).all()
    made = data.Pad((1, 2), fill=(1, 2, 3))(x)
    assert made.shape == (8, 7, 3) and (made[0, 0] == (1, 2, 3)).all() and (made[2:-2, 1:-1] == x).all()
    assert data.RandomCrop(9, pad_if_needed=True, padding_mode="symmetric")(x).shape == (9, 9, 3)


@pytest.mark.parametrize(("size", "max_size", "wanted"), [(6, None, (6, 12)), (6, 9, (4, 9)), ((5, 3), None, (5, 3))])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
def test_resize_ways(size, max_size, wanted, interpolation):
    pillow = pytest.importorskip("PIL.Image")
    x = image(10, 20)
    made = data.Resize(size, interpolation, max_size)(x)
    assert made.shape == (*wanted, 3)
    way = getattr(pillow.Resampling, interpolation.upper())
    # Pillow rounds between the two axes, which shows where a cubic leaves the range.
    close(made, np.asarray(pillow.fromarray(x).resize(wanted[::-1], way)), 1, share=0.1 * (interpolation == "bicubic"))
    assert data.Resize(size, interpolation, max_size)(x.transpose(1, 0, 2)).shape == (
        *(wanted if max_size is None and isinstance(size, tuple) else wanted[::-1]),
        3,
    )


def test_dtypes_and_images():
    x = image()
    as_image = data.ToImage()(x)
    assert as_image.dtype is twain.uint8 and (as_image.numpy() == planes(x)).all()
    floats = data.ToDtype(twain.float32, scale=True)(as_image)
    np.testing.assert_allclose(floats.numpy(), planes(x) / 255, atol=1e-6)
    assert (data.ToDtype("uint8", scale=True)(floats).numpy() == planes(x)).all()
    assert data.ToDtype("float32")(as_image).numpy().max() == x.max()


# Every transform of its dtype and shape, on all that counts as an image.
RANDOM = [
    data.Pad(2),
    data.RandomGrayscale(0.5),
    data.ColorJitter(0.3, 0.3, 0.3, 0.1),
    data.RandomRotation(30),
    data.RandomRotation((5, 20), "bilinear", center=(1, 2), fill=1),
    data.RandomAffine(20, (0.1, 0.2), (0.8, 1.2), (-5, 5, -3, 3), "bilinear"),
    data.RandomPerspective(p=0.8),
    data.GaussianBlur(3),
    data.RandomInvert(),
    data.RandomPosterize(3),
    data.RandomSolarize(0.4),
    data.RandomAutocontrast(),
    data.RandomEqualize(),
    data.RandomAdjustSharpness(2.0),
    data.RandAugment(),
    data.TrivialAugmentWide(),
    data.RandomApply([data.RandomInvert(1), data.RandomHorizontalFlip(1)]),
    data.RandomChoice([data.RandomInvert(1), data.GaussianBlur(3)], p=[1, 3]),
    data.RandomOrder([data.RandomInvert(0.5), data.RandomSolarize(0.3, 1)]),
]


@pytest.mark.parametrize("transform", RANDOM, ids=repr)
def test_every_kind_of_image(transform):
    kinds = {
        "uint8": image(),
        "grey": image()[..., 0],
        "float32": RNG.random((7, 9, 3), "float32"),
        "float16": RNG.random((7, 9, 3)).astype("float16"),
        "strided": image(14, 9)[::2],
    }
    for x in kinds.values():
        before = x.copy()
        made = transform(x)
        assert made.dtype == x.dtype and made.ndim == x.ndim and (x == before).all()
        if not isinstance(transform, data.Pad):
            assert made.shape == x.shape
        if x.dtype.kind == "f":
            assert 0 <= made.min() <= made.max() <= 1.001
    # A batch is its images with the same draws, and arrays are tensors with another layout.
    batch = twain.asarray(RNG.random((6, 3, 8, 7), "float32"))
    twain.random.seed(5)
    together = transform(batch)
    twain.random.seed(5)
    singles = [transform(one) for one in batch]
    assert isinstance(together, twain.Tensor) and together.dtype is twain.float32
    assert (together.numpy() == np.stack([one.numpy() for one in singles])).all()
    twain.random.seed(5)
    arrays = [transform(one.numpy().transpose(1, 2, 0)) for one in batch]
    assert all((a == one.numpy().transpose(1, 2, 0)).all() for a, one in zip(arrays, singles, strict=True))


@pytest.mark.parametrize("transform", [*RANDOM, data.RandomEqualize(1), data.RandomAdjustSharpness(0.3, 1)], ids=repr)
def test_odd_images(transform):
    spoilt = RNG.random((7, 9, 3), "float32")
    spoilt[2:4, 3] = np.nan
    for x in (
        np.zeros((0, 9, 3), "uint8"),
        np.zeros((7, 0, 3), "float32"),
        RNG.integers(0, 1000, (7, 9, 1)).astype("int32"),
        RNG.random((1, 1, 3)) > 0.5,
        spoilt,
    ):
        made = transform(x)
        assert made.dtype == x.dtype
        if not isinstance(transform, data.Pad):
            assert made.shape == x.shape


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_resize_without_antialiasing_is_interpolate(interpolation):
    x = twain.asarray(RNG.random((3, 13, 17), "float32"))
    wanted = twain.nn.functional.interpolate(x[None], size=(6, 23), mode=interpolation)[0]
    made = data.Resize((6, 23), interpolation, antialias=False)(x)
    np.testing.assert_allclose(made.numpy(), wanted.numpy(), atol=2e-5)
    assert np.abs(data.Resize((6, 23), interpolation)(x).numpy() - wanted.numpy()).max() > 0.05


def test_tables_of_bytes_are_what_floats_give():
    x = RNG.integers(0, 256, (3, 30, 31), "uint8")
    x[1] = 77
    for function in (
        lambda v: colours.adjust_brightness(v, 1.4),
        lambda v: colours.adjust_contrast(v, 0.3),
        colours.autocontrast,
    ):
        close(function(x), np.rint(function(x / 255) * 255).astype("uint8"), 1)
    assert (colours.solarize(x, 100) == np.where(x >= 100, 255 - x, x)).all()


def test_erasing_with_noise():
    x = np.full((3, 40, 40), 100.0, "float32")
    made = data.RandomErasing(1, (0.2, 0.3), value="random")(twain.asarray(x)).numpy()
    noise = made[made != 100]
    assert 0.15 < noise.size / x.size < 0.35 and abs(noise.mean()) < 0.2 and 0.85 < noise.std() < 1.15


def test_draws_are_spread():
    x = np.zeros((4, 4), "uint8")
    twain.random.seed(1)
    found = [int(data.RandomChoice([Constant(1), Constant(2), Constant(3)], p=[1, 0, 3])(x)) for _ in range(400)]
    assert 2 not in found and 0.18 < found.count(1) / 400 < 0.32
    found = [bool(data.RandomApply([data.RandomInvert(1)], 0.3)(x)[0, 0]) for _ in range(400)]
    assert 0.22 < sum(found) / 400 < 0.38
    orders = {tuple(warps_order) for warps_order in (data.augment.base.draw_order(3) for _ in range(200))}
    assert len(orders) == 6
    # A brightness of 0.6 to 1.4 reaches both ends and nothing beyond.
    grey = np.full((1, 2, 2), 100, "uint8")
    values = [int(data.ColorJitter(brightness=0.4).planes(grey)[0, 0, 0]) for _ in range(300)]
    assert 60 <= min(values) < 66 and 134 < max(values) <= 140
    # RandAugment reaches every one of its ops.
    policy = data.RandAugment(num_ops=1)
    names = policy.ops(planes(image()))
    assert len(names) == 14


class Constant:
    def __init__(self, value):
        self.value = value

    def __call__(self, image):
        return self.value


def test_policies_at_no_strength_change_nothing():
    x = planes(image(12, 12))
    for policy in (data.RandAugment(magnitude=0), data.TrivialAugmentWide()):
        for number, (_, function) in enumerate(policy.ops(x)):
            if number not in (11, 12, 13):  # solarize at 256, auto-contrast and equalize have no strength
                assert (function(x, 0.0) == x).all()


def test_the_same_for_any_number_of_workers():
    images = np.random.default_rng(0).integers(0, 256, (8, 9, 8, 3), dtype=np.uint8)
    transform = data.Compose(
        [data.TrivialAugmentWide(), data.ColorJitter(0.2, hue=0.1), data.RandomAffine(10), data.ToTensor()]
    )
    batches = data.Compose([data.collate, data.RandomChoice([data.MixUp(num_classes=3), data.CutMix(num_classes=3)])])
    dataset = data.StackDataset(images, np.arange(8) % 3).map(OnImage(transform))

    def run(workers, seed=2):
        loader = data.DataLoader(dataset, 4, num_workers=workers, seed=seed, collate=batches)
        return [[part.tolist() for part in batch] for batch in loader]

    assert run(0) == run(1) == run(2) and run(0) != run(0, 3)


class OnImage:
    def __init__(self, transform):
        self.transform = transform

    def __call__(self, sample):
        return self.transform(sample[0]), sample[1]


def test_mixing():
    x = RNG.random((6, 3, 8, 10), "float32")
    y = np.array([0, 3, 1, 1, 2, 0])
    twain.random.seed(3)
    images, labels = data.MixUp(num_classes=4, alpha=0.7)(twain.asarray(x), twain.asarray(y))
    assert labels.dtype is twain.float32 and labels.shape == (6, 4)
    share = labels[0, 0].item()  # sample 0 is mixed with sample 5, of the same class
    assert share == pytest.approx(1)
    share = labels[1, 3].item()
    np.testing.assert_allclose(images.numpy(), share * x + (1 - share) * np.roll(x, 1, 0), atol=1e-6)
    np.testing.assert_allclose(labels.numpy(), share * np.eye(4)[y] + (1 - share) * np.eye(4)[np.roll(y, 1)], atol=1e-6)
    cut, labels = data.CutMix(num_classes=4)((twain.asarray(x), np.eye(4, dtype="float32")[y]))
    own = (cut.numpy() == x).all(1)
    assert ((cut.numpy() == np.roll(x, 1, 0)).all(1) | own).all()
    assert labels[1, 3].item() == pytest.approx(own[1].mean(), abs=1e-6)


def test_fit_on_mixed_labels():
    twain.random.seed(0)
    x = RNG.normal(size=(64, 1, 6, 6)).astype("float32")
    y = (x.mean((1, 2, 3)) > 0).astype("int64")
    x += 2 * (y * 2 - 1)[:, None, None, None].astype("float32")
    mixing = data.Compose([data.collate, data.MixUp(num_classes=2, alpha=0.2)])
    loader = data.DataLoader(data.ArrayDataset(x, y), 16, shuffle=True, collate=mixing)
    network = twain.nn.Sequential(twain.nn.Flatten(), twain.nn.Linear(36, 2))
    model = twain.train.Model(network)
    model.compile("adam", "cross_entropy", metrics=["accuracy"], lr=0.005)
    history = model.fit(loader, epochs=4, validation_data=(x, y), verbose=0)
    assert history.history["val_accuracy"][-1] > 0.95
    # The loss is of the labels' shares; right is what the larger share says.
    images, labels = mixing([(x[i], y[i]) for i in range(16)])
    told = network(images).detach().numpy().astype(float)
    logs = told - np.log(np.exp(told).sum(1, keepdims=True))
    found = model.evaluate(images, labels)
    assert found["loss"] == pytest.approx(-(labels.numpy() * logs).sum(1).mean(), rel=1e-4)
    assert found["accuracy"] == pytest.approx((told.argmax(1) == labels.numpy().argmax(1)).mean())


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: data.ColorJitter(brightness=-1), ValueError, "brightness of 0 or more"),
        (lambda: data.ColorJitter(hue=0.7), ValueError, r"hue .* <= 0.5"),
        (lambda: data.ColorJitter("much"), TypeError, "brightness to be a number"),
        (lambda: data.ColorJitter(saturation=1)(image(channels=2)), ValueError, "1 or 3 channels, got 2"),
        (lambda: data.GaussianBlur(4), ValueError, "odd ints"),
        (lambda: data.GaussianBlur(3, 0), ValueError, "sigma"),
        (lambda: data.RandomRotation("far"), TypeError, "degrees to be a number"),
        (lambda: data.RandomRotation(-5), ValueError, "degrees of 0 or more"),
        (lambda: data.RandomRotation(5, "cubic"), TypeError, "'nearest', 'bilinear', got 'cubic'"),
        (lambda: data.RandomRotation(5, expand=True)(twain.zeros((2, 3, 4, 4))), TypeError, "single images"),
        (lambda: data.RandomAffine(5, translate=(3, 0)), ValueError, "shares from 0 to 1"),
        (lambda: data.RandomAffine(5, fill=(1, 2))(image()), ValueError, "fill for 3 channels"),
        (lambda: data.Pad(-1), ValueError, "padding of 0 or more"),
        (lambda: data.Pad((1, 2, 3)), TypeError, "left, top, right, bottom"),
        (lambda: data.RandomPosterize(9), ValueError, "0 to 8"),
        (lambda: data.RandAugment(magnitude=40), ValueError, "0 to 30"),
        (lambda: data.RandomApply(data.RandomInvert()), TypeError, "list of transforms"),
        (lambda: data.RandomChoice([]), ValueError, "at least one"),
        (lambda: data.RandomChoice([data.Pad(1)], p=[0.5, 0.5]), ValueError, "p for 1 transforms"),
        (lambda: data.Lambda(3), TypeError, "a function"),
        (lambda: data.GaussianBlur(3)(image().astype(complex)), TypeError, "integers or floats, got dtype complex128"),
        (lambda: data.ToTensor()(np.array([["a"]])), TypeError, "integers or floats"),
        (lambda: data.RandomInvert()("cat.png"), TypeError, "a Pillow image, got str"),
        (lambda: data.MixUp()(twain.zeros((2, 3, 4, 4)), [0, 1]), TypeError, "num_classes"),
        (lambda: data.MixUp(num_classes=2)(twain.zeros((2, 3, 4, 4)), [0, 2]), ValueError, r"\[0, 2\), got 2"),
        (lambda: data.MixUp(num_classes=2)(image()[None], [0]), TypeError, "images of floats"),
        (
            lambda: data.RandomErasing(1, (0.5, 0.6), (1, 1), "random")(image(8, 8)),
            TypeError,
            "for noise, got dtype uint8",
        ),
        (lambda: data.CutMix(num_classes=2)(twain.zeros((2, 3, 4, 4))), TypeError, "images, labels"),
    ],
)
def test_mistakes(make, error, message):
    with pytest.raises(error, match=message):
        make()
