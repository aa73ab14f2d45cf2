"""The rules: each finds the places that break it, and says what to do there."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from house.circles import circles
from house.reading import House, Import, Module, Name
from house.tables import FACE, PACKAGE, Tables


@dataclass(frozen=True)
class Finding:
    """A place that breaks a rule: ``path:line``, and what is wrong there."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True)
class Rule:
    """A rule: its name, what to do where it is broken, and how such places are found."""

    name: str
    advice: str
    find: Callable[[House, Tables], Iterator[Finding]]


def at(module: Module, line: int = 1) -> str:
    """Return the place of a line."""
    return f"{module.path}:{line}"


def path_of(folder: str) -> str:
    """Return the path of a package's folder, as the reader would type it."""
    return "/".join(("python", PACKAGE, *filter(None, folder.split("."))))


def imports_up(house: House, tables: Tables) -> Iterator[Finding]:
    """Yield imports of a room, or of a sub-package of the own room, that is above the module."""
    for module in house.modules.values():
        if module.room not in tables.floors:
            yield Finding(at(module), f"{module.room} has no floor: add it to FLOORS in tools/house/tables.py")
            continue
        for found in module.imports:
            if found.room not in tables.floors:
                yield Finding(at(module, found.line), f"imports {found.target}, which has no floor and no file")
            elif tables.floors.index(found.room) > tables.floors.index(module.room):
                yield Finding(at(module, found.line), f"{module.room} imports {shown(found)}, which is above it")
        yield from inner_imports_up(house, module, tables)


def inner_imports_up(house: House, module: Module, tables: Tables) -> Iterator[Finding]:
    """Yield imports between sub-packages that go up in the list of the package that holds both."""
    for package in packages_around(module):
        own = child_of(package, module.folder)
        floors = tables.inner_floors.get(package, ())
        if own and own not in floors:
            yield Finding(at(module), f"{package}.{own} has no floor: add it to INNER_FLOORS in tools/house/tables.py")
            continue
        for found in module.imports if own else ():
            target = house.modules.get(found.target)
            other = child_of(package, target.folder) if target else ""
            if other and other in floors and floors.index(other) > floors.index(own):
                yield Finding(at(module, found.line), f"{package}.{own} imports {found.target}, which is above it")


def packages_around(module: Module) -> list[str]:
    """Return the packages that a module lies in, below the whole one: "a" and "a.b" for ``a.b.module``."""
    parts = module.folder.split(".") if module.folder else []
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def child_of(package: str, folder: str) -> str:
    """Return the sub-package of ``package`` that a folder is or lies in, empty where it is in none."""
    return folder[len(package) + 1 :].split(".")[0] if folder.startswith(f"{package}.") else ""


def past_a_door(house: House, tables: Tables) -> Iterator[Finding]:
    """Yield imports of a submodule, or of a private name, of another room."""
    for module in [*house.modules.values(), *house.programs]:
        for found in module.imports:
            if found.room == module.room or found.room in tables.open_rooms:
                continue
            private = [name for name in found.names if name.startswith("_") and not name.startswith("__")]
            if "." in found.target:
                yield Finding(at(module, found.line), f"imports {found.target} in place of what {found.room} offers")
            elif private:
                yield Finding(at(module, found.line), f"imports {', '.join(private)}, private to {shown(found)}")


def import_circles(house: House, tables: Tables) -> Iterator[Finding]:
    """Yield modules that import each other, directly or by others."""
    reached = {name: {found.target for found in module.imports} for name, module in house.modules.items()}
    for circle in circles(reached):
        yield Finding(at(house.modules[circle[0]]), f"{', '.join(circle)} import each other")


def inner_circles(house: House, tables: Tables) -> Iterator[Finding]:
    """Yield circles in which a sub-package stands, with other sub-packages or with modules beside it.

    The door of the package above is left out: it imports what it offers from all of them.
    """
    for package in sorted({module.folder for module in house.modules.values() if module.folder}):
        reached: dict[str, set[str]] = defaultdict(set)
        for module in house.modules.values():
            own = part_of(package, module.name)
            if own:
                reached[own] |= {part_of(package, found.target) for found in module.imports}
        for circle in circles(reached):
            if any(is_package(part, house) for part in circle):
                yield Finding(path_of(package), f"{', '.join(circle)} import each other")


def is_package(name: str, house: House) -> bool:
    """Return whether a name is a package's."""
    return name in house.modules and house.modules[name].is_door


def part_of(package: str, name: str) -> str:
    """Return the module or sub-package of ``package`` that a module is or lies in, empty for others and its door."""
    if not name.startswith(f"{package}."):
        return ""
    return f"{package}.{name[len(package) + 1 :].split('.')[0]}"


