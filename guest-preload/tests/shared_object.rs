// SPDX-License-Identifier: Apache-2.0
//! The library as it is shipped: what it exports and takes, and that it does no harm outside a guest.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Builds the library as a release, as only releases are without the standard library.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release-build");
        let status = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "--release",
                "--package",
                "nexus-preload",
                "--target-dir",
            ])
            .arg(&target)
            .current_dir(std::env::var("CARGO_MANIFEST_DIR").unwrap())
            .status()
            .unwrap();
        assert!(status.success());
        target.join("release/libnexus_preload.so")
    })
}

fn run(program: &str, arguments: &[&str], preload: &str) -> Output {
    Command::new(program)
        .args(arguments)
        .env("LD_PRELOAD", preload)
        .env("LD_BIND_NOW", "1")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn symbols_are_the_listed_ones() {
    let output = Command::new("nm")
        .arg("-D")
        .arg(library())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut found: Vec<String> = text(&output.stdout)
        .lines()
        .map(|line| line.split_whitespace().rev().take(2).collect::<Vec<_>>())
        .map(|words| format!("{} {}", words[1], words[0]))
        .collect();
    found.sort();
    let mut listed: Vec<&str> = include_str!("../symbols.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    listed.sort_unstable();
    assert_eq!(found, listed);
}

#[test]
fn no_version_of_glibc_is_needed() {
    let output = Command::new("readelf")
        .arg("-dV")
        .arg(library())
        .output()
        .unwrap();
    let dump = text(&output.stdout);
    assert!(dump.contains("Dynamic section"), "{dump}");
    for unwanted in ["NEEDED", "GLIBC_", "TEXTREL"] {
        assert!(!dump.contains(unwanted), "{unwanted}:\n{dump}");
    }
}

#[test]
fn programs_run_as_without_it() {
    let library = library().to_str().unwrap();
    for (program, arguments) in [
        ("ls", vec!["-d", "/"]),
        ("sh", vec!["-c", "echo $((1+1))"]),
        ("getent", vec!["ahosts", "127.0.0.1"]),
        ("getent", vec!["hosts", "localhost"]),
        ("getent", vec!["ahosts", "name.invalid"]),
    ] {
        let with = run(program, &arguments, library);
        let without = run(program, &arguments, "");
        assert_eq!(text(&with.stderr), text(&without.stderr), "{program}");
        assert_eq!(text(&with.stdout), text(&without.stdout), "{program}");
        assert_eq!(with.status, without.status, "{program}");
    }
}

#[test]
fn python_resolves_as_without_it() {
    let library = library().to_str().unwrap();
    let script = "import socket as s\n\
        print(s.getaddrinfo('localhost', 80), s.getaddrinfo('127.1', 'http'), s.getaddrinfo('::1', 1))\n\
        print(s.getaddrinfo(None, 80, flags=s.AI_PASSIVE), s.gethostbyname_ex('localhost'), s.gethostbyname('1.2.3.4'))";
    let with = run("python3", &["-c", script], library);
    let without = run("python3", &["-c", script], "");
    assert!(with.status.success(), "{}", text(&with.stderr));
    assert_eq!(text(&with.stdout), text(&without.stdout));
}
