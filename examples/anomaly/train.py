#!/usr/bin/python3
"""Trains the autoencoder of this example on sneakers and writes anomaly.onnx.

    /usr/bin/python3 examples/anomaly/train.py --data ../shared/data/fashion-mnist

One thread and a fixed seed: the same machine gives the same file. What it cannot reconstruct is no
sneaker: the area under the curve printed at the end says how well the error tells them apart.
"""

import argparse
import pathlib
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import make_dataset

HERE = pathlib.Path(__file__).resolve().parent


class Autoencoder(nn.Module):
    """1x28x28 through two convolutions to a code of 16 numbers, and back to 784 by two layers."""

    def __init__(self):
        super().__init__()
        self.down1 = nn.Conv2d(1, 8, 3, 2, 1)
        self.down2 = nn.Conv2d(8, 16, 3, 2, 1)
        self.code = nn.Linear(16 * 7 * 7, 16)
        self.up1 = nn.Linear(16, 64)
        self.up2 = nn.Linear(64, 28 * 28)

    def forward(self, x):
        x = functional.relu(self.down2(functional.relu(self.down1(x))))
        x = functional.relu(self.up1(self.code(torch.flatten(x, 1))))
        return self.up2(x)


def as_input(images):
    """Stored uint8 to what the network sees: x / 255, as the data set's scale, mean and std say."""
    return torch.tensor(images).float().div_(255)


def errors(model, images):
    """The mean squared error of each image's reconstruction."""
    model.eval()
    with torch.no_grad():
        inputs = as_input(images)
        return ((model(inputs) - torch.flatten(inputs, 1)) ** 2).mean(1).numpy()


def train(model, images, options):
    random = np.random.default_rng(options.seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    steps = options.epochs * (len(images) // options.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    began = time.monotonic()
    for epoch in range(options.epochs):
        model.train()
        order = random.permutation(len(images))
        for start in range(0, len(order) - options.batch + 1, options.batch):
            inputs = as_input(images[order[start : start + options.batch]])
            loss = functional.mse_loss(model(inputs), torch.flatten(inputs, 1))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        if (epoch + 1) % 10 == 0:
            took = time.monotonic() - began
            print(f"epoch {epoch + 1}/{options.epochs}: loss {loss:.5f}, {took:.0f} s", flush=True)


def area_under_curve(scores, labels):
    """The share of pairs in which the anomaly has the larger error; ties count one half."""
    anomalies = scores[labels == 1][:, np.newaxis]
    normal = scores[labels == 0]
    return float(np.mean((anomalies > normal) + 0.5 * (anomalies == normal)))


def report(model, folder):
    splits = make_dataset.choose_splits(folder)
    for name in ("val", "test"):
        images, labels = splits[name]
        scores = errors(model, images)
        print(
            f"{name}: auc {area_under_curve(scores, labels):.4f}, mse {scores.mean():.6f},"
            f" of sneakers {scores[labels == 0].mean():.6f}"
        )


def export(model, path):
    torch.onnx.export(
        model.eval(),
        torch.zeros(1, 1, 28, 28),
        str(path),
        opset_version=13,
        input_names=["image"],
        output_names=["reconstruction"],
        dynamic_axes={"image": {0: "batch"}, "reconstruction": {0: "batch"}},
    )
    print(f"{path}: {path.stat().st_size} bytes")


def parse_options():
    parser = argparse.ArgumentParser(description="Trains the anomaly example.")
    add = parser.add_argument
    add("--data", type=pathlib.Path, default="../shared/data/fashion-mnist", help="IDX files")
    add("--output", type=pathlib.Path, default=HERE / "anomaly.onnx")
    add("--epochs", type=int, default=40)
    add("--batch", type=int, default=64)
    add("--seed", type=int, default=1)
    return parser.parse_args()


def main():
    options = parse_options()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    torch.use_deterministic_algorithms(True)
    model = Autoencoder()
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    train(model, make_dataset.read_sneakers(options.data), options)
    report(model, options.data)
    export(model, options.output)


if __name__ == "__main__":
    main()
