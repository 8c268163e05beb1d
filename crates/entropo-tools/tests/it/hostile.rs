//! What no well-meant call would say, and what no disk should do.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use entropo_agent::Tool;
use entropo_tools::{ApplyPatch, Editor, Glob, Grep, History, MultiEdit, Outline, Search, Undo};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

async fn call<T: Tool>(tool: &T, arguments: Value) -> Result<String, String> {
    let answer = tool.call(serde_json::from_value(arguments).unwrap(), &CancellationToken::new()).await;
    answer.map(|output| output.content).map_err(|error| error.to_string())
}

struct Tools {
    editor: Editor,
    edits: MultiEdit,
    patch: ApplyPatch,
    undo: Undo,
    search: Search,
    grep: Grep,
    glob: Glob,
    outline: Outline,
}

fn tools(root: &Path) -> Tools {
    let history = History::new();
    Tools {
        editor: Editor::new(root).unwrap().with_history(&history),
        edits: MultiEdit::new(root).unwrap().with_history(&history),
        patch: ApplyPatch::new(root).unwrap().with_history(&history),
        undo: Undo::new(root, &history).unwrap(),
        search: Search::new(root).unwrap(),
        grep: Grep::new(root).unwrap(),
        glob: Glob::new(root).unwrap(),
        outline: Outline::new(root).unwrap(),
    }
}

fn patch(body: &str) -> Value {
    json!({"patch": format!("*** Begin Patch\n{body}*** End Patch\n")})
}

fn listing(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn paths_that_lead_out_or_are_none_are_refused_by_every_tool() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "SECRET\n").unwrap();
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("x"), "SECRET\n").unwrap();
    symlink(outside.path(), root.path().join("out")).unwrap();
    symlink("out/secret", root.path().join("far")).unwrap();
    symlink("loop", root.path().join("loop")).unwrap();
    symlink("nothing", root.path().join("dangling")).unwrap();
    let absolute = outside.path().join("secret");
    let tools = tools(root.path());
    let before = listing(root.path());
    for (path, reason) in [
        (absolute.to_str().unwrap(), "path leaves the workspace."),
        ("../secret", "path leaves the workspace."),
        ("x/../../secret", "path leaves the workspace."),
        ("out/secret", "path leaves the workspace."),
        ("far", "path leaves the workspace."),
        ("out/new/file", "path leaves the workspace."),
        ("dangling", "a symbolic link in this path leads to nothing."),
        ("dangling/x", "a symbolic link in this path leads to nothing."),
        ("loop", ""),
        ("loop/x", ""),
        ("x\0y", "is no path: it has a NUL character."),
    ] {
        let mut answers = Vec::new();
        for command in [
            json!({"command": "view", "path": path}),
            json!({"command": "create", "path": path, "file_text": "t"}),
            json!({"command": "str_replace", "path": path, "old_str": "SECRET", "new_str": "t"}),
            json!({"command": "insert", "path": path, "insert_line": 0, "new_str": "t"}),
            json!({"command": "undo", "path": path}),
        ] {
            answers.push(call(&tools.editor, command).await);
        }
        let edits = json!([{"old_str": "SECRET", "new_str": "t"}]);
        answers.push(call(&tools.edits, json!({"path": path, "edits": edits})).await);
        answers.push(call(&tools.undo, json!({"path": path})).await);
        answers.push(call(&tools.search, json!({"query": "SECRE[T]", "path": path})).await);
        answers.push(call(&tools.grep, json!({"pattern": "SECRE[T]", "path": path})).await);
        answers.push(call(&tools.glob, json!({"pattern": "*", "path": path})).await);
        answers.push(call(&tools.outline, json!({"path": path})).await);
        for body in [
            format!("*** Delete File: {path}\n"),
            format!("*** Add File: {path}\n+t\n"),
            format!("*** Update File: x\n*** Move to: {path}\n-SECRET\n+t\n"),
            format!("*** Update File: {path}\n*** Move to: y\n-SECRET\n+t\n"),
        ] {
            answers.push(call(&tools.patch, patch(&body)).await);
        }
        for (from, to) in [(path, "y"), ("x", path)] {
            for kind in ["rename", "copy"] {
                let body = format!("diff --git a/{from} b/{to}\n{kind} from {from}\n{kind} to {to}\n");
                answers.push(call(&tools.patch, json!({"patch": body})).await);
            }
        }
        for answer in answers {
            let refusal = answer.unwrap_err();
            assert!(refusal.contains(reason) && !refusal.contains("SECRET"), "{path:?}: {refusal}");
        }
    }
    assert_eq!(listing(root.path()), before);
    assert_eq!(fs::read_to_string(root.path().join("x")).unwrap(), "SECRET\n");
    assert_eq!(
        (listing(outside.path()), fs::read_to_string(absolute).unwrap()),
        (vec!["secret".to_owned()], "SECRET\n".to_owned())
    );
}

