//! Disks that are full, agents that break what they work on, and processes that are killed.

use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use entropo_agent::Tool;
use entropo_tools::{Editor, Glob, Search, Strategy, Workspace};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Path, PathBuf, PermissionsExt, Template, WorkspaceError, each, fs, project, tree, write};

/// A small file system in memory, unmounted when dropped; none for who may not mount one.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "small"]).arg(directory.path()).output();
        if mounted.as_ref().is_ok_and(|output| output.status.success()) {
            return Some(Self(directory));
        }
        println!("SKIPPED: no tmpfs can be mounted here: {mounted:?}");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn on_a_full_disk_nothing_half_made_remains() {
    let Some(small) = Small::mount() else { return };
    let place = small.0.path();
    let source = project(&[("a", &[b'a'; 300_000]), ("b", &[b'b'; 300_000])]);
    let template = Template::of(source.path()).place(place).strategy(Strategy::Copy).make().await.unwrap();
    let before = fs::read_dir(place).unwrap().count();
    let error = Workspace::of(template.clone()).await.unwrap_err();
    assert!(matches!(&error, WorkspaceError::Io { source, .. } if source.raw_os_error() == Some(28)), "{error}");
    assert_eq!(fs::read_dir(template.files().parent().unwrap()).unwrap().count(), 1, "only the template's files");
    let error = Template::of(source.path()).place(place).strategy(Strategy::Copy).make().await.unwrap_err();
    assert!(matches!(&error, WorkspaceError::Io { source, .. } if source.raw_os_error() == Some(28)), "{error}");
    assert_eq!(fs::read_dir(place).unwrap().count(), before);
}

#[tokio::test]
async fn on_a_full_disk_a_patch_is_applied_not_at_all() {
    let Some(small) = Small::mount() else { return };
    let place = small.0.path();
    let files: [(&str, &[u8]); 4] =
        [("a", &[b'a'; 50_000]), ("gone/x", &[b'x'; 50_000]), ("kind", b"file\n"), ("moved", &[b'm'; 50_000])];
    let source = project(&files);
    let template = Template::of(source.path()).place(place).strategy(Strategy::Copy).make().await.unwrap();
    let elsewhere = Workspace::copy_of(source.path()).await.unwrap();
    let root = elsewhere.root();
    write(root, "a", &[b'b'; 50_000]);
    fs::remove_dir_all(root.join("gone")).unwrap();
    fs::rename(root.join("moved"), root.join("gone")).unwrap();
    fs::remove_file(root.join("kind")).unwrap();
    write(root, "kind/of/directory", b"x\n");
    let small_patch = elsewhere.patch().await.unwrap();
    write(root, "new/deep/large", &[b'l'; 500_000]);
    write(root, "z", b"z\n");
    let large_patch = elsewhere.patch().await.unwrap();

    let workspace = Workspace::of(template).await.unwrap();
    let before = tree(workspace.root());
    write(place, "filler", &[b'f'; 400_000]);
    let error = workspace.apply(&large_patch).await.unwrap_err();
    let full = |message: &str| message.contains("No space left on device") && !message.contains("put back");
    assert!(matches!(&error, WorkspaceError::Git { message, .. } if full(message)), "{error}");
    assert_eq!(tree(workspace.root()), before);
    assert!(!workspace.root().join("new").exists() && workspace.root().join("gone").is_dir());
    assert_eq!(workspace.patch().await.unwrap(), "");
    workspace.apply(&small_patch).await.unwrap();
    assert_eq!(workspace.patch().await.unwrap(), small_patch);
}

/// Makes empty directories one in the other, together longer than the system has names for.
fn nest(root: &Path, name: &str, levels: usize) {
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
    let open = |at: std::os::fd::BorrowedFd<'_>, path: &Path| openat(at, path, OFlags::DIRECTORY, Mode::empty());
    let mut at = open(CWD, root).unwrap();
    for _ in 0..levels {
        mkdirat(&at, name, Mode::RWXU).unwrap();
        at = open(at.as_fd(), name.as_ref()).unwrap();
    }
}

