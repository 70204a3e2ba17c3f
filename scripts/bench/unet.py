"""The U-Net beside diffusers in PyTorch (eager, float32, CPU): one forward of the published network, one training step.

    python scripts/bench/unet.py [--quick]

Takes about four minutes on two quiet cores (--quick: one and a half). The forward is of the 113.7 million parameters at
256×256, batch 1; the step is of quickstart's network (64×64, batch 8): add noise, forward, backward, clip, AdamW. Both
sides have the same configuration, which ours announces, and weights of their own.
"""

import json
import sys

import side_by_side as bench


def main():
    rounds = {"forward": 2, "step": 5} if bench.arguments(__doc__).quick else {"forward": 9, "step": 31}
    program = bench.build("example", "unet_bench")
    bench.heading(["torch", "diffusers"])
    bench.table("task", "nocturne, s", "PyTorch, s", "times as fast", "nocturne, peak MiB", "PyTorch, peak MiB")
    for task, count in rounds.items():
        ours = bench.Contender("nocturne", [program, task])
        theirs = bench.Contender("PyTorch", bench.script("--reference", task, json.dumps(ours.said)))
        bench.race([ours, theirs], count, warm_up=1 if task == "forward" else 3)
        ours.close()
        theirs.close()
        batch, _, height, width = ours.said["shape"]
        title = f"{task}, {ours.said['parameters'] / 1e6:.1f} M parameters, batch {batch}, {height}×{width}"
        bench.row(
            title,
            bench.spread(ours.seconds),
            bench.spread(theirs.seconds),
            bench.ratio(theirs, ours),
            f"{ours.peak_mib:.0f}",
            f"{theirs.peak_mib:.0f}",
        )


def reference(task, said):
    torch = bench.import_torch()
    from diffusers import DDPMScheduler, UNet2DModel

    network = UNet2DModel.from_config(said["model"])
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert parameters == said["parameters"], f"{parameters} parameters, not {said['parameters']}"
    samples, noise = torch.randn(said["shape"]), torch.randn(said["shape"])

    @torch.inference_mode()
    def forward(_):
        network.eval()(samples, torch.full([len(samples)], 500))

    settings = said["train"]
    optimizer = torch.optim.AdamW(
        network.parameters(),
        lr=settings["learning_rate"],
        betas=(settings["adam_beta1"], settings["adam_beta2"]),
        weight_decay=settings["adam_weight_decay"],
        eps=settings["adam_epsilon"],
    )
    scheduler = DDPMScheduler()
    timesteps = torch.arange(len(samples)) * 999 // len(samples)

    def step(_):
        noisy = scheduler.add_noise(samples, noise, timesteps)
        loss = torch.nn.functional.mse_loss(network(noisy, timesteps).sample, noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings["max_grad_norm"])
        optimizer.step()
        optimizer.zero_grad()
        loss.item()

    network.train()
    if settings["gradient_checkpointing"]:
        network.enable_gradient_checkpointing()
    bench.serve({}, {"forward": forward}.get(task, step))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--reference"]:
        reference(sys.argv[2], json.loads(sys.argv[3]))
    else:
        main()
