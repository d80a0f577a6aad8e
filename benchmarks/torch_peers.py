"""The networks in PyTorch: what `dlkeras` is measured against."""

import torch
from torch import nn

from dlkeras.architectures.googlenet import INCEPTIONS


class SqueezeExcite(nn.Module):
    """A scale for each channel, from the averages of all."""

    def __init__(self, width, reduction):
        super().__init__()
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            *(nn.Conv2d(width, width // reduction, 1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(width // reduction, width, 1), nn.Sigmoid()),
        )

    def forward(self, x):
        return x * self.scale(x)


class Residual(nn.Module):
    """A basic block or a bottleneck; `strided` is the convolution with the stride."""

    def __init__(
        self,
        width_in,
        plan,
        strides,
        project,
        strided=0,
        groups=1,
        pooled=False,
        reduction=None,
    ):
        super().__init__()
        self.branch = nn.Sequential()
        width = width_in
        for index, (size, filters) in enumerate(plan):
            step = strides if index == strided else 1
            parts = groups if index == 1 else 1
            conv = nn.Conv2d(
                width, filters, size, step, size // 2, groups=parts, bias=False
            )
            self.branch.append(conv).append(nn.BatchNorm2d(filters))
            if index + 1 < len(plan):
                self.branch.append(nn.ReLU(inplace=True))
            width = filters
        if reduction:
            self.branch.append(SqueezeExcite(width, reduction))
        self.strides, self.missing = strides, width - width_in
        self.projection = None
        if project and (strides != 1 or self.missing):
            pool = pooled and strides > 1
            self.projection = nn.Sequential(
                *([nn.AvgPool2d(2, 2, ceil_mode=True)] if pool else []),
                nn.Conv2d(width_in, width, 1, 1 if pool else strides, bias=False),
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


def stages(width, plans, counts, project, **variant):
    blocks = []
    for stage, (plan, count) in enumerate(zip(plans, counts, strict=True)):
        for number in range(count):
            strides = 2 if stage and not number else 1
            blocks.append(Residual(width, plan, strides, project, **variant))
            width = plan[-1][1]
    return blocks, width


def head(width, classes):
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)


def resnet50(inner=1.0, deep=False, **variant):
    plans = [
        [(1, int(n * inner)), (3, int(n * inner)), (1, 4 * n)]
        for n in (64, 128, 256, 512)
    ]
    blocks, width = stages(64, plans, (3, 4, 6, 3), True, **variant)
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False)]
    if deep:
        stem = []
        for before, after, step in ((3, 32, 2), (32, 32, 1)):
            stem += [nn.Conv2d(before, after, 3, step, 1, bias=False)]
            stem += [nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        stem += [nn.Conv2d(32, 64, 3, 1, 1, bias=False)]
    return nn.Sequential(
        *stem,
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
        *blocks,
        *head(width, 1000),
    )


def resnet50d():
    return resnet50(deep=True, strided=1, pooled=True)


def resnext50():
    return resnet50(2.0, strided=1, groups=32)


def wide_resnet50():
    return resnet50(2.0, strided=1)


def se_resnet50():
    return resnet50(strided=1, reduction=16)


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


def convolution(width, filters, size, strides=1, normalized=False):
    """A convolution that keeps the size, and ReLU; batch normalisation between."""
    conv = nn.Conv2d(width, filters, size, strides, size // 2, bias=not normalized)
    norm = [nn.BatchNorm2d(filters)] if normalized else []
    return nn.Sequential(conv, *norm, nn.ReLU(inplace=True))


def local_response():
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)  # alpha / n


def alexnet():
    return nn.Sequential(
        *(nn.Conv2d(3, 96, 11, 4, 4), nn.ReLU(inplace=True)),
        *(local_response(), nn.MaxPool2d(3, 2), convolution(96, 256, 5)),
        *(local_response(), nn.MaxPool2d(3, 2), convolution(256, 384, 3)),
        *(convolution(384, 384, 3), convolution(384, 256, 3), nn.MaxPool2d(3, 2)),
        *(nn.Flatten(), nn.Linear(9216, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5)),
        *(nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5)),
        nn.Linear(4096, 1000),
    )


class Inception(nn.Module):
    """Four views of an image, side by side."""

    def __init__(self, width, filters, normalized):
        super().__init__()
        a, b_in, b, c_in, c, d = filters

        def conv(*shape):
            return convolution(*shape, normalized=normalized)

        self.views = nn.ModuleList(
            [
                conv(width, a, 1),
                nn.Sequential(conv(width, b_in, 1), conv(b_in, b, 3)),
                nn.Sequential(conv(width, c_in, 1), conv(c_in, c, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(width, d, 1)),
            ]
        )

    def forward(self, x):
        return torch.cat([view(x) for view in self.views], 1)


def googlenet(normalized=False):
    def local():
        return [] if normalized else [local_response()]

    def pool():
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    parts = [convolution(3, 64, 7, 2, normalized), pool(), *local()]
    parts += [convolution(64, 64, 1, 1, normalized)]
    parts += [convolution(64, 192, 3, 1, normalized), *local(), pool()]
    width = 192
    for name, filters in INCEPTIONS.items():
        if name in ("4a", "5a"):
            parts.append(pool())
        parts.append(Inception(width, filters, normalized))
        width = sum(filters[i] for i in (0, 2, 4, 5))
    pooled, flat, dense = head(width, 1000)
    return nn.Sequential(*parts, pooled, flat, nn.Dropout(0.4), dense)


def googlenet_bn():
    return googlenet(normalized=True)


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
