"""``litedelegates completion``: the completion of commands and options for a shell."""

from __future__ import annotations

import argparse
from typing import Any

from litedelegates.cli.arguments import HelpFormatter
from litedelegates.errors import MissingExtraError, install_extra

SHELLS = ("bash", "zsh", "tcsh")
_FOLDERS = ("FOLDER",)
_FILES = ("FILE", "MODEL", "STORE", "OLD", "NEW")


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "completion",
        help="write the completion of commands and options for a shell",
        description="Write a script with which the shell completes commands, options and files.",
        epilog="bash: litedelegates completion bash > ~/.local/share/bash-completion/completions/litedelegates\n"
        "zsh:  litedelegates completion zsh > FOLDER/_litedelegates, with FOLDER one of $fpath\n"
        "tcsh: litedelegates completion tcsh > FILE, and `source FILE` in ~/.tcshrc",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Print the script."""
    try:
        import shtab
    except ImportError as error:
        raise MissingExtraError(f"shell completion needs shtab ({error}): {install_extra('completion')}") from error
    _complete_paths(options.parser, shtab.FILE, shtab.DIRECTORY)
    print(shtab.complete(options.parser, options.shell))
    return 0


def _complete_paths(parser: argparse.ArgumentParser, file: Any, folder: Any) -> None:
    """Mark the arguments that are paths, told by what the help calls them."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _complete_paths(command, file, folder)
            continue
        shown = str(action.metavar or action.dest).upper()
        if shown in (*_FILES, *_FOLDERS):
            vars(action)["complete"] = folder if shown in _FOLDERS else file