#[tokio::test]
async fn no_tool_puts_a_nul_into_a_text() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("x"), "a\n").unwrap();
    let tools = tools(root.path());
    let reason = "a text cannot have the character '\\0'.";
    for (answer, name) in [
        (call(&tools.editor, json!({"command": "create", "path": "n", "file_text": "a\0"})).await, "n"),
        (
            call(&tools.editor, json!({"command": "str_replace", "path": "x", "old_str": "a", "new_str": "\0"})).await,
            "x",
        ),
        (call(&tools.editor, json!({"command": "insert", "path": "x", "insert_line": 0, "new_str": "\0"})).await, "x"),
        (call(&tools.edits, json!({"path": "x", "edits": [{"old_str": "a", "new_str": "\0"}]})).await, "x"),
        (call(&tools.patch, patch("*** Update File: x\n-a\n+\0\n")).await, "Nothing changed.\nx"),
    ] {
        assert_eq!(answer, Err(format!("{name}: {reason}")));
    }
    let missing =
        call(&tools.editor, json!({"command": "str_replace", "path": "x", "old_str": "\0", "new_str": "b"})).await;
    assert_eq!(missing, Err("old_str not found in x.".to_owned()));
    assert_eq!(
        (fs::read_to_string(root.path().join("x")).unwrap(), listing(root.path())),
        ("a\n".to_owned(), vec!["x".to_owned()])
    );
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_its_size() {
    let root = tempfile::tempdir().unwrap();
    // A line of a gigabyte, which takes no room on the disk.
    fs::File::create(root.path().join("line")).unwrap().set_len(1 << 30).unwrap();
    fs::write(root.path().join("nearly"), "a\n".repeat(8 << 20)).unwrap();
    fs::write(root.path().join("x"), "a\n").unwrap();
    let tools = tools(root.path());
    let reason = "line is too large: 1073741824 bytes of at most 16777216.";
    for arguments in [
        json!({"command": "view", "path": "line", "view_range": [1, 1]}),
        json!({"command": "str_replace", "path": "line", "old_str": "a", "new_str": "b"}),
        json!({"command": "insert", "path": "line", "insert_line": 0, "new_str": "b"}),
    ] {
        assert_eq!(call(&tools.editor, arguments).await, Err(reason.to_owned()));
    }
    let edits = json!({"path": "line", "edits": [{"old_str": "a", "new_str": "b"}]});
    assert_eq!(call(&tools.edits, edits).await, Err(reason.to_owned()));
    let deleted = call(&tools.patch, patch("*** Delete File: line\n")).await;
    assert_eq!(deleted, Err(format!("Nothing changed.\n{reason}")));
    let searched = call(&tools.search, json!({"query": "a", "path": "line"})).await;
    assert_eq!(searched, Ok("No match for \"a\".".to_owned()));

    let insert = json!({"command": "insert", "path": "nearly", "insert_line": 0, "new_str": "b"});
    let reason = "nearly would be too large: 16777218 bytes of at most 16777216.";
    assert_eq!(call(&tools.editor, insert).await, Err(reason.to_owned()));
    let create = json!({"command": "create", "path": "new/x", "file_text": "b".repeat((16 << 20) + 1)});
    let reason = "new/x would be too large: 16777217 bytes of at most 16777216.";
    assert_eq!(call(&tools.editor, create).await, Err(reason.to_owned()));
    // All places of a text that is everywhere and overlaps itself are not counted.
    let many = json!({"command": "str_replace", "path": "nearly", "old_str": "a\n".repeat(1 << 20), "new_str": "b"});
    let refusal = call(&tools.editor, many).await.unwrap_err();
    assert!(refusal.starts_with("old_str occurs more than 32 times in nearly, on lines 1, 2, 3, "), "{refusal}");
    assert_eq!(listing(root.path()), ["line", "nearly", "x"]);
}

