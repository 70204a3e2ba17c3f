"""Ten steps of torch.optim.AdamW on two small tensors -> src/train/fixtures/adamw.safetensors"""

from pathlib import Path

import torch
from safetensors.torch import save_file

FIXTURES = Path(__file__).parents[2] / "src/train/fixtures"


def main() -> None:
    generator = torch.Generator().manual_seed(20)
    parameters = {
        name: torch.nn.Parameter(torch.randn(size, generator=generator))
        for name, size in {"a": 37, "b": 8}.items()
    }
    tensors = {f"{name}.start": p.detach().clone() for name, p in parameters.items()}
    rates = torch.tensor([0.0, 1e-3, 2e-3, 3e-3, 3e-3, 2.5e-3, 2e-3, 1.5e-3, 1e-3, 5e-4])
    optimizer = torch.optim.AdamW(
        parameters.values(), lr=1.0, betas=(0.95, 0.999), eps=1e-8, weight_decay=1e-2, foreach=False
    )
    for step, rate in enumerate(rates):
        optimizer.param_groups[0]["lr"] = float(rate)
        for name, p in parameters.items():
            # The tiny second tensor shows that eps stands outside the root.
            scale = 1.0 if name == "a" else 1e-8
            p.grad = torch.randn(p.shape, generator=generator) * scale
            tensors[f"{name}.gradient.{step}"] = p.grad.clone()
        optimizer.step()
        for name, p in parameters.items():
            tensors[f"{name}.value.{step}"] = p.detach().clone()
    for name, p in parameters.items():
        for key in ("exp_avg", "exp_avg_sq"):
            tensors[f"{name}.{key}"] = optimizer.state[p][key]
    save_file({**tensors, "rates": rates}, FIXTURES / "adamw.safetensors")


if __name__ == "__main__":
    main()
