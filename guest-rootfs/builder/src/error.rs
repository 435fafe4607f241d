// SPDX-License-Identifier: Apache-2.0
//! What can go wrong while an image becomes a root, and what to do about it.

use std::io;
use std::path::PathBuf;

/// Why no root file system was made. Nothing is left at the output path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootfsError {
    /// The image path is neither a layout folder nor an archive that holds an image.
    #[error(
        "{path} holds no image: {reason}; give an OCI layout folder, an OCI archive or the output of `docker save`"
    )]
    NotAnImage {
        /// The path that was given.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// The image holds several images for this platform.
    #[error("{path} holds {count} images for linux/amd64; export only the one to run")]
    Ambiguous {
        /// The path that was given.
        path: PathBuf,
        /// How many there are.
        count: usize,
    },
    /// A document of the image (index, manifest, configuration) is malformed.
    #[error("the image's {what} is malformed: {reason}; export the image again")]
    Document {
        /// Which document.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A blob that the image names is not there.
    #[error("the image lacks its blob {name}; export it with all its layers")]
    MissingBlob {
        /// Its name within the image.
        name: String,
    },
    /// A blob's bytes are not the ones that its digest promises.
    #[error("blob {name} is corrupt: expected {expected}, found {found}; fetch the image again")]
    Digest {
        /// Its name within the image.
        name: String,
        /// The digest that the image states.
        expected: String,
        /// The digest of the bytes.
        found: String,
    },
    /// A layer cannot be decompressed, or is no tar archive.
    #[error("layer {name} cannot be read: {source}; fetch the image again")]
    Layer {
        /// Its name within the image.
        name: String,
        /// The reader's error.
        source: io::Error,
    },
    /// A layer holds an entry that must not or cannot become a file.
    #[error("layer {layer} has an entry that is refused: {entry:?}: {reason}")]
    Entry {
        /// Its layer's name within the image.
        layer: String,
        /// The entry's name, as far as it is text.
        entry: String,
        /// Why it is refused.
        reason: EntryError,
    },
    /// There is nothing to run.
    #[error("the image has neither an entry point nor a command; set ENTRYPOINT or CMD in it")]
    NothingToRun,
    /// The image's user cannot be turned into numbers.
    #[error("the image's user {user:?} cannot be resolved: {reason}")]
    User {
        /// The image's USER.
        user: String,
        /// What was missing.
        reason: String,
    },
    /// The image occupies a path that Nexus needs for itself.
    #[error("the image cannot be composed: {path} {reason}")]
    Occupied {
        /// The path inside the image.
        path: String,
        /// What is there.
        reason: &'static str,
    },
    /// A file of the image does not fit the file system format.
    #[error("the image does not fit an EROFS file system: {0}")]
    Format(String),
    /// The output's file system is too small.
    #[error("no space left for {path}: {needed} bytes are needed; free some space and build again")]
    NoSpace {
        /// The output path.
        path: PathBuf,
        /// Size of the whole root in bytes.
        needed: u64,
    },
    /// The operating system failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

impl RootfsError {
    /// Turns an I/O error into one that says what was tried, on what.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

/// Why an entry of a layer is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// An absolute name.
    #[error("its path is absolute")]
    Absolute,
    /// A name with `..` in it.
    #[error("its path contains `..`")]
    Traversal,
    /// A name with a zero byte, too long, or with a component that is too long.
    #[error("its path is not a valid Linux path")]
    InvalidPath,
    /// The path's parents lead out of the root by a symbolic link.
    #[error("its path leaves the root through a symbolic link")]
    LeavesRoot,
    /// More symbolic links than Linux follows.
    #[error("its path has too many symbolic links")]
    LinkLoop,
    /// Directories nested deeper than [`crate::tree::MAX_DEPTH`].
    #[error("its path is nested too deeply")]
    TooDeep,
    /// A parent is a file.
    #[error("a parent of it is not a directory")]
    NotADirectory,
    /// A hard link to nothing, or to a directory.
    #[error("its hard link target {0:?} is missing or a directory")]
    BadHardLink(String),
    /// A whiteout that names nothing.
    #[error("it is a whiteout without a name")]
    BadWhiteout,
    /// An empty or overlong symbolic link.
    #[error("its symbolic link target is empty or too long")]
    BadSymlink,
    /// The root entry must be a directory.
    #[error("it replaces the root directory")]
    ReplacesRoot,
    /// A tar entry type without a file type.
    #[error("its tar type {0:?} is unknown")]
    UnknownType(char),
    /// A number of its header cannot be read.
    #[error("its header is malformed: {0}")]
    Header(String),
    /// More entries than an image may have.
    #[error("the image has too many entries")]
    TooMany,
}
