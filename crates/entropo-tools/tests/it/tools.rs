//! The four tools together, as a model meets them.

use std::sync::Arc;

use entropo_core::{ToolCall, ToolStatus};
use entropo_tools::{LocalSandbox, Workspace, coding_tools};
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
