//! What becomes something else and back while it is worked on: a directory a link to the outside, a file a pipe.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use entropo_agent::Tool;
use entropo_tools::{ApplyPatch, Editor, Glob, Grep, History, MultiEdit, Outline, Search, Undo, Workspace};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Rounds of all calls.
const ROUNDS: usize = 400;

async fn call<T: Tool>(tool: &T, arguments: Value) -> Result<String, String> {
    let answer = tool.call(serde_json::from_value(arguments).unwrap(), &CancellationToken::new()).await;
    answer.map(|output| output.content).map_err(|error| error.to_string())
}

/// A thread in which two things take each other's place, over and over.
struct Swapper {
    stop: Arc<AtomicBool>,
    swaps: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Swapper {
    fn of(one: &Path, other: &Path) -> Self {
        let (one, other) = (one.to_owned(), other.to_owned());
        let (stop, swaps) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let thread = std::thread::spawn({
            let (stop, swaps) = (Arc::clone(&stop), Arc::clone(&swaps));
            move || {
                // An even number of swaps leaves both where they were.
                while !stop.load(Ordering::Relaxed) || swaps.load(Ordering::Relaxed) % 2 == 1 {
                    renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
                    swaps.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { stop, swaps, thread }
    }

    /// How often they were swapped.
    fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.swaps.load(Ordering::Relaxed)
    }
}

/// All names and contents below a directory.
fn tree(directory: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(tree(&entry.path()).into_iter().map(|(below, text)| (format!("{name}/{below}"), text)));
            found.push((name, String::new()));
        } else {
            found.push((name, fs::read_to_string(entry.path()).unwrap()));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn nothing_outside_is_shown_or_changed_while_a_directory_becomes_a_link() {
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(outside.path().join("hidden")).unwrap();
    fs::write(outside.path().join("file"), "one\nSECRET\n").unwrap();
    fs::write(outside.path().join("victim"), "one\nSECRET\n").unwrap();
    fs::write(outside.path().join("hidden/SECRET-name"), "").unwrap();
    fs::write(outside.path().join("names.rs"), "fn SECRET() {}\n").unwrap();
    fs::write(outside.path().join("SECRET.rs"), "fn secret() {}\n").unwrap();
    let before = tree(outside.path());

    let root = tempfile::tempdir().unwrap();
    let (real, link) = (root.path().join("d"), root.path().join("link"));
    fs::create_dir_all(real.join("hidden")).unwrap();
    fs::write(real.join("file"), "one\ntwo\n").unwrap();
    fs::write(real.join("victim"), "one\ntwo\n").unwrap();
    fs::write(real.join("names.rs"), "fn plain() {}\n").unwrap();
    symlink(outside.path(), &link).unwrap();

    let swapper = Swapper::of(&real, &link);
    let history = History::new();
    let editor = Editor::new(root.path()).unwrap().with_history(&history);
    let edits = MultiEdit::new(root.path()).unwrap().with_history(&history);
    let patch = ApplyPatch::new(root.path()).unwrap().with_history(&history);
    let undo = Undo::new(root.path(), &history).unwrap();
    let search = Search::new(root.path()).unwrap();
    let grep = Grep::new(root.path()).unwrap();
    let glob = Glob::new(root.path()).unwrap();
    let outline = Outline::new(root.path()).unwrap();
    let (mut done, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let editing = [
            json!({"command": "view", "path": "d/file"}),
            json!({"command": "str_replace", "path": "d/file", "old_str": "one", "new_str": "1ne"}),
            json!({"command": "insert", "path": "d/file", "insert_line": 0, "new_str": "top"}),
            json!({"command": "undo", "path": "d/file"}),
            json!({"command": "undo", "path": "d/file"}),
            json!({"command": "create", "path": format!("d/new/{round}"), "file_text": "n\n"}),
            json!({"command": "undo", "path": format!("d/new/{round}")}),
            json!({"command": "view", "path": "d"}),
            json!({"command": "view", "path": "."}),
        ];
        let mut answers = Vec::new();
        for arguments in editing {
            answers.push(call(&editor, arguments).await);
        }
        let replacement = json!({"path": "d/file", "edits": [{"old_str": "one", "new_str": "uno"}]});
        answers.push(call(&edits, replacement).await);
        answers.push(call(&undo, json!({"path": "d/file"})).await);
        for body in ["*** Delete File: d/victim\n", "*** Update File: d/file\n-one\n+eins\n", "*** Add File: d/x\n+x\n"]
        {
            let body = format!("*** Begin Patch\n{body}*** End Patch\n");
            answers.push(call(&patch, json!({"patch": body})).await);
        }
        for path in ["d/victim", "d/file", "d/x"] {
            answers.push(call(&undo, json!({"path": path})).await);
        }
        answers.push(call(&search, json!({"query": "SECRE[T]"})).await);
        answers.push(call(&search, json!({"query": "SECRE[T]", "path": "d/file"})).await);
        answers.push(call(&grep, json!({"pattern": "SECRE[T]", "hidden": true})).await);
        answers.push(call(&grep, json!({"pattern": "SECRE[T]", "path": "d", "show": "files"})).await);
        answers.push(call(&glob, json!({"pattern": "*"})).await);
        answers.push(call(&glob, json!({"pattern": "**", "path": "d"})).await);
        answers.push(call(&outline, json!({"path": "."})).await);
        answers.push(call(&outline, json!({"path": "d/names.rs"})).await);
        for answer in &answers {
            let text = answer.as_ref().unwrap_or_else(|refusal| refusal);
            assert!(!text.contains("SECRET"), "round {round}: {text}");
        }
        done += answers.iter().filter(|answer| answer.is_ok()).count();
        refused += answers.iter().filter(|answer| answer.is_err()).count();
        assert_eq!(tree(outside.path()), before, "round {round}");
    }
    assert!(swapper.stop() > 0 && done > 0 && refused > 0, "{done} done, {refused} refused");
}

#[tokio::test]
async fn no_patch_shows_what_is_outside_while_a_directory_becomes_a_link() {
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(outside.path().join("hidden")).unwrap();
    fs::write(outside.path().join("file"), "one\nSECRET\n").unwrap();
    fs::write(outside.path().join("SECRET-name"), "x\n").unwrap();
    fs::write(outside.path().join("hidden/SECRET-name"), "x\n").unwrap();
    fs::write(outside.path().join(".gitignore"), "*\n").unwrap();
    let before = tree(outside.path());
    let files = [("d/file", "one\ntwo\n", false), ("d/hidden/x", "x\n", false)];
    let workspace = Workspace::from_files(files).await.unwrap();
    let (real, link) = (workspace.root().join("d"), workspace.root().join("link"));
    fs::write(real.join("new"), "new\n").unwrap();
    symlink(outside.path(), &link).unwrap();
    let swapper = Swapper::of(&real, &link);
    let mut seen = 0;
    for round in 0..ROUNDS {
        // A directory that is gone while it is looked at may fail the whole; what is said then names nothing outside either.
        let said = match workspace.patch().await {
            Ok(patch) => patch,
            Err(error) => error.to_string(),
        };
        assert!(!said.contains("SECRET"), "round {round}: {said}");
        seen += usize::from(said.contains("+new"));
        assert_eq!(tree(outside.path()), before, "round {round}");
    }
    assert!(swapper.stop() > 0 && seen > 0, "{seen}");
}

#[test]
fn a_gitignore_that_becomes_a_pipe_holds_nothing_up() {
    let answered = crate::within(60, || async {
        let workspace = Workspace::from_files([("x", "word\n", false)]).await.unwrap();
        let root = workspace.root();
        fs::write(root.join("new"), "word\n").unwrap();
        fs::write(root.join(".gitignore"), "new\n").unwrap();
        nix::unistd::mkfifo(&root.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let search = Search::new(root).unwrap();
        let swapper = Swapper::of(&root.join(".gitignore"), &root.join("pipe"));
        for _ in 0..200 {
            workspace.patch().await.unwrap();
            call(&search, json!({"query": "word"})).await.unwrap();
        }
        let swaps = swapper.stop();
        let patch = workspace.patch().await.unwrap();
        assert!(patch.contains("/.gitignore") && !patch.contains("/new"), "{patch}");
        swaps
    });
    assert!(answered > 0);
}
