//! Workspaces: copies, patches against the real git, and that nothing is left.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use entropo_tools::{Snapshot, Workspace, WorkspaceError};
use proptest::prelude::*;

type Files = BTreeMap<String, (Vec<u8>, bool)>;

async fn workspace(files: &Files) -> Workspace {
    let files = files.iter().map(|(path, (content, executable))| (path, content.clone(), *executable));
    Workspace::from_files(files).await.unwrap()
}

/// Makes a directory hold exactly these files.
fn rewrite(root: &Path, files: &Files) {
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }
    for (path, (content, executable)) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(if *executable { 0o755 } else { 0o644 })).unwrap();
    }
}

/// The patch that makes `old` into `new`, after it did so in a fresh copy.
async fn round_trip(old: &Files, new: &Files) -> String {
    let edited = workspace(old).await;
    rewrite(edited.root(), new);
    let patch = edited.patch().await.unwrap();
    let fresh = workspace(old).await;
    fresh.apply(&patch).await.unwrap_or_else(|error| panic!("{error}\n{patch}"));
    assert_eq!(Snapshot::read(fresh.root()).unwrap(), Snapshot::read(edited.root()).unwrap(), "{patch}");
    patch
}

fn files(list: &[(&str, &[u8], bool)]) -> Files {
    list.iter().map(|(path, content, executable)| ((*path).to_owned(), (content.to_vec(), *executable))).collect()
}

#[tokio::test]
async fn a_patch_reads_as_gits() {
    let old = files(&[("gone", b"x\n", false), ("mode", b"m\n", false), ("text", b"1\n2\n3\n4\n5\n6\n7\n8\n9", false)]);
    let new =
        files(&[("mode", b"m\n", true), ("new", b"n", false), ("text", b"1\n2\n3\n4\nfive\n6\n7\n8\n9\n", false)]);
    let expected = "\
diff --git a/gone b/gone
deleted file mode 100644
--- a/gone
+++ /dev/null
@@ -1 +0,0 @@
-x
diff --git a/mode b/mode
old mode 100644
new mode 100755
diff --git a/text b/text
--- a/text
+++ b/text
@@ -2,8 +2,8 @@
 2
 3
 4
-5
+five
 6
 7
 8
-9
\\ No newline at end of file
+9
diff --git a/new b/new
new file mode 100644
--- /dev/null
+++ b/new
@@ -0,0 +1 @@
+n
\\ No newline at end of file
";
    assert_eq!(round_trip(&old, &new).await, expected);
    assert_eq!(round_trip(&old, &old).await, "");
}

#[tokio::test]
async fn binary_files_odd_names_and_lone_carriage_returns() {
    let old = files(&[
        ("bin", b"\0\x01\x02", false),
        ("latin", b"caf\xe9\n", false),
        ("gone", b"\0", true),
        ("a b", b"1\n", false),
        ("lone", b"a\rb\r", false),
        ("crlf", b"a\r\nb\r\n", false),
    ]);
    let new = files(&[
        ("bin", b"\0\x01\x03 more", true),
        ("latin", b"caf\xe8\n", false),
        ("new bin", b"\0new", false),
        ("a b", b"2\n", false),
        ("lone", b"a\rc\r\n", false),
        ("crlf", b"a\r\nB\r\n", false),
        ("d/\"q\"\\\t", b"quoted\n", false),
        ("\u{e9}", b"named\n", false),
        ("empty", b"", true),
    ]);
    round_trip(&old, &new).await;
    round_trip(&new, &old).await;
}

#[tokio::test]
async fn links_are_files_of_their_own() {
    let edited = workspace(&files(&[("x", b"text\n", false), ("y", b"other\n", false)])).await;
    symlink("x", edited.root().join("new")).unwrap();
    fs::remove_file(edited.root().join("y")).unwrap();
    symlink("/nowhere", edited.root().join("y")).unwrap();
    let patch = edited.patch().await.unwrap();
    let fresh = workspace(&files(&[("x", b"text\n", false), ("y", b"other\n", false)])).await;
    fresh.apply(&patch).await.unwrap();
    assert_eq!(Snapshot::read(fresh.root()).unwrap(), Snapshot::read(edited.root()).unwrap());
}

