"""Registries: named things of one kind, each in a file of its own that registers itself."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Generic, NoReturn, TypeVar

from .errors import InputError

Entry = TypeVar("Entry")


class UnknownNameError(InputError, KeyError):
    """A name is not in a registry; the message lists the names that are."""

    __str__ = Exception.__str__  # a KeyError shows its message in quotes


class Registry(Mapping[str, Entry], Generic[Entry]):
    """Entries of one kind by name, in alphabetical order.

    The modules of one package register theirs with the decorator `register`. A new file in that package needs no other
    line anywhere. Names are found by reading the source of the files: listing them imports none of the modules. A
    module is imported when its entry is first used. Code outside the package registers an entry with the same
    decorator, for as long as the program runs.

    Parameters
    ----------
    kind
        What an entry is, such as "structure"; messages use it.
    variable
        Name of the variable that holds this registry, by which modules register: `STRUCTURES`.
    package
        Full name of the package whose modules register themselves.

    Examples
    --------
    >>> STRUCTURES: Registry[StructureModel] = Registry("structure", "STRUCTURES", "napari_smdiffusion.structures")
    >>> @STRUCTURES.register("actin")
    ... class Actin: ...
    >>> STRUCTURES["actin"]
    """

    def __init__(self, kind: str, variable: str, package: str) -> None:
        self._kind = kind
        self._variable = variable
        self._package = package
        self._entries: dict[str, Entry] = {}
        self._modules: dict[str, str] | None = None  # name of an entry -> full name of the module that registers it

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """Return a decorator that registers an entry and leaves it as it is.

        In a module of the package, write the decorator at the left margin and the name as a literal string: it is read
        from the source.

        Raises
        ------
        InputError
            If the name is registered already.
        """
        caller = str(sys._getframe(1).f_globals.get("__name__"))
        # A module of the package is among those found itself; two of them with one name are refused there.
        inside = caller.startswith(f"{self._package}.")

        def add(entry: Entry) -> Entry:
            if name in self._entries or (not inside and name in self._found()):
                raise InputError(
                    f"The {self._kind} {name!r} is registered already: choose another name, or remove that one."
                )
            self._entries[name] = entry
            return entry

        return add

    def check(self, name: str) -> None:
        """Raise an InputError that lists the names unless there is an entry of this name; nothing is imported."""
        if name not in self:
            self._refuse(name)

    def remove(self, name: str) -> None:
        """Remove an entry, such as one that a notebook is about to register again.

        Raises
        ------
        InputError
            If there is none of this name.
        """
        self.check(name)
        self._entries.pop(name, None)
        self._found().pop(name, None)

    def __getitem__(self, name: str) -> Entry:
        """Return the entry of a name; its module is imported if it is not yet.

        Raises
        ------
        InputError
            If there is none of this name; the sentence lists the names.
        """
        if name not in self._entries and name in self._found():
            importlib.import_module(self._found()[name])
        if name not in self._entries:
            self._refuse(name)
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._found()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._entries, *self._found()}))

    def __len__(self) -> int:
        return len({*self._entries, *self._found()})

    def _refuse(self, name: str) -> NoReturn:
        raise UnknownNameError(f"There is no {self._kind} {name!r}: choose one of {', '.join(self)}.")

    def _found(self) -> dict[str, str]:
        """Return the module of each name that the files of the package register; the files are read once."""
        if self._modules is None:
            modules: dict[str, str] = {}
            for module in pkgutil.iter_modules(importlib.import_module(self._package).__path__, f"{self._package}."):
                for name in self._names_in(module.name):
                    if name in modules:
                        raise InputError(
                            f"Both {modules[name]} and {module.name} register the {self._kind} {name!r}: rename one."
                        )
                    modules[name] = module.name
            self._modules = modules
        return self._modules

    def _names_in(self, module: str) -> list[str]:
        """Return the names that a module registers, from its source."""
        spec = find_spec(module)
        source = getattr(spec.loader, "get_source", lambda _: None)(module) if spec else None
        if source is None:  # a program frozen without sources
            before = set(self._entries)
            importlib.import_module(module)
            return sorted(set(self._entries) - before)
        return re.findall(rf"""^@?{self._variable}\.register\(\s*["']([^"']+)["']""", source, re.MULTILINE)
