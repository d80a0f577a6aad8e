"""LeNet-5, ResNet-20 and ResNet-50 in PyTorch: what `dlkeras` is measured against."""

import torch
from torch import nn


class Residual(nn.Module):
    """A basic block or a bottleneck, the stride in the first convolution."""

    def __init__(self, width_in, plan, strides, project):
        super().__init__()
        self.branch = nn.Sequential()
        width, step = width_in, strides
        for index, (size, filters) in enumerate(plan):
            conv = nn.Conv2d(width, filters, size, step, size // 2, bias=False)
            self.branch.append(conv).append(nn.BatchNorm2d(filters))
            if index + 1 < len(plan):
                self.branch.append(nn.ReLU(inplace=True))
            width, step = filters, 1
        self.strides, self.missing = strides, width - width_in
        self.projection = None
        if project and (strides != 1 or self.missing):
            self.projection = nn.Sequential(
                nn.Conv2d(width_in, width, 1, strides, bias=False),
                nn.BatchNorm2d(width),
            )

    def forward(self, x):
        y = self.branch(x)
        if self.projection is not None:
            x = self.projection(x)
        elif self.missing:
            x = x[:, :, :: self.strides, :: self.strides]
            x = nn.functional.pad(x, (0, 0, 0, 0, 0, self.missing))
        return torch.relu_(y + x)


def stages(width, plans, counts, project):
    blocks = []
    for stage, (plan, count) in enumerate(zip(plans, counts, strict=True)):
        for number in range(count):
            strides = 2 if stage and not number else 1
            blocks.append(Residual(width, plan, strides, project))
            width = plan[-1][1]
    return blocks, width


def head(width, classes):
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)


def resnet50():
    plans = [[(1, n), (3, n), (1, 4 * n)] for n in (64, 128, 256, 512)]
    blocks, width = stages(64, plans, (3, 4, 6, 3), True)
    return nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
        *blocks,
        *head(width, 1000),
    )


def resnet20():
    blocks, width = stages(16, [[(3, n)] * 2 for n in (16, 32, 64)], (3, 3, 3), False)
    stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
    norm = nn.BatchNorm2d(16)
    return nn.Sequential(stem, norm, nn.ReLU(inplace=True), *blocks, *head(width, 10))


def lenet5():
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Tanh()),
        *(nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Tanh()),
        *(nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten()),
        *(nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)),
    )


def runner(make, images, labels, training, half=False, compiled=False):
    """Return a function of the number of steps, and the device it waits for."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = make().to(device, memory_format=torch.channels_last).train(training)
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).to(device)
    x = x.contiguous(memory_format=torch.channels_last)
    y = torch.from_numpy(labels).long().to(device)
    forward = torch.compile(network) if compiled else network
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9)
    loss = nn.CrossEntropyLoss()

    def step():
        with torch.autocast(device, torch.bfloat16, enabled=half):
            if not training:
                with torch.no_grad():
                    return torch.softmax(forward(x), 1)
            value = loss(forward(x), y)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        return value

    def run(steps):
        for _ in range(steps):
            result = step()
        result.sum().item()  # waits for the device

    return run
