// SPDX-License-Identifier: Apache-2.0
//! The admin API's Unix socket: made for its owner only, one daemon a path, removed at the end.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// Length of a new socket's first name, in bytes: a dot and a process id, which has at most 7 digits
/// (`PID_MAX_LIMIT`, include/linux/threads.h).
pub const TEMPORARY_NAME: usize = 8;

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon answers there.
    #[error("another nexusd listens on {path}; stop it, or set listen.admin to another path", path = path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else has the name.
    #[error("{path} exists and is not a socket; remove it, or set listen.admin to another path", path = path.display())]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("cannot {what} {path}; check its permissions, or set listen.admin to another path", path = path.display())]
    Io {
        /// The operation.
        what: &'static str,
        /// The socket or its folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A socket that is removed when this is dropped.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the admin socket");
        }
    }
}

/// Where a socket is made before it is moved to `path`: in the same folder, under a name of [`TEMPORARY_NAME`] bytes.
fn temporary(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{:07}", std::process::id()))
}

/// Listens at `path`. The socket of a daemon that was killed is replaced; one that answers is not.
pub fn bind(path: &Path) -> Result<(UnixListener, SocketFile), SocketError> {
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source| SocketError::Io { what, path, source }
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed("create", folder))?;
    }
    remove_stale(path)?;
    // Bound under another name, so that nobody connects before the mode is right.
    let fresh = temporary(path);
    let listener = UnixListener::bind(&fresh).map_err(failed("listen on", path))?;
    let placed = fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))
        .and_then(|()| fs::rename(&fresh, path));
    if let Err(error) = placed {
        drop(SocketFile { path: fresh });
        return Err(failed("listen on", path)(error));
    }
    Ok((
        listener,
        SocketFile {
            path: path.to_owned(),
        },
    ))
}

fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => {
            return Err(SocketError::Io {
                what: "look at",
                path: path.to_owned(),
                source,
            });
        }
    };
    if !metadata.file_type().is_socket() {
        return Err(SocketError::NotASocket {
            path: path.to_owned(),
        });
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(SocketError::InUse {
            path: path.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::info!(path = %path.display(), "replacing the socket of a daemon that is gone");
            // Renaming over it removes it.
            Ok(())
        }
        Err(source) => Err(SocketError::Io {
            what: "connect to",
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::{SocketError, TEMPORARY_NAME, bind};
    use crate::config::validated::SOCKET_PATH_MAX;

    #[tokio::test]
    async fn one_daemon_a_socket_and_only_for_its_owner() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run/admin.sock");
        let (_listener, file) = bind(&path).expect("bound");
        assert_eq!(
            fs::metadata(&path).expect("there").permissions().mode() & 0o777,
            0o600
        );
        assert!(matches!(bind(&path), Err(SocketError::InUse { .. })));
        drop(file);
        assert!(
            fs::read_dir(folder.path().join("run"))
                .expect("a folder")
                .next()
                .is_none(),
            "nothing is left"
        );
    }

    #[tokio::test]
    async fn the_longest_path_that_the_configuration_allows() {
        let folder = tempfile::tempdir().expect("a folder");
        let room = SOCKET_PATH_MAX - folder.path().as_os_str().len() - 2;
        let parent = folder.path().join("x".repeat(room - TEMPORARY_NAME));
        for name in ["s", "12345678"] {
            bind(&parent.join(name)).expect("bound");
        }
    }

    #[tokio::test]
    async fn a_dead_daemons_socket_is_replaced_and_a_file_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("admin.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
        assert!(path.exists(), "closing does not remove it");
        bind(&path).expect("replaced");
        fs::write(&path, "precious").expect("written");
        assert!(matches!(bind(&path), Err(SocketError::NotASocket { .. })));
        assert_eq!(fs::read_to_string(&path).expect("there"), "precious");
    }
}
