# SPDX-License-Identifier: Apache-2.0
"""A layer with test programs of Go's standard library: static ones, which make system calls by themselves."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
from typing import Any

import oci
import suite

# Debian 12's Go (packages golang-1.19-go and golang-1.19-src).
GO = pathlib.Path("/usr/lib/go-1.19/bin/go")
SOURCES = pathlib.Path("/usr/share/go-1.19/src")

RUN = """#!/bin/sh
# Runs the tests of a package beside its test data: run PACKAGE [FLAG...]
cd "/suite/$1" || exit 1
shift
exec ./test -test.v -test.short "$@"
"""


def layer(cache: pathlib.Path, go: dict[str, Any]) -> oci.Layer:
    """The layer, built by Go unless it is in the cache."""
    name = f"go-{oci.key(go, RUN, str(GO))}"
    return oci.cached_layer(cache, name, lambda tar: build(tar, cache, go))


def build(tar: tarfile.TarFile, cache: pathlib.Path, go: dict[str, Any]) -> None:
    """Builds the programs, each in a folder with its package's test data."""
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        root = pathlib.Path(folder) / "root"
        environment = {**os.environ, "CGO_ENABLED": "0", "GOCACHE": str(pathlib.Path(folder) / "cache"), "GOFLAGS": "-trimpath"}
        for package in go["packages"]:
            target = root / package
            target.mkdir(parents=True)
            command = [str(GO), "test", "-c", "-ldflags=-s -w", "-o", str(target / "test"), package]
            subprocess.run(command, cwd=SOURCES / package, env=environment, check=True)
            data = SOURCES / package / "testdata"
            if data.exists():
                shutil.copytree(data, target / "testdata")
        suite.add(tar, root, RUN)
