"""`twain train images FOLDER` and `twain train table FILE.csv --target COLUMN`: a model of one's own data, with a picture
of the training, the weights, and a report."""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import twain

nn = twain.nn
FEW_CLASSES = 20  # whole numbers of at most so many values are taken for classes


def add_commands(train: Any, positive: Callable[[str], int]) -> None:
    """The two commands, below `twain train`."""
    images = train.add_parser("images", help="a folder of images, a folder for each class in it")
    images.add_argument("folder", type=Path)
    images.add_argument("--size", type=positive, default=32, help="images are scaled to SIZE x SIZE (32)")
    images.add_argument("--grey", action="store_true", help="one channel instead of three")
    images.add_argument("--skip-unreadable", action="store_true", help="leave out images that can't be read")
    images.add_argument(
        "--no-augment",
        action="store_true",
        help="train on images as they are, not moved, mirrored and changed in colour at random",
    )
    images.add_argument("--workers", type=int, default=0, help="processes that read images (0: this one)")
    table = train.add_parser("table", help="a CSV file whose first line names the columns")
    table.add_argument("file", type=Path)
    table.add_argument("--target", required=True, help="the column to predict")
    table.add_argument("--delimiter", default=",", help="between fields (,)")
    for command, run, epochs in ((images, train_images, 20), (table, train_table, 50)):
        command.add_argument("--epochs", type=positive, default=epochs, help=f"epochs ({epochs})")
        command.add_argument("--batch-size", type=positive, default=32, help="samples in a batch (32)")
        command.add_argument("--lr", type=float, default=2e-3, help="learning rate (0.002)")
        command.add_argument("--held-out", type=float, default=0.2, help="share of the samples held out (0.2)")
        command.add_argument("--seed", type=int, default=0, help="of parameters, split and order (0)")
        command.add_argument(
            "--out", type=Path, default=Path("twain-model"), help="folder for the results (twain-model)"
        )
        command.set_defaults(run=run)


def split(count: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """(numbers of the training samples, of those held out)."""
    if not 0.0 < share < 1.0:
        raise ValueError(f"expected --held-out between 0 and 1, got {share}")
    held = max(1, round(count * share))
    if held >= count:
        raise ValueError(f"expected at least two samples to train and hold out, got {count}")
    first, rest = twain.data.random_split(range(count), [count - held, held], seed=seed)
    return sorted(first.indices), sorted(rest.indices)


def fit(model: Any, training: Any, held_out: Any, options: argparse.Namespace) -> Any:
    """Train with a falling rate, the best epoch's weights kept; checkpoint, table and curves go to the folder."""
    train = twain.train
    options.out.mkdir(parents=True, exist_ok=True)
    callbacks = [
        train.LRSchedule(lambda optimizer: twain.optim.CosineAnnealingLR(optimizer, T_max=options.epochs)),
        train.EarlyStopping("val_loss", patience=options.epochs, restore_best_weights=True),
        train.Checkpoint(options.out / "run.safetensors"),
        train.CSVLogger(options.out / "epochs.csv"),
        train.Curves(options.out / "curves.html", title=f"Training on {options.shown}"),
    ]
    history = model.fit(
        training, epochs=options.epochs, validation_data=held_out, callbacks=callbacks, seed=options.seed
    )
    try:
        history.plot(options.out / "curves.png", title=f"Training on {options.shown}")
    except TypeError:
        print('(no curves.png: it needs Matplotlib, pip install "twain[demo]"; curves.html is there)')
    return history


def finish(model: Any, facts: dict[str, Any], lines: list[str], options: argparse.Namespace) -> int:
    """Write weights, what is needed to use them, and the report; say where."""
    twain.io.save_file(model.state_dict(), options.out / "weights.safetensors")
    (options.out / "model.json").write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    report = "\n".join([f"# A model of {options.shown}", "", *lines, ""])
    (options.out / "report.md").write_text(report, encoding="utf-8")
    print("\n" + "\n".join(line for line in lines if line))
    names = sorted(path.name for path in options.out.iterdir() if path.is_file())
    print(f"\nwritten to {options.out}/: {', '.join(names)}")
    return 0


def class_report(model: Any, held_out: Any, classes: list[str], targets: list[int]) -> list[str]:
    """Accuracy beside always guessing the most frequent class, and a line per class."""
    matrix = twain.train.ConfusionMatrix(len(classes))
    for batch in held_out:
        matrix.update(model.predict_on_batch(batch[0]), batch[-1])
    counts = matrix.counts()
    total = sum(map(sum, counts))
    right = sum(counts[i][i] for i in range(len(classes)))
    frequent = max(set(targets), key=targets.count)
    guess = sum(counts[frequent]) / total
    lines = [
        f"Held out: {total} samples, {100 * right / total:.2f} % right. Always guessing "
        f"{classes[frequent]!r} would be {100 * guess:.2f} %.",
        "",
        "| class | samples | found | taken for it and right | mostly taken for |",
        "|---|---|---|---|---|",
    ]
    for i, name in enumerate(classes):
        present, taken = sum(counts[i]), sum(row[i] for row in counts)
        wrong = max((c, j) for j, c in enumerate(counts[i]) if j != i) if len(classes) > 1 else (0, 0)
        lines.append(
            f"| {name} | {present} | {_share(counts[i][i], present)} | {_share(counts[i][i], taken)} | "
            f"{classes[wrong[1]] + f' ({wrong[0]})' if wrong[0] else ''} |"
        )
    return lines


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""


# ---------------------------------------------------------------- images
def image_network(channels: int, classes: int, size: int) -> Any:
    """Blocks of convolution, normalisation and pooling until the image is 4 x 4 or smaller, then the mean."""
    layers: list[Any] = []
    width = 32
    while True:
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        channels, width = width, min(2 * width, 256)
        if size <= 4:
            break
        layers.append(nn.MaxPool2d(2))
        size //= 2
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(channels, classes))


