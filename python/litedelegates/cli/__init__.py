"""The command line: parse, call, print, exit code."""

from litedelegates.cli.main import main

__all__ = ["main"]
