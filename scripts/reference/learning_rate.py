"""diffusers' learning rate schedules, step by step -> src/train/fixtures/learning_rate.json"""

import json
from pathlib import Path

import torch
from diffusers.optimization import get_scheduler

FIXTURES = Path(__file__).parents[2] / "src/train/fixtures"


def rates(schedule: str, peak: float, warmup: int, total: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    scheduler = get_scheduler(schedule, optimizer, num_warmup_steps=warmup, num_training_steps=total)
    found = []
    for _ in range(total + 1):
        found.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return found


def main() -> None:
    runs = [
        {
            "schedule": schedule,
            "peak": peak,
            "warmup_steps": warmup,
            "total_steps": 40,
            "rates": rates(schedule, peak, warmup, 40),
        }
        for schedule in ("constant", "constant_with_warmup", "linear", "cosine", "polynomial")
        for peak, warmup in ((1e-4, 7), (3e-3, 0))
    ]
    (FIXTURES / "learning_rate.json").write_text(json.dumps(runs, indent=1) + "\n")


if __name__ == "__main__":
    main()
