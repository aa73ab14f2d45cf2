"""Search for inputs by coverage of the package's Python, with Atheris: ``python -m fuzz.guided TARGET [LIBFUZZER...]``.

What reaches new code is kept in ``.cache/fuzz/TARGET`` for the next time; a find is written to ``.cache/fuzz`` as
``TARGET-crash-...`` and ends the search. Options are libFuzzer's, such as ``-runs=10000`` or ``-max_total_time=600``.
"""

from __future__ import annotations

import hashlib
import logging
import random
import sys
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["litedelegates"]):
    import litedelegates.cli
    import litedelegates.graph
    import litedelegates.graph.onnx
    import litedelegates.graph.tflite
    import litedelegates.layers.store
    import litedelegates.quantize
    import litedelegates.study.config  # noqa: F401

    from fuzz.mutations import mutate
    from fuzz.seeds import seeds
    from fuzz.targets import ALLOWED, TARGETS

CACHE = Path(__file__).parent.parent.parent / ".cache/fuzz"
LARGEST = 1 << 20
SECONDS = 20


def main() -> None:
    target = sys.argv[1] if len(sys.argv) > 1 else ""
    if target not in TARGETS:
        sys.exit(f"usage: python -m fuzz.guided TARGET [LIBFUZZER...]; a target is one of {', '.join(TARGETS)}")
    run, kind = TARGETS[target]
    folder = CACHE / target
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds(target, with_real_models=False):
        (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")

    def try_one(data: bytes) -> None:
        try:
            run(data)
        except (*ALLOWED, MemoryError):
            pass

    def change(data: bytes, largest: int, seed: int) -> bytes:
        return mutate(kind, data, random.Random(seed))[:largest]

    options = (
        f"-timeout={SECONDS}",
        f"-max_len={LARGEST}",
        "-rss_limit_mb=4000",
        f"-artifact_prefix={CACHE}/{target}-",
    )
    atheris.Setup([sys.argv[0], str(folder), *options, *sys.argv[2:]], try_one, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
