//! What all strategies have in common.

use std::os::unix::fs::symlink;

use entropo_tools::{Strategy, Workspace, apply_patch};
use proptest::prelude::{ProptestConfig, prop, proptest};

use super::{Path, PermissionsExt, Template, each, fs, project, tree, write};

const FILES: [(&str, &[u8]); 9] = [
    ("lib/a.rs", b"1\n2\n3\n"),
    ("lib/deep/b.rs", b"b\n"),
    ("lib/deep/c.bin", b"\0\x01"),
    ("moved/x", b"some content\n"),
    ("moved/sub/y", b"other content\n"),
    ("run.sh*", b"#!/bin/sh\n"),
    ("gone", b"gone\n"),
    ("empty", b""),
    ("kept", b"kept\n"),
];

/// Every kind of change at once.
fn work(root: &Path) {
    write(root, "lib/a.rs", b"1\ntwo\n3\n");
    write(root, "new/file", b"new\n");
    write(root, "gone/now/a/directory", b"d\n");
    fs::remove_dir_all(root.join("lib/deep")).unwrap();
    write(root, "lib/deep/c.bin", b"\0\x02");
    fs::rename(root.join("moved"), root.join("lib/elsewhere")).unwrap();
    fs::set_permissions(root.join("run.sh"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::remove_file(root.join("empty")).unwrap();
    symlink("kept", root.join("empty")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    fs::create_dir(root.join("nothing")).unwrap();
    for (junk, content) in [("target/debug/x", "x"), ("lib/__pycache__/a.pyc", "x"), (".git/config", "x")] {
        write(root, junk, content.as_bytes());
    }
}

#[tokio::test]
async fn every_strategy_gives_the_same_patch_and_leaves_the_template_alone() {
    let source = project(&FILES);
    let place = tempfile::tempdir().unwrap();
    let before = tree(source.path());
    let mut patches = Vec::new();
    for template in each(source.path(), place.path()).await {
        let (first, second) =
            (Workspace::of(template.clone()).await.unwrap(), Workspace::of(template.clone()).await.unwrap());
        assert_eq!(tree(first.root()), before, "{}", template.strategy());
        fs::remove_file(first.root().join("gone")).unwrap();
        work(first.root());
        let patch = first.patch().await.unwrap();
        assert_eq!(second.patch().await.unwrap(), "", "{}", template.strategy());
        assert_eq!(tree(template.files()), before, "{}", template.strategy());
        second.apply(&patch).await.unwrap_or_else(|error| panic!("{}: {error}\n{patch}", template.strategy()));
        let mut expected = tree(first.root());
        expected.retain(|path, _| !["target", "lib/__pycache__", ".git"].iter().any(|junk| path.starts_with(junk)));
        assert_eq!(tree(second.root()), expected, "{}\n{patch}", template.strategy());
        patches.push(patch);
    }
    patches.dedup();
    assert_eq!(patches.len(), 1, "{}", patches.join("\n=====\n"));
    for line in
        ["rename from moved/sub/y\nrename to lib/elsewhere/sub/y\n", "deleted file mode", "new mode 100644", "120000"]
    {
        assert!(patches[0].contains(line), "{line}\n{}", patches[0]);
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_patch_fits_a_plain_directory_whatever_attributes_it_has() {
    let source = project(&[(".gitattributes", b"* text eol=crlf ident\n"), ("x", b"$Id$\n1\n"), ("y", b"1\r\n2\n")]);
    let place = tempfile::tempdir().unwrap();
    let template = Template::of(source.path()).place(place.path()).make().await.unwrap();
    let edited = Workspace::of(template).await.unwrap();
    write(edited.root(), "x", b"$Id$\n2\n");
    write(edited.root(), "y", b"1\r\n3\n");
    let patch = edited.patch().await.unwrap();
    // What an agent leaves as settings is not obeyed.
    write(source.path(), ".git/config", b"[core]\n\tautocrlf = true\n[apply]\n\twhitespace = fix\n");
    apply_patch(source.path(), &patch).await.unwrap();
    fs::remove_dir_all(source.path().join(".git")).unwrap();
    assert_eq!(tree(source.path()), tree(edited.root()));
}

#[tokio::test]
async fn a_conflict_says_which_file_which_hunk_and_why() {
    let source = project(&[("a", b"1\n2\n"), ("b", b"x\n")]);
    let template = Template::of(source.path()).make().await.unwrap();
    let edited = Workspace::of(template).await.unwrap();
    let patch = "--- a/b\n+++ b/b\n@@ -1 +1 @@\n-x\n+y\n--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n 1\n-3\n+4\n";
    let error = edited.apply(patch).await.unwrap_err().to_string();
    let reason = "a: hunk 1 (@@ -1,2 +1,2 @@): line 2 is \"2\", where the patch has \"3\".";
    assert!(error.contains(reason), "{error}");
    assert_eq!(edited.patch().await.unwrap(), "");
}

#[tokio::test]
async fn the_choice_is_told() {
    let source = project(&[("x", b"1\n")]);
    let template = Template::of(source.path()).make().await.unwrap();
    let declined = template.notes().iter().filter(|note| note.to_string().starts_with("no ")).count();
    let better = Strategy::ALL.iter().filter(|strategy| **strategy < template.strategy()).count();
    assert_eq!(declined, better, "{:?}", template.notes());
}

fn names() -> prop::sample::Select<&'static str> {
    prop::sample::select(vec!["a", "b", "d/a", "d/b", "d/e/a", "e"])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_changes_comes_out_as_a_patch_that_repeats_it(
        steps in prop::collection::vec((0..6_u8, names(), names(), 0..3_u8), 0..12)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let source = project(&[("a", b"1\n"), ("d/a", b"2\n"), ("d/e/a", b"3\n"), ("e", b"\0")]);
            let place = tempfile::tempdir().unwrap();
            for template in each(source.path(), place.path()).await {
                let edited = Workspace::of(template.clone()).await.unwrap();
                let at = |name: &str| edited.root().join(name);
                for (step, name, other, content) in &steps {
                    let parent = at(name).parent().unwrap().to_path_buf();
                    // Any of these may fail, as in the hands of an agent.
                    let _ = match step {
                        0 => fs::create_dir_all(&parent).and_then(|()| fs::write(at(name), [b'0' + content, b'\n'])),
                        1 => fs::remove_file(at(name)),
                        2 => fs::rename(at(name), at(other)),
                        3 => fs::remove_dir_all(parent.join("e")),
                        4 => fs::rename(at("d"), at("f")).and_then(|()| fs::create_dir(at("d"))),
                        _ => fs::remove_file(at(name)).and_then(|()| symlink(other, at(name))),
                    };
                }
                let patch = edited.patch().await.unwrap();
                let fresh = Workspace::of(template.clone()).await.unwrap();
                fresh.apply(&patch).await.unwrap_or_else(|error| panic!("{error}\n{patch}"));
                assert_eq!(tree(fresh.root()), tree(edited.root()), "{} {patch}", template.strategy());
            }
        });
    }
}
