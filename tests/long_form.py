"""Whether tests go to their full length: ``LITEDELEGATES_LONG=1 make test`` takes hours, `make test` minutes."""

from __future__ import annotations

import os

LONG = bool(os.environ.get("LITEDELEGATES_LONG"))
