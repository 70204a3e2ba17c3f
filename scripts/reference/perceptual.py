"""Fixtures for the losses of the autoencoder's training: LPIPS over VGG16, and the patch discriminator.

    python scripts/reference/perceptual.py models/tests/fixtures/perceptual

Both are defined again here, after Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric"
(2018), and Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks" (2017), with the layers and
the keys of torchvision's vgg16, of the linear layers that lpips and taming-transformers publish, and of the latter's
NLayerDiscriminator; but with few channels and random weights. Needs torch; downloads nothing.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

# VGG16 has 64, 128, 256, 512 and 512 channels; these stand for them.
WIDTHS = (2, 3, 4, 5, 6)
CONVOLUTIONS = (2, 2, 3, 3, 3)


def vgg(generator):
    layers, channels = [], 3
    for stage, (width, count) in enumerate(zip(WIDTHS, CONVOLUTIONS)):
        if stage > 0:
            layers.append(nn.MaxPool2d(2, 2))
        for _ in range(count):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
    layers.append(nn.MaxPool2d(2, 2))
    features = nn.Sequential(*layers)
    for parameter in features.parameters():
        fan_in = parameter[0].numel() if parameter.dim() > 1 else 4
        parameter.data = torch.randn(parameter.shape, generator=generator) * (2 / fan_in) ** 0.5
    return features


def lpips(features, linear, first, second):
    """The distance of each item, and the states it is measured on."""
    shift = torch.tensor([-0.030, -0.088, -0.188])[None, :, None, None]
    scale = torch.tensor([0.458, 0.448, 0.450])[None, :, None, None]

    def states(picture):
        hidden, found = (picture - shift) / scale, []
        ends = [sum(2 * count + 1 for count in CONVOLUTIONS[: stage + 1]) - 2 for stage in range(5)]
        for index, layer in enumerate(features):
            hidden = layer(hidden)
            if index in ends:
                found.append(hidden / (hidden.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return found

    distance = 0
    for a, b, weight in zip(states(first), states(second), linear):
        distance = distance + F.conv2d((a - b).square(), weight).mean((1, 2, 3))
    return distance


class NLayerDiscriminator(nn.Module):
    def __init__(self, channels, width, layers=3):
        super().__init__()
        main = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        wide = [min(2**layer, 8) * width for layer in range(layers + 1)]
        for layer in range(1, layers + 1):
            stride = 2 if layer < layers else 1
            convolution = nn.Conv2d(wide[layer - 1], wide[layer], 4, stride, 1, bias=False)
            main += [convolution, nn.BatchNorm2d(wide[layer]), nn.LeakyReLU(0.2)]
        self.main = nn.Sequential(*main, nn.Conv2d(wide[-1], 1, 4, 1, 1))

    def forward(self, picture):
        return self.main(picture)


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(1)
    features = vgg(generator)
    linear = [torch.rand(1, width, 1, 1, generator=generator) for width in WIDTHS]
    first, second = (torch.randn(2, 1, 32, 40, generator=generator) for _ in range(2))
    first.requires_grad_()
    distance = lpips(features, linear, first, second)
    distance.sum().backward()
    weights = {f"features.{name}": value for name, value in features.state_dict().items()}
    # What follows the features in torchvision's file is no part of the metric.
    weights |= {"classifier.0.weight": torch.zeros(3, 2), "classifier.0.bias": torch.zeros(3)}
    torch.save(weights, folder / "vgg16.pth")
    torch.save({f"lin{stage}.model.1.weight": weight for stage, weight in enumerate(linear)}, folder / "lpips.pth")
    taps = {"first": first, "second": second, "distance": distance, "gradient": first.grad}

    torch.manual_seed(2)
    discriminator = NLayerDiscriminator(1, 2)
    for name, parameter in discriminator.named_parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * (0.3 if parameter.dim() > 1 else 1)
    real, fake = (torch.randn(3, 1, 32, 40, generator=generator) for _ in range(2))
    of_real, of_fake = discriminator(real), discriminator(fake)
    loss = 0.5 * (F.relu(1 - of_real).mean() + F.relu(1 + of_fake).mean())
    loss.backward()
    taps |= {"real": real, "fake": fake, "of_real": of_real, "of_fake": of_fake, "discriminator_loss": loss[None]}
    save_file({name: value.detach().contiguous() for name, value in taps.items()}, folder / "taps.safetensors")
    state = {name: value for name, value in discriminator.state_dict().items()}
    torch.save({"state_dict": {f"loss.discriminator.{name}": value for name, value in state.items()}}, folder / "gan.ckpt")
    gradients = {name: parameter.grad.contiguous() for name, parameter in discriminator.named_parameters()}
    save_file(gradients, folder / "gan_gradients.safetensors")
    for file in folder.iterdir():
        file.chmod(0o644)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
