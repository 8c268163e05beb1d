//! The two things for which git itself is run: applying patches, and comparing files that are no text.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::WorkspaceError;

/// Applies a patch to the files under `root`, wholly or not at all.
pub(super) fn apply(root: &Path, patch: &str) -> Result<(), WorkspaceError> {
    if patch.trim().is_empty() {
        return Ok(());
    }
    let action = "apply";
    let repository = empty_repository()?;
    for check in [true, false] {
        let mut git = command(root)?;
        git.env("GIT_DIR", repository.path()).env("GIT_WORK_TREE", root);
        git.args(["apply", "--whitespace=nowarn"]).args(check.then_some("--check")).arg("-");
        let output = run(action, git, patch.as_bytes())?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
            return Err(match output.status.code() {
                Some(1 | 128) => WorkspaceError::Rejected(explained(root, patch, message)),
                _ => WorkspaceError::Git { action, message },
            });
        }
    }
    Ok(())
}

/// git names files and lines; what is there instead is found by the reader that the agents' own patches have.
fn explained(root: &Path, patch: &str, message: String) -> String {
    let conflicts = crate::patch::conflicts(root, patch);
    if conflicts.is_empty() { message } else { format!("{message}\n{}", conflicts.join("\n")) }
}

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

fn run(action: &'static str, mut git: Command, input: &[u8]) -> Result<Output, WorkspaceError> {
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

/// A repository without anything, whose attributes come before those of the files: else a `.gitattributes` of the agent's, or a
/// `.git` with settings, would say what is written.
fn empty_repository() -> Result<TempDir, WorkspaceError> {
    let temporary = std::env::temp_dir();
    let repository = tempfile::tempdir().map_err(WorkspaceError::io("make a directory in", &temporary))?;
    for directory in ["objects", "refs", "info"] {
        let path = repository.path().join(directory);
        std::fs::create_dir(&path).map_err(WorkspaceError::io("make", &path))?;
    }
    let attributes = "* -text -eol -ident -filter -working-tree-encoding -whitespace\n";
    for (name, content) in [("HEAD", "ref: refs/heads/main\n"), ("info/attributes", attributes), ("config", "")] {
        let path = repository.path().join(name);
        std::fs::write(&path, content).map_err(WorkspaceError::io("write", &path))?;
    }
    Ok(repository)
}