#[tokio::test]
async fn a_directory_swapped_for_a_link_is_not_read_through() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("x"), "secret\n").unwrap();
    let edited = workspace(&files(&[("lib/x", b"text\n", false)])).await;
    fs::remove_dir_all(edited.root().join("lib")).unwrap();
    symlink(outside.path(), edited.root().join("lib")).unwrap();
    let patch = edited.patch().await.unwrap();
    assert!(patch.contains("deleted file mode") && !patch.contains("secret"), "{patch}");
}

#[tokio::test]
async fn ignored_files_count_only_if_they_were_there() {
    let original = files(&[(".gitignore", b"*.log\n", false), ("kept.log", b"1\n", false)]);
    let edited = workspace(&original).await;
    fs::write(edited.root().join("kept.log"), "2\n").unwrap();
    fs::write(edited.root().join("new.log"), "3\n").unwrap();
    fs::create_dir(edited.root().join(".git")).unwrap();
    fs::write(edited.root().join(".git/config"), "").unwrap();
    let patch = edited.patch().await.unwrap();
    assert!(patch.contains("kept.log") && !patch.contains("new.log") && !patch.contains(".git/"), "{patch}");
}

#[tokio::test]
async fn a_copy_leaves_the_original_and_its_history_alone() {
    let original = tempfile::tempdir().unwrap();
    rewrite(original.path(), &files(&[("lib/x", b"text\n", true), (".git/HEAD", b"ref", false), (".env", b"", false)]));
    let copy = Workspace::copy_of(original.path()).await.unwrap();
    assert!(!copy.root().join(".git").exists());
    assert_eq!(Snapshot::read(copy.root()).unwrap(), Snapshot::read(original.path()).unwrap());
    assert_eq!(copy.patch().await.unwrap(), "");
    fs::write(copy.root().join("lib/x"), "changed\n").unwrap();
    assert_eq!(fs::read_to_string(original.path().join("lib/x")).unwrap(), "text\n");
    let sibling = Workspace::of(copy.original().clone()).await.unwrap();
    assert_eq!(fs::read_to_string(sibling.root().join("lib/x")).unwrap(), "text\n");
}

#[tokio::test]
async fn a_patch_that_does_not_fit_changes_nothing() {
    let old = files(&[("a", b"1\n", false), ("b", b"1\n", false)]);
    let copy = workspace(&old).await;
    let patch = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-1\n+2\ndiff --git a/b b/b\n--- a/b\n+++ b/b\n@@ -1 \
                 +1 @@\n-9\n+2\n";
    let error = copy.apply(patch).await.unwrap_err();
    assert!(matches!(&error, WorkspaceError::Rejected(why) if why.contains("b: patch does not apply")), "{error}");
    assert_eq!(copy.patch().await.unwrap(), "");
    for patch in
        ["no patch", "diff --git a/../x b/../x\nnew file mode 100644\n--- /dev/null\n+++ b/../x\n@@ -0,0 +1 @@\n+x\n"]
    {
        assert!(matches!(copy.apply(patch).await, Err(WorkspaceError::Rejected(_))), "{patch}");
    }
    copy.apply("").await.unwrap();
}

/// All names below a directory, with what is in the files and links.
fn listing(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let kind = path.symlink_metadata().unwrap();
        if kind.is_dir() {
            found.extend(listing(&path));
        }
        let content = match (kind.is_symlink(), kind.is_file()) {
            (true, _) => fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
            (_, true) => fs::read(&path).unwrap(),
            _ => Vec::new(),
        };
        found.insert(path, content);
    }
    found
}