const GIGABYTE: &str = "ENTROPO_TEST_LINE_OF_A_GIGABYTE_IN";

/// What the next test runs with little memory.
#[tokio::test]
#[ignore = "run by another test"]
async fn child_that_meets_a_line_of_a_gigabyte() {
    let Some(root) = std::env::var_os(GIGABYTE) else { return };
    let tools = tools(Path::new(&root));
    let view = call(&tools.editor, json!({"command": "view", "path": "line", "view_range": [1, 1]})).await;
    assert_eq!(view, Err("line is too large: 1073741829 bytes of at most 16777216.".to_owned()));
    let left_out = "[1 file left out: a line is longer than 16777216 bytes]";
    for path in [".", "line"] {
        let searched = call(&tools.search, json!({"query": "en[d]", "path": path})).await;
        assert_eq!(searched, Ok(format!("No match for \"en[d]\".\n{left_out}")));
        let searched = call(&tools.grep, json!({"pattern": "en[d]", "path": path, "show": "files"})).await;
        assert_eq!(searched, Ok(format!("No match for \"en[d]\".\n{left_out}")));
    }
}

#[test]
fn a_line_of_a_gigabyte_takes_little_memory() {
    // In memory where there is room, since disks may take long for it.
    let memory = Path::new("/dev/shm");
    let has_room = rustix::fs::statvfs(memory).is_ok_and(|system| system.f_bavail * system.f_frsize > 4 << 30);
    let place = if has_room { memory.to_owned() } else { std::env::temp_dir() };
    let root = tempfile::tempdir_in(place).unwrap();
    let mut line = fs::File::create(root.path().join("line")).unwrap();
    let piece = vec![b'w'; 1 << 20];
    for _ in 0..1024 {
        line.write_all(&piece).unwrap();
    }
    line.write_all(b"\nend\n").unwrap();
    drop(line);
    let mut child = Command::new("sh");
    // In kilobytes, of addresses.
    child.args([
        "-c",
        "ulimit -v 900000 && exec \"$0\" --ignored --exact hostile::child_that_meets_a_line_of_a_gigabyte",
    ]);
    let output = child.arg(std::env::current_exe().unwrap()).env(GIGABYTE, root.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn after_everything_is_undone_nothing_more_is() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("x"), "0\n").unwrap();
    let tools = tools(root.path());
    for number in 0..5 {
        let (old, new) = (number.to_string(), (number + 1).to_string());
        let edit = json!({"command": "str_replace", "path": "x", "old_str": old, "new_str": new});
        call(&tools.editor, edit).await.unwrap();
    }
    for _ in 0..5 {
        call(&tools.editor, json!({"command": "undo", "path": "x"})).await.unwrap();
    }
    for _ in 0..2 {
        let refusal = call(&tools.editor, json!({"command": "undo", "path": "x"})).await;
        assert_eq!(refusal, Err("No edit of x to undo.".to_owned()));
        assert_eq!(fs::read_to_string(root.path().join("x")).unwrap(), "0\n");
    }
}

