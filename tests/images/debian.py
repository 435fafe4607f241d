# SPDX-License-Identifier: Apache-2.0
"""The lowest layer: a small Debian with Python, from the mirror that this machine is set up for."""

from __future__ import annotations

import pathlib
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator

import oci

SUITE = "bookworm"
SUITES = (SUITE, f"{SUITE}-updates", f"{SUITE}-security")
# libstdc++6: the stock runtime client has an extension module in C++.
PACKAGES = ("python3", "ca-certificates", "libstdc++6")
APT_SOURCES = pathlib.Path("/etc/apt")
PYTHON_LIBRARIES = ("/usr/lib/python3.11", "/usr/lib/python3")

# Documentation is no part of a function.
EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*")
# Logs and caches hold times, and nothing that a function needs.
DROPPED = ("var/log/", "var/cache/", "var/lib/apt/", "var/lib/dpkg/info/", "tmp/", "run/", "dev/", "proc/", "sys/")

# Compiled modules are valid whatever times their sources have: times are all the same in the layer. Python's own tests have
# modules that are not to compile.
COMPILE = 'exec chroot "$1" python3 -m compileall -q -f -x /tests?/ --invalidation-mode unchecked-hash ' + " ".join(
    PYTHON_LIBRARIES
)


class NoMirrorError(Exception):
    """This machine's apt has no source for the suite."""

    def __init__(self) -> None:
        super().__init__(f"no apt source of this machine has the suite {SUITE} with main; add one to {APT_SOURCES}")


def layer(cache: pathlib.Path, packages: tuple[str, ...] = ()) -> oci.Layer:
    """The layer with these packages beside the usual ones, made by mmdebstrap unless it is in the cache."""
    packages = (*PACKAGES, *packages)
    name = f"base-{oci.key(SUITES, packages, EXCLUDED, DROPPED, COMPILE)}"
    return oci.cached_layer(cache, name, lambda tar: bootstrap(tar, cache, packages))


def bootstrap(tar: tarfile.TarFile, cache: pathlib.Path, packages: tuple[str, ...]) -> None:
    """Has mmdebstrap make the system, and copies it without what changes from build to build."""
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        system = pathlib.Path(folder) / "system.tar"
        command = [
            "mmdebstrap",
            "--quiet",
            "--variant=essential",
            f"--include={','.join(packages)}",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED),
            f"--customize-hook={COMPILE}",
            SUITE,
            str(system),
            *sources(),
        ]
        subprocess.run(command, check=True)
        with tarfile.open(system) as source:
            for entry, content in oci.entries(source):
                name = entry.name.removeprefix("./")
                if name.startswith(DROPPED):
                    continue
                entry.mtime = 0
                entry.uname = entry.gname = ""
                entry.pax_headers = {k: v for k, v in entry.pax_headers.items() if k.startswith("SCHILY.xattr.")}
                tar.addfile(entry, content)


def sources() -> list[str]:
    """This machine's apt sources of the suite, one line each."""
    found: list[str] = []
    for path in sorted(APT_SOURCES.glob("sources.list.d/*.sources")):
        found.extend(deb822_sources(path.read_text()))
    for path in [APT_SOURCES / "sources.list", *sorted(APT_SOURCES.glob("sources.list.d/*.list"))]:
        if path.exists():
            found.extend(one_line_sources(path.read_text()))
    if not any(f" {SUITE} main" in line for line in found):
        raise NoMirrorError
    return found


def deb822_sources(text: str) -> Iterator[str]:
    """Reads the newer format: stanzas of `Field: value`."""
    for stanza in text.split("\n\n"):
        lines = [line for line in stanza.splitlines() if not line.startswith("#")]
        fields = {name.lower(): value.split() for name, colon, value in (line.partition(":") for line in lines) if colon}
        if "deb" not in fields.get("types", []) or "main" not in fields.get("components", []):
            continue
        key = fields.get("signed-by", [""])[0]
        option = f"[signed-by={key}] " if key.startswith("/") else ""
        for uri in fields.get("uris", []):
            for suite in fields.get("suites", []):
                if suite in SUITES:
                    yield f"deb {option}{uri} {suite} main"


def one_line_sources(text: str) -> Iterator[str]:
    """Reads the older format: `deb [options] uri suite components`."""
    for line in text.splitlines():
        words = line.partition("#")[0].partition("]")
        tail = (words[2] or words[0].removeprefix("deb ")).split()
        if line.startswith("deb ") and len(tail) > 2 and tail[1] in SUITES and "main" in tail[2:]:
            options = words[0].removeprefix("deb ") + "] " if words[1] else ""
            yield f"deb {options}{tail[0]} {tail[1]} main"


def upstream_source(package: str, folder: pathlib.Path) -> pathlib.Path:
    """Unpacks the upstream release that a package is made of, without Debian's changes, into `folder`; returns where it is.

    apt checks it by signed package lists, which it keeps in `folder` too. Debian's changes would be of no use here: they skip
    tests that Debian's own build machines cannot run.
    """
    apt = ["apt-get", "-qq"]
    for option in (
        f"Dir::Etc::SourceList={folder}/sources.list",
        "Dir::Etc::SourceParts=/dev/null",
        f"Dir::State::Lists={folder}/lists",
        "APT::Sandbox::User=root",
        "Acquire::Retries=3",
    ):
        apt += ["-o", option]
    (folder / "lists/partial").mkdir(parents=True)
    (folder / "sources.list").write_text("".join(f"deb-src{line.removeprefix('deb')}\n" for line in sources()))
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "source", "--download-only", "--tar-only", package], cwd=folder, check=True)
    (archive,) = folder.glob("*.orig.tar.*")
    unpacked = folder / "upstream"
    with tarfile.open(archive) as tar:
        tar.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    return source
