//! Running git, and what it is run for beside [applying patches](super::apply): comparing files that are no text.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::WorkspaceError;

/// The part of a binary patch that tells two contents apart: its `index` line and what follows.
pub(super) fn binary_patch(old: Option<&[u8]>, new: Option<&[u8]>) -> Result<String, WorkspaceError> {
    let temporary = std::env::temp_dir();
    let scratch = tempfile::tempdir().map_err(WorkspaceError::io("make a directory in", &temporary))?;
    let scratch = scratch.path();
    let mut arguments = vec!["-c", "core.attributesFile=attributes", "diff", "--no-index", "--binary", "--full-index"];
    arguments.extend(["--no-color", "--no-ext-diff", "--no-renames", "--"]);
    let sides = [("old", old), ("new", new)];
    for (name, content) in sides.into_iter().chain([("attributes", Some(b"* binary\n".as_slice()))]) {
        if let Some(content) = content {
            let path = scratch.join(name);
            std::fs::write(&path, content).map_err(WorkspaceError::io("write", &path))?;
        }
    }
    arguments.extend(sides.map(|(name, content)| if content.is_some() { name } else { "/dev/null" }));
    let mut git = command(scratch)?;
    git.args(arguments);
    let output = run("diff", git, b"")?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.find("\nindex ") {
        Some(at) => Ok(text.get(at + 1..).unwrap_or_default().to_owned()),
        None => {
            Err(WorkspaceError::Git { action: "diff", message: String::from_utf8_lossy(&output.stderr).into_owned() })
        }
    }
}

/// git with neither the user's settings nor a repository that happens to lie around `directory`.
pub(super) fn command(directory: &Path) -> Result<Command, WorkspaceError> {
    let mut git = Command::new(which::which("git").map_err(WorkspaceError::NoGit)?);
    git.current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_CEILING_DIRECTORIES", directory.parent().unwrap_or(directory));
    Ok(git)
}

/// Runs git to its end.
pub(super) fn run(action: &'static str, mut git: Command, input: &[u8]) -> Result<Output, WorkspaceError> {
    let failed = |error: std::io::Error| WorkspaceError::Git { action, message: error.to_string() };
    let git = git.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = git.spawn().map_err(failed)?;
    // git reads the whole patch before it writes anything, so that neither waits for the other. It may stop reading at
    // a fault; then its own message says more than the broken pipe.
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input);
    }
    child.wait_with_output().map_err(failed)
}
