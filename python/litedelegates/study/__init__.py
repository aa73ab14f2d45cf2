"""Study: models x precisions x delegates x threads, each in a process of its own, in a file that survives anything."""

from litedelegates.study.config import StudyConfig, read_config
from litedelegates.study.database import StoreError
from litedelegates.study.records import BlockRecord, Cell, Event, Outcome, RecordError, SessionRecord
from litedelegates.study.runner import Progress, run_study
from litedelegates.study.store import Store
from litedelegates.study.words import Status

__all__ = [
    "BlockRecord",
    "Cell",
    "Event",
    "Outcome",
    "Progress",
    "RecordError",
    "SessionRecord",
    "Status",
    "Store",
    "StoreError",
    "StudyConfig",
    "read_config",
    "run_study",
]
