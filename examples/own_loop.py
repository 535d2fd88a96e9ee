"""A training loop written by hand: PyTorch's way, with the step compiled whole."""

import twain
from twain import nn, optim
from twain.data import ArrayDataset, DataLoader
from twain.datasets import digits


class Network(nn.Module):
    def __init__(self):
        self.conv = nn.Conv2d(1, 16, kernel_size=3, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.out = nn.Linear(16 * 4 * 4, 10)

    def forward(self, x):
        x = twain.relu(self.norm(self.conv(x)))
        x = twain.max_pool2d(x, 2)
        return self.out(x.flatten(1))


def main(epochs: int = 4) -> float:
    twain.random.seed(0)
    network = Network()
    optimizer = optim.AdamW(network.parameters(), lr=0.005)
    loader = DataLoader(ArrayDataset(*digits("train")), batch_size=32, shuffle=True)

    @twain.compile  # leave this line out and the same code runs op by op
    def step(images, labels):
        optimizer.zero_grad()
        loss = twain.cross_entropy(network(images), labels)
        loss.backward()
        optim.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        return loss

    for epoch in range(epochs):
        losses = [step(images, labels) for images, labels in loader]
        print(f"epoch {epoch + 1}: loss {sum(loss.item() for loss in losses) / len(losses):.4f}")

    network.eval()
    images, labels = digits("test")
    with twain.no_grad():
        accuracy = (network(images).argmax(axis=1) == labels).astype("float32").mean().item()
    print(f"held-out accuracy {100 * accuracy:.1f} %")
    return accuracy


if __name__ == "__main__":
    main()