def augmentation(size: int) -> Any:
    """What most photographs bear without becoming something else: small moves, a mirror, other light."""
    data = twain.data
    return data.Compose(
        [
            data.RandomCrop(size, padding=max(1, size // 8), padding_mode="edge"),
            data.RandomHorizontalFlip(),
            data.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
            data.ToTensor(),
        ]
    )


def train_images(options: argparse.Namespace) -> int:
    """Train on a folder of images."""
    options.shown = options.folder.name or str(options.folder)
    images = twain.data.ImageFolder(
        options.folder,
        size=(options.size, options.size),
        mode="L" if options.grey else "RGB",
        on_error="skip" if options.skip_unreadable else "raise",
    )
    if len(images.classes) < 2:
        raise ValueError(f"expected at least two class folders in {options.folder}, got {len(images.classes)}")
    first, held = split(len(images), options.held_out, options.seed)
    settings = {"batch_size": options.batch_size, "num_workers": options.workers}
    training_images = copy.copy(images)  # the same files, and the same list of those skipped
    training_images.transform = None if options.no_augment else augmentation(options.size)
    training = twain.data.DataLoader(
        twain.data.Subset(training_images, first), shuffle=True, seed=options.seed, **settings
    )
    held_out = twain.data.DataLoader(twain.data.Subset(images, held), **settings)
    twain.random.seed(options.seed)
    channels = 1 if options.grey else 3
    network = image_network(channels, len(images.classes), options.size)
    model = twain.train.Model(network).compile("adamw", "cross_entropy", ["accuracy"], lr=options.lr)
    print(f"{len(images)} images of {len(images.classes)} classes: {', '.join(images.classes)}")
    if not options.no_augment:
        print("training images are moved, mirrored and changed in colour at random (--no-augment: left as they are)")
    fit(model, training, held_out, options)
    lines = class_report(model, held_out, images.classes, [images.targets[i] for i in first])
    if images.skipped:
        lines += ["", f"Left out, not readable: {', '.join(sorted(set(images.skipped)))}"]
    facts = {"classes": images.classes, "size": options.size, "channels": channels, "layers": repr(network)}
    return finish(model, facts, lines, options)


# ---------------------------------------------------------------- tables
class TableNetwork(nn.Module):
    """Features of a table to outputs: numbers are brought to mean 0 and deviation 1 (unknown ones are the mean, and said
    to be unknown), categories are embedded. All of that is part of the module, so it travels with the weights.

    Shapes: x (N, columns) float32, categories as their numbers, -1 unknown -> (N, outputs).
    """

    number_columns: Any
    mean: Any
    deviation: Any
    target_mean: Any
    target_deviation: Any

    def __init__(self, sizes: list[int | None], outputs: int, hidden: int = 64):
        self.numbers = [i for i, size in enumerate(sizes) if size is None]
        self.categories = [(i, size) for i, size in enumerate(sizes) if size is not None]
        self.embeddings = nn.ModuleList([nn.Embedding(size + 1, min(16, 1 + size // 2)) for _, size in self.categories])
        width = 2 * len(self.numbers) + sum(min(16, 1 + size // 2) for _, size in self.categories)
        self.register_buffer("number_columns", twain.asarray(self.numbers, dtype="int64"), persistent=False)
        self.register_buffer("mean", twain.zeros((len(self.numbers),)))
        self.register_buffer("deviation", twain.ones((len(self.numbers),)))
        self.register_buffer("target_mean", twain.zeros(()))
        self.register_buffer("target_deviation", twain.ones(()))
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(0.1), nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, outputs),
        )  # fmt: skip

    def adapt(self, features: Any, target: Any = None) -> None:
        """Take means and deviations from the training data."""
        if self.numbers:
            columns = twain.take(features, self.number_columns, axis=1)
            known = columns.isfinite()
            count = known.astype("float32").sum(axis=0).clip(1.0, None)
            filled = twain.where(known, columns, 0.0)
            mean = filled.sum(axis=0) / count
            gaps = twain.where(known, columns - mean, 0.0)
            self.mean.assign(mean)
            self.deviation.assign(((gaps * gaps).sum(axis=0) / count).sqrt().clip(1e-6, None))
        if target is not None:
            self.target_mean.assign(target.mean())
            self.target_deviation.assign(twain.std(target).clip(1e-6, None))

    def forward(self, x: Any) -> Any:
        parts = []
        if self.numbers:
            columns = twain.take(x, self.number_columns, axis=1)
            known = columns.isfinite()
            parts += [twain.where(known, (columns - self.mean) / self.deviation, 0.0), known.astype("float32")]
        for embedding, (i, _) in zip(self.embeddings, self.categories, strict=True):
            parts.append(embedding((x[:, i] + 1.0).astype("int64")))
        return self.layers(twain.concat(parts, axis=1)) * self.target_deviation + self.target_mean


def _as_classes(column: Any) -> tuple[list[str], Any] | None:
    """(names, label per row) of a target that is one of a few classes; None for a number to be predicted."""
    if column.kind == "category":
        return list(column.vocabulary), column.values
    values = sorted({float(v) for v in column.values})
    if column.kind != "int" or not 2 <= len(values) <= FEW_CLASSES:
        return None
    labels = {v: i for i, v in enumerate(values)}
    return [str(int(v)) for v in values], [labels[float(v)] for v in column.values]


def train_table(options: argparse.Namespace) -> int:
    """Train on a CSV file."""
    options.shown = f"{options.file.name}, column {options.target}"
    table = twain.data.read_csv(options.file, target=options.target, delimiter=options.delimiter)
    column = table.columns[options.target]
    if column.kind == "text":
        raise ValueError(f"expected numbers or categories in column {options.target!r}, got texts")
    if not table.feature_names:
        raise ValueError(f"expected columns beside {options.target!r} to predict it from, got none")
    features, target = table.arrays()
    found = _as_classes(column)
    names = None if found is None else found[0]
    target = target.astype("float32") if found is None else twain.asarray(list(map(int, found[1])))
    known = target.isfinite() if found is None else target >= 0
    rows = [i for i, good in enumerate(known.tolist()) if good]
    first, held = split(len(rows), options.held_out, options.seed)
    pick = {"train": [rows[i] for i in first], "held": [rows[i] for i in held]}
    parts = {name: (features[twain.asarray(own)], target[twain.asarray(own)]) for name, own in pick.items()}
    vocabularies = [table.columns[name].vocabulary for name in table.feature_names]
    sizes = [None if vocabulary is None else len(vocabulary) for vocabulary in vocabularies]
    twain.random.seed(options.seed)
    network = TableNetwork(sizes, 1 if names is None else len(names))
    x, y = parts["train"]
    loss, metrics = ("mse", ["mae", "r2"]) if names is None else ("cross_entropy", ["accuracy"])
    if names is None:
        network.adapt(x, y)
        parts = {name: (a, b.reshape((-1, 1))) for name, (a, b) in parts.items()}
    else:
        network.adapt(x)
    model = twain.train.Model(network).compile("adamw", loss, metrics, lr=options.lr)
    what = "a number" if names is None else f"one of {len(names)} classes"
    print(f"{len(rows)} rows, {len(table.feature_names)} columns to predict {options.target!r} from, which is {what}")
    loaders = [
        twain.data.DataLoader(
            twain.data.ArrayDataset(*parts[n]), options.batch_size, shuffle=n == "train", seed=options.seed
        )
        for n in ("train", "held")
    ]
    fit(model, loaders[0], loaders[1], options)
    if names is None:
        scores = model.evaluate(*parts["held"])
        guess = float((parts["held"][1] - y.mean()).abs().mean())
        lines = [
            f"Held out: {len(held)} rows, off by {scores['mae']:.4g} on average (R2 {scores['r2']:.3f}). Always "
            f"guessing the mean would be off by {guess:.4g}."
        ]
    else:
        lines = class_report(model, loaders[1], names, y.tolist())
    if len(rows) < len(table):
        lines += ["", f"{len(table) - len(rows)} rows without a known {options.target!r} were left out."]
    facts = {
        "target": options.target, "classes": names, "features": table.feature_names,
        "vocabularies": {n: v for n, v in table.vocabularies.items() if n != options.target},
    }  # fmt: skip
    return finish(model, facts, lines, options)
