//! Edits that break a file's syntax are not kept.

use super::introduced;
use crate::edit_check::{EditCheck, ProposedEdit};

/// Errors that are told at once; the first is the one to look at.
const MAX_TOLD: usize = 3;

/// Refuses an edit that brings errors of syntax, and names them by line. Errors that were there before are no hindrance,
/// nor is a language that is not known.
///
/// ```
/// use std::sync::Arc;
///
/// use entropo_core::ToolCall;
/// use entropo_agent::Toolbox;
/// use entropo_tools::{Editor, Workspace, syntax::SyntaxCheck};
/// use serde_json::json;
/// use tokio_util::sync::CancellationToken;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let workspace = Workspace::from_files([("add.py", "def add(a, b):\n    return a - b\n", false)]).await?;
/// let editor = Editor::new(workspace.root())?.with_check(Arc::new(SyntaxCheck));
/// let tools = Toolbox::new().with(editor)?;
/// let arguments = json!({"command": "str_replace", "path": "add.py", "old_str": "a - b", "new_str": "(a + b"});
/// let call = ToolCall { id: "1".into(), name: "editor".into(), arguments };
/// let answer = tools.call(&call, &CancellationToken::new()).await.content;
/// assert!(answer.contains("add.py would not parse") && answer.contains("\n2:"), "{answer}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SyntaxCheck;

impl EditCheck for SyntaxCheck {
    fn check(&self, edit: &ProposedEdit<'_>) -> Result<(), String> {
        let (before, after) = (edit.before.unwrap_or_default(), edit.after);
        let (Ok(before), Ok(after)) = (std::str::from_utf8(before), std::str::from_utf8(after)) else { return Ok(()) };
        let errors = introduced(edit.path, before, after);
        if errors.is_empty() {
            return Ok(());
        }
        let told: Vec<String> = errors.iter().take(MAX_TOLD).map(ToString::to_string).collect();
        Err(format!("{} would not parse after this edit, so it was not made:\n{}", edit.path, told.join("\n")))
    }
}
