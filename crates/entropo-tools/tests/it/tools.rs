//! The four tools together, as a model meets them.

use std::sync::Arc;
use std::time::Duration;

use entropo_agent::Toolbox;
use entropo_core::{ToolCall, ToolStatus};
use entropo_tools::{LocalSandbox, Shell, Workspace, coding_tools};
use serde_json::json;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_repair_from_first_look_to_patch() {
    let files = [("lib/sum.sh", "echo $(($1 - $2))\n", true), ("test.sh", "[ $(lib/sum.sh 2 3) = 5 ]\n", true)];
    let workspace = Workspace::from_files(files).await.unwrap();
    let tools = coding_tools(Arc::new(LocalSandbox::new(workspace.root()).unwrap()), workspace.root()).unwrap();
    let cancel = CancellationToken::new();
    for (name, arguments, content, status) in [
        ("editor", json!({"command": "view", "path": "."}), "lib/\nlib/sum.sh\ntest.sh", ToolStatus::Done),
        ("shell", json!({"command": "sh test.sh"}), "[exit status 1]", ToolStatus::Done),
        ("search", json!({"query": r"\$1"}), "lib/sum.sh:1:echo $(($1 - $2))", ToolStatus::Done),
        (
            "editor",
            json!({"command": "str_replace", "path": "lib/sum.sh", "old_str": "$1-$2", "new_str": "$1+$2"}),
            "old_str not found in lib/sum.sh.",
            ToolStatus::Failed,
        ),
        (
            "editor",
            json!({"command": "str_replace", "path": "lib/sum.sh", "old_str": "-", "new_str": "+"}),
            "Edited lib/sum.sh.",
            ToolStatus::Done,
        ),
        ("shell", json!({"command": "sh test.sh"}), "[no output]", ToolStatus::Done),
        ("finish", json!({"message": "fixed"}), "Done.", ToolStatus::Finish),
    ] {
        let call = ToolCall { id: "1".to_owned(), name: name.to_owned(), arguments };
        let result = tools.call(&call, &cancel).await;
        assert_eq!((result.content.as_str(), result.status), (content, status), "{name}");
    }
    assert_eq!(
        workspace.patch().await.unwrap(),
        "diff --git a/lib/sum.sh b/lib/sum.sh\n--- a/lib/sum.sh\n+++ b/lib/sum.sh\n@@ -1 +1 @@\n-echo $(($1 - $2))\n\
         +echo $(($1 + $2))\n"
    );
}

#[tokio::test]
async fn the_specifications_are_what_the_model_is_trained_on() {
    let workspace = Workspace::from_files([("x", "", false)]).await.unwrap();
    let tools = coding_tools(Arc::new(LocalSandbox::new(workspace.root()).unwrap()), workspace.root()).unwrap();
    let names: Vec<&str> = tools.specs().iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(names, ["shell", "editor", "search", "finish"]);
    let schemas = serde_json::to_string_pretty(tools.specs()).unwrap();
    assert!(!schemas.contains("[`"), "documentation links mean nothing to a model");
}

/// A model does what it is told that it can do. Whoever changes a description finds here what must be true of it.
#[tokio::test]
async fn what_descriptions_promise_is_so() {
    let workspace = Workspace::from_files([("x", "a\nb\na\n", false)]).await.unwrap();
    let sandbox = Arc::new(LocalSandbox::new(workspace.root()).unwrap());
    let tools = coding_tools(sandbox.clone(), workspace.root()).unwrap();
    let described: Vec<&str> = tools.specs().iter().map(|spec| spec.description.as_str()).collect();
    assert_eq!(
        described,
        [
            "Run a command with sh in the workspace. Each call is a new shell without input, for at most 60 s.",
            "View, create and change files. view shows a file with line numbers, or a directory; create makes a new file; \
             str_replace replaces text that occurs exactly once; insert adds lines after a line; undo reverts the last edit \
             of a file.",
            "Find the lines that match a regular expression. Each is shown as path:line:text.",
            "Call this when the task is done.",
        ]
    );
    let cancel = CancellationToken::new();
    for (name, arguments, content) in [
        ("shell", json!({"command": "[ \"$PWD\" -ef . ] && ls"}), "x"),
        ("shell", json!({"command": "kept=1; cd /"}), "[no output]"),
        ("shell", json!({"command": "echo ${kept-forgotten}; ls"}), "forgotten\nx"),
        ("shell", json!({"command": "read line; echo $?"}), "1"),
        ("editor", json!({"command": "view", "path": "x"}), "1\ta\n2\tb\n3\ta"),
        ("editor", json!({"command": "view", "path": "."}), "x"),
        ("editor", json!({"command": "create", "path": "y", "file_text": "n\n"}), "Created y."),
        (
            "editor",
            json!({"command": "create", "path": "x", "file_text": "n\n"}),
            "x already exists; use str_replace to change it.",
        ),
        (
            "editor",
            json!({"command": "str_replace", "path": "x", "old_str": "a", "new_str": "c"}),
            "old_str occurs 2 times in x",
        ),
        ("editor", json!({"command": "insert", "path": "x", "insert_line": 1, "new_str": "i"}), "Edited x."),
        ("shell", json!({"command": "cat x"}), "a\ni\nb\na"),
        ("editor", json!({"command": "undo", "path": "x"}), "Undid the last edit of x."),
        ("shell", json!({"command": "cat x"}), "a\nb\na"),
        ("search", json!({"query": "^[b]$"}), "x:2:b"),
        ("finish", json!({}), "Done."),
    ] {
        let call = ToolCall { id: "1".to_owned(), name: name.to_owned(), arguments };
        let said = tools.call(&call, &cancel).await.content;
        assert!(said.starts_with(content), "{call:?}: {said}");
    }
    let brief = Toolbox::new().with(Shell::new(sandbox).timeout(Duration::from_millis(300))).unwrap();
    assert!(brief.specs()[0].description.ends_with("for at most 0.3 s."));
    let call =
        ToolCall { id: "1".to_owned(), name: "shell".to_owned(), arguments: json!({"command": "echo a; sleep 60"}) };
    let said = brief.call(&call, &cancel).await.content;
    assert!(said.starts_with("a\n[") && said.contains("0.3 s"), "{said}");
}
