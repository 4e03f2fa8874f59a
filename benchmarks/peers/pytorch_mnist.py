"""The MNIST example of pytorch/examples, in short: its network, settings and data pipeline.

Batches of 64 (1,000 for the test), Adadelta with learning rate 1, times 0.7 an epoch, seed 1; torchvision's data set
with ToTensor and Normalize a picture; on a CPU the example does not shuffle. Prints a JSON object an epoch.
"""

import argparse
import json
import time

import torch
from torch import nn
from torch.nn import functional
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms


class Net(nn.Module):
    """Two convolutions, two linear layers, dropout between them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(n, 1, 28, 28) -> logarithms of probabilities (n, 10)."""
        x = functional.relu(self.conv1(images))
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        x = functional.relu(self.fc1(torch.flatten(self.dropout1(x), 1)))
        return functional.log_softmax(self.fc2(self.dropout2(x)), dim=1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--limit", type=int, default=60000, help="training pictures")
    typed = parser.parse_args()

    torch.manual_seed(1)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    training = Subset(datasets.MNIST(typed.data, train=True, transform=transform), range(typed.limit))
    test = datasets.MNIST(typed.data, train=False, transform=transform)
    batches, test_batches = DataLoader(training, batch_size=64), DataLoader(test, batch_size=1000)
    model = Net()
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    scheduler = StepLR(optimizer, step_size=1, gamma=0.7)
    for epoch in range(1, typed.epochs + 1):
        began = time.perf_counter()
        model.train()
        for images, labels in batches:
            optimizer.zero_grad()
            functional.nll_loss(model(images), labels).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            correct = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in test_batches)
        seconds = time.perf_counter() - began
        print(json.dumps({"epoch": epoch, "seconds": seconds, "test/accuracy": correct / len(test)}), flush=True)
        scheduler.step()


if __name__ == "__main__":
    main()
