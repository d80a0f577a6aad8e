"""ResNet, GoogLeNet and AlexNet in PyTorch, with the names of the known state dicts."""

import torch
from torch import nn


class SqueezeExcite(nn.Module):
    """With timm's names: two 1x1 convolutions of the averages."""

    def __init__(self, channels, hidden):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x):
        y = torch.relu(self.fc1(x.mean((2, 3), keepdim=True)))
        return x * torch.sigmoid(self.fc2(y))


class Residual(nn.Module):
    """A basic block or a bottleneck; `strided` is the convolution with the stride."""

    def __init__(
        self, plan, strides, strided, width_in, epsilon, groups=1, avg_down=False, se=0
    ):
        super().__init__()
        self.count = len(plan)
        width = width_in
        for index, (size, filters) in enumerate(plan, start=1):
            step = strides if index == strided else 1
            parts = groups if index == 2 else 1
            conv = nn.Conv2d(
                width, filters, size, step, size // 2, groups=parts, bias=False
            )
            setattr(self, f"conv{index}", conv)
            setattr(self, f"bn{index}", nn.BatchNorm2d(filters, eps=epsilon))
            width = filters
        self.downsample = None
        if strides != 1 or width_in != width:
            pool = nn.Identity()
            if avg_down and strides > 1:
                pool = nn.AvgPool2d(2, strides, ceil_mode=True, count_include_pad=False)
            step = 1 if avg_down else strides
            self.downsample = nn.Sequential(
                *([pool] if avg_down else []),
                nn.Conv2d(width_in, width, 1, step, bias=False),
                nn.BatchNorm2d(width, eps=epsilon),
            )
        self.se = SqueezeExcite(width, width // se) if se else nn.Identity()

    def forward(self, x):
        y = x
        for index in range(1, self.count + 1):
            y = getattr(self, f"bn{index}")(getattr(self, f"conv{index}")(y))
            if index < self.count:
                y = torch.relu(y)
        y = self.se(y)
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Bottlenecks have their stride in the 3x3 convolution, as torchvision's have.

    groups, base_width (torchvision), deep, avg_down and se (timm) have their names
    and their modules' numbers there.
    """

    def __init__(
        self,
        counts,
        bottleneck,
        classes=10,
        epsilon=1e-5,
        strided=None,
        base_width=64,
        deep=False,
        **variants,
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        if deep:
            norms = [nn.BatchNorm2d(32, eps=epsilon) for _ in range(2)]
            self.conv1 = nn.Sequential(
                *(nn.Conv2d(3, 32, 3, 2, 1, bias=False), norms[0], nn.ReLU()),
                *(nn.Conv2d(32, 32, 3, 1, 1, bias=False), norms[1], nn.ReLU()),
                nn.Conv2d(32, 64, 3, 1, 1, bias=False),
            )
        self.bn1 = nn.BatchNorm2d(64, eps=epsilon)
        width = 64
        for stage, count in enumerate(counts):
            filters = 64 * 2**stage
            plan = [(3, filters), (3, filters)]
            if bottleneck:
                inner = filters * base_width // 64 * variants.get("groups", 1)
                plan = [(1, inner), (3, inner), (1, 4 * filters)]
            blocks = []
            for number in range(count):
                strides = 2 if stage and not number else 1
                place = strided or (2 if bottleneck else 1)
                blocks.append(
                    Residual(plan, strides, place, width, epsilon, **variants)
                )
                width = plan[-1][1]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(width, classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = nn.functional.max_pool2d(x, 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean(dim=(2, 3)))


class ConvNorm(nn.Module):
    def __init__(self, channels, filters, size, strides=1):
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, size, strides, size // 2, bias=False)
        self.bn = nn.BatchNorm2d(filters, eps=1e-3)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    def __init__(self, channels, one, three_in, three, five_in, five, pool):
        super().__init__()
        self.branch1 = ConvNorm(channels, one, 1)
        self.branch2 = nn.Sequential(
            ConvNorm(channels, three_in, 1), ConvNorm(three_in, three, 3)
        )
        self.branch3 = nn.Sequential(  # the well-known "5x5" that is 3x3
            ConvNorm(channels, five_in, 1), ConvNorm(five_in, five, 3)
        )
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), ConvNorm(channels, pool, 1))

    def forward(self, x):
        branches = (self.branch1, self.branch2, self.branch3, self.branch4)
        return torch.cat([branch(x) for branch in branches], dim=1)


class GoogLeNet(nn.Module):
    """As torchvision's, without auxiliary classifiers: the last pooling is 2x2."""

    def __init__(self, table, classes=10):
        super().__init__()
        self.conv1 = ConvNorm(3, 64, 7, 2)
        self.conv2 = ConvNorm(64, 64, 1)
        self.conv3 = ConvNorm(64, 192, 3)
        channels = 192
        self.names = list(table)
        for name, filters in table.items():
            setattr(self, f"inception{name}", Inception(channels, *filters))
            channels = filters[0] + filters[2] + filters[4] + filters[5]
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        def pool(x, size=3):
            return nn.functional.max_pool2d(x, size, 2, ceil_mode=True)

        x = pool(self.conv3(self.conv2(pool(self.conv1(x)))))
        for name in self.names:
            if name in ("4a", "5a"):
                x = pool(x, 3 if name == "4a" else 2)
            x = getattr(self, f"inception{name}")(x)
        return self.fc(x.mean(dim=(2, 3)))


class AlexNet(nn.Module):
    """The single tower of 2014."""

    def __init__(self, pixels=1, classes=10, units=4096):
        super().__init__()
        relu, pool = nn.ReLU(), nn.MaxPool2d(3, 2)
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 64, 11, 4, 2), relu, pool),
            *(nn.Conv2d(64, 192, 5, padding=2), relu, pool),
            *(nn.Conv2d(192, 384, 3, padding=1), relu),
            *(nn.Conv2d(384, 256, 3, padding=1), relu),
            *(nn.Conv2d(256, 256, 3, padding=1), relu, pool),
        )
        self.classifier = nn.Sequential(
            *(nn.Dropout(), nn.Linear(256 * pixels**2, units), relu),
            *(nn.Dropout(), nn.Linear(units, units), relu),
            nn.Linear(units, classes),
        )

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


def calibrated(network, images, seed=0):
    """Give a network weights that let it see, in float64.

    Random statistics leave a deep network almost blind to its input. So each
    normalisation takes the statistics of one pass over the images, and some of the
    scales are negative.
    """
    torch.manual_seed(seed)
    network = network.double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            sign = torch.where(torch.rand(module.num_features) < 0.2, -1.0, 1.0)
            module.weight.data = (0.5 + torch.rand(module.num_features)) * sign
            module.bias.data = 0.2 * torch.randn(module.num_features)
            module.momentum = 1.0
    network = network.double().train()
    with torch.no_grad():
        network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    return network.eval()


def outputs(network, images):
    """Return a network's answers to images with their channels last."""
    with torch.no_grad():
        return network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
