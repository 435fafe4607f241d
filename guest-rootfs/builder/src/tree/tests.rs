// SPDX-License-Identifier: Apache-2.0
//! Layers applied to trees.

use proptest::prelude::*;
use tar::{Builder, EntryType, Header};

use super::{EntryPath, Kind, NodeId, Tree, apply_layer};
use crate::error::{EntryError, RootfsError};
use crate::image::{Digest, Layer};

/// An entry: type, name, link target.
type Item<'a> = (EntryType, &'a str, &'a str);

const FILE: EntryType = EntryType::Regular;
const DIR: EntryType = EntryType::Directory;
const SYM: EntryType = EntryType::Symlink;
const HARD: EntryType = EntryType::Link;

/// Names are written into the header as they are: the tar crate would refuse to write what must be refused here.
fn tar(items: &[Item<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (entry_type, name, target) in items {
        let mut header = Header::new_gnu();
        header.set_entry_type(*entry_type);
        header.set_mode(0o755);
        header.set_size(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        let fields = header.as_old_mut();
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        builder.append(&header, std::io::empty()).expect("an entry");
    }
    builder.into_inner().expect("an archive")
}

fn apply(tree: &mut Tree, bytes: &[u8], number: u32) -> Result<(), RootfsError> {
    let layer = Layer {
        name: "layer".to_owned(),
        digest: None,
        diff_id: Digest::of(bytes),
    };
    apply_layer(tree, &mut &*bytes, &layer, number)
}

/// The paths of a tree of several layers; directories end with a slash.
fn paths(layers: &[&[Item<'_>]]) -> Vec<String> {
    let mut tree = Tree::new();
    for (number, items) in (0..).zip(layers) {
        apply(&mut tree, &tar(items), number).expect("a layer");
    }
    let mut paths = Vec::new();
    collect(&tree, Tree::ROOT, "", &mut paths);
    paths
}

fn collect(tree: &Tree, directory: NodeId, prefix: &str, paths: &mut Vec<String>) {
    for (name, node) in tree.names(directory) {
        let path = format!("{prefix}{}", String::from_utf8_lossy(name));
        if tree.is_directory(node) {
            paths.push(format!("{path}/"));
            collect(tree, node, &format!("{path}/"), paths);
        } else {
            paths.push(path);
        }
    }
}

fn refusal(items: &[Item<'_>]) -> EntryError {
    match apply(&mut Tree::new(), &tar(items), 0) {
        Err(RootfsError::Entry { reason, .. }) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn names_are_normalised_and_parents_made() {
    assert_eq!(
        paths(&[&[(DIR, "./", ""), (FILE, "./a//b/./c", "")]]),
        ["a/", "a/b/", "a/b/c"]
    );
}

#[test]
fn whiteouts_hide_lower_layers() {
    let lower: &[Item<'_>] = &[(FILE, "a/x", ""), (FILE, "a/y", ""), (FILE, "b/z", "")];
    let upper: &[Item<'_>] = &[
        (FILE, "a/.wh.x", ""),
        (FILE, ".wh.b", ""),
        (FILE, "a/.wh.none", ""),
    ];
    assert_eq!(paths(&[lower, upper]), ["a/", "a/y"]);
}

#[test]
fn whiteouts_spare_their_own_layer_in_any_order() {
    let lower: &[Item<'_>] = &[(FILE, "a/old", ""), (FILE, "a/sub/old", "")];
    let upper: &[Item<'_>] = &[
        (FILE, "a/new", ""),
        (FILE, "a/sub/new", ""),
        (FILE, "a/.wh..wh..opq", ""),
        (FILE, "a/later", ""),
    ];
    assert_eq!(
        paths(&[lower, upper]),
        ["a/", "a/later", "a/new", "a/sub/", "a/sub/new"]
    );
    let replaced: &[Item<'_>] = &[(DIR, "a", ""), (FILE, "a/new", ""), (FILE, ".wh.a", "")];
    assert_eq!(paths(&[lower, replaced]), ["a/", "a/new"]);
}

#[test]
fn other_marks_of_aufs_are_no_files() {
    assert_eq!(
        paths(&[&[(DIR, ".wh..wh.plnk", ""), (FILE, "a", "")]]),
        ["a"]
    );
}

#[test]
fn types_replace_each_other_and_directories_merge() {
    let lower: &[Item<'_>] = &[(FILE, "d/x", ""), (FILE, "f", ""), (SYM, "l", "d")];
    let upper: &[Item<'_>] = &[(FILE, "d", ""), (FILE, "f/x", ""), (DIR, "l", "")];
    // `f/x` needs `f` to be a directory, and it is a file of the lower layer.
    assert!(matches!(
        apply_both(lower, &upper[1..2]),
        Err(RootfsError::Entry {
            reason: EntryError::NotADirectory,
            ..
        })
    ));
    assert_eq!(paths(&[lower, &[upper[0], upper[2]]]), ["d", "f", "l/"]);
    assert_eq!(
        paths(&[lower, &[(DIR, "d", ""), (FILE, "d/y", "")]]),
        ["d/", "d/x", "d/y", "f", "l"]
    );
}

fn apply_both(lower: &[Item<'_>], upper: &[Item<'_>]) -> Result<(), RootfsError> {
    let mut tree = Tree::new();
    apply(&mut tree, &tar(lower), 0)?;
    apply(&mut tree, &tar(upper), 1)
}

#[test]
fn parents_are_resolved_inside_the_root() {
    let lower: &[Item<'_>] = &[
        (DIR, "usr/lib", ""),
        (SYM, "lib", "usr/lib"),
        (SYM, "abs", "/usr"),
    ];
    let upper: &[Item<'_>] = &[
        (FILE, "lib/a", ""),
        (FILE, "abs/b", ""),
        (FILE, "abs/lib/../c", ""),
    ];
    assert_eq!(
        paths(&[lower, &upper[..2]]),
        ["abs", "lib", "usr/", "usr/b", "usr/lib/", "usr/lib/a"]
    );
    assert!(matches!(
        apply_both(lower, &upper[2..]),
        Err(RootfsError::Entry {
            reason: EntryError::Traversal,
            ..
        })
    ));
}

#[test]
fn escapes_are_refused() {
    assert_eq!(refusal(&[(FILE, "../x", "")]), EntryError::Traversal);
    assert_eq!(refusal(&[(FILE, "a/../../x", "")]), EntryError::Traversal);
    assert_eq!(refusal(&[(FILE, "/etc/passwd", "")]), EntryError::Absolute);
    assert_eq!(
        refusal(&[(SYM, "l", "../.."), (FILE, "l/x", "")]),
        EntryError::LeavesRoot
    );
    assert_eq!(
        refusal(&[(SYM, "l", "/../x"), (FILE, "l/x", "")]),
        EntryError::LeavesRoot
    );
    assert_eq!(
        refusal(&[(SYM, "a", "b"), (SYM, "b", "a"), (FILE, "a/x", "")]),
        EntryError::LinkLoop
    );
    assert_eq!(refusal(&[(HARD, "h", "/etc/passwd")]), EntryError::Absolute);
    assert_eq!(refusal(&[(HARD, "h", "../x")]), EntryError::Traversal);
}

#[test]
fn an_absolute_link_alone_is_no_escape() {
    assert_eq!(
        paths(&[&[(SYM, "l", "/etc/passwd"), (SYM, "m", "../../x")]]),
        ["l", "m"]
    );
}

#[test]
fn malformed_entries_are_refused() {
    assert_eq!(refusal(&[(FILE, ".wh.", "")]), EntryError::BadWhiteout);
    assert_eq!(refusal(&[(FILE, ".wh...", "")]), EntryError::BadWhiteout);
    assert_eq!(refusal(&[(SYM, "l", "")]), EntryError::BadSymlink);
    assert_eq!(refusal(&[(FILE, "./", "")]), EntryError::ReplacesRoot);
    assert_eq!(
        refusal(&[(EntryType::new(b'Z'), "z", "")]),
        EntryError::UnknownType('Z')
    );
    assert_eq!(
        refusal(&[(HARD, "h", "none")]),
        EntryError::BadHardLink("none".to_owned())
    );
    assert_eq!(
        refusal(&[(DIR, "d", ""), (HARD, "h", "d")]),
        EntryError::BadHardLink("d".to_owned())
    );
}

#[test]
fn hard_links_are_names_of_one_node() {
    let mut tree = Tree::new();
    apply(
        &mut tree,
        &tar(&[(FILE, "a", ""), (HARD, "b", "a"), (HARD, "c", "./b")]),
        0,
    )
    .expect("a layer");
    let node = tree.child(Tree::ROOT, b"a").expect("a");
    assert_eq!(tree.child(Tree::ROOT, b"b"), Some(node));
    assert_eq!(tree.child(Tree::ROOT, b"c"), Some(node));
    assert!(matches!(tree.node(node).kind, Kind::File { .. }));
}

#[test]
fn deep_directories_are_refused_before_they_exhaust_the_stack() {
    // Each link leads thirty directories deeper than the one before it; a path follows at most forty links.
    let deep = "d/".repeat(30);
    let mut items = vec![(DIR, deep.clone(), String::new())];
    for number in 0..35 {
        let below = if number == 0 {
            deep.clone()
        } else {
            format!("l{}/{deep}", number - 1)
        };
        items.push((SYM, format!("l{number}"), below));
        items.push((DIR, format!("l{number}/{deep}"), String::new()));
    }
    let items: Vec<Item<'_>> = items
        .iter()
        .map(|(kind, name, target)| (*kind, name.as_str(), target.as_str()))
        .collect();
    assert_eq!(refusal(&items), EntryError::TooDeep);
}

proptest! {
    #[test]
    fn paths_never_panic_and_never_climb(name in any::<Vec<u8>>()) {
        if let Ok(path) = EntryPath::parse(&name) {
            prop_assert!(path.parents().chain(path.name()).all(|part| part != b".." && !part.contains(&b'/')));
        }
    }

    #[test]
    fn damaged_archives_never_panic(at in 0_usize..3000, bytes in proptest::collection::vec(any::<u8>(), 1..40)) {
        let mut archive = tar(&[(DIR, "d", ""), (FILE, "d/f", ""), (SYM, "l", "d"), (HARD, "l/h", "d/f")]);
        let at = at % archive.len();
        let end = archive.len().min(at + bytes.len());
        archive[at..end].copy_from_slice(&bytes[..end - at]);
        // With a good checksum the damage reaches further.
        for start in (0..archive.len()).step_by(512) {
            let mut header = Header::new_old();
            header.as_mut_bytes().copy_from_slice(&archive[start..start + 512]);
            if header.as_bytes().iter().any(|byte| *byte != 0) {
                header.set_cksum();
                archive[start..start + 512].copy_from_slice(header.as_bytes());
            }
        }
        drop(apply(&mut Tree::new(), &archive, 0));
    }

    #[test]
    fn random_trees_stay_trees(items in proptest::collection::vec(("[ab./]{1,12}|\\.wh\\.[ab]", "[ab./]{0,8}", 0_usize..4), 0..40)) {
        let types = [FILE, DIR, SYM, HARD];
        let mut tree = Tree::new();
        for (number, (name, target, kind)) in (0..).zip(&items) {
            drop(apply(&mut tree, &tar(&[(types[*kind], name, target)]), number));
        }
        let mut paths = Vec::new();
        collect(&tree, Tree::ROOT, "", &mut paths);
        prop_assert!(paths.len() <= 40 * 12);
    }
}
