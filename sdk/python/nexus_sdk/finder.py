# SPDX-License-Identifier: Apache-2.0
"""Has imports of boto3 and botocore find the shim, for as long as a program stays on the common path.

Until something looks deeper, `boto3` and `botocore` are facades whose `__path__` is the real packages', so that a module
without a stand-in is the real one, under its real name. Importing one that reaches into the SDK's machinery
(`botocore.client`, say) ends that: the facades become the real modules, in place.
"""

from __future__ import annotations

import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

# Real modules that only define names: importing them brings none of the machinery.
_HARMLESS = {
    "boto3.exceptions",
    "boto3.compat",
    "botocore.exceptions",
    "botocore.vendored",
}
_FAMILIES = ("boto3.", "botocore.", "s3transfer")

folder = ""
active = True


class Finder:
    """The entry of `sys.meta_path`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The facade's spec for the two packages; otherwise a look at what is imported."""
        if not active:
            return None
        if path is None and fullname in ("boto3", "botocore"):
            return _facade_spec(fullname)
        if fullname.startswith(_FAMILIES) and not _is_harmless(fullname):
            step_aside()
            # The real package may have imported it just now. Then it must not be made a second time.
            module = sys.modules.get(fullname)
            if module is not None:
                return _present(fullname, module)
        return None


class _Present:
    """Loads a module that is there."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module that is there."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Leaves it as it is, with its own spec again."""
        module.__spec__ = self._spec


def _present(fullname: str, module: ModuleType) -> ModuleSpec:
    """A spec by which the import system takes a module that is there for what it has just loaded."""
    spec = ModuleSpec(fullname, _Present(module), origin=module.__spec__.origin)  # type: ignore[arg-type, union-attr]
    # The import system trusts the module's own word where it finds one already.
    module.__spec__ = spec
    return spec


def install(where: str) -> None:
    """Comes first at each import from now on. `where` is the shim's folder."""
    global folder
    folder = where
    sys.meta_path.insert(0, Finder())


def step_aside() -> None:
    """Ends the facade for this process. Clients that are there become real ones when they are used next."""
    global active
    active = False
    from nexus_sdk import facade

    facade.become_real()


def _is_harmless(fullname: str) -> bool:
    return any(fullname == name or fullname.startswith(name + ".") for name in _HARMLESS)


def _facade_spec(fullname: str) -> ModuleSpec | None:
    real = PathFinder.find_spec(fullname)
    if real is None or real.origin is None or not real.origin.endswith("__init__.py"):
        return None
    from nexus_sdk import facade

    if not facade.knows(real):
        return None
    spec = ModuleSpec(fullname, facade.Loader(real), origin=real.origin, is_package=True)  # type: ignore[arg-type]
    spec.submodule_search_locations = real.submodule_search_locations
    spec.has_location = True
    return spec
