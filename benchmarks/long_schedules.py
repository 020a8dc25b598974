"""Time and memory of everything that is built from a very long schedule.

    python benchmarks/long_schedules.py

Builds the Keras schedule and the learning-rate page for 1,000 and for 100 million steps, each in a
separate process.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

STEPS = (1_000, 100_000_000)


def measure(num_train_steps: int) -> None:
    """Build everything, and print the time and peak memory."""
    from kfp_finetune.components.build_optimizer.curve import drawn_steps, render_curve
    from kfp_finetune.components.build_optimizer.optimizers import KerasSchedule
    from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
    from kfp_finetune.components.build_optimizer.schedules import learning_rates

    render_curve(build_optimizer_config(10), learning_rates(build_optimizer_config(10).schedule))
    begin, cpu = time.perf_counter(), time.process_time()
    config = build_optimizer_config(num_train_steps, warmup_ratio=0.1)
    schedule = KerasSchedule(config.schedule)
    table = time.process_time() - cpu
    steps = drawn_steps(config.schedule)
    page = render_curve(config, learning_rates(config.schedule, steps), steps)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{num_train_steps:>11,} steps: schedule {table:.2f} s, with the page {cpu:.2f} s of CPU"
        f" ({seconds:.2f} s), {memory:,.0f} MB at most, page {len(page) / 1e6:.2f} MB, last rate"
        f" {float(schedule(num_train_steps - 1)):.3g}"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(int(sys.argv[1]))
    else:
        for steps in STEPS:
            subprocess.run([sys.executable, __file__, str(steps)], check=True)