def long_modules(house: House, tables: Tables) -> Iterator[Finding]:
    """Yield modules with too many lines."""
    for module in house.modules.values():
        if module.lines > tables.longest_module:
            yield Finding(at(module), f"{module.lines} lines, {tables.longest_module} at most")


def large_folders(house: House, tables: Tables) -> Iterator[Finding]:
    """Yield folders with too many modules."""
    for folder, count in folder_sizes(house).items():
        if count > tables.largest_folder and folder not in tables.lists:
            yield Finding(path_of(folder), f"{count} modules, {tables.largest_folder} at most")


def folder_sizes(house: House) -> dict[str, int]:
    """Return how many modules each folder has, its door not counted."""
    sizes: dict[str, int] = defaultdict(int)
    for module in house.modules.values():
        sizes[module.folder] += not module.is_door
    return dict(sizes)


def types_of_one_name(house: House, tables: Tables) -> Iterator[Finding]:
    """Yield public classes, and names given to types, that another module has too: one finding for a name."""
    places: dict[str, list[str]] = defaultdict(list)
    for module, name in public_names(house, tables):
        if name.kind == "type":
            places[name.name].append(at(module, name.line))
    for shared, found in sorted(places.items()):
        if len(found) > 1:
            yield Finding(found[0], f"{shared}, also in {', '.join(found[1:])}")


def offers_of_one_name(house: House, tables: Tables) -> Iterator[Finding]:
    """Yield names that the doors of several rooms offer. The package's own face repeats what it picks from them."""
    doors: dict[str, list[Module]] = defaultdict(list)
    for module in house.modules.values():
        if module.is_door and module.name == module.room and module.room not in (FACE, *tables.mirrors):
            for name in module.offers:
                doors[name].append(module)
    for name, found in sorted(doors.items()):
        if len(found) > 1:
            yield Finding(at(found[0]), f"{name}, also offered by {', '.join(door.name for door in found[1:])}")


def loose_records(house: House, tables: Tables) -> Iterator[Finding]:
    """Yield each ``dict[str, Any]``."""
    for module in house.modules.values():
        yield from (Finding(at(module, line), "dict[str, Any]") for line in module.loose_records)


def retired_words(house: House, tables: Tables) -> Iterator[Finding]:
    """Yield names with a word that the glossary retires."""
    for module in house.modules.values():
        own = Name(module.name.rpartition(".")[2], 1, "other")
        for name in [own, *module.names] if module.room not in tables.mirrors else []:
            words = f"_{'_'.join(words_of(name.name))}_"
            for word in tables.retired:
                if f"_{word}_" in words:
                    yield Finding(at(module, name.line), f"{name.name}: for {word}, write {tables.retired[word]}")


def unit_suffixes(house: House, tables: Tables) -> Iterator[Finding]:
    """Yield fields and parameters that end in a unit which is not the house's."""
    for module, name in public_names(house, tables):
        unit = words_of(name.name)[-1]
        if name.kind == "field" and unit in tables.units:
            yield Finding(at(module, name.line), f"{name.name}: end in {tables.units[unit]}, not in {unit}")


def public_names(house: House, tables: Tables) -> Iterator[tuple[Module, Name]]:
    """Yield the names that the house chose itself."""
    for module in house.modules.values():
        if module.room not in tables.mirrors:
            yield from ((module, name) for name in module.names)


def words_of(name: str) -> list[str]:
    """Return the words of a name, in lower case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_")


def shown(found: Import) -> str:
    """Return what an import names, as a sentence has it."""
    return "the package itself" if found.target == FACE else found.target


RULES = (
    Rule("imports up", "move what is shared down, or the module up", imports_up),
    Rule("imports past a door", "offer the name in the package's __init__, or move it to its user", past_a_door),
    Rule("import circles", "move what both need into a module below both", import_circles),
    Rule("circles of sub-packages", "move what both need into a module below both", inner_circles),
    Rule("long modules", "split by subject", long_modules),
    Rule("large folders", "merge what is read together, or make a sub-package", large_folders),
    Rule("types of one name", "keep one, or name each for what it is", types_of_one_name),
    Rule("offers of one name", "let one door offer it, or name each for what it is", offers_of_one_name),
    Rule("dict[str, Any]", "write a frozen dataclass, or the type of the values", loose_records),
    Rule("retired words", "use the field's word", retired_words),
    Rule("unit suffixes", "one suffix for each unit", unit_suffixes),
)


def find(house: House, tables: Tables) -> Mapping[str, list[Finding]]:
    """Return the places that break each rule."""
    return {rule.name: list(rule.find(house, tables)) for rule in RULES}