#[tokio::test]
async fn no_patch_leaves_the_workspace() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "SECRET\n").unwrap();
    let there = outside.path().to_str().unwrap();
    let copy = workspace(&files(&[("d/x", b"1\n", false), ("x", b"1\n", false)])).await;
    symlink(outside.path(), copy.root().join("out")).unwrap();
    symlink("../../..", copy.root().join("d/up")).unwrap();
    symlink(outside.path().join("secret"), copy.root().join("far")).unwrap();
    let new = |name: &str| {
        format!("diff --git {name} {name}\nnew file mode 100644\n--- /dev/null\n+++ {name}\n@@ -0,0 +1 @@\n+x\n")
    };
    let link = |name: &str, target: &str| {
        format!(
            "diff --git a/{name} b/{name}\nnew file mode 120000\n--- /dev/null\n+++ b/{name}\n@@ -0,0 +1 @@\n+{target}\n\\ No \
             newline at end of file\n"
        )
    };
    let changed =
        |name: &str| format!("diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-SECRET\n+x\n");
    let gone = |name: &str| {
        format!(
            "diff --git a/{name} b/{name}\ndeleted file mode 100644\n--- a/{name}\n+++ /dev/null\n@@ -1 +0,0 @@\n-SECRET\n"
        )
    };
    let moved = |kind: &str, from: &str, to: &str| {
        format!("diff --git a/{from} b/{to}\nsimilarity index 100%\n{kind} from {from}\n{kind} to {to}\n")
    };
    let other = workspace(&files(&[])).await;
    fs::write(other.root().join("b"), b"\0\x01\x02").unwrap();
    let binary = other.patch().await.unwrap();
    assert!(binary.contains("\nliteral 3\n"), "{binary}");
    let binary = |size: &str| binary.replacen("\nliteral 3\n", &format!("\nliteral {size}\n"), 1);
    let patches = [
        ("a link, then through it", format!("{}{}", link("l", there), new("b/l/made"))),
        ("a link above, then through it", format!("{}{}", link("l", ".."), new("b/l/made"))),
        (
            "a link in place of a file, then through it",
            format!(
                "diff --git a/x b/x\ndeleted file mode 100644\n--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-1\n{}{}",
                link("x", there),
                new("b/x/made")
            ),
        ),
        ("through a link that is there", new("b/out/made")),
        ("through a link above that is there", new("b/d/up/made")),
        ("a file behind a link", changed("out/secret")),
        ("a file that is a link", changed("far")),
        ("a file behind a link is deleted", gone("out/secret")),
        ("an absolute path after the prefix", new(&format!("b/{there}/made"))),
        ("upwards", new("b/../made")),
        ("upwards from below", new("b/d/../../made")),
        ("upwards in quotes", new("\"b/\\056\\056/made\"")),
        ("upwards in quotes from below", new("\"b/d/\\056\\056/../made\"")),
        ("upwards without git's line", "--- /dev/null\n+++ b/../made\n@@ -0,0 +1 @@\n+x\n".to_owned()),
        ("git's settings", new("b/.git/config")),
        ("git's settings in other letters", new("b/.GIT/config")),
        ("git's settings below", new("b/d/.git/hooks/post-checkout")),
        ("git's settings for one file", new("b/.git")),
        ("a link to git's settings", link(".git", there)),
        ("moved out", moved("rename", "x", "../made")),
        ("moved out through a link", moved("rename", "x", "out/made")),
        ("copied out", moved("copy", "x", "../made")),
        ("copied out through a link", moved("copy", "x", "out/made")),
        ("moved in", moved("rename", "out/secret", "stolen")),
        ("copied in", moved("copy", "out/secret", "stolen")),
        ("copied in from above", moved("copy", &format!("../../..{there}/secret"), "stolen")),
        ("copied in by its absolute path", moved("copy", &format!("{there}/secret"), "stolen")),
        ("copied to git's settings", moved("copy", "x", ".git/config")),
        ("deleted above", gone(&format!("../../..{there}/secret"))),
        ("a size that is too small", binary("1")),
        ("a size that is too large", binary("1000000000")),
        ("a size that nothing has", binary("99999999999999999999999")),
    ];
    let before = (listing(outside.path()), listing(copy.root().parent().unwrap()));
    for (name, patch) in patches {
        let answer = copy.apply(&patch).await;
        let after = (listing(outside.path()), listing(copy.root().parent().unwrap()));
        assert!(matches!(answer, Err(WorkspaceError::Rejected(_))), "{name}: {answer:?}");
        assert_eq!(after, before, "{name}");
    }
    // What is refused says nothing of what is outside either.
    for name in ["far", "out/secret"] {
        let said = copy.apply(&changed(name).replace("SECRET", "guess")).await.unwrap_err().to_string();
        assert!(!said.contains("SECRET"), "{said}");
    }
    // Of an absolute path the first name is taken for the prefix, as by every reader of patches: it stays inside.
    let absolute = new(&format!("{there}/made"));
    for patch in [
        absolute.as_str(),
        absolute.split_once("--- ").map(|(_, rest)| &absolute[absolute.len() - rest.len() - 4..]).unwrap(),
    ] {
        let copy = workspace(&Files::new()).await;
        copy.apply(patch).await.unwrap();
        assert!(copy.root().join(there.trim_start_matches('/')).join("made").exists());
        assert_eq!(listing(outside.path()), before.0);
    }
}

