"""The tables that the rules go by: floors, open rooms, retired words, units, limits. Edit these, not the rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PACKAGE = "litedelegates"
# The package itself: its public face.
FACE = "__init__"

# From the ground up. A room (a module or sub-package of the package) imports itself and the rooms before it.
FLOORS = (
    "errors",
    "files",
    "isolated",
    "free_memory",
    "arrays",
    "words",
    "tables",
    "notebook",
    "_core",
    "runtime",
    "official_output",
    "run_lock",
    "tensor_info",
    "model",
    "delegates",
    "placement",
    "routes",
    "shared_memory",
    "loading",
    "border",
    "details",
    "op_details",
    "official_wrapper",
    "drop_in",
    "profile",
    "isolated_protocol",
    "isolated_worker",
    "isolated_session",
    "devices",
    "measure",
    "reference",
    "auto",
    "official_arguments",
    "interop",
    "interpreter",
    "engines",
    "graph",
    "quantize",
    "study",
    "layers",
    "plan",
    "deploy",
    "report",
    "coral",
    FACE,
    "cli",
    "__main__",
)

# The same inside a room, for its sub-packages; what lies beside them in the room is held by the rule on circles.
INNER_FLOORS: Mapping[str, tuple[str, ...]] = {
    "coral": ("utils", "adapters", "learn", "pipeline"),
    "coral.learn": ("backprop", "imprinting"),
    "engines": ("onnxruntime",),
    "graph": ("tflite", "onnx"),
}

# Rooms without a door: each module is a subject of its own, and others import it by its name.
OPEN_ROOMS = frozenset({"_util", "coral"})
# Rooms whose names are those of the library that they stand in for.
MIRRORS = frozenset({"coral"})
# Folders that are as long as what they list.
LISTS = frozenset({"cli", "delegates"})

LONGEST_MODULE = 500  # lines
LARGEST_FOLDER = 14  # modules, the door not counted

# Words that the glossary retires, and what to write instead: in names of modules, public classes, functions, methods,
# fields and parameters. "a_b" is two words that follow each other. Only words without another use stand here; the
# others (answer, border, fell, fixed, held, here, kinds, offer, orders, pieces, places, route, tell, walk, ways) are
# for readers to judge.
RETIRED: Mapping[str, str] = {
    "alone": "standalone",
    "apart": "isolated",
    "beside": "comparison",
    "bodies": "subgraphs",
    "brings_down": "crashes",
    "carriers": "tensor mapping",
    "carrying": "tensor mapping",
    "chapter": "section",
    "charging": "attribution",
    "chatter": "captured output",
    "conveyor": "ordered pipeline",
    "counterparts": "cell pairs",
    "crossing": "cut tensor (graph), stage transfer (deploy)",
    "crossings": "cut tensors (graph), stage transfers (deploy)",
    "desk": "handler, stage host",
    "drop_in": "compat",
    "fleet": "simulation engine",
    "greet": "ping",
    "handed_on": "output",
    "helper": "worker process, supervisor",
    "how_sure": "confidence, sensitivity",
    "lane": "queue",
    "lanes": "queues",
    "last_words": "stderr tail",
    "mixer": "mixed-model builder",
    "outlook": "analysis",
    "owners": "op attribution",
    "pace": "rate",
    "placing": "profile mapping",
    "rival": "alternative",
    "rivals": "alternatives",
    "say": "format, describe",
    "skeleton": "graph structure",
    "skeletons": "graph structures",
    "spy": "execution plan observer",
    "station": "resource",
    "stations": "resources",
    "story": "explanation",
    "sureness": "confidence",
    "tallies": "accumulators",
    "tally": "accumulator",
    "toll": "transfer cost",
    "tolls": "transfer costs",
    "walking": "activations",
    "watching": "in-flight records",
    "why_hidden": "hidden reason",
}

# Last words of names that are units but not the house's (_s, _ms, _us, _ns, _bytes, _mb), and which of these to use.
UNITS: Mapping[str, str] = {
    **dict.fromkeys(("seconds", "secs", "sec", "minutes", "hours"), "_s"),
    **dict.fromkeys(("milliseconds", "millis", "msec", "msecs"), "_ms"),
    **dict.fromkeys(("microseconds", "micros", "usec", "usecs"), "_us"),
    **dict.fromkeys(("nanoseconds", "nanos", "nsec", "nsecs"), "_ns"),
    **dict.fromkeys(("nbytes", "kb", "kib", "kilobytes"), "_bytes"),
    **dict.fromkeys(("mib", "megabytes", "gb", "gib", "gigabytes"), "_mb"),
}

# How often a rule that is not kept everywhere may be broken: the number of today, which only goes down. A rule without
# a limit may never be broken.
LIMITS: Mapping[str, int] = {
    "imports past a door": 294,
    "import circles": 6,
    "long modules": 1,
    "large folders": 7,
    "types of one name": 34,
    "offers of one name": 4,
    "dict[str, Any]": 283,
    "retired words": 132,
    "unit suffixes": 77,
}


@dataclass(frozen=True)
class Tables:
    """The tables in one object, so that the rules can be tried on others."""

    floors: tuple[str, ...] = FLOORS
    inner_floors: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: INNER_FLOORS)
    open_rooms: frozenset[str] = OPEN_ROOMS
    mirrors: frozenset[str] = MIRRORS
    lists: frozenset[str] = LISTS
    longest_module: int = LONGEST_MODULE
    largest_folder: int = LARGEST_FOLDER
    retired: Mapping[str, str] = field(default_factory=lambda: RETIRED)
    units: Mapping[str, str] = field(default_factory=lambda: UNITS)
