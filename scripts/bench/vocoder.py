"""BigVGAN beside the published implementation in PyTorch (eager, float32, CPU): ten seconds of audio from a mel.

    git clone https://github.com/NVIDIA/BigVGAN
    python scripts/bench/vocoder.py [--quick] [--only NAME] --bigvgan BigVGAN

PyTorch alone takes some 25 seconds a round. Both sides have the same configuration, which ours announces,
weights of their own, and a mel of noise; PyTorch's weight norm is folded first, as its own scripts do.
"""

import json
import sys
import types
from pathlib import Path

import side_by_side as bench

NAMES = ["bigvgan_v2_22khz_80band_256x", "bigvgan_v2_44khz_128band_512x"]
SECONDS = 10


def main():
    parser = bench.parser(__doc__)
    parser.add_argument("--only", choices=NAMES, help="one of the two configurations")
    parser.add_argument("--bigvgan", type=Path, required=True, help="a clone of NVIDIA/BigVGAN")
    given = parser.parse_args()
    program = bench.build("example", "vocoder_bench")
    bench.heading(["torch"])
    bench.table(
        "configuration", "nocturne, s", "PyTorch, s", "times as fast", "nocturne, real time ×", "PyTorch, real time ×",
        "nocturne, peak MiB", "PyTorch, peak MiB",
    )
    for name in [given.only] if given.only else NAMES:
        ours = bench.Contender("nocturne", [program, name, str(SECONDS)])
        theirs = bench.Contender("PyTorch", bench.script("--reference", given.bigvgan, json.dumps(ours.said)))
        bench.race([ours, theirs], 1 if given.quick else 3)
        ours.close()
        theirs.close()
        bench.row(
            f"{name}, {ours.said['parameters'] / 1e6:.1f} M parameters, {ours.said['frames']} frames",
            bench.spread(ours.seconds),
            bench.spread(theirs.seconds),
            bench.ratio(theirs, ours),
            bench.number(SECONDS / ours.median, 3),
            bench.number(SECONDS / theirs.median, 3),
            f"{ours.peak_mib:.0f}",
            f"{theirs.peak_mib:.0f}",
        )


def reference(clone, said):
    torch = bench.import_torch()
    # Its `utils` wants a plotting library for two small functions.
    utils = sys.modules["utils"] = types.ModuleType("utils")
    utils.init_weights = lambda module: None
    utils.get_padding = lambda kernel, dilation=1: (kernel - 1) * dilation // 2
    sys.path.insert(0, clone)
    from bigvgan import AttrDict, BigVGAN

    network = BigVGAN(AttrDict(said["config"])).eval()
    for part in [network.conv_pre, network.conv_post, *(up for [up] in network.ups)]:
        torch.nn.utils.remove_weight_norm(part)
    for block in network.resblocks:
        block.remove_weight_norm()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert parameters == said["parameters"], f"{parameters} parameters, not {said['parameters']}"
    mel = 2 * torch.randn(1, said["config"]["num_mels"], said["frames"]) - 5

    @torch.inference_mode()
    def vocode(_):
        network(mel)

    bench.serve({}, vocode)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--reference"]:
        reference(sys.argv[2], json.loads(sys.argv[3]))
    else:
        main()
