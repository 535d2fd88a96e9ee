"""compile, fit, evaluate, predict: Keras' way. Training is stopped and goes on from its checkpoint."""

import tempfile
from pathlib import Path

import twain
from twain import nn
from twain.datasets import digits
from twain.train import Checkpoint, EarlyStopping, Model


def build() -> Model:
    twain.random.seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))
    return Model(network).compile("adam", "cross_entropy", ["accuracy", "top_5_accuracy"], lr=0.005)


def main(epochs: int = 6) -> float:
    images, labels = digits("train")
    held_out = digits("test")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.safetensors"
        first = build()
        first.fit(images, labels, epochs=epochs // 2, validation_data=held_out, callbacks=[Checkpoint(path)])

        model = build()  # as in a new process: everything comes from the file
        history = model.fit(
            images,
            labels,
            epochs=epochs,
            validation_data=held_out,
            callbacks=[Checkpoint(path), EarlyStopping(patience=5)],
            resume=path,
        )
    print(f"best epoch: {history.best('val_accuracy', 'max')[0] + 1}")
    print(model.evaluate(*held_out))
    print("first five:", model.predict(held_out[0][:5]).argmax(axis=1).tolist(), "should be", held_out[1][:5].tolist())
    return history["val_accuracy"][-1]


if __name__ == "__main__":
    main()
