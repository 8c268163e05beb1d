//! The search on real files.

use std::fs;

use entropo_agent::Tool;
use entropo_tools::Search;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub(crate) fn tree(files: &[(&str, &[u8])]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    directory
}

async fn search(directory: &TempDir, arguments: Value) -> Result<String, String> {
    let search = Search::new(directory.path()).unwrap();
    let answer = search.call(serde_json::from_value(arguments).unwrap(), &CancellationToken::new()).await;
    answer.map(|output| output.content).map_err(|error| error.to_string())
}

#[tokio::test]
async fn matches_are_sorted_by_path_and_line() {
    let directory = tree(&[
        ("lib/mill.sh", b"x\ndiscount() {\r\n  discount\n}\n"),
        ("lib.sh", b"discount"),
        ("a/z.sh", b"no\ndiscount\n"),
        ("a-b.sh", b"discount\n"),
    ]);
    assert_eq!(
        search(&directory, json!({"query": "disc.*t"})).await.unwrap(),
        "a-b.sh:1:discount\na/z.sh:2:discount\nlib.sh:1:discount\nlib/mill.sh:2:discount() {\nlib/mill.sh:3:  discount"
    );
    assert_eq!(search(&directory, json!({"query": "disc", "path": "./a/"})).await.unwrap(), "a/z.sh:2:discount");
    assert_eq!(search(&directory, json!({"query": "x", "path": "lib/mill.sh"})).await.unwrap(), "lib/mill.sh:1:x");
    assert_eq!(search(&directory, json!({"query": "absent"})).await.unwrap(), "No match for \"absent\".");
}

#[tokio::test]
async fn what_is_no_regular_expression_is_taken_literally() {
    let directory = tree(&[("x", b"f(\nf\n[a\n")]);
    assert_eq!(search(&directory, json!({"query": "f("})).await.unwrap(), "x:1:f(");
    assert_eq!(search(&directory, json!({"query": "[a"})).await.unwrap(), "x:3:[a");
    for query in ["", "a\nb"] {
        let refusal = search(&directory, json!({"query": query})).await.unwrap_err();
        assert_eq!(refusal, "query must be one line and not empty.");
    }
}

#[tokio::test]
async fn ignored_hidden_and_binary_files_are_left_out() {
    let directory = tree(&[
        (".gitignore", b"build\n"),
        ("build/x", b"word\n"),
        (".hidden", b"word\n"),
        ("binary", b"word\nword\0\n"),
        ("kept", b"word \xff\n"),
    ]);
    assert_eq!(search(&directory, json!({"query": "word"})).await.unwrap(), "kept:1:word \u{fffd}");
    assert_eq!(search(&directory, json!({"query": "word", "path": ".hidden"})).await.unwrap(), ".hidden:1:word");
}

#[tokio::test]
async fn much_is_cut() {
    let directory = tree(&[("a", "word\n".repeat(70).as_bytes()), ("b", "word\n".repeat(47).as_bytes())]);
    let found = search(&directory, json!({"query": "word"})).await.unwrap();
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!((lines.len(), lines[69], lines[70], lines[99]), (101, "a:70:word", "b:1:word", "b:30:word"));
    assert_eq!(lines[100], "[17 more lines; narrow the query or the path]");
    let directory = tree(&[("long", "é".repeat(300).as_bytes())]);
    let found = search(&directory, json!({"query": "é"})).await.unwrap();
    assert_eq!(found, format!("long:1:{}…", "é".repeat(200)));
}

#[tokio::test]
async fn no_path_leaves_the_workspace() {
    let directory = tree(&[("x", b"word\n")]);
    std::os::unix::fs::symlink("/", directory.path().join("out")).unwrap();
    for path in ["..", "/etc", "out", "out/etc"] {
        let refusal = search(&directory, json!({"query": "root", "path": path})).await.unwrap_err();
        assert_eq!(refusal, format!("{path}: path leaves the workspace."));
    }
    assert_eq!(search(&directory, json!({"query": "root"})).await.unwrap(), "No match for \"root\".");
}
