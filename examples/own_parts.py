"""A layer, a metric, a callback and a schedule of one's own."""

import twain
from twain import nn, optim
from twain.datasets import digits
from twain.train import Callback, LRSchedule, Metric, Model


class Swish(nn.Module):
    """x * sigmoid(slope * x), the slope learned. A tensor that requires a gradient is a parameter."""

    def __init__(self, features: int):
        self.slope = twain.ones((features,)).requires_grad_()

    def forward(self, x):
        return x * twain.sigmoid(self.slope * x)


class Confidence(Metric):
    """Mean of the largest probability. `update` adds tensors up; nothing is read before the epoch ends."""

    name = "confidence"

    def __init__(self):
        super().__init__()
        self.add_state("total")
        self.add_state("count")

    def update(self, outputs, targets):
        self.add("total", twain.softmax(outputs, axis=1).max(axis=1).sum())
        self.add("count", outputs.shape[0])

    def result(self):
        return self.state["total"].item() / self.state["count"].item()


class Slopes(Callback):
    """Prints how far the slopes have moved."""

    def on_epoch_end(self, epoch, logs):
        slope = self.model.module[2].slope
        print(f"  slopes from {slope.min().item():.2f} to {slope.max().item():.2f}")


class HalfCosine(optim.LRScheduler):
    """From the full rate to half of it."""

    def get_lr(self):
        share = 0.5 + 0.5 * 0.8**self.last_epoch
        return [base * share for base in self.base_lrs]


def main(epochs: int = 4) -> float:
    twain.random.seed(0)
    model = Model(nn.Sequential(nn.Flatten(), nn.Linear(64, 48), Swish(48), nn.Linear(48, 10)))
    model.compile("adam", nn.CrossEntropyLoss(label_smoothing=0.05), ["accuracy", Confidence()], lr=0.01)
    model.fit(*digits("train"), epochs=epochs, callbacks=[Slopes(), LRSchedule(HalfCosine)])
    return model.evaluate(*digits("test"))["accuracy"]


if __name__ == "__main__":
    main()
