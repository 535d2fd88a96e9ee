"""Texts of different lengths: batches are padded to their longest, and a mask keeps padding out of the average."""

import twain
from twain import nn
from twain.data import DataLoader, PaddedCollate
from twain.datasets import languages
from twain.train import Model


class Guesser(nn.Module):
    def __init__(self, characters: int, classes: int):
        self.embedding = nn.Embedding(characters, 32, padding_idx=0)
        self.average = nn.GlobalAveragePooling1d()
        self.classify = nn.Linear(32, classes)

    def forward(self, text):
        return self.classify(self.average(self.embedding(text), mask=text != 0))


def main(epochs: int = 2) -> float:
    train, test = languages("train", codes=("en", "fr", "vi", "ru")), languages("test", codes=("en", "fr", "vi", "ru"))
    twain.random.seed(0)
    model = Model(Guesser(len(train.vocabulary), len(train.classes)))
    model.compile("adam", "cross_entropy", ["accuracy"], lr=0.01)
    samples = [(train.vocabulary.numbers(text), label) for text, label in train]
    model.fit(DataLoader(samples, 64, shuffle=True, collate=PaddedCollate(multiple_of=8)), epochs=epochs)
    accuracy = model.evaluate(*test.arrays())["accuracy"]
    texts = ["Saint Helena", "les Pays-Bas", "Hà Lan", "Нидерланды"]
    guesses = model.predict(train.vocabulary.encode(texts)).argmax(axis=1).tolist()
    for text, guess in zip(texts, guesses, strict=True):
        print(f"{text}: {train.classes[guess]}")
    return accuracy


if __name__ == "__main__":
    main()
