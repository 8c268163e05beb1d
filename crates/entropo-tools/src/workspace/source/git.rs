//! The files of a commit, without a working tree.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

use super::super::WorkspaceError;
use super::super::git::command;
use super::super::template::Note;
use super::writer::{Writer, shown};

/// The longest target of a link.
const TARGET: u64 = 4096;

/// Writes the files of a commit as they are stored.
pub(super) fn export(
    repository: &Path,
    revision: &str,
    writer: &mut Writer,
    notes: &mut Vec<Note>,
) -> Result<(), WorkspaceError> {
    let commit = format!("{revision}^{{commit}}");
    let commit =
        output("rev-parse", repository, &["--verify", "--quiet", "--end-of-options", &commit]).map_err(|error| {
            match error {
                WorkspaceError::Git { message, .. } if message.is_empty() => {
                    writer.refused(format!("it has no commit {}", shown(Path::new(revision))))
                }
                error => error,
            }
        })?;
    let commit = String::from_utf8_lossy(&commit).trim().to_owned();
    let listed = output("ls-tree", repository, &["-r", "-z", "--full-tree", &commit])?;
    let mut entries = Vec::new();
    for line in listed.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
        let entry = Entry::parse(line).ok_or_else(|| WorkspaceError::Git {
            action: "ls-tree",
            message: format!("it printed {:?}", String::from_utf8_lossy(line)),
        })?;
        match entry.mode {
            0o160_000 => notes.push(Note::Submodule(entry.path)),
            _ => entries.push(entry),
        }
    }
    contents(repository, &entries, writer)
}

/// A file of a commit.
struct Entry {
    mode: u32,
    object: String,
    path: PathBuf,
}

impl Entry {
    /// Reads `mode kind object<tab>path`.
    fn parse(line: &[u8]) -> Option<Self> {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        let (head, path) = line.split_at(tab);
        let mut fields = std::str::from_utf8(head).ok()?.split(' ');
        let mode = u32::from_str_radix(fields.next()?, 8).ok()?;
        let object = fields.nth(1)?.to_owned();
        Some(Self { mode, object, path: std::ffi::OsStr::from_bytes(path.get(1..)?).into() })
    }
}

/// Asks one git for all contents, in order.
fn contents(repository: &Path, entries: &[Entry], writer: &mut Writer) -> Result<(), WorkspaceError> {
    let action = "cat-file";
    let failed = |error: std::io::Error| WorkspaceError::Git { action, message: error.to_string() };
    let mut git = prepared(repository)?;
    git.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = git.spawn().map_err(failed)?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let written = std::thread::scope(|scope| {
        // git stops reading while its answers are not read, so somebody else has to ask.
        scope.spawn(move || {
            let mut stdin = stdin.map(std::io::BufWriter::new);
            for entry in entries {
                if stdin.as_mut().is_none_or(|stdin| writeln!(stdin, "{}", entry.object).is_err()) {
                    break;
                }
            }
        });
        let stdout = stdout.ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
        let mut stdout = BufReader::with_capacity(1 << 16, stdout);
        entries.iter().try_for_each(|entry| content(entry, &mut stdout, writer))
    });
    // Where writing stopped early git waits for somebody to read.
    let _ = child.kill();
    let _ = child.wait();
    written
}

fn content(entry: &Entry, answers: &mut BufReader<ChildStdout>, writer: &mut Writer) -> Result<(), WorkspaceError> {
    let failed = |message: String| WorkspaceError::Git { action: "cat-file", message };
    let mut head = String::new();
    answers.read_line(&mut head).map_err(|error| failed(error.to_string()))?;
    let size = head.trim_end().rsplit_once(' ').and_then(|(_, size)| size.parse::<u64>().ok());
    let size = size.ok_or_else(|| failed(format!("of {}: {}", shown(&entry.path), head.trim_end())))?;
    let mut content = answers.take(size);
    if entry.mode & 0o170_000 == 0o120_000 {
        let mut target = Vec::new();
        (&mut content).take(TARGET + 1).read_to_end(&mut target).map_err(|error| failed(error.to_string()))?;
        writer.link(&entry.path, Path::new(std::ffi::OsStr::from_bytes(&target)))?;
    } else {
        writer.file(&entry.path, if entry.mode & 0o100 == 0 { 0o644 } else { 0o755 }, None, &mut content)?;
    }
    // What was left out is read all the same, and then the newline after it.
    let left = content.limit();
    std::io::copy(&mut answers.take(left + 1), &mut std::io::sink()).map_err(|error| failed(error.to_string()))?;
    Ok(())
}

fn prepared(repository: &Path) -> Result<Command, WorkspaceError> {
    let mut git = command(repository)?;
    // The repository may be another user's: nothing of it is run, and nothing is fetched for it.
    git.args(["-c", "safe.directory=*"]).env("GIT_NO_LAZY_FETCH", "1").env("GIT_NO_REPLACE_OBJECTS", "1");
    Ok(git)
}

fn output(action: &'static str, repository: &Path, arguments: &[&str]) -> Result<Vec<u8>, WorkspaceError> {
    let failed = |message: String| WorkspaceError::Git { action, message };
    let mut git = prepared(repository)?;
    git.arg(action).args(arguments).stdin(Stdio::null());
    let output = git.output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")))
}
