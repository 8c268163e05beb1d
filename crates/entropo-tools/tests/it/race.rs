//! A directory that becomes a link to the outside and back while tools work in it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use entropo_agent::Tool;
use entropo_tools::{ApplyPatch, Editor, History, MultiEdit, Search, Undo};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Rounds of all calls.
const ROUNDS: usize = 400;

async fn call<T: Tool>(tool: &T, arguments: Value) -> Result<String, String> {
    let answer = tool.call(serde_json::from_value(arguments).unwrap(), &CancellationToken::new()).await;
    answer.map(|output| output.content).map_err(|error| error.to_string())
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
    let before = tree(outside.path());

    let root = tempfile::tempdir().unwrap();
    let (real, link) = (root.path().join("d"), root.path().join("link"));
    fs::create_dir_all(real.join("hidden")).unwrap();
    fs::write(real.join("file"), "one\ntwo\n").unwrap();
    fs::write(real.join("victim"), "one\ntwo\n").unwrap();
    symlink(outside.path(), &link).unwrap();

    let (stop, swaps) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let swapper = std::thread::spawn({
        let (stop, swaps) = (Arc::clone(&stop), Arc::clone(&swaps));
        move || {
            // An even number of swaps leaves the directory where it was.
            while !stop.load(Ordering::Relaxed) || swaps.load(Ordering::Relaxed) % 2 == 1 {
                renameat_with(CWD, &real, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                swaps.fetch_add(1, Ordering::Relaxed);
            }
        }
    });

    let history = History::new();
    let editor = Editor::new(root.path()).unwrap().with_history(&history);
    let edits = MultiEdit::new(root.path()).unwrap().with_history(&history);
    let patch = ApplyPatch::new(root.path()).unwrap().with_history(&history);
    let undo = Undo::new(root.path(), &history).unwrap();
    let search = Search::new(root.path()).unwrap();
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
        for answer in &answers {
            let text = answer.as_ref().unwrap_or_else(|refusal| refusal);
            assert!(!text.contains("SECRET"), "round {round}: {text}");
        }
        done += answers.iter().filter(|answer| answer.is_ok()).count();
        refused += answers.iter().filter(|answer| answer.is_err()).count();
        assert_eq!(tree(outside.path()), before, "round {round}");
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    assert!(swaps.load(Ordering::Relaxed) > 0 && done > 0 && refused > 0, "{done} done, {refused} refused");
}
