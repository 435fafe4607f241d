// SPDX-License-Identifier: Apache-2.0
//! The files that libc reads, written into the overlay: the image's own stay as they are beneath it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::error::InitError;

const PRELOAD: &str = "/.nexus/libnexus_preload.so";
/// nexusd's name server. Programs that ask it themselves are to use TCP, which the driver has.
const RESOLV_CONF: &str = "nameserver 169.254.170.2\noptions use-vc\n";

/// Writes them below `root`; without `preload` our library is left out.
pub(crate) fn write(root: &Path, hostname: &str, preload: bool) -> Result<(), InitError> {
    let etc = root.join("etc");
    fs::create_dir_all(&etc).map_err(InitError::file("create", &etc))?;
    replace(&etc.join("resolv.conf"), RESOLV_CONF)?;
    if preload {
        let list = etc.join("ld.so.preload");
        replace(&list, &with_preload(&read(&list)?))?;
    }
    if !hostname.is_empty() {
        replace(&etc.join("hostname"), &format!("{hostname}\n"))?;
    }
    let hosts = etc.join("hosts");
    if read(&hosts)?.trim().is_empty() {
        replace(&hosts, &default_hosts(hostname))?;
    }
    Ok(())
}

/// The list with our library behind the image's own, and only once.
fn with_preload(list: &str) -> String {
    let named = |line: &str| {
        line.split([' ', '\t', ':'])
            .any(|library| library == PRELOAD)
    };
    if list.lines().any(named) {
        return list.to_owned();
    }
    let mut list = list.to_owned();
    if !list.is_empty() && !list.ends_with('\n') {
        list.push('\n');
    }
    list + PRELOAD + "\n"
}

fn default_hosts(hostname: &str) -> String {
    let localhost = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
    match hostname {
        "" => localhost.to_owned(),
        name => format!("{localhost}127.0.1.1\t{name}\n"),
    }
}

/// The content of a file, empty if there is none.
fn read(path: &Path) -> Result<String, InitError> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(InitError::file("read", path)(error)),
    }
}

/// Writes a file anew: it may be a symbolic link to where no file can be, as systems with resolvers have.
fn replace(path: &Path, content: &str) -> Result<(), InitError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(InitError::file("replace", path)(error));
        }
        _ => {}
    }
    fs::write(path, content).map_err(InitError::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preload_is_appended_once() {
        assert_eq!(with_preload(""), "/.nexus/libnexus_preload.so\n");
        let other = with_preload("/usr/lib/libother.so");
        assert_eq!(other, "/usr/lib/libother.so\n/.nexus/libnexus_preload.so\n");
        assert_eq!(with_preload(&other), other);
    }

    #[test]
    fn an_empty_root_gets_everything() {
        let root = tempfile::tempdir().expect("a folder");
        write(root.path(), "thumbnail", true).expect("written");
        let read = |name: &str| fs::read_to_string(root.path().join("etc").join(name)).expect(name);
        assert_eq!(read("resolv.conf"), RESOLV_CONF);
        assert_eq!(read("hostname"), "thumbnail\n");
        assert!(read("hosts").contains("127.0.1.1\tthumbnail\n"));
        assert_eq!(read("ld.so.preload"), "/.nexus/libnexus_preload.so\n");
    }

    #[test]
    fn the_image_keeps_its_hosts_and_loses_a_dangling_link() {
        let root = tempfile::tempdir().expect("a folder");
        let etc = root.path().join("etc");
        fs::create_dir(&etc).expect("a folder");
        fs::write(etc.join("hosts"), "10.0.0.1 mine\n").expect("written");
        let stub = "/run/systemd/resolve/stub-resolv.conf";
        std::os::unix::fs::symlink(stub, etc.join("resolv.conf")).expect("a link");
        write(root.path(), "", true).expect("written");
        let hosts = fs::read_to_string(etc.join("hosts")).expect("hosts");
        assert_eq!(hosts, "10.0.0.1 mine\n");
        let resolv = fs::symlink_metadata(etc.join("resolv.conf")).expect("resolv.conf");
        assert!(resolv.is_file());
        assert!(!etc.join("hostname").exists());
    }
}
