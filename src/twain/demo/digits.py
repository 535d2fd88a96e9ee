"""A small convolutional network learns 8x8 images of handwritten digits; everything is written to a folder."""

from __future__ import annotations

import time
from pathlib import Path

import twain
from twain import nn, optim
from twain.board import SummaryWriter
from twain.datasets import digits
from twain.io import save_file
from twain.train import Checkpoint, CSVLogger, LRSchedule, Model, TensorBoard

from .invocation import call, print_table
from .picture import draw

EPOCHS = 15
BATCH = 32
LEARNING_RATE = 3e-3
WANTED = 0.98


def network() -> nn.Sequential:
    """Two convolutions and a linear layer: 21,386 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(64 * 2 * 2, 10),
    )


def run(folder: Path, epochs: int | None, seed: int) -> int:
    """Train, evaluate, write the files, say what to do next."""
    count = EPOCHS if epochs is None else epochs
    train_images, train_labels = digits("train")
    test_images, test_labels = digits("test")
    print(
        f"Handwritten digits (UCI, 8x8): {len(train_images):,} to learn from, {len(test_images):,} held out.\n"
        f"{'Eager' if twain.config.eager else 'Compiled'}, seed {seed}."
    )

    twain.random.seed(seed)
    model = Model(network())
    print(model.module.summary(test_images[:1]))
    model.compile("adam", "cross_entropy", metrics=["accuracy"], lr=LEARNING_RATE)
    checkpoint = Checkpoint(folder / "digits-run.safetensors")
    callbacks = [
        LRSchedule(lambda optimizer: optim.CosineAnnealingLR(optimizer, T_max=count)),
        checkpoint,
        CSVLogger(folder / "digits.csv"),
    ]
    events = folder / "events"
    writer = _writer(events)
    if writer is not None:
        callbacks.append(TensorBoard(writer))

    started = time.perf_counter()
    history = model.fit(
        train_images,
        train_labels,
        epochs=count,
        batch_size=BATCH,
        validation_data=(test_images, test_labels),
        callbacks=callbacks,
        seed=seed,
    )
    seconds = time.perf_counter() - started
    if writer is not None:
        writer.close()

    scores = model.evaluate(test_images, test_labels)
    probabilities = nn.functional.softmax(model.predict(test_images, batch_size=len(test_images)), axis=1)
    weights = folder / "digits.safetensors"
    save_file(model.state_dict(), weights)
    picture = draw(folder / "digits.png", history, test_images, test_labels, probabilities)

    accuracy = scores["accuracy"]
    print(f"\nTest accuracy {100 * accuracy:.2f} % on {len(test_images)} images never seen, after {seconds:.1f} s.")
    written: list[tuple[object, str]] = [
        (weights, "the parameters, for any reader of\nsafetensors"),
        (checkpoint.last_path, "the whole run:\nfit(..., resume=PATH) goes on from it"),
    ]
    if picture is not None:
        written.insert(0, (picture, "curves, and test images with what\nthe network takes them for"))
    if writer is not None:
        written.append((events, f"TensorBoard event files:\ntensorboard --logdir {events}"))
    print_table("Written:", written)
    print_table(
        "Next:",
        [
            (f"{call()} --eager", "the same, op by op"),
            (f"{call()} text les langues étrangères", "tell the language of a text"),
            (f"{call('twain')} train digits --model mlp", "another network"),
            (f"{call('twain')} info", "what it runs on"),
        ],
    )
    if epochs is None and accuracy < WANTED:
        print(f"The accuracy is below the {100 * WANTED:.0f} % that this network should reach: please report it.")
        return 1
    return 0


def _writer(events: Path) -> SummaryWriter | None:
    try:
        return SummaryWriter(events)
    except ImportError as error:
        print(f"(no TensorBoard events: {error})")
        return None