#[test]
fn edits_at_the_same_time_are_kept_or_refused_but_never_lost() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("x"), "").unwrap();
    let tools = Arc::new(tools(root.path()));
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let tools = Arc::clone(&tools);
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                let mut kept = Vec::new();
                for number in 0..25 {
                    let line = format!("{worker}-{number}");
                    let insert = json!({"command": "insert", "path": "x", "insert_line": 0, "new_str": line});
                    if runtime.block_on(call(&tools.editor, insert)).is_ok() {
                        kept.push(line);
                    }
                }
                kept
            })
        })
        .collect();
    let mut kept: Vec<String> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    let content = fs::read_to_string(root.path().join("x")).unwrap();
    let mut lines: Vec<&str> = content.lines().collect();
    lines.sort_unstable();
    kept.sort_unstable();
    assert_eq!(lines, kept);
    assert!(!kept.is_empty());
}

/// A file system of its own with little room, gone when this is dropped.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Result<Self, String> {
        let directory = tempfile::tempdir().unwrap();
        if fs::metadata(directory.path()).unwrap().uid() != 0 {
            return Err("only root can mount a small file system".to_owned());
        }
        let mount = ["-t", "tmpfs", "-o", "size=1m", "tmpfs"];
        let output = Command::new("mount").args(mount).arg(directory.path()).output();
        match output {
            Ok(output) if output.status.success() => Ok(Self(directory)),
            Ok(output) => Err(format!("no small file system: {}", String::from_utf8_lossy(&output.stderr).trim())),
            Err(error) => Err(format!("no small file system: {error}")),
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[tokio::test]
async fn a_full_disk_leaves_every_file_whole() {
    let small = match Small::mount() {
        Ok(small) => small,
        // Past the capture of what tests print, since a test that did not run must say so.
        Err(reason) => {
            return writeln!(std::io::stderr(), "skipped a_full_disk_leaves_every_file_whole: {reason}").unwrap();
        }
    };
    let root = small.0.path();
    let large = format!("first\n{}last\n", "0123456789abcde\n".repeat(12_000));
    fs::write(root.join("large"), &large).unwrap();
    fs::write(root.join("small"), "first\n").unwrap();
    let tools = tools(root);
    let replace =
        |old: &str, new: &str| json!({"command": "str_replace", "path": "large", "old_str": old, "new_str": new});
    call(&tools.editor, replace("first", "1st")).await.unwrap();
    let edited = large.replacen("first", "1st", 1);
    fs::write(root.join("filler"), vec![b'x'; 700 << 10]).unwrap();

    let names = listing(root);
    let full = "large: no storage space.";
    assert_eq!(call(&tools.editor, replace("last", "LAST")).await, Err(full.to_owned()));
    let insert = json!({"command": "insert", "path": "large", "insert_line": 1, "new_str": "second"});
    assert_eq!(call(&tools.editor, insert).await, Err(full.to_owned()));
    assert_eq!(call(&tools.undo, json!({"path": "large"})).await, Err(full.to_owned()));
    let edits = json!({"path": "large", "edits": [{"old_str": "last", "new_str": "LAST"}]});
    assert_eq!(call(&tools.edits, edits).await, Err(full.to_owned()));
    let both =
        patch("*** Update File: small\n-first\n+1st\n*** Add File: new/x\n+x\n*** Update File: large\n-last\n+LAST\n");
    assert_eq!(call(&tools.patch, both).await, Err(format!("Nothing changed.\n{full}")));
    let create = json!({"command": "create", "path": "deep/new", "file_text": large});
    assert_eq!(call(&tools.editor, create).await, Err("deep/new: no storage space.".to_owned()));
    assert_eq!(fs::read_to_string(root.join("large")).unwrap(), edited);
    assert_eq!(fs::read_to_string(root.join("small")).unwrap(), "first\n");
    assert_eq!(listing(root), names, "and nothing is left over");

    fs::remove_file(root.join("filler")).unwrap();
    assert_eq!(call(&tools.undo, json!({"path": "large"})).await, Ok("Undid the last edit of large.".to_owned()));
    assert_eq!(fs::read_to_string(root.join("large")).unwrap(), large);
}
