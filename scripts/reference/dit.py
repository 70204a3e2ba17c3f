"""Fixtures for the diffusion transformer's parity tests: tiny random networks, in plain PyTorch.

    python scripts/reference/dit.py models/tests/fixtures/dit

The network is this project's own, so its definition is here: DiT (Peebles & Xie, arXiv 2212.09748) with rotary positions in
time, sinusoids for the bands, normalised queries and keys, a SwiGLU and optional cross-attention. Attention is written out.

`a` attends to its tokens only, `b` to masked encodings too. taps.safetensors holds input, timesteps, condition, target and
the output of every stage; longer.safetensors a clip of another length; gradients.safetensors the gradients of a loss.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

SHARED = {"_class_name": "NocturneDiT", "num_layers": 2, "num_attention_heads": 2, "dropout": 0.0}
A = SHARED | dict(
    sample_size=[16, 12], in_channels=1, out_channels=1, patch_size=[4, 2], attention_head_dim=8, norm_eps=1e-6
)
# Every option away from its default, more than one channel, a square patch.
B = SHARED | dict(
    sample_size=[8, 12], in_channels=3, out_channels=2, patch_size=2, attention_head_dim=6, norm_eps=1e-3,
    cross_attention_dim=10,
)


def sinusoids(positions, width):
    frequencies = torch.exp(-torch.log(torch.tensor(10000.0)) * torch.arange(width // 2) / (width // 2))
    angles = positions[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], 1)


def rotations(bands, frames, head):
    """cos and sin, [token, head / 2]; bands are the inner order of tokens."""
    frequencies = 10000.0 ** (-torch.arange(head // 2, dtype=torch.float64) / (head // 2))
    angles = (torch.arange(frames, dtype=torch.float64)[:, None] * frequencies).repeat_interleave(bands, 0)
    return angles.cos().float(), angles.sin().float()


def turned(x, cos, sin):
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


class Attention(nn.Module):
    def __init__(self, width, source, heads, eps):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(source, width, bias=False)
        self.to_v = nn.Linear(source, width, bias=False)
        self.norm_q = nn.RMSNorm(width // heads, eps)
        self.norm_k = nn.RMSNorm(width // heads, eps)
        self.to_out = nn.ModuleList([nn.Linear(width, width, bias=False)])

    def forward(self, tokens, source, rotation=None, mask=None):
        def split(x):
            return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

        query = self.norm_q(split(self.to_q(tokens)))
        key = self.norm_k(split(self.to_k(source)))
        value = split(self.to_v(source))
        if rotation is not None:
            query, key = turned(query, *rotation), turned(key, *rotation)
        scores = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(mask[:, None, None, :] == 0, float("-inf"))
        return self.to_out[0]((scores.softmax(-1) @ value).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, width):
        super().__init__()
        hidden = -(-(-(-8 * width // 3)) // 16) * 16
        self.linear_in = nn.Linear(width, 2 * hidden, bias=False)
        self.linear_out = nn.Linear(hidden, width, bias=False)

    def forward(self, x):
        gate, value = self.linear_in(x).chunk(2, -1)
        return self.linear_out(F.silu(gate) * value)


class Modulation(nn.Module):
    def __init__(self, width, vectors):
        super().__init__()
        self.vectors = vectors
        self.linear = nn.Linear(width, vectors * width)

    def forward(self, time):
        return self.linear(F.silu(time))[:, None].chunk(self.vectors, -1)


class TransformerBlock(nn.Module):
    def __init__(self, width, heads, source, eps):
        super().__init__()
        self.width, self.eps = width, eps
        self.modulation = Modulation(width, 6)
        self.attn1 = Attention(width, width, heads, eps)
        self.ff = FeedForward(width)
        if source:
            self.norm2 = nn.LayerNorm(width, eps)
            self.attn2 = Attention(width, source, heads, eps)
        self.conditional = bool(source)

    def forward(self, tokens, time, rotation, encodings, mask):
        shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = self.modulation(time)
        x = F.layer_norm(tokens, [self.width], eps=self.eps) * (1 + scale) + shift
        tokens = tokens + gate * self.attn1(x, x, rotation)
        if self.conditional:
            tokens = tokens + self.attn2(self.norm2(tokens), encodings, mask=mask)
        x = F.layer_norm(tokens, [self.width], eps=self.eps) * (1 + scale_mlp) + shift_mlp
        return tokens + gate_mlp * self.ff(x)


class PatchEmbedding(nn.Module):
    def __init__(self, values, width):
        super().__init__()
        self.proj = nn.Linear(values, width)

    def forward(self, patches):
        return self.proj(patches)


class TimestepEmbedding(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear_1 = nn.Linear(256, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, x):
        return self.linear_2(F.silu(self.linear_1(x)))


class DiT(nn.Module):
    def __init__(self, config):
        super().__init__()
        patch = config["patch_size"]
        self.patch = patch if isinstance(patch, list) else [patch, patch]
        values = self.patch[0] * self.patch[1]
        heads, self.head, self.eps = config["num_attention_heads"], config["attention_head_dim"], config["norm_eps"]
        self.width = heads * self.head
        self.patch_embedding = PatchEmbedding(config["in_channels"] * values, self.width)
        self.time_embedding = TimestepEmbedding(self.width)
        self.transformer_blocks = nn.ModuleList(
            TransformerBlock(self.width, heads, config.get("cross_attention_dim"), self.eps)
            for _ in range(config["num_layers"])
        )
        self.modulation_out = Modulation(self.width, 2)
        self.proj_out = nn.Linear(self.width, config["out_channels"] * values)

    def forward(self, sample, timesteps, encodings=None, mask=None):
        taps = {}
        batch, _, height, width = sample.shape
        bands, frames = height // self.patch[0], width // self.patch[1]
        # A convolution's columns are patches of (channel, band, frame), frames the inner order of patches.
        patches = F.unfold(sample, self.patch, stride=self.patch).transpose(1, 2)
        patches = patches.unflatten(1, (bands, frames)).transpose(1, 2).flatten(1, 2)
        tokens = self.patch_embedding(patches) + sinusoids(torch.arange(bands).float(), self.width).repeat(frames, 1)
        taps["tokens"] = tokens
        time = self.time_embedding(sinusoids(timesteps, 256))
        rotation = rotations(bands, frames, self.head)
        for index, block in enumerate(self.transformer_blocks):
            tokens = block(tokens, time, rotation, encodings, mask)
            taps[f"transformer_blocks.{index}"] = tokens
        shift, scale = self.modulation_out(time)
        patches = self.proj_out(F.layer_norm(tokens, [self.width], eps=self.eps) * (1 + scale) + shift)
        patches = patches.unflatten(1, (frames, bands)).transpose(1, 2).flatten(1, 2).transpose(1, 2)
        taps["output"] = F.fold(patches, (height, width), self.patch, stride=self.patch)
        return taps


def network(config, seed):
    torch.manual_seed(seed)
    dit = DiT(config)
    with torch.no_grad():
        for parameter in dit.parameters():
            # Norms start at 1 and 0, which would hide a mistake in them.
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return dit


def inputs(config, frames, seed):
    generator = torch.Generator().manual_seed(seed)
    sample = torch.randn(2, config["in_channels"], config["sample_size"][0], frames, generator=generator)
    given = {"sample": sample, "timesteps": torch.tensor([3.0, 977.0])}
    if source := config.get("cross_attention_dim"):
        given["encodings"] = torch.randn(2, 5, source, generator=generator)
        given["mask"] = torch.tensor([[1.0, 1, 1, 1, 1], [1, 1, 0, 1, 0]])
    return given


def save(tensors, path):
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, path)
    path.chmod(0o644)


def main(folder):
    for name, config, seed in (("a", A, 1), ("b", B, 10)):
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        dit = network(config, seed)
        given = inputs(config, config["sample_size"][1], seed + 1)
        taps = dit(**given)
        target = torch.randn(taps["output"].shape, generator=torch.Generator().manual_seed(seed + 2))
        F.mse_loss(taps["output"], target).backward()
        longer = inputs(config, 26, seed + 3)
        (place / "config.json").write_text(json.dumps(config) + "\n")
        save(dit.state_dict(), place / "diffusion_pytorch_model.safetensors")
        save(given | taps | {"target": target}, place / "taps.safetensors")
        save(longer | {"output": dit(**longer)["output"]}, place / "longer.safetensors")
        save({name: p.grad for name, p in dit.named_parameters()}, place / "gradients.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
