"""Certificates for the connections to a Dask scheduler and its workers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from litedelegates.deploy.dask_cluster import require_distributed
from litedelegates.errors import OptionError

_ROLES = ("client", "worker", "scheduler")


@contextmanager
def tls(
    ca_file: str | os.PathLike[str] | None, cert: str | os.PathLike[str] | None, key: str | os.PathLike[str] | None
) -> Iterator[None]:
    """Encrypt all connections of the ``with`` block, and refuse peers without a certificate of the same authority.

    The files go into Dask's configuration (``distributed.comm.tls``), where they can be set for good as well.

    Args:
        ca_file: Certificate of the authority; None, with ``cert`` and ``key``, leaves Dask's configuration as it is.
        cert: Certificate of this side.
        key: Its private key; None where it lies in the file of the certificate.

    Raises:
        OptionError: Only some of them are given, or there is no such file.
        MissingExtraError: Dask is not installed.
    """
    if ca_file is cert is key is None:
        yield
        return
    if ca_file is None or cert is None:
        raise OptionError("TLS needs --tls-ca-file and --tls-cert, and --tls-key unless the certificate's file has it")
    for file in (ca_file, cert, key):
        if file is not None and not Path(file).is_file():
            raise OptionError(f"TLS: there is no file {os.fspath(file)}")
    require_distributed()
    import dask

    settings: dict[str, object] = {
        "distributed.comm.require-encryption": True,
        "distributed.comm.tls.ca-file": os.fspath(ca_file),
    }
    for role in _ROLES:
        settings[f"distributed.comm.tls.{role}.cert"] = os.fspath(cert)
        settings[f"distributed.comm.tls.{role}.key"] = None if key is None else os.fspath(key)
    with dask.config.set(settings):
        yield
