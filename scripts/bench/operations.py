"""The operations that the networks spend their time in, beside PyTorch (eager, float32, CPU).

    python scripts/bench/operations.py [--quick]

Takes about three minutes on two quiet cores. Each measurement repeats the operation for a tenth of a second or more and
counts one; both sides repeat it equally often.
"""

import sys

import side_by_side as bench

# The names under which examples/operations_bench.rs and `reference` know them.
OPERATIONS = {
    "conv2d-wide": "conv2d 3×3, 128→128, 64×64",
    "conv2d-deep": "conv2d 3×3, 256→256, 16×16, batch 4",
    "norm-silu": "GroupNorm + SiLU, 128×64×64",
    "attention": "attention, 8 heads, 1024×64",
    "conv1d": "conv1d k11, 256→256, 2048",
    "conv-transpose1d": "conv-transpose1d k16 s8, 256→128, 2048",
    "depthwise": "depthwise conv1d k12, 512, 4096",
    "snake-wide": "anti-aliased snake, 768×13780",
    "snake-long": "anti-aliased snake, 24×220500",
    "snake-training": "anti-aliased snake, forward and backward, batch 2, 96×8192",
    "linear": "Linear, 2×1024→4096",
    "linear-16": "Linear, 16×1024→4096",
    "layer-norm": "LayerNorm, 512×1024",
    "rms-norm": "RmsNorm, 512×1024",
    "block-training": "conv + GroupNorm + SiLU, forward and backward, batch 4, 128×32×32",
    "matmul": "matrix product, 1024³",
}
SAMPLE_SECONDS = 0.1


def main():
    rounds = 3 if bench.arguments(__doc__).quick else 15
    program = bench.build("example", "operations_bench")
    bench.heading(["torch"])
    ours = bench.Contender("nocturne", [program])
    theirs = bench.Contender("PyTorch", bench.script("--reference"))
    bench.table("operation", "nocturne, ms", "PyTorch, ms", "times as fast")
    for name, title in OPERATIONS.items():
        for side in (ours, theirs):
            side.run(f"{name} 3")
        quickest = min(side.run(f"{name} 3") / 3 for side in (ours, theirs))
        count = max(1, round(SAMPLE_SECONDS / quickest))
        bench.race([ours, theirs], rounds, f"{name} {count}", divide=count)
        bench.row(
            title, bench.spread(ours.seconds, 1e3), bench.spread(theirs.seconds, 1e3), bench.ratio(theirs, ours)
        )
    ours.close()
    theirs.close()


def reference():
    torch = bench.import_torch()
    from torch.nn.functional import scaled_dot_product_attention, silu

    def conv2d(channels, shape):
        layer, image = torch.nn.Conv2d(channels, channels, 3, padding=1), torch.randn(shape)
        return lambda: layer(image)

    norm, image = torch.nn.GroupNorm(32, 128), torch.randn(1, 128, 64, 64)
    query, key, value = torch.randn(3, 1, 8, 1024, 64)
    conv1d, transposed = torch.nn.Conv1d(256, 256, 11, padding=5), torch.nn.ConvTranspose1d(256, 128, 16, 8, padding=4)
    depthwise = torch.nn.Conv1d(512, 512, 12, groups=512)
    signal, signals = torch.randn(1, 256, 2048), torch.randn(1, 512, 4096)
    linear, few, more = torch.nn.Linear(1024, 4096), torch.randn(2, 1024), torch.randn(16, 1024)
    layer_norm, rms_norm, lines = torch.nn.LayerNorm(1024), torch.nn.RMSNorm(1024), torch.randn(512, 1024)
    left, right = torch.randn(2, 1024, 1024)
    layer = torch.nn.Conv2d(128, 128, 3, padding=1)
    batch, weight = torch.randn(4, 128, 32, 32, requires_grad=True), torch.randn(4, 128, 32, 32)

    def snake(shape):
        signal, filters, alpha = torch.randn(shape), torch.randn(shape[1], 1, 12) / 4, torch.ones(1, shape[1], 1)
        return lambda: anti_aliased_snake(signal, alpha, alpha, filters, filters)

    signal_batch, signal_weight = torch.randn(2, 96, 8192, requires_grad=True), torch.randn(2, 96, 8192)
    alpha, beta = torch.ones(2, 1, 96, 1, requires_grad=True)
    filters = torch.randn(96, 1, 12) / 4

    def snake_training():
        output = anti_aliased_snake(signal_batch, alpha, beta, filters, filters)
        torch.autograd.grad((output * signal_weight).sum(), [signal_batch, alpha, beta])

    def block_training():
        (silu(norm(layer(batch))) * weight).sum().backward()
        layer.zero_grad()
        norm.zero_grad()
        batch.grad = None

    operations = {
        "conv2d-wide": conv2d(128, [1, 128, 64, 64]),
        "conv2d-deep": conv2d(256, [4, 256, 16, 16]),
        "norm-silu": lambda: silu(norm(image)),
        "attention": lambda: scaled_dot_product_attention(query, key, value),
        "conv1d": lambda: conv1d(signal),
        "conv-transpose1d": lambda: transposed(signal),
        "depthwise": lambda: depthwise(signals),
        "snake-wide": snake([1, 768, 13780]),
        "snake-long": snake([1, 24, 220500]),
        "snake-training": snake_training,
        "linear": lambda: linear(few),
        "linear-16": lambda: linear(more),
        "layer-norm": lambda: layer_norm(lines),
        "rms-norm": lambda: rms_norm(lines),
        "block-training": block_training,
        "matmul": lambda: left @ right,
    }

    def work(line):
        name, count = line.split()
        with torch.inference_mode(not name.endswith("training")):
            for _ in range(int(count)):
                operations[name]()

    bench.serve({}, work)


def anti_aliased_snake(signal, alpha, beta, up, down):
    """BigVGAN's activation without its fused kernel, which is for CUDA alone."""
    from torch.nn.functional import conv1d, conv_transpose1d, pad

    channels = signal.shape[1]
    held = pad(signal, (5, 5), mode="replicate")
    doubled = 2 * conv_transpose1d(held, up, stride=2, groups=channels)[..., 15:-15]
    active = doubled + (doubled * alpha).sin().square() / (beta + 1e-9)
    return conv1d(pad(active, (5, 6), mode="replicate"), down, stride=2, groups=channels)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--reference"]:
        reference()
    else:
        main()
