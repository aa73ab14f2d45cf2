"""``python -m litedelegates`` is the command ``litedelegates``."""

import sys

from litedelegates.cli import main

sys.exit(main())
