"""Study: models x precisions x delegates x threads, each in a process of its own, in a file that survives anything."""

from litedelegates.study.records import BlockRecord, Cell, Event, Outcome, RecordError, SessionRecord, Status
from litedelegates.study.store import Store, StoreError

__all__ = [
    "BlockRecord",
    "Cell",
    "Event",
    "Outcome",
    "RecordError",
    "SessionRecord",
    "Status",
    "Store",
    "StoreError",
]
