"""A study as a program of its own, for tests that kill it: says on its output what it has written to the store.

``python study_parent.py STORE SECONDS MODEL``
"""

from __future__ import annotations

import os
import sys

from litedelegates.study import Progress, StudyConfig, run_study


def main() -> None:
    store, seconds, model = sys.argv[1:]
    config = StudyConfig(
        (model,),
        precisions=("float32", "dynamic"),
        threads=(1, 2),
        seconds=float(seconds),
        rounds=2,
        block_seconds=0.01,
        warmup_seconds=0.01,
    )

    def say(progress: Progress) -> None:
        if progress.cell is not None and progress.round_index is not None:
            os.write(1, f"{progress.cell.key} {progress.round_index}\n".encode())

    run_study(config, store, progress=say)


if __name__ == "__main__":
    main()