#[tokio::test]
async fn changes_that_are_too_large_are_refused() {
    let copy = workspace(&files(&[("x", b"1\n", false)])).await;
    let path = copy.root().join("large");
    let mut large = std::io::BufWriter::new(fs::File::create(&path).unwrap());
    let lines = "a line of text\n".repeat(70_000);
    for _ in 0..300 {
        std::io::Write::write_all(&mut large, lines.as_bytes()).unwrap();
    }
    drop(large);
    let error = copy.patch().await.unwrap_err();
    assert!(matches!(error, WorkspaceError::ChangesTooLarge { limit: Snapshot::LIMIT }), "{error}");
    fs::remove_file(&path).unwrap();
    assert_eq!(copy.patch().await.unwrap(), "");
}

#[tokio::test]
async fn paths_that_are_no_files_of_a_workspace_are_refused() {
    for path in ["", "/x", "../x", "a/../b", ".git/config", "."] {
        let made = Workspace::from_files([(path, "x", false)]).await;
        assert!(matches!(made, Err(WorkspaceError::Path(_))), "{path:?}");
    }
}

#[tokio::test]
async fn nothing_is_left_after_drop_or_panic() {
    let copy = workspace(&files(&[("lib/x", b"text\n", false)])).await;
    let directory = copy.root().parent().unwrap().to_path_buf();
    fs::set_permissions(copy.root().join("lib"), fs::Permissions::from_mode(0o000)).unwrap();
    drop(copy);
    assert!(!directory.exists());

    let (sender, receiver) = std::sync::mpsc::channel::<PathBuf>();
    let task = tokio::spawn(async move {
        let copy = workspace(&files(&[("x", b"text\n", false)])).await;
        sender.send(copy.root().to_path_buf()).unwrap();
        panic!("on purpose");
    });
    assert!(task.await.unwrap_err().is_panic());
    assert!(!receiver.recv().unwrap().exists());
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![Just("a"), Just("b"), Just("c"), Just(""), Just("\r"), Just("a\r"), Just("-- x"), Just("é")];
    (prop::collection::vec(line, 0..12), any::<bool>()).prop_map(|(lines, ended)| {
        let text = lines.join("\n");
        if ended && !lines.is_empty() { format!("{text}\n") } else { text }.into_bytes()
    })
}

