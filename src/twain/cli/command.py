"""The command line, by argparse; each command is a function of its options."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import twain

from .own_data import add_commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `twain ARGUMENTS`; returns the exit status."""
    options = parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe went away
        sys.stderr.close()
        return 1
    except (twain.TwainError, OSError, ValueError) as error:
        print(f"twain {options.command}: {error}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(prog="twain", description="A deep-learning framework.")
    top.add_argument("--version", action="version", version=f"twain {twain.__version__}")
    commands = top.add_subparsers(dest="command", required=True)

    info = commands.add_parser("info", help="devices, processor features, threads, versions, kernel cache")
    info.add_argument("--json", action="store_true", help="as JSON")
    info.set_defaults(run=run_info)

    kinds = commands.add_parser(
        "train", help="train a network on digits, a folder of images or a table"
    ).add_subparsers(dest="data", required=True)
    add_commands(kinds, _positive)
    train = kinds.add_parser("digits", help="the handwritten digits that come with twain")
    train.add_argument("--model", choices=["cnn", "mlp", "linear"], default="cnn", help="the network (cnn)")
    train.add_argument("--epochs", type=_positive, default=15, help="epochs (15)")
    train.add_argument("--batch-size", type=_positive, default=32, help="images in a batch (32)")
    train.add_argument("--optimizer", choices=["adam", "adamw", "sgd"], default="adam", help="optimizer (adam)")
    train.add_argument("--lr", type=float, default=None, help="learning rate (0.003, sgd 0.1)")
    train.add_argument("--seed", type=int, default=0, help="of parameters and order (0)")
    train.add_argument("--eager", action="store_true", help="run op by op instead of compiled")
    train.add_argument("--threads", type=_positive, help="threads to compute with")
    train.add_argument("--out", type=Path, help="folder for checkpoint, weights and a table of the epochs")
    train.add_argument("--resume", type=Path, help="a checkpoint to go on from")
    train.set_defaults(run=run_train)

    board = commands.add_parser("board", help="TensorBoard event files")
    actions = board.add_subparsers(dest="action", required=True)
    export = actions.add_parser("export", help="the scalars of event files as a table or a page")
    export.add_argument("folder", type=Path, help="where the event files are, or the folders that hold them")
    export.add_argument("--csv", type=Path, help="a table: run, tag, step, wall time, value")
    export.add_argument("--html", type=Path, help="a page of curves")
    export.add_argument("--picture", type=Path, help="the same as .png, .svg or .pdf, by Matplotlib")
    export.set_defaults(run=run_export)
    return top


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {number}")
    return number


def run_info(options: argparse.Namespace) -> int:
    """Print what twain runs on."""
    found = twain.info()
    if options.json:
        import json

        print(json.dumps(found, indent=2))
        return 0
    for heading, values in found.items():
        print(heading)
        width = max(map(len, values))
        for name, value in values.items():
            print(f"  {name.ljust(width)}  {_shown(name, value)}")
    return 0


def _shown(name: str, value: Any) -> str:
    if name in ("bytes", "limit") and isinstance(value, int):
        return f"{value / 1e6:.1f} MB"
    return str(value)


def build(name: str) -> Any:
    """A network for 8x8 images of ten classes."""
    nn = twain.nn
    if name == "linear":
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    if name == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10))
    return nn.Sequential(
        nn.Conv2d(1, 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(256, 10),
    )


def run_export(options: argparse.Namespace) -> int:
    """Write the scalars of event files as a table and a page."""
    board = twain.board
    found = board.read_scalars(options.folder)
    count = sum(len(points) for tags in found.values() for points in tags.values())
    files = [path for path in (options.csv, options.html, options.picture) if path is not None]
    if not files:
        raise ValueError("expected --csv FILE, --html FILE or --picture FILE, got none")
    if options.csv is not None:
        board.write_csv(options.csv, found)
    if options.html is not None:
        board.write_html(options.html, found, str(options.folder))
    if options.picture is not None:
        board.write_picture(options.picture, found, str(options.folder))
    print(f"{count} numbers of {len(found)} runs: {', '.join(map(str, files))}")
    return 0


def run_train(options: argparse.Namespace) -> int:
    """Train on the bundled digits."""
    train = twain.train
    if options.eager:
        twain.config.eager = True
    if options.threads:
        twain.set_threads(options.threads)
    images, labels = twain.datasets.digits("train")
    held_out = twain.datasets.digits("test")
    twain.random.seed(options.seed)
    model = train.Model(build(options.model))
    print(model.module)
    rate = options.lr if options.lr is not None else 0.1 if options.optimizer == "sgd" else 3e-3
    model.compile(options.optimizer, "cross_entropy", ["accuracy"], lr=rate)
    callbacks: list[Any] = [
        train.LRSchedule(lambda optimizer: twain.optim.CosineAnnealingLR(optimizer, T_max=options.epochs))
    ]
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        callbacks += [
            train.Checkpoint(options.out / "run.safetensors"),
            train.CSVLogger(options.out / "epochs.csv"),
        ]
    model.fit(
        images,
        labels,
        epochs=options.epochs,
        batch_size=options.batch_size,
        validation_data=held_out,
        callbacks=callbacks,
        seed=options.seed,
        resume=options.resume,
    )
    scores = model.evaluate(*held_out)
    print(f"held out: loss {scores['loss']:.4f}, accuracy {100 * scores['accuracy']:.2f} %")
    if options.out is not None:
        twain.io.save_file(model.state_dict(), options.out / "weights.safetensors")
        print(f"written: {options.out}/weights.safetensors, run.safetensors, epochs.csv")
    return 0
