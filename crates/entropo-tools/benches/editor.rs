//! The editor in a file of 10 MB and 200,000 lines, beside the plainest code that does the same: read the file, change
//! the string, write it. That code checks nothing, keeps nothing to undo and can leave half a file.
//!
//! `cargo bench -p entropo-tools --bench editor`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for measuring")]

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use entropo_agent::Tool;
use entropo_tools::Editor;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const LINES: usize = 200_000;
const ROUNDS: usize = 21;
/// Where it is edited.
const AT: usize = 150_000;

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let mut content = String::new();
    for number in 1..=LINES {
        writeln!(content, "line {number:6}: the quick brown fox jumps over it...").unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let editor = Editor::new(directory.path()).unwrap();
    let edit = |arguments: Value| {
        let arguments = serde_json::from_value(arguments).unwrap();
        runtime.block_on(editor.call(arguments, &CancellationToken::new())).unwrap().content
    };
    let (old, new) = (format!("line {AT:6}: the quick"), format!("line {AT:6}: the slow and"));
    let replace = json!({"command": "str_replace", "path": "file", "old_str": old, "new_str": new});
    let insert = json!({"command": "insert", "path": "file", "insert_line": AT, "new_str": "an inserted line"});
    let view = json!({"command": "view", "path": "file", "view_range": [AT, AT + 50]});
    let undo = json!({"command": "undo", "path": "file"});

    println!("{} bytes, {LINES} lines, median of {ROUNDS} rounds", content.len());
    println!("{:<12} {:>10} {:>10} {:>7}", "", "editor ms", "plain ms", "ratio");
    let mut times: [[Vec<Duration>; 2]; 4] = Default::default();
    for _ in 0..ROUNDS {
        fs::write(&path, &content).unwrap();
        black_box(edit(json!({"command": "view", "path": "file", "view_range": [1, 1]})));
        let steps: [[&dyn Fn(); 2]; 4] = [
            [&|| drop(black_box(edit(view.clone()))), &|| drop(black_box(plain_view(&path)))],
            [&|| drop(edit(replace.clone())), &|| plain_replace(&path, &old, &new)],
            [&|| drop(edit(undo.clone())), &|| plain_replace(&path, &new, &old)],
            [&|| drop(edit(insert.clone())), &|| plain_insert(&path)],
        ];
        // The editor edits and takes back, then so does the plain code, so that both have the same file before them.
        for plain in [false, true] {
            for ([ours, theirs], times) in steps.iter().zip(&mut times) {
                let begin = Instant::now();
                if plain {
                    theirs()
                } else {
                    ours()
                }
                times.get_mut(usize::from(plain)).unwrap().push(begin.elapsed());
            }
            fs::write(&path, &content).unwrap();
        }
    }
    for (name, [ours, plain]) in ["view a range", "str_replace", "undo", "insert"].into_iter().zip(times) {
        let (ours, plain) = (median(ours), median(plain));
        println!("{name:<12} {ours:>10.2} {plain:>10.2} {:>7.2}", ours / plain);
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).unwrap().as_secs_f64() * 1e3
}

fn plain_view(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().enumerate().skip(AT - 1).take(51);
    lines.map(|(index, line)| format!("{}\t{line}\n", index + 1)).collect()
}

fn plain_replace(path: &Path, old: &str, new: &str) {
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, text.replacen(old, new, 1)).unwrap();
}

fn plain_insert(path: &Path) {
    let mut text = fs::read_to_string(path).unwrap();
    let at = text.split_inclusive('\n').take(AT).map(str::len).sum();
    text.insert_str(at, "an inserted line\n");
    fs::write(path, text).unwrap();
}
