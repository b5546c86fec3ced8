"""Registries of named entries of one kind. Each entry is in a module of its own, which registers the entry."""

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
    """A registry does not have a name; the message lists its names."""

    __str__ = Exception.__str__  # KeyError would show the message in quotes


class Registry(Mapping[str, Entry], Generic[Entry]):
    """Entries of one kind by name, in alphabetical order.

    The modules of one package register entries with the decorator `register`. A new module in that package is found
    without any other change. The registry reads the names from the source files, so that listing the names imports no
    module. A module is imported when its entry is first used. Code outside the package uses the same decorator; its
    entries last until the program ends.

    Parameters
    ----------
    kind
        Kind of the entries for messages, such as "structure".
    variable
        Name of the variable that holds this registry in the source of the modules, such as "STRUCTURES".
    package
        Full name of the package whose modules register entries.

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
        """Return a decorator that registers an entry and returns it unchanged.

        In a module of the package, write the decorator at the left margin and the name as a literal string, because
        the name is read from the source.

        Raises
        ------
        InputError
            If the name is registered already.
        """
        caller = str(sys._getframe(1).f_globals.get("__name__"))
        # `_module_names` has the names of modules of the package itself, and refuses two modules with one name.
        inside = caller.startswith(f"{self._package}.")

        def add(entry: Entry) -> Entry:
            if name in self._entries or (not inside and name in self._module_names()):
                raise InputError(
                    f"The {self._kind} {name!r} is registered already: choose another name, or remove that one."
                )
            self._entries[name] = entry
            return entry

        return add

    def check(self, name: str) -> None:
        """Raise an InputError that lists the names if `name` has no entry; this imports no module."""
        if name not in self:
            self._refuse(name)

    def remove(self, name: str) -> None:
        """Remove an entry, for example before a notebook registers it again.

        Raises
        ------
        InputError
            If `name` has no entry.
        """
        self.check(name)
        self._entries.pop(name, None)
        self._module_names().pop(name, None)

    def __getitem__(self, name: str) -> Entry:
        """Return the entry of `name`; its module is imported at the first use.

        Raises
        ------
        InputError
            If `name` has no entry; the message lists the names.
        """
        if name not in self._entries and name in self._module_names():
            importlib.import_module(self._module_names()[name])
        if name not in self._entries:
            self._refuse(name)
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._module_names()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._entries, *self._module_names()}))

    def __len__(self) -> int:
        return len({*self._entries, *self._module_names()})

    def _refuse(self, name: str) -> NoReturn:
        raise UnknownNameError(f"There is no {self._kind} {name!r}: choose one of {', '.join(self)}.")

    def _module_names(self) -> dict[str, str]:
        """Return the full name of the module that registers each name. The files are read once."""
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
        """Return the entry names that a module registers, from its source."""
        spec = find_spec(module)
        source = getattr(spec.loader, "get_source", lambda _: None)(module) if spec else None
        if source is None:  # for example, in a frozen program without source files
            before = set(self._entries)
            importlib.import_module(module)
            return sorted(set(self._entries) - before)
        return re.findall(rf"""^@?{self._variable}\.register\(\s*["']([^"']+)["']""", source, re.MULTILINE)
