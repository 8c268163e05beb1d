//! Patches on real files.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use entropo_agent::Tool;
use entropo_tools::patch::ApplyPatchArgs;
use entropo_tools::{ApplyPatch, Workspace};
use proptest::prelude::*;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

fn scene(files: &[(&str, &[u8])]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    directory
}

async fn apply(root: &TempDir, patch: &str) -> Result<String, String> {
    let tool = ApplyPatch::new(root.path()).unwrap();
    let answer = tool.call(ApplyPatchArgs { patch: patch.to_owned() }, &CancellationToken::new()).await;
    answer.map(|output| output.content).map_err(|error| error.to_string())
}

fn codex(body: &str) -> String {
    format!("*** Begin Patch\n{body}*** End Patch\n")
}

/// All files below a directory with their contents, links followed.
fn tree(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                found.push((path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn both_forms_change_create_delete_and_move() {
    let files: [(&str, &[u8]); 3] = [("lib/x", b"a\nb\nc\n"), ("old", b"1\n2\n"), ("gone", b"g\n")];
    let expected: Vec<(String, Vec<u8>)> = [("deep/er/new", "n\n"), ("lib/x", "a\nB\nc\n"), ("moved/to", "1\n3\n")]
        .map(|(path, content)| (path.to_owned(), content.into()))
        .into();
    let answer = "Edited lib/x.\nCreated deep/er/new.\nDeleted gone.\nMoved old to moved/to.";
    let unified = "diff --git a/lib/x b/lib/x\n--- a/lib/x\n+++ b/lib/x\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n\
        diff --git a/deep/er/new b/deep/er/new\nnew file mode 100644\n--- /dev/null\n+++ b/deep/er/new\n@@ -0,0 +1 @@\n\
        +n\ndiff --git a/gone b/gone\ndeleted file mode 100644\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-g\n\
        diff --git a/old b/moved/to\nsimilarity index 50%\nrename from old\nrename to moved/to\n--- a/old\n\
        +++ b/moved/to\n@@ -1,2 +1,2 @@\n 1\n-2\n+3\n";
    let codex = codex(
        "*** Update File: lib/x\n@@\n a\n-b\n+B\n*** Add File: deep/er/new\n+n\n*** Delete File: gone\n\
         *** Update File: old\n*** Move to: moved/to\n@@ 1\n-2\n+3\n",
    );
    for patch in [unified, &codex] {
        let root = scene(&files);
        assert_eq!(apply(&root, patch).await, Ok(answer.to_owned()));
        assert_eq!(tree(root.path()), expected);
    }
}

#[tokio::test]
async fn what_git_wrote_applies() {
    let root = scene(&[("x", b"a\nb\n"), ("ex.sh", b"echo\n"), ("d", b"d\n"), ("name ä", b"1\n2\n3\n4\n5\n")]);
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git").current_dir(root.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false", "commit", "-qm", "before"]);
    fs::write(root.path().join("x"), "a\nc").unwrap();
    fs::write(root.path().join("empty"), "").unwrap();
    fs::remove_file(root.path().join("d")).unwrap();
    fs::rename(root.path().join("name ä"), root.path().join("other")).unwrap();
    fs::set_permissions(root.path().join("ex.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    git(&["add", "-A"]);
    let patch = git(&["diff", "--cached", "-M"]);
    let wanted: Vec<_> = tree(root.path()).into_iter().filter(|(path, _)| !path.starts_with(".git")).collect();
    git(&["reset", "-q", "--hard"]);
    let answer = apply(&root, &patch).await.unwrap();
    assert!(answer.contains("Moved name ä to other."), "{answer}\n{patch}");
    let now: Vec<_> = tree(root.path()).into_iter().filter(|(path, _)| !path.starts_with(".git")).collect();
    assert_eq!(now, wanted);
    let mode = |name: &str| fs::metadata(root.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("ex.sh") & 0o111 != 0, mode("x") & 0o111), (true, 0));
}

#[tokio::test]
async fn one_conflict_stops_all_and_all_are_reported() {
    let root = scene(&[("a", b"a\n"), ("b", b"1\n2\n"), ("c", b"c\n")]);
    let before = tree(root.path());
    let patch = codex(
        "*** Update File: a\n-a\n+A\n*** Update File: b\n@@\n 1\n-3\n+4\n*** Add File: c\n+c\n*** Delete File: d\n\
         *** Update File: e\n-a\n+b\n*** Update File: a\n*** Move to: c\n-A\n+B\n",
    );
    let reasons = "Nothing changed.\n\
        b: hunk 1 (@@): no place matches; the nearest is at line 1: line 2 is \"2\", where the patch has \"3\".\n\
        c already exists.\nd does not exist.\ne does not exist.\nc already exists.";
    assert_eq!(apply(&root, &patch).await, Err(reasons.to_owned()));
    assert_eq!(tree(root.path()), before);

    let partial = "--- a/b\n+++ /dev/null\n@@ -1 +0,0 @@\n-1\n";
    let reason = "Nothing changed.\nb: the patch deletes the file, but not all of its lines.";
    assert_eq!(apply(&root, partial).await, Err(reason.to_owned()));
    assert_eq!(apply(&root, "--- a/b\n+++ b/b\n@@ -1 +1 @@\n 1\n").await, Err("The patch changes nothing.".to_owned()));
    let none = "There is no patch: give a unified diff, or one from *** Begin Patch to *** End Patch.";
    assert_eq!(apply(&root, "just words\n").await, Err(none.to_owned()));
    assert_eq!(tree(root.path()), before);
}

#[tokio::test]
async fn a_directory_in_the_way_leaves_nothing_behind() {
    let root = scene(&[("a", b"a\n"), ("file", b"f\n")]);
    let before = tree(root.path());
    let patch = codex("*** Update File: a\n-a\n+A\n*** Add File: n/x\n+x\n*** Add File: file/below\n+x\n");
    assert!(apply(&root, &patch).await.unwrap_err().starts_with("Nothing changed.\nfile/below: "));
    assert_eq!(tree(root.path()), before);
    assert!(!root.path().join("n").exists());
}

#[tokio::test]
async fn later_sections_see_what_earlier_ones_did() {
    let root = scene(&[("a", b"1\n2\n")]);
    let patch =
        codex("*** Update File: a\n-1\n+x\n*** Update File: ./a\n*** Move to: b\n x\n-2\n+y\n*** Add File: a\n+z\n");
    assert_eq!(apply(&root, &patch).await, Ok("Edited a.\nMoved a to b.\nCreated a.".to_owned()));
    assert_eq!(tree(root.path()), [("a".to_owned(), b"z\n".to_vec()), ("b".to_owned(), b"x\ny\n".to_vec())]);
}

#[tokio::test]
async fn encodings_marks_endings_and_permissions_are_kept() {
    let utf16: Vec<u8> = "\u{feff}ä\r\nb\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wanted: Vec<u8> = "\u{feff}ä\r\nc\r\nd\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (before, after) in [
        (&b"x\r\nb\r\n"[..], &b"x\r\nc\r\nd\r\n"[..]),
        (b"x\nb", b"x\nc\nd"),
        (b"\xef\xbb\xbfx\nb\n", b"\xef\xbb\xbfx\nc\nd\n"),
        (b"le caf\xe9\nb\n", b"le caf\xe9\nc\nd\n"),
        (&utf16, &wanted),
    ] {
        let root = scene(&[("f", before)]);
        let path = root.path().join("f");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let patch = codex("*** Update File: f\n@@\n-b\n+c\n+d\n");
        assert_eq!(apply(&root, &patch).await, Ok("Edited f.".to_owned()));
        assert_eq!(fs::read(&path).unwrap(), after);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }
    let root = scene(&[("bin", b"\x7fELF\0\x01b\n"), ("latin", b"le caf\xe9\nb\n")]);
    let patch = codex("*** Update File: bin\n-b\n+c\n");
    assert_eq!(apply(&root, &patch).await, Err("Nothing changed.\nbin: it is binary.".to_owned()));
    let patch = codex("*** Update File: latin\n-b\n+✓\n");
    let reason = "Nothing changed.\nlatin: it is written in windows-1252, which has no \"✓\".";
    assert_eq!(apply(&root, &patch).await, Err(reason.to_owned()));
    let moved = codex("*** Delete File: bin\n");
    assert_eq!(apply(&root, &moved).await, Ok("Deleted bin.".to_owned()));
}

#[tokio::test]
async fn no_path_leaves_the_workspace() {
    let outside = scene(&[("secret", b"s\n")]);
    let root = scene(&[("x", b"s\n"), ("lib/y", b"s\n")]);
    let secret = outside.path().join("secret");
    symlink(outside.path(), root.path().join("link")).unwrap();
    symlink(&secret, root.path().join("file")).unwrap();
    for path in [secret.to_str().unwrap(), "../x", "x/../../x", "link/secret", "file", "link/new"] {
        for patch in [
            codex(&format!("*** Update File: {path}\n-s\n+t\n")),
            codex(&format!("*** Add File: {path}\n+t\n")),
            codex(&format!("*** Delete File: {path}\n")),
            codex(&format!("*** Update File: x\n*** Move to: {path}\n-s\n+t\n")),
            format!("--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-s\n+t\n"),
            format!("diff --git a/x b/x\nrename from x\nrename to {path}\n"),
        ] {
            let reason = format!("Nothing changed.\n{path}: path leaves the workspace.");
            // After the prefix of a diff an absolute path is a relative one.
            let absolute = path.starts_with('/') && patch.starts_with("---");
            let reason = if absolute { "Nothing changed.\n".to_owned() } else { reason };
            let error = apply(&root, &patch).await.unwrap_err();
            assert!(error.starts_with(&reason), "{error}\n{patch}");
        }
    }
    assert_eq!(fs::read(&secret).unwrap(), b"s\n");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_link_that_stays_inside_is_followed_but_not_deleted() {
    let root = scene(&[("lib/y", b"s\n")]);
    symlink("lib/y", root.path().join("in")).unwrap();
    assert_eq!(apply(&root, &codex("*** Update File: in\n-s\n+t\n")).await, Ok("Edited in.".to_owned()));
    assert_eq!(fs::read(root.path().join("lib/y")).unwrap(), b"t\n");
    assert!(root.path().join("in").is_symlink());
    let reason = "Nothing changed.\nin is a symbolic link; name the file itself.";
    for patch in ["*** Delete File: in\n", "*** Update File: in\n*** Move to: z\n-t\n+u\n"] {
        assert_eq!(apply(&root, &codex(patch)).await, Err(reason.to_owned()));
    }
}

/// Files' contents and whether they are executable.
fn trees() -> impl Strategy<Value = Vec<Option<(String, bool)>>> {
    prop::collection::vec(prop::option::of(("([ab é]{0,2}(\n|\r\n|\r)?){0,12}", any::<bool>())), 3)
}

fn set(root: &Path, files: &[Option<(String, bool)>]) {
    for (path, file) in ["a", "b c", "d/é"].iter().zip(files) {
        let path = root.join(path);
        let _ = fs::remove_file(&path);
        if let Some((content, executable)) = file {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            let mode = if *executable { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_workspaces_patch_gives_its_files(old in trees(), new in trees()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let source = tempfile::tempdir().unwrap();
            set(source.path(), &old);
            let workspace = Workspace::copy_of(source.path()).await.unwrap();
            set(workspace.root(), &new);
            let patch = workspace.patch().await.unwrap();
            if !patch.is_empty() {
                apply(&source, &patch).await.unwrap_or_else(|error| panic!("{error}\n{patch}"));
            }
            assert_eq!(tree(source.path()), tree(workspace.root()), "{patch}");
            for (path, _) in tree(source.path()) {
                let executable = |root: &Path| fs::metadata(root.join(&path)).unwrap().permissions().mode() & 0o100;
                assert_eq!(executable(source.path()), executable(workspace.root()));
            }
        });
    }
}
