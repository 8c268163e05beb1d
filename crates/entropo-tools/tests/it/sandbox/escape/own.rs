//! What the embedding program itself works with: its file, other copies of a task and what they are made of, and what it
//! keeps beside the directories of the sandbox.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use entropo_tools::sandbox::OutputLimit;
use entropo_tools::{Command, Template, Workspace};
use tempfile::TempDir;

use super::*;

for_each_kind! {
    other_copies_and_their_template_are_not_changed,
    what_is_kept_beside_the_private_directories_is_not_changed,
    the_program_is_not_replaced,
    a_link_in_place_of_a_long_output_is_left_alone,
}

/// The content of all files below a directory.
fn tree(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                pending.push(entry.path());
            } else {
                found.insert(entry.path(), fs::read(entry.path()).ok());
            }
        }
    }
    found
}

/// Changes every file below a directory and makes another in each.
fn spoil(at: &Path) -> String {
    let at = at.display();
    format!(
        "find {at} -type d | while read -r d; do chmod u+w $d; echo x > $d/new; done; \
         find {at} -type f | while read -r f; do chmod u+w $f; echo x >> $f; done; \
         find {at} -type f | while read -r f; do rm -f $f; done"
    )
}

/// A template in a place of its own, and a copy of it.
async fn sibling() -> (TempDir, TempDir, Workspace) {
    let (source, place) = (outside(), outside());
    fs::write(source.path().join("file"), "of the task").unwrap();
    let template = Template::of(source.path()).place(place.path()).make().await.unwrap();
    (source, place, Workspace::of(template).await.unwrap())
}

async fn other_copies_and_their_template_are_not_changed(kind: SandboxKind) {
    let Some(place) = promising(kind, Promise::Files, SandboxOptions::new()).await else { return };
    let free = open_country().await;
    for in_template in [true, false] {
        let (_source, templates, workspace) = sibling().await;
        let at = if in_template { templates.path() } else { workspace.root() };
        let before = tree(at);
        // Of a template there are also the files that say whose it is.
        assert!(before.len() > usize::from(in_template), "{before:?}");
        let result = place.run(&spoil(at)).await;
        assert_eq!(tree(at), before, "{}: {:?} {}", at.display(), result.status, result.output.head);
        free.run(&spoil(at)).await;
        assert_ne!(tree(at), before, "it works where nothing stops it");
    }
}

async fn what_is_kept_beside_the_private_directories_is_not_changed(kind: SandboxKind) {
    let Some(place) = promising(kind, Promise::Files, SandboxOptions::new()).await else { return };
    let spills = place.sandbox.spills().unwrap();
    let scratch = spills.path().parent().unwrap();
    let kept = || -> Vec<_> {
        let all = super::files::listing(scratch);
        all.into_iter().filter(|(_, path)| !["home", "tmp"].iter().any(|own| path.ends_with(own))).collect()
    };
    let before = kept();
    assert_eq!(before.len(), if kind == SandboxKind::Bubblewrap { 2 } else { 0 }, "the filters of system calls");
    let at = scratch.display();
    let script =
        format!("echo x > {at}/new; for f in {at}/filter-*; do echo x > $f; rm -f $f; done; mv {at}/tmp {at}/t");
    place.run(&script).await;
    assert_eq!(kept(), before);
    assert!(spills.path().is_dir());
    // The filters are at work for commands that come later.
    assert!(place.run("echo still here").await.status.is_success());
    open_country().await.run(&script).await;
    assert_ne!(kept(), before, "it works where nothing stops it");
}

async fn the_program_is_not_replaced(kind: SandboxKind) {
    let Some(place) = promising(kind, Promise::Files, SandboxOptions::new()).await else { return };
    let program = std::env::current_exe().unwrap();
    let moved = program.with_extension(format!("moved-{kind}"));
    // Not tried where nothing stops it: other tests start this program meanwhile.
    let (from, to) = (program.display(), moved.display());
    for script in [
        format!("mv {from} {to}"),
        format!("ln {from} {to}"),
        format!("cp /bin/sh {to}; mv -f {to} {from}"),
        format!("echo x >> {from}"),
    ] {
        let before = fs::metadata(&program).unwrap().len();
        place.run(&script).await;
        let was_moved = moved.exists() && !program.exists();
        if was_moved {
            fs::rename(&moved, &program).unwrap();
        }
        assert!(!was_moved && !moved.exists(), "{script}");
        assert_eq!(fs::metadata(&program).unwrap().len(), before, "{script}");
    }
}

async fn a_link_in_place_of_a_long_output_is_left_alone(kind: SandboxKind) {
    let directory = outside();
    let target = directory.path().join("there");
    fs::write(&target, "untouched").unwrap();
    // As one that the embedding process, and not the command, writes through.
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    let link =
        format!("ln -s {} \"$TMPDIR/output-1.txt\"; ln -s /nowhere/new \"$TMPDIR/output-2.txt\"", target.display());
    assert!(place.run(&link).await.status.is_success());
    let long = || Command::script("seq 1000").output(OutputLimit { head: 10, tail: 10, spill: 1 << 20 });
    for _ in 0..2 {
        let output = place.exec(long()).await.output;
        assert!(output.is_truncated() && output.full_output.is_none(), "there is no file of it: {output:?}");
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "untouched");
    let spill = place.exec(long()).await.output.full_output.expect("the next name is free");
    assert!(spill.complete && spill.path.ends_with("output-3.txt"), "{spill:?}");
}