#[tokio::test]
async fn what_an_agent_may_do_to_its_files_is_survived() {
    let source = project(&[("lib/x", b"1\n"), ("y", b"2\n")]);
    let place = tempfile::tempdir().unwrap();
    for template in each(source.path(), place.path()).await {
        let workspace = Workspace::of(template).await.unwrap();
        let root = workspace.root();
        std::os::unix::fs::symlink("b", root.join("a")).unwrap();
        std::os::unix::fs::symlink("a", root.join("b")).unwrap();
        let pipe = Command::new("mkfifo").arg(root.join("pipe")).status().unwrap();
        assert!(pipe.success());
        fs::remove_file(root.join("y")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("y")).unwrap();
        write(root, "lib/new", b"new\n");
        for path in ["lib/x", "lib/new", "lib"] {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(0o0)).unwrap();
        }
        nest(root, &"d".repeat(250), 20);
        let error = workspace.patch().await.unwrap_err();
        assert!(matches!(error, WorkspaceError::TooDeep(_)), "{error}");
        let emptied = Command::new("rm").arg("-rf").arg(root.join("d".repeat(250))).status().unwrap();
        assert!(emptied.success());
        let patch = workspace.patch().await.unwrap();
        for part in ["b/a\nnew file mode 120000", "+++ b/lib/new", "+++ /dev/null\n@@ -1 +0,0 @@\n-2\n"] {
            assert!(patch.contains(part), "{part}\n{patch}");
        }
        assert!(!patch.contains("pipe") && !patch.contains("lib/x"), "{patch}");
        drop(workspace);
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn a_gitignore_that_is_no_small_file_is_no_rule() {
    use std::os::unix::fs::symlink;
    let outside = project(&[("rules", b"new\n")]);
    let outside = outside.path().join("rules");
    for kind in ["pipe", "link", "zero", "large"] {
        let outside = outside.clone();
        let patch = crate::within(10, move || async move {
            let workspace = Workspace::from_files([("d/x", "1\n", false)]).await.unwrap();
            write(workspace.root(), "d/new", b"new\n");
            let file = workspace.root().join("d/.gitignore");
            match kind {
                "pipe" => assert!(Command::new("mkfifo").arg(&file).status().unwrap().success()),
                "link" => symlink(outside, &file).unwrap(),
                "zero" => symlink("/dev/zero", &file).unwrap(),
                _ => {
                    write(workspace.root(), "d/.gitignore", b"new\n");
                    fs::File::options().write(true).open(&file).unwrap().set_len(1 << 30).unwrap();
                    // So that it is no change itself, which would be too large.
                    write(workspace.root(), ".gitignore", b".gitignore\n");
                }
            }
            workspace.patch().await.unwrap()
        });
        assert!(patch.contains("+++ b/d/new\n"), "{kind}: {patch}");
    }
}

#[tokio::test]
async fn a_root_that_was_swapped_is_not_read() {
    let source = project(&[("x", b"1\n")]);
    let outside = project(&[("x", b"secret\n")]);
    let place = tempfile::tempdir().unwrap();
    let made = each(source.path(), place.path()).await;
    let memory = Workspace::copy_of(source.path()).await.unwrap();
    let mut workspaces = vec![memory];
    for template in made {
        workspaces.push(Workspace::of(template).await.unwrap());
    }
    for workspace in workspaces {
        let root = workspace.root().to_path_buf();
        let aside = root.with_file_name("aside");
        if let Err(error) = fs::rename(&root, &aside) {
            println!("SKIPPED {}: it cannot be moved: {error}", root.display());
            continue;
        }
        std::os::unix::fs::symlink(outside.path(), &root).unwrap();
        assert!(matches!(workspace.patch().await, Err(WorkspaceError::Replaced(_))));
        assert!(matches!(workspace.apply("x").await, Err(WorkspaceError::Replaced(_))));
        fs::remove_file(&root).unwrap();
        fs::create_dir(&root).unwrap();
        assert!(matches!(workspace.patch().await, Err(WorkspaceError::Replaced(_))));
        drop(workspace);
        assert!(!aside.exists());
    }
    assert!(outside.path().join("x").exists());
}

#[tokio::test]
async fn clean_up_in_any_order_and_while_somebody_is_in_there() {
    let source = project(&[("x", b"1\n")]);
    let place = tempfile::tempdir().unwrap();
    for template in each(source.path(), place.path()).await {
        let first = Workspace::of(template.clone()).await.unwrap();
        let second = Workspace::of(template.clone()).await.unwrap();
        let directory = template.files().parent().unwrap().to_path_buf();
        drop(template);
        assert_eq!(Template::sweep(place.path()).await.unwrap(), 0, "it is in use");
        let mut child = Command::new("sleep").arg("60").current_dir(first.root()).spawn().unwrap();
        let open = fs::File::open(first.root().join("x")).unwrap();
        drop(first);
        write(second.root(), "x", b"2\n");
        assert!(second.patch().await.unwrap().contains("+2"));
        drop(second);
        drop(open);
        child.kill().unwrap();
        child.wait().unwrap();
        // The templates of the other strategies are still there.
        assert!(!directory.exists() && !directory.with_extension("lock").exists(), "{}", directory.display());
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

const KILLED: &str = "ENTROPO_TEST_KILLED_IN";

/// The process that the next test kills.
#[tokio::test]
#[ignore = "run by another test"]
async fn child_that_is_killed() {
    let Some(place) = std::env::var_os(KILLED).map(PathBuf::from) else { return };
    let mut kept = Vec::new();
    for template in each(&place.join("source"), &place.join("place")).await {
        kept.push(Workspace::of(template).await.unwrap());
    }
    fs::write(place.join("ready"), "").unwrap();
    std::thread::sleep(std::time::Duration::from_secs(60));
}

#[tokio::test]
async fn what_a_killed_process_left_is_swept_by_the_next() {
    let outer = tempfile::tempdir().unwrap();
    let place = outer.path().join("place");
    fs::create_dir(&place).unwrap();
    write(outer.path(), "source/x", b"1\n");
    let mut child: Child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "template::trouble::child_that_is_killed"])
        .env(KILLED, outer.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !outer.path().join("ready").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended early");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let left = fs::read_dir(&place).unwrap().count() / 2;
    assert!(left >= 1);
    child.kill().unwrap();
    child.wait().unwrap();
    let template = Template::of(outer.path().join("source")).place(&place).make().await.unwrap();
    let swept = template.notes().iter().any(|note| note.to_string().starts_with(&format!("{left} directories")));
    assert!(swept, "{:?}", template.notes());
    drop(template);
    assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(place.to_str().unwrap()), "{mounts}");
}

/// Carries something out and prints how long it took and how much memory the process had at most meanwhile.
async fn measured<T>(what: &str, work: impl Future<Output = T>) -> T {
    // Where the kernel allows it, what was most before is forgotten.
    let _ = fs::write("/proc/self/clear_refs", "5");
    let begun = std::time::Instant::now();
    let done = work.await;
    let took = begun.elapsed();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default().trim();
    println!("{what}: {took:.2?}, {most}");
    done
}

async fn call<T: Tool>(tool: &T, arguments: Value) -> String {
    let arguments = serde_json::from_value(arguments).unwrap();
    tool.call(arguments, &CancellationToken::new()).await.unwrap().content
}

/// `ENTROPO_MANY_FILES=1000000 cargo test -p entropo-tools --test it many_files -- --nocapture` takes minutes.
#[tokio::test]
async fn many_files() {
    let count: usize = std::env::var("ENTROPO_MANY_FILES").map_or(10_000, |count| count.parse().unwrap());
    let source = tempfile::tempdir().unwrap();
    for number in 0..count {
        let path = source.path().join(format!("d{}", number / 1000));
        if number % 1000 == 0 {
            fs::create_dir(&path).unwrap();
        }
        fs::write(path.join(number.to_string()), "x\n").unwrap();
    }
    let template = measured("template", Template::of(source.path()).make()).await.unwrap();
    println!("{} of {count} files", template.strategy());
    let workspace = measured("workspace", Workspace::of(template)).await.unwrap();
    write(workspace.root(), "d1/1000", b"y\n");
    fs::remove_dir_all(workspace.root().join("d2")).unwrap();
    let patch = measured("patch", workspace.patch()).await.unwrap();
    assert_eq!(patch.matches("diff --git").count(), 1001);

    let (search, glob) = (Search::new(source.path()).unwrap(), Glob::new(source.path()).unwrap());
    let found = measured("search without a match", call(&search, json!({"query": "absent"}))).await;
    assert_eq!(found, "No match for \"absent\".");
    let found = measured("glob", call(&glob, json!({"pattern": "9*9"}))).await;
    assert!(found.starts_with("d0/9"), "{found}");
    let editor = Editor::new(source.path()).unwrap();
    let shown = measured("view", call(&editor, json!({"command": "view", "path": "."}))).await;
    let all = count + count.div_ceil(1000);
    assert!(shown.ends_with(&format!("[{} more; view a directory below]", all - 200)), "{shown}");
}
