"""A functional graph: layers called on symbols. Two branches look at the same image; a third input tells its brightness."""

import twain
from twain import nn
from twain.datasets import digits
from twain.train import Model


def build() -> Model:
    image = nn.Input((1, 8, 8))
    brightness = nn.Input(1)
    edges = nn.ReLU()(nn.Conv2d(1, 8, kernel_size=3, padding=1)(image))
    edges = nn.Flatten()(nn.MaxPool2d(2)(edges))
    whole = nn.Tanh()(nn.Linear(64, 32)(nn.Flatten()(image)))
    joined = nn.Linear(128, 32)(edges) + whole + nn.Linear(1, 32)(brightness)
    return Model([image, brightness], nn.Linear(32, 10)(nn.ReLU()(joined)))


def main(epochs: int = 4) -> float:
    twain.random.seed(0)
    model = build()
    print(model.module)
    images, labels = digits("train")
    test_images, test_labels = digits("test")
    model.compile("adam", "cross_entropy", ["accuracy"], lr=0.005)
    model.fit([images, images.mean(axis=(2, 3))], labels, epochs=epochs)
    scores = model.evaluate([test_images, test_images.mean(axis=(2, 3))], test_labels)
    print(scores)
    return scores["accuracy"]


if __name__ == "__main__":
    main()