fn tree() -> impl Strategy<Value = Files> {
    let name = prop_oneof![Just("x"), Just("y"), Just("lib/x"), Just("lib/y z"), Just("d/e/f"), Just("-")];
    prop::collection::btree_map(name.prop_map(str::to_owned), (content(), any::<bool>()), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_patch_makes_a_fresh_copy_the_same(old in tree(), new in tree()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(round_trip(&old, &new));
    }
}

/// Changes a test, brings one, and takes one away.
const TESTS: &str = "--- a/tests/old.sh\n+++ b/tests/old.sh\n@@ -1 +1 @@\n-old\n+asked\n\
    --- /dev/null\n+++ b/tests/more/new.sh\n@@ -0,0 +1 @@\n+new\n\
    --- a/tests/gone.sh\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n";

/// Whatever became of the files, the patch applies, and nothing else is touched.
async fn tests_are_brought(copy: &Workspace, outside: &Path) {
    let read = |name: &str| fs::read_to_string(copy.root().join(name)).unwrap();
    copy.apply_to_original(TESTS).await.unwrap();
    assert_eq!((read("tests/old.sh"), read("tests/more/new.sh")), ("asked\n".to_owned(), "new\n".to_owned()));
    assert!(!copy.root().join("tests/gone.sh").exists());
    assert!(!copy.root().join("tests").is_symlink() && !copy.root().join("tests/more").is_symlink());
    assert_eq!(read("code"), "mine\n", "what it does not name stays");
    let outside: Vec<_> = fs::read_dir(outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(outside, ["old.sh"]);
}

#[tokio::test]
async fn a_patch_of_the_original_applies_whatever_became_of_its_files() {
    let original =
        files(&[("code", b"x\n", false), ("tests/old.sh", b"old\n", true), ("tests/gone.sh", b"gone\n", false)]);
    let place = tempfile::tempdir().unwrap();
    rewrite(place.path(), &original);
    let template = entropo_tools::Template::of(place.path()).make().await.unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("old.sh"), "old\n").unwrap();
    let spoil: [&dyn Fn(&Path); 6] = [
        &|_| {},
        &|tests| fs::write(tests.join("old.sh"), "mine\n").unwrap(),
        &|tests| fs::remove_file(tests.join("gone.sh")).unwrap(),
        &|tests| {
            fs::write(tests.join("more"), "").unwrap();
            fs::remove_file(tests.join("old.sh")).unwrap();
            fs::create_dir_all(tests.join("old.sh/deep/down")).unwrap();
        },
        &|tests| {
            fs::remove_dir_all(tests).unwrap();
            symlink(outside.path(), tests).unwrap();
        },
        &|tests| {
            symlink(outside.path(), tests.join("more")).unwrap();
            fs::remove_file(tests.join("old.sh")).unwrap();
            symlink(outside.path().join("old.sh"), tests.join("old.sh")).unwrap();
        },
    ];
    for spoil in spoil {
        for copy in [workspace(&original).await, Workspace::of(template.clone()).await.unwrap()] {
            fs::write(copy.root().join("code"), "mine\n").unwrap();
            spoil(&copy.root().join("tests"));
            tests_are_brought(&copy, outside.path()).await;
            assert_eq!(fs::read_to_string(outside.path().join("old.sh")).unwrap(), "old\n");
        }
    }
    let copy = workspace(&original).await;
    copy.apply_to_original("").await.unwrap();
    for patch in
        [TESTS.replace("-old", "-new"), TESTS.replace("b/tests/more/new.sh", "b/../new.sh"), "words".to_owned()]
    {
        assert!(matches!(copy.apply_to_original(&patch).await, Err(WorkspaceError::Rejected(_))), "{patch}");
    }
    assert_eq!(copy.patch().await.unwrap(), "");
}

#[tokio::test]
async fn a_file_of_the_original_can_make_way_for_a_directory() {
    let original = files(&[("a", b"x\n", false)]);
    let patch = "--- a/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n--- /dev/null\n+++ b/a/b\n@@ -0,0 +1 @@\n+y\n";
    let copy = workspace(&original).await;
    fs::write(copy.root().join("a"), "mine\n").unwrap();
    copy.apply_to_original(patch).await.unwrap();
    assert_eq!(fs::read_to_string(copy.root().join("a/b")).unwrap(), "y\n");
}
