"""The Python of the documents runs as written, each block by itself, and the commands of the README exist."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from litedelegates.cli import main

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
BLOCKS = [
    pytest.param(block, id=f"{file.stem}-{number}")
    for file in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("models/*.md"))
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", file.read_text(), re.DOTALL))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_the_python_of_the_readme_runs_as_written_and_by_itself(block: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "models", tmp_path / "models")  # what a clone has
    if "model.onnx" in block:
        _write_a_model_of_ones_own(tmp_path / "model.onnx")
    done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{block}\n{done.stderr}"


def test_every_block_of_python_in_the_readme_is_marked_as_such() -> None:
    assert len(BLOCKS) >= 12
    outside = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
    for line in re.findall(r"^    (\S.*)$", outside, re.MULTILINE):
        assert not re.match(r"(from|import|with|print|\w+ = )\b|\w+\(", line), line


def test_the_commands_of_the_readme_exist(capsys: pytest.CaptureFixture[str]) -> None:
    (listed,) = re.findall(r"\*\*Command line\*\*: `litedelegates ([a-z| ]+)`", TEXT)
    for command in listed.split(" | "):
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z]+)", TEXT, re.MULTILINE)) <= targets


def _write_a_model_of_ones_own(path: Path) -> None:
    """Write a classifier of pictures with ops of the types and names that the README's plan has."""
    onnx = pytest.importorskip("onnx")
    helper, random = onnx.helper, np.random.default_rng(0)
    weights = {
        "kernel": random.normal(size=(8, 3, 3, 3)),
        "hidden": random.normal(size=(8, 8)),
        "last": random.normal(size=(8, 4)),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "kernel"], ["features"], name="/body/conv"),
            helper.make_node("GlobalAveragePool", ["features"], ["pooled"], name="/body/pool"),
            helper.make_node("Flatten", ["pooled"], ["flat"], name="/body/flatten"),
            helper.make_node("Gemm", ["flat", "hidden"], ["middle"], name="/body/dense"),
            helper.make_node("MatMul", ["middle", "last"], ["logits"], name="/head/dense"),
        ],
        "classifier",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [1, 4])],
        [onnx.numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
