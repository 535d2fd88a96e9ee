"""Tell the language of a short text from its characters: one model written in three ways and trained in two."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import twain
from twain import nn, optim
from twain.data import DataLoader, PaddedCollate
from twain.datasets import LanguageNames, languages
from twain.io import save_file
from twain.train import Model

from .invocation import call

EPOCHS = 4
BATCH = 64
LEARNING_RATE = 0.01
WIDTH = 64
WANTED = 0.85
EXAMPLES = ("What is the time?", "les langues étrangères", "早上好", "fjorden er blå", "Nhà ga ở đâu?")


# ---------------------------------------------------------------- the same model in three ways
class LanguageGuesser(nn.Module):
    """Embedding, mean over the characters that aren't padding, linear layer."""

    def __init__(self, characters: int, classes: int):
        self.embedding = nn.Embedding(characters, WIDTH, padding_idx=0)
        self.average = nn.GlobalAveragePooling1d()
        self.classify = nn.Linear(WIDTH, classes)

    def forward(self, text: twain.Tensor) -> twain.Tensor:
        return self.classify(self.average(self.embedding(text), mask=text != 0))


def as_subclass(characters: int, classes: int) -> nn.Module:
    """A class with `forward`."""
    return LanguageGuesser(characters, classes)


def as_sequential(characters: int, classes: int) -> nn.Module:
    """Layers in a row; the embedding's zero rows tell the average what is padding."""
    return nn.Sequential(
        nn.Embedding(characters, WIDTH, padding_idx=0),
        nn.GlobalAveragePooling1d(skip_zeros=True),
        nn.Linear(WIDTH, classes),
    )


def as_graph(characters: int, classes: int) -> nn.Module:
    """A graph of layers from an input to an output."""
    text = nn.Input(None, dtype="int64")
    vectors = nn.Embedding(characters, WIDTH, padding_idx=0)(text)
    average = nn.GlobalAveragePooling1d()(vectors, mask=text != 0)
    return nn.Graph(text, nn.Linear(WIDTH, classes)(average))


# ---------------------------------------------------------------- the same training in two ways
def by_fit(network: nn.Module, loader: DataLoader, epochs: int, verbose: int) -> None:
    """Keras' way."""
    model = Model(network)
    model.compile("adam", "cross_entropy", ["accuracy"], lr=LEARNING_RATE)
    model.fit(loader, epochs=epochs, verbose=verbose)


def by_loop(network: nn.Module, loader: DataLoader, epochs: int, verbose: int) -> None:
    """PyTorch's way, with the step compiled whole."""
    optimizer = optim.Adam(network.parameters(), lr=LEARNING_RATE)

    @twain.compile
    def step(text: twain.Tensor, label: twain.Tensor) -> twain.Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(text), label)
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(epochs):
        for text, label in loader:
            step(text, label)


WAYS: tuple[tuple[str, Callable, Callable], ...] = (
    ("subclass, fit", as_subclass, by_fit),
    ("Sequential, fit", as_sequential, by_fit),
    ("functional graph, fit", as_graph, by_fit),
    ("subclass, own loop", as_subclass, by_loop),
)


# ---------------------------------------------------------------- the run
def run(folder: Path, epochs: int | None, seed: int, sentence: str) -> int:
    """Train in every way, compare, guess."""
    count = EPOCHS if epochs is None else epochs
    train, test = languages("train"), languages("test")
    characters, classes = len(train.vocabulary), len(train.classes)
    print(
        f"Names of places, languages, months and units (Unicode CLDR) in {classes} languages: {len(train):,} to learn "
        f"from, {len(test):,} held out; {'eager' if twain.config.eager else 'compiled'}, seed {seed}."
    )
    samples = [(train.vocabulary.numbers(text), label) for text, label in train]
    test_texts, test_labels = test.arrays()

    parameters: list[list[Any]] = []
    accuracies: list[float] = []
    network: nn.Module | None = None
    for number, (name, build, learn) in enumerate(WAYS):
        twain.random.seed(seed)
        candidate = build(characters, classes)
        if number == 0:
            print(candidate.summary(test_texts[:1]))
        # Batches of texts of different lengths, padded to the longest, in steps of 8.
        loader = DataLoader(samples, BATCH, shuffle=True, seed=seed, collate=PaddedCollate(multiple_of=8))
        print(f"\n{name}:")
        started = time.perf_counter()
        learn(candidate, loader, count, 1)
        seconds = time.perf_counter() - started
        accuracy = _accuracy(candidate, test_texts, test_labels)
        print(f"  held-out accuracy {100 * accuracy:.2f} % after {seconds:.1f} s")
        parameters.append([p.detach() for p in candidate.parameters()])
        accuracies.append(accuracy)
        network = network or candidate
    assert network is not None

    agree = _compare(parameters)
    save_file(network.state_dict(), folder / "languages.safetensors")
    print(f"Written: {folder / 'languages.safetensors'}")
    print()
    for text in [sentence] if sentence.strip() else EXAMPLES:
        print(_guess(network, train, text))
    if not sentence.strip():
        print(f"\nYour own: {call()} text på norsk")
    if not agree:
        print("The four runs should have ended with the same parameters: please report it.")
        return 1
    if epochs is None and accuracies[0] < WANTED:
        print(f"The accuracy is below the {100 * WANTED:.0f} % that this model should reach: please report it.")
        return 1
    return 0


def _accuracy(network: nn.Module, texts: twain.Tensor, labels: twain.Tensor) -> float:
    network.eval()
    with twain.no_grad():
        right = (network(texts).argmax(axis=1) == labels).astype("float64").mean().item()
    network.train()
    return right


def _compare(parameters: list[list[Any]]) -> bool:
    """Print how far the ways are apart; True if it is no more than rounding."""
    largest = 0.0
    for other in parameters[1:]:
        for a, b in zip(parameters[0], other, strict=True):
            largest = max(largest, (a - b).abs().max().item())
    if largest == 0.0:
        print("\nAll four ways end with the same parameters, bit for bit.")
    else:
        print(f"\nAll four ways end with the same parameters; the largest difference is {largest:.1e} (rounding).")
    return largest < 1e-3


def _guess(network: nn.Module, names: LanguageNames, text: str) -> str:
    network.eval()
    with twain.no_grad():
        scores = nn.functional.softmax(network(names.vocabulary.encode([text])), axis=1)[0].tolist()
    best = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)[:3]
    return f"{text}: " + ", ".join(f"{names.classes[i]} {100 * scores[i]:.1f} %" for i in best)
