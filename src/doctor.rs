//! What of entropo works on this machine.

use std::fmt;
use std::path::PathBuf;

use crate::tools::sandbox::{Detected, Promise, detect};

/// What was found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Diagnosis {
    /// Each kind of sandbox: what it holds back, or why it does not work.
    pub sandboxes: Vec<Detected>,
    /// Programs that are used where they are there.
    pub programs: Vec<Program>,
    /// What was compiled in, by the names of the features.
    pub features: Vec<&'static str>,
}

/// A program that entropo uses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// What it is used for.
    pub purpose: &'static str,
    /// Where it is.
    pub path: Option<PathBuf>,
}

const PROGRAMS: [(&str, &str); 4] = [
    ("git", "workspaces of commits, patches of binary files"),
    ("bwrap", "the sandbox `bubblewrap`"),
    ("podman", "containers"),
    ("docker", "containers"),
];

const FEATURES: [(&str, bool); 8] = [
    ("openai", cfg!(feature = "openai")),
    ("anthropic", cfg!(feature = "anthropic")),
    ("mcp", cfg!(feature = "mcp")),
    ("tools", cfg!(feature = "tools")),
    ("train", cfg!(feature = "train")),
    ("cuda", cfg!(feature = "cuda")),
    ("wgpu", cfg!(feature = "wgpu")),
    ("hub", cfg!(feature = "hub")),
];

/// Tries the sandboxes and looks for the programs that entropo uses. Takes a tenth of a second.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// println!("{}", entropo::doctor().await);
/// # }
/// ```
pub async fn doctor() -> Diagnosis {
    let program = |(name, purpose)| Program { name, purpose, path: which::which(name).ok() };
    Diagnosis {
        sandboxes: detect().await,
        programs: PROGRAMS.into_iter().map(program).collect(),
        features: FEATURES.into_iter().filter_map(|(name, is_there)| is_there.then_some(name)).collect(),
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Sandboxes")?;
        for detected in &self.sandboxes {
            writeln!(f, "  {detected}")?;
        }
        let limits = [Promise::Memory, Promise::Processes].map(Promise::what).join(", ");
        writeln!(f, "  With limits set: {limits}, where that can be enforced")?;
        writeln!(f, "Programs")?;
        for Program { name, purpose, path } in &self.programs {
            match path {
                Some(path) => writeln!(f, "  {name}: {}", path.display())?,
                None => writeln!(f, "  {name}: not found; needed for {purpose}")?,
            }
        }
        write!(f, "Features\n  {}", self.features.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_sandbox_has_one_line_and_a_reason_where_it_fails() {
        let diagnosis = doctor().await;
        let shown = diagnosis.to_string();
        assert!(!diagnosis.sandboxes.is_empty());
        for detected in &diagnosis.sandboxes {
            let start = format!("  {}: ", detected.kind);
            let lines: Vec<&str> = shown.lines().filter(|line| line.starts_with(&start)).collect();
            let [line] = lines[..] else { panic!("{lines:?} for {}", detected.kind) };
            match &detected.promises {
                Ok(_) => assert!(line.contains("works"), "{line}"),
                Err(error) => assert!(line.ends_with(&error.to_string()), "{line}"),
            }
        }
    }
}
