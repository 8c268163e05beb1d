//! Where commands start, and how their programs are found.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use crate::paths::{Located, Root};
use crate::sandbox::{Program, SandboxError};

const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Finds programs in some directories, first among them the shell.
#[derive(Debug)]
pub(in crate::sandbox) struct Programs {
    search_path: OsString,
    pub(super) shell: PathBuf,
}

impl Programs {
    /// Looks in these directories, separated by colons, else in the system's.
    pub(in crate::sandbox) fn new(search_path: Option<OsString>, root: &Path) -> Result<Self, SandboxError> {
        let search_path = search_path.unwrap_or_else(|| SEARCH_PATH.into());
        let shell = find(OsStr::new("sh"), &search_path, root)?;
        Ok(Self { search_path, shell })
    }

    /// A program's full path and its arguments.
    pub(in crate::sandbox) fn arguments(
        &self,
        program: &Program,
        directory: &Path,
    ) -> Result<Vec<OsString>, SandboxError> {
        match program {
            Program::Script(script) => Ok(vec![self.shell.clone().into(), "-c".into(), script.into()]),
            Program::Direct { name, arguments } => {
                let program = find(name, &self.search_path, directory)?;
                Ok(std::iter::once(program.into()).chain(arguments.iter().cloned()).collect())
            }
        }
    }

    /// The variables that all commands see.
    pub(in crate::sandbox) fn environment(&self, home: &Path, temporary: &Path) -> Vec<(OsString, OsString)> {
        vec![
            ("PATH".into(), self.search_path.clone()),
            ("HOME".into(), home.into()),
            ("TMPDIR".into(), temporary.into()),
            ("LANG".into(), "C.UTF-8".into()),
        ]
    }
}

fn find(program: &OsStr, search_path: &OsStr, directory: &Path) -> Result<PathBuf, SandboxError> {
    which::which_in(program, Some(search_path), directory)
        .map_err(|source| SandboxError::Missing { program: program.to_owned(), source })
}

/// The root of a sandbox, links resolved.
pub(in crate::sandbox) fn canonical_directory(root: &Path) -> Result<PathBuf, SandboxError> {
    let directory = || {
        let path = root.canonicalize()?;
        if path.is_dir() { Ok(path) } else { Err(io::Error::from(io::ErrorKind::NotADirectory)) }
    };
    directory().map_err(|source| SandboxError::Root { root: root.to_path_buf(), source })
}

/// The directory below the root in which a command starts.
pub(in crate::sandbox) fn directory(root: &Path, directory: &Path) -> Result<Located, SandboxError> {
    Root::canonical(root)
        .existing(&directory.to_string_lossy())
        .map_err(|source| SandboxError::Directory { directory: directory.to_path_buf(), source })
}
