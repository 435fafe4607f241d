#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the images of the tests and the demo, from Debian, PyPI and npm packages only, as OCI images.

Functions have three layers: Debian with Python or Node, the packages of requirements.txt or package-lock.json, the
function's code (a function's own requirements.txt takes the place of the one that most share). Test suites of others have
Debian with the suite's packages, and the tests of something else that were built for them. There is nothing of Nexus in
them. All but code is cached; the same inputs give the same image.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from typing import Any

import crates
import curl
import debian
import golang
import libuv
import node
import npm
import oci
import wheels

HERE = pathlib.Path(__file__).resolve().parent
FUNCTIONS = HERE / "functions"
SUITES = HERE / "suites"
REQUIREMENTS = HERE / "requirements.txt"
# Debian 12's Python: wheels and compiled modules are for this version.
PYTHON = (3, 11)
PACKAGES_FOLDER = "opt/python"
CODE_FOLDER = "var/task"

CONFIG: dict[str, Any] = {
    "Entrypoint": ["/usr/bin/python3", "-m", "awslambdaric"],
    "Cmd": ["app.handler"],
    "WorkingDir": f"/{CODE_FOLDER}",
    "User": "1000:1000",
    "Env": [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG=C.UTF-8",
        f"PYTHONPATH=/{PACKAGES_FOLDER}",
    ],
}


NODE_CONFIG: dict[str, Any] = {
    **CONFIG,
    "Entrypoint": ["/usr/bin/node", f"/{CODE_FOLDER}/bootstrap.cjs"],
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
}

# Several functions in one image, of which each deployment names one. They run as root, as in most images that people make, so
# that what runs one beside Nexus can set up its network.
WORKLOADS = "workloads"
ROOT = {"User": "0:0"}

SUITE_CONFIG: dict[str, Any] = {
    "WorkingDir": "/tmp",
    "User": "0:0",
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root"],
}

# What a suite may have beside Debian packages: the key in its description, and what makes a layer of it.
MATERIALS: dict[str, tuple[str, Callable[[pathlib.Path, dict[str, Any]], oci.Layer]]] = {
    "crate": ("test programs", crates.layer),
    "curl": ("curl and its tests", curl.layer),
    "go": ("Go's test programs", golang.layer),
    "libuv": ("libuv's test program", libuv.layer),
    "node": ("Node's tests", node.layer),
    "python": ("Python packages", wheels.layer),
}


def function_steps(cache: pathlib.Path, name: str) -> dict[str, Callable[[], oci.Layer]]:
    """The layers of a function."""
    own = FUNCTIONS / name / "requirements.txt"
    return {
        "Debian with Python": lambda: debian.layer(cache),
        "Python packages": lambda: packages_layer(cache, own if own.exists() else REQUIREMENTS),
        "function": lambda: code_layer(cache, FUNCTIONS / name),
    }


def node_function_steps(cache: pathlib.Path, name: str) -> dict[str, Callable[[], oci.Layer]]:
    """The layers of a function for Node."""
    function = FUNCTIONS / name
    return {
        "Debian with Node": lambda: debian.layer(cache, ("nodejs",)),
        "npm packages": lambda: npm.layer(cache, function, CODE_FOLDER),
        "function": lambda: code_layer(cache, function, "*.cjs"),
    }


def suite(cache: pathlib.Path, name: str) -> tuple[dict[str, Callable[[], oci.Layer]], dict[str, Any]]:
    """The layers of a test suite, and its configuration, whose command is the suite's first."""
    described = json.loads((SUITES / name / "suite.json").read_text())
    packages = tuple(described["packages"])
    # One without words stands for probes, which are no part of the image.
    command = next(iter(described["runs"].values())) or ["true"]
    steps = {"Debian with the suite": lambda: debian.layer(cache, packages)}
    for material, (label, make) in MATERIALS.items():
        if material in described:
            steps[label] = functools.partial(make, cache, described[material])
    return steps, {**SUITE_CONFIG, "Entrypoint": command}


def packages_layer(cache: pathlib.Path, requirements: pathlib.Path) -> oci.Layer:
    """The pinned packages, installed by pip unless they are in the cache."""
    name = f"packages-{oci.key(requirements.read_text(), PYTHON, PACKAGES_FOLDER)}"

    def install(tar: tarfile.TarFile) -> None:
        with tempfile.TemporaryDirectory() as folder:
            target = pathlib.Path(folder) / "packages"
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--require-hashes"]
            pip += ["--only-binary=:all:", "--root-user-action=ignore", "--target", str(target)]
            subprocess.run([*pip, "--requirement", str(requirements)], check=True)
            # Commands, which name this machine's interpreter.
            shutil.rmtree(target / "bin", ignore_errors=True)
            compile_modules(target)
            oci.add_tree(tar, target, PACKAGES_FOLDER)

    return oci.cached_layer(cache, name, install)


def code_layer(cache: pathlib.Path, function: pathlib.Path, pattern: str = "*.py") -> oci.Layer:
    """The function's code, in its own folders."""
    files = {path.relative_to(function): path for path in sorted(function.rglob(pattern)) if "node_modules" not in path.parts}
    name = f"code-{oci.key([(str(place), path.read_text()) for place, path in files.items()])}"

    def copy(tar: tarfile.TarFile) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for place, path in files.items():
                target = pathlib.Path(folder) / place
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
            oci.add_tree(tar, pathlib.Path(folder), CODE_FOLDER)

    return oci.cached_layer(cache, name, copy)


def compile_modules(folder: pathlib.Path) -> None:
    """Compiles as pip does, but independent of the sources' times and of the folder's name."""
    command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(folder), "-p", f"/{PACKAGES_FOLDER}", str(folder)]
    # Some packages carry modules for other versions, which do not compile; so it is with pip.
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONHASHSEED": "0"})


def main() -> int:
    """Builds one image."""
    functions = sorted({path.parent.name for path in FUNCTIONS.glob("*/*.py")})
    node_functions = sorted(path.parent.name for path in FUNCTIONS.glob("*/package.json"))
    suites = sorted(path.parent.name for path in SUITES.glob("*/suite.json"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", choices=[*functions, *node_functions, *suites])
    parser.add_argument("--output", type=pathlib.Path, required=True, help="a folder, or an archive if it ends in .tar")
    parser.add_argument("--cache", type=pathlib.Path, required=True, help="folder for layers")
    arguments = parser.parse_args()
    if sys.version_info[:2] != PYTHON:
        parser.error(f"run it by Python {PYTHON[0]}.{PYTHON[1]}, the version in the images")
    arguments.output.absolute().parent.mkdir(parents=True, exist_ok=True)
    if arguments.name in suites:
        steps, config = suite(arguments.cache, arguments.name)
    elif arguments.name in node_functions:
        steps, config = node_function_steps(arguments.cache, arguments.name), NODE_CONFIG
    else:
        steps, config = function_steps(arguments.cache, arguments.name), CONFIG
    if arguments.name.startswith(WORKLOADS):
        config = {**config, **ROOT}
    layers = []
    try:
        for label, make in steps.items():
            print(f"{arguments.name}: {label}", file=sys.stderr, flush=True)
            layers.append(make())
        print(oci.write_image(arguments.output, layers, config))
    except (subprocess.CalledProcessError, OSError, debian.NoMirrorError) as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
