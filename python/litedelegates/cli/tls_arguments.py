"""The certificates that commands take which talk to a Dask scheduler, named as `dask scheduler` names them."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager


def add_tls_arguments(parser: argparse.ArgumentParser, when: str = "") -> None:
    """Add them to a parser; ``when`` begins their help."""
    parser.add_argument(
        "--tls-ca-file",
        metavar="FILE",
        help=f"{when}certificate of the authority, for tls://; connections are encrypted",
    )
    parser.add_argument("--tls-cert", metavar="FILE", help=f"{when}certificate of this side")
    parser.add_argument(
        "--tls-key", metavar="FILE", help=f"{when}its private key, unless the certificate's file has it"
    )


def tls_of(options: argparse.Namespace) -> AbstractContextManager[None]:
    """Return the context in which connections use the certificates that were given."""
    from litedelegates.deploy.dask_tls import tls

    return tls(options.tls_ca_file, options.tls_cert, options.tls_key)
