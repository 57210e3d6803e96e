#!/usr/bin/python3
"""Trains the network of this example and writes fashion_mnist.onnx.

    /usr/bin/python3 examples/fashion-mnist/train.py --data ../shared/data/fashion-mnist

One thread and a fixed seed: the same machine gives the same file. Every training image is used and
no test image is looked at before the last epoch is over; the accuracies printed at the end are of the
val and test images that make_dataset.py keeps.
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


def conv_bn(inputs, outputs, kernel, stride=1, groups=1):
    """A convolution without bias and its BatchNorm, padded so that stride 1 keeps the size."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Separable(nn.Module):
    """Depthwise 3x3, then pointwise; with a shortcut around both where the shape stays the same."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.depthwise = conv_bn(inputs, inputs, 3, stride, groups=inputs)
        self.pointwise = conv_bn(inputs, outputs, 1)
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.pointwise(functional.relu(self.depthwise(x)))
        return functional.relu(x + y if self.has_shortcut else y)


class FashionNet(nn.Module):
    """1x28x28 to ten logits through 28x28x16, 14x14x32 and 7x7x96."""

    def __init__(self):
        super().__init__()
        self.stem = conv_bn(1, 16, 3)
        self.down = conv_bn(16, 32, 3, stride=2)
        self.blocks = nn.Sequential(
            Separable(32, 32), Separable(32, 32), Separable(32, 96, stride=2), Separable(96, 96), Separable(96, 96)
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(96, 10)

    def forward(self, x):
        x = functional.relu(self.stem(x))
        x = self.blocks(functional.relu(self.down(x)))
        return self.classifier(torch.flatten(self.pool(x), 1))


def count_macs(model):
    """Multiplications of one image in convolutions and the linear layer."""
    macs = []

    def note(layer, _, output):
        per_output = layer.weight[0].numel()
        macs.append(output[0].numel() * per_output)

    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    with torch.no_grad():
        model.eval()(torch.zeros(1, 1, 28, 28))
    for hook in hooks:
        hook.remove()
    return sum(macs)


def augmented(images, random):
    """Each image moved by up to two pixels each way and mirrored half of the time."""
    count = len(images)
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    rows = random.integers(0, 5, (count, 1, 1)) + np.arange(28)[:, np.newaxis]
    columns = random.integers(0, 5, (count, 1, 1)) + np.arange(28)
    mirrored = random.random((count, 1, 1)) < 0.5
    columns = np.where(mirrored, columns[:, :, ::-1], columns)
    return padded[np.arange(count)[:, np.newaxis, np.newaxis], 0, rows, columns][:, np.newaxis]


def as_input(images):
    """Stored uint8 to what the network sees: x / 255, as scale, mean and std of the data set say."""
    return torch.from_numpy(images).float().div_(255).contiguous(memory_format=torch.channels_last)


def accuracy(model, images, labels):
    model.eval()
    with torch.no_grad():
        batches = [model(as_input(images[i : i + 500])).argmax(1) for i in range(0, len(images), 500)]
    return float(np.mean(torch.cat(batches).numpy() == labels))


def train_one_epoch(model, optimizer, schedule, images, labels, batch, random):
    model.train()
    order = random.permutation(len(images))
    losses = []
    for start in range(0, len(order) - batch + 1, batch):
        chosen = order[start : start + batch]
        logits = model(as_input(augmented(images[chosen], random)))
        loss = functional.cross_entropy(logits, torch.from_numpy(labels[chosen]).long())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return float(np.mean(losses))


def train(model, images, labels, options):
    random = np.random.default_rng(options.seed)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = options.epochs * (len(images) // options.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, total_steps=steps, pct_start=0.25)
    for epoch in range(options.epochs):
        began = time.monotonic()
        loss = train_one_epoch(model, optimizer, schedule, images, labels, options.batch, random)
        print(f"epoch {epoch + 1}/{options.epochs}: loss {loss:.4f}, {time.monotonic() - began:.0f} s", flush=True)


def export(model, path):
    """Keeps the BatchNorm nodes: folding them is the importer's work, and the example shows it."""
    torch.onnx.export(
        model.eval().to(memory_format=torch.contiguous_format),
        torch.zeros(1, 1, 28, 28),
        str(path),
        opset_version=13,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
    )
    print(f"{path}: {path.stat().st_size} bytes")


def parse_options():
    parser = argparse.ArgumentParser(description="Trains the Fashion-MNIST example.")
    parser.add_argument("--data", type=pathlib.Path, default="../shared/data/fashion-mnist", help="IDX files")
    parser.add_argument("--output", type=pathlib.Path, default=HERE / "fashion_mnist.onnx")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main():
    options = parse_options()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    torch.use_deterministic_algorithms(True)
    model = FashionNet().to(memory_format=torch.channels_last)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters} parameters, {count_macs(model)} MACs", flush=True)
    train(model, *make_dataset.read_train(options.data), options)
    splits = make_dataset.choose_splits(options.data)
    for name in ("val", "test"):
        print(f"{name} accuracy: {accuracy(model, *splits[name]):.2%} of {len(splits[name][1])} images")
    everything = make_dataset.read_held_out(options.data)
    print(f"accuracy on all held-out images: {accuracy(model, *everything):.2%} of {len(everything[1])}")
    export(model, options.output)


if __name__ == "__main__":
    main()
