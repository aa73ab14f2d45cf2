"""A device with what was measured there, and the choices that this gives."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from litedelegates.errors import OptionError
from litedelegates.graph import Graph, Op
from litedelegates.layers import LayerStudy, Setting
from litedelegates.layers.infos import layer_ops
from litedelegates.plan.fitting import fit_terms
from litedelegates.plan.layer_times import LayerTimes, layer_times
from litedelegates.plan.records import Choice, Device
from litedelegates.plan.terms import Terms


@dataclass(frozen=True, eq=False)
class Source:
    """A device and the study of the model there.

    Attributes:
        device: Who it is.
        study: What was measured there, or is predicted of it.
        terms: What layers cost each other there; None until `fitted`.
    """

    device: Device
    study: LayerStudy
    terms: Terms | None = None

    def fitted(self, graph: Graph) -> Source:
        """Return the same with the terms that the study of this model gives, unless it has some."""
        return self if self.terms is not None else replace(self, terms=fit_terms(graph, self.study))

    @cached_property
    def times(self) -> Mapping[Setting, LayerTimes]:
        """Times of the layers in each setting that has any."""
        return layer_times(self.study)


@dataclass(frozen=True, eq=False)
class Option:
    """A choice, and where its numbers come from."""

    choice: Choice
    source: Source
    setting: Setting

    @property
    def terms(self) -> Terms:
        """What layers cost each other on the device."""
        return self.source.terms or Terms()

    @property
    def station(self) -> tuple[str, str, int]:
        """Neighbours on the same device, delegate and threads can be one model."""
        return self.choice.device, self.choice.delegate, self.choice.threads


def options_of(
    sources: Sequence[Source],
    precisions: Collection[str] | None = None,
    delegates: Mapping[str, Collection[str]] | None = None,
) -> list[Option]:
    """Return the choices for which there are times, those of the first device first.

    Args:
        sources: The devices.
        precisions: Take these only.
        delegates: By name of a device: take these only.

    Raises:
        OptionError: A device has none.
    """
    found = []
    for source in sources:
        name = source.device.name
        own = [
            Option(Choice(name, setting.delegate, setting.precision, setting.threads), source, setting)
            for setting in source.times
            if (precisions is None or setting.precision in precisions)
            and (delegates is None or name not in delegates or setting.delegate in delegates[name])
        ]
        if not own:
            asked = ", ".join(sorted(precisions or ())) or "any precision"
            raise OptionError(f"device {name!r}: its study {source.study.key} has no times of layers in {asked}")
        found += own
    return found


def shapes_of(sources: Sequence[Source]) -> dict[str, tuple[int, ...]]:
    """Return the shapes that were given to the inputs of the model where it was measured.

    Raises:
        OptionError: Two devices were measured with other sizes.
    """
    found = {}
    for source in sources:
        given = source.study.config.get("shapes") or {}
        found[source.device.name] = {name: tuple(int(size) for size in shape) for name, shape in given.items()}
    first = next(iter(found.values()), {})
    for name, shapes in found.items():
        if shapes != first:
            raise OptionError(
                f"device {name!r} was measured with the input shapes {shapes}, and {next(iter(found))!r} with {first}: "
                "measure both with the same (--shape)"
            )
    return first


def check_sources(graph: Graph, sources: Sequence[Source]) -> tuple[Op, ...]:
    """Return the layers, after a look that all studies are of this model.

    Raises:
        OptionError: There are no sources, two have one name, or a study is of another model.
    """
    if not sources:
        raise OptionError("no device was given: a plan needs one at least")
    names = [source.device.name for source in sources]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise OptionError(f"two devices are called {twice[0]!r}: give each a name of its own")
    ops = layer_ops(graph)
    for source in sources:
        known = {layer.index: layer.type for layer in source.study.layers}
        if known != {op.index: op.type for op in ops}:
            raise OptionError(
                f"device {source.device.name!r}: its study {source.study.key} of {source.study.model} has other layers "
                f"({len(known)}) than the model ({len(ops)}): measure this model there"
            )
    return ops
