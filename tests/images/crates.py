# SPDX-License-Identifier: Apache-2.0
"""A layer with the test programs of a published Rust crate, built from its own sources and its own Cargo.lock."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
from typing import Any

import oci
import suite

# Tests of different programs may have one name, so each gets its program's before it.
RUN = """#!/bin/sh
# Runs test programs one after the other: run NAME-OR-PATTERN [FILTER...]
cd /suite/programs || exit 1
pattern=$1
shift
for program in $pattern; do
    "./$program" --test-threads=1 "$@" 2>&1 | sed "s/^test /test $program::/"
done
"""


def layer(cache: pathlib.Path, crate: dict[str, Any]) -> oci.Layer:
    """The layer, built by cargo unless it is in the cache."""
    name = f"crate-{crate['name']}-{oci.key(crate, RUN)}"
    return oci.cached_layer(cache, name, lambda tar: build(tar, cache, crate))


def build(tar: tarfile.TarFile, cache: pathlib.Path, crate: dict[str, Any]) -> None:
    """Builds the programs, without the symbols that only a debugger wants."""
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        work = pathlib.Path(folder)
        source = work / "source"
        shutil.copytree(fetch(work, crate), source)
        root = work / "root"
        programs = root / "programs"
        programs.mkdir(parents=True)
        for name, path in compile_tests(source, work / "target", crate):
            subprocess.run(["strip", "-o", str(programs / name), str(path)], check=True)
        suite.add(tar, root, RUN)


def fetch(work: pathlib.Path, crate: dict[str, Any]) -> pathlib.Path:
    """The crate's sources, as cargo unpacks them."""
    probe = work / "probe"
    (probe / "src").mkdir(parents=True)
    (probe / "src/lib.rs").touch()
    (probe / "Cargo.toml").write_text(
        f'[package]\nname = "probe"\nedition = "2021"\n[dependencies]\n{crate["name"]} = "={crate["version"]}"\n[workspace]\n'
    )
    command = ["cargo", "metadata", "--format-version=1", "--quiet"]
    told = subprocess.run(command, cwd=probe, check=True, stdout=subprocess.PIPE)
    packages = json.loads(told.stdout)["packages"]
    manifests = [package["manifest_path"] for package in packages if package["name"] == crate["name"]]
    return pathlib.Path(manifests[0]).parent


def compile_tests(source: pathlib.Path, target: pathlib.Path, crate: dict[str, Any]) -> list[tuple[str, pathlib.Path]]:
    """The test programs by name."""
    # Not a member of whatever workspace the cache lies in.
    with (source / "Cargo.toml").open("a") as manifest:
        manifest.write("\n[workspace]\n")
    command = ["cargo", "test", "--no-run", "--quiet", "--locked", "--message-format=json"]
    command += ["--target-dir", str(target), *crate["cargo"]]
    told = subprocess.run(command, cwd=source, check=True, stdout=subprocess.PIPE)
    messages = [json.loads(line) for line in told.stdout.splitlines()]
    return [
        (message["target"]["name"], pathlib.Path(message["executable"]))
        for message in messages
        if message.get("executable") and "test" in message["target"]["kind"]
    ]
