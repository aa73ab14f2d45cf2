"""What all commands share: how they end, how they are documented, and how a shell completes them."""

from __future__ import annotations

import ctypes
import json
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from litedelegates import OptionError
from litedelegates.cli import main
from litedelegates.cli.outcome import EXIT_CODES, foreign_words_aside, outcome

ROOT = Path(__file__).parent.parent
DIGITS = ROOT / "models/digits.tflite"
COMMAND = [sys.executable, "-m", "litedelegates"]


def raises(error: Exception) -> Callable[[], int]:
    def call() -> int:
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "code"), [(OptionError("wrong"), 2), (FileNotFoundError("wrong"), 1), (ValueError("wrong"), 1)]
)
def test_an_expected_failure_is_its_message_and_no_hint(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome("run", raises(error)) == code
    assert capsys.readouterr().err == "litedelegates run: wrong\n"


def test_an_unexpected_failure_is_one_line_that_says_how_to_see_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome("run", raises(KeyError("depth"))) == 1
    assert capsys.readouterr().err == "litedelegates run: unexpected KeyError: 'depth'; --debug shows where\n"


@pytest.mark.parametrize("arguments", [("--debug", "run", "missing.tflite"), ("run", "missing.tflite", "--debug")])
def test_debug_shows_the_traceback_before_and_behind_the_command(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback") and "no model at missing.tflite" in shown.splitlines()[-1]


def test_a_warning_is_one_line_without_a_place_in_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    def warn() -> int:
        # As the interpreter does where nobody, such as pytest, keeps warnings.
        said = warnings.formatwarning(UserWarning("the GPU is \x1b[31mnone"), UserWarning, "folded.py", 130)
        sys.stderr.write(said)
        return 0

    assert outcome("run", warn) == 0
    assert capsys.readouterr().err == "litedelegates run: warning: the GPU is \\x1b[31mnone\n"


def test_the_code_of_a_command_is_that_of_the_program() -> None:
    assert outcome("compare", lambda: 3) == 3


def test_ctrl_c_ends_a_long_run_with_130_and_no_traceback(tmp_path: Path) -> None:
    program = subprocess.Popen(
        [*COMMAND, "run", str(DIGITS), "--runs", str(10**9)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # A parent in the background of a shell ignores Ctrl-C, and its children would.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        wait_for_runtime(program)
        program.send_signal(signal.SIGINT)
        printed, complaint = program.communicate(timeout=120)
    finally:
        program.kill()
    assert (program.returncode, printed, complaint) == (130, "", "litedelegates run: interrupted\n")


def wait_for_runtime(program: subprocess.Popen[str]) -> None:
    for _ in range(600):
        if "libLiteRt" in Path(f"/proc/{program.pid}/maps").read_text():
            return
        time.sleep(0.05)
    pytest.fail("the runtime was not opened within 30 s")


def test_the_exit_codes_are_in_the_help_and_in_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert EXIT_CODES in capsys.readouterr().out
    (in_readme,) = re.findall(r"Exit codes: (.*?)\.", (ROOT / "README.md").read_text(), re.DOTALL)
    assert re.findall(r"(?:^|, )(\d+) ", in_readme) == re.findall(r"^ +(\d+) ", EXIT_CODES, re.MULTILINE)


def test_options_that_have_arguments_of_their_own_are_sent_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(DIGITS), "--option", "num_threads=2"]) == 2
    assert capsys.readouterr().err == "litedelegates run: --option num_threads=2: give it as --threads\n"


def test_profile_as_json_has_every_op_with_every_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "ops.csv"
    arguments = ["profile", str(DIGITS), "--delegate", "none", "--runs", "3", "--csv", str(target), "--json"]
    assert main(arguments) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["schema_version"], shown["runs"], shown["delegate"]) == (1, 3, "none")
    rows = [line.split(",") for line in target.read_text().splitlines()[1:]]
    in_file = [(row[0], [round(1000 * float(sample)) for sample in row[-1].split()]) for row in rows]
    assert [(op["name"], op["samples_ns"]) for op in shown["ops"]] == in_file
    assert all(len(op["samples_ns"]) == 3 for op in shown["ops"])
    assert shown["total_ns"] == pytest.approx(sum(op["median_ns"] for op in shown["ops"]))


@pytest.fixture
def completion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    pytest.importorskip("shtab", reason="needs the extra: pip install 'litedelegates[completion]'")
    assert main(["completion", "bash"]) == 0
    path = tmp_path / "completion.bash"
    path.write_text(capsys.readouterr().out)
    subprocess.run(["bash", "-n", path], check=True)
    return path


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (("qu",), ["quantize"]),
        (("run", "--la"), ["--labels"]),
        (("run", "dig"), ["digits.tflite"]),
        (("cut", "--out", "par"), ["parts"]),
        (("completion", ""), ["bash", "zsh", "tcsh"]),
    ],
)
def test_bash_completes_commands_options_and_files(
    typed: tuple[str, ...], offered: list[str], completion: Path, tmp_path: Path
) -> None:
    (tmp_path / "digits.tflite").touch()
    (tmp_path / "parts").mkdir()
    (tmp_path / "particle.txt").touch()
    words = " ".join(f"'{word}'" for word in ("litedelegates", *typed))
    script = f"source {completion}; COMP_WORDS=({words}); COMP_CWORD={len(typed)}; _shtab_litedelegates; "
    script += 'printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == offered


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_get_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab", reason="needs the extra: pip install 'litedelegates[completion]'")
    assert main(["completion", shell]) == 0
    written = capsys.readouterr().out
    assert all(command in written for command in ("devices", "profile", "quantize", "labels", "debug"))


def test_completion_without_its_extra_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['shtab'] = None; from litedelegates.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run([sys.executable, "-c", program, "completion", "bash"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "litedelegates[completion]" in done.stderr and done.stderr.count("\n") == 1


def test_an_unknown_option_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", str(DIGITS), "--precisons", "int8"])
    assert ended.value.code == 2
    assert "unrecognized arguments: --precisons int8. The nearest of" in (said := capsys.readouterr().err)
    assert "'--precisions'" in said


def test_what_a_library_prints_is_kept_out_of_the_output(capfd: pytest.CaptureFixture[str]) -> None:
    print("before")
    with foreign_words_aside():
        ctypes.CDLL(None).puts(b"from C")
    print("after")
    told = capfd.readouterr()
    assert told.out.split() == ["before", "after"] and told.err == "from C\n"


def test_a_file_that_is_not_there_is_named_in_plain_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "nowhere.sqlite"]) == 1
    assert capsys.readouterr().err == "litedelegates report: nowhere.sqlite: there is no such study\n"
