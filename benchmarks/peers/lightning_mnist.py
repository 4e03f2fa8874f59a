"""The MNIST training of lightning-hydra-template, in short: its module, data and trainer, on Lightning.

The default network 64-128-64 with batch normalisation, Adam with learning rate 0.001, batches of 128; train and test
files joined and split anew into 55,000, 5,000 and 10,000; ToTensor and Normalize a picture, no loader processes; the
best checkpoint by validation accuracy is kept. Left out, in its favour: loggers, progress bar and the test at the end.
Prints a JSON object an epoch.
"""

import argparse
import json
import time
import warnings
from itertools import pairwise

import torch
from lightning import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, random_split
from torchmetrics import MaxMetric, MeanMetric
from torchmetrics.classification.accuracy import Accuracy
from torchvision.datasets import MNIST
from torchvision.transforms import transforms


class MNISTLitModule(LightningModule):
    """Training and validation as the template writes them down."""

    def __init__(self, widths: list[int], lr: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        sizes = [784, *widths]
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
        self.net = nn.Sequential(nn.Flatten(), *layers, nn.Linear(sizes[-1], 10))
        self.lr = lr
        self.criterion = nn.CrossEntropyLoss()
        self.train_acc, self.val_acc = (Accuracy(task="multiclass", num_classes=10) for _ in range(2))
        self.train_loss, self.val_loss, self.val_acc_best = MeanMetric(), MeanMetric(), MaxMetric()

    def model_step(self, batch):
        images, labels = batch
        logits = self.net(images)
        return self.criterion(logits, labels), torch.argmax(logits, dim=1), labels

    def on_train_start(self):
        self.val_loss.reset(), self.val_acc.reset(), self.val_acc_best.reset()

    def training_step(self, batch, batch_idx):
        loss, answers, labels = self.model_step(batch)
        self.train_loss(loss), self.train_acc(answers, labels)
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True)
        self.log("train/acc", self.train_acc, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        loss, answers, labels = self.model_step(batch)
        self.val_loss(loss), self.val_acc(answers, labels)
        self.log("val/loss", self.val_loss, on_step=False, on_epoch=True)
        self.log("val/acc", self.val_acc, on_step=False, on_epoch=True)

    def on_validation_epoch_end(self):
        self.val_acc_best(self.val_acc.compute())
        self.log("val/acc_best", self.val_acc_best.compute(), sync_dist=True)

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=self.lr)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="min", factor=0.1, patience=10)
        plan = {"scheduler": scheduler, "monitor": "val/loss", "interval": "epoch", "frequency": 1}
        return {"optimizer": optimizer, "lr_scheduler": plan}


class Epochs(Callback):
    """Prints each epoch with its seconds, validation counted in."""

    def on_train_epoch_start(self, trainer, module):
        self.began = time.perf_counter()

    def on_train_epoch_end(self, trainer, module):
        row = {"epoch": trainer.current_epoch + 1, "seconds": time.perf_counter() - self.began}
        print(json.dumps(row | {"val/accuracy": float(trainer.callback_metrics["val/acc"])}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.001)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128, 64])
    parser.add_argument("--limit", type=int, default=55000, help="training pictures")
    typed = parser.parse_args()
    warnings.filterwarnings("ignore")  # that loader processes would be faster: the template has none

    seed_everything(12345)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    whole = ConcatDataset([MNIST(typed.data, train=train, transform=transform) for train in (True, False)])
    validated = min(5000, (len(whole) - typed.limit) // 2)
    sizes = [typed.limit, validated, len(whole) - typed.limit - validated]
    training, validation, _ = random_split(whole, sizes, generator=torch.Generator().manual_seed(42))
    trainer = Trainer(
        max_epochs=typed.epochs,
        min_epochs=1,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        callbacks=[ModelCheckpoint("checkpoints", monitor="val/acc", mode="max", save_last=True), Epochs()],
    )
    trainer.fit(
        MNISTLitModule(typed.widths, typed.lr),
        DataLoader(training, batch_size=typed.batch_size, shuffle=True),
        DataLoader(validation, batch_size=typed.batch_size),
    )


if __name__ == "__main__":
    main()
