//! Commands in namespaces of their own.
//!
//! The program `bwrap` gives them a file system of the system's directories (read-only), the root and private directories
//! for home and temporary files; a process table in which only they are, and that dies with its first process; and a
//! network with nothing but themselves in it. It needs no rights where the kernel lets users make namespaces.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;

use super::host::{Launch, Launcher, Scratch, Site};
use super::process::{Input, Process};
use super::seccomp::{self, Sockets};
use super::{
    Command, DiskGuard, Promise, Promises, Sandbox, SandboxError, SandboxKind, SandboxOptions, SpillDirectory, system,
};

/// Where commands see the root, their home and their temporary directory, whatever these are called on this machine.
const ROOT: &str = "/workspace";
const HOME: &str = "/home/agent";
const TEMPORARY: &str = "/tmp";

/// Where whoever counts as root outside can change the kernel, also from a namespace.
const KERNEL: [&str; 6] = ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi"];

/// Runs commands that see `/workspace`, the system's directories and nothing else of this machine.
#[derive(Debug)]
pub struct BubblewrapSandbox {
    site: Site,
    /// `bwrap` and all its arguments but the command's own.
    prefix: Vec<OsString>,
    network: bool,
}

impl BubblewrapSandbox {
    /// A sandbox whose commands start in `root`, with the default options.
    ///
    /// # Errors
    ///
    /// As [`BubblewrapSandbox::with`].
    pub fn new(root: impl AsRef<Path>) -> Result<Self, SandboxError> {
        Self::with(root, SandboxOptions::new())
    }

    /// A sandbox whose commands start in `root`, which they see as `/workspace`. What the options make readable or writable
    /// they see under its own path.
    ///
    /// # Errors
    ///
    /// Where there is no `bwrap`, the kernel does not let it make namespaces, a limit cannot be enforced, or a directory
    /// cannot be used. What `bwrap` can do here is tried once, which takes some milliseconds.
    pub fn with(root: impl AsRef<Path>, options: SandboxOptions) -> Result<Self, SandboxError> {
        let bwrap = which::which("bwrap").map_err(|error| {
            unavailable(format!(
                "the program `bwrap` was not found ({error}); most systems have it in a package `bubblewrap`"
            ))
        })?;
        Self::by(&bwrap, root.as_ref(), options)
    }

    fn by(bwrap: &Path, root: &Path, options: SandboxOptions) -> Result<Self, SandboxError> {
        options.check()?;
        let (network, mut prefix) = (options.network, Vec::new());
        let shared = options.clone();
        let site = Site::new(SandboxKind::Bubblewrap, root, options, |root, scratch| {
            let filters = write_filters(network, scratch.path())?;
            prefix = with_filters(bwrap, filters.len());
            prefix.extend(filters.into_iter().map(OsString::from));
            prefix.extend(namespaces(network));
            prefix.extend(mounts(&shared, root, scratch));
            Launcher::standing()
        })?;
        let sandbox = Self { site, prefix, network };
        sandbox.try_once()?;
        Ok(sandbox)
    }

    /// Runs a command that does nothing: a kernel may refuse namespaces to this user, and then every command would end with
    /// `bwrap`'s own error, as if it had failed by itself.
    fn try_once(&self) -> Result<(), SandboxError> {
        let nothing = Command::script("exit");
        let (_, program) = self.site.find(&nothing)?;
        let mut arguments = self.prefix.iter();
        let tried = std::process::Command::new(arguments.next().map_or("bwrap".as_ref(), OsString::as_os_str))
            .args(arguments)
            .args(["--chdir", ROOT, "--"])
            .args(program)
            .current_dir("/")
            .env_clear()
            .envs(self.site.environment(&nothing, Path::new(HOME), Path::new(TEMPORARY)))
            .stdin(Stdio::null())
            .output()
            .map_err(|error| unavailable(format!("the program `bwrap` cannot be started: {error}")))?;
        if tried.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&tried.stderr);
        Err(unavailable(format!(
            "`bwrap` cannot run a command ({}): {}; the kernel must let this user make namespaces",
            tried.status,
            said.trim().replace('\n', "; ")
        )))
    }
}

fn unavailable(reason: String) -> SandboxError {
    SandboxError::Unavailable { kind: SandboxKind::Bubblewrap, reason }
}

#[async_trait]
impl Sandbox for BubblewrapSandbox {
    fn kind(&self) -> SandboxKind {
        SandboxKind::Bubblewrap
    }

    fn root(&self) -> &Path {
        Path::new(ROOT)
    }

    fn promises(&self) -> Promises {
        let mut promises = self.site.promises();
        promises.extend([
            Promise::Environment,
            Promise::Files,
            Promise::Attributes,
            Promise::Secrets,
            Promise::Signals,
            Promise::Survivors,
            Promise::Orphans,
        ]);
        promises.extend((!self.network).then_some(Promise::Network));
        promises
    }

    async fn spawn(&self, command: &Command, input: Input) -> Result<Process, SandboxError> {
        let (directory, mut own) = self.site.find(command)?;
        let mut arguments = self.prefix.clone();
        arguments.extend(["--chdir".into(), Path::new(ROOT).join(&directory.shown).into(), "--".into()]);
        if let Some(program) = own.first_mut()
            && let Ok(below) = Path::new(program).strip_prefix(self.site.root())
        {
            *program = Path::new(ROOT).join(below).into();
        }
        arguments.extend(own);
        let environment = self.site.environment(command, Path::new(HOME), Path::new(TEMPORARY));
        self.site.launch(Launch { arguments, directory: Path::new("/"), environment, input, monitored: true }).await
    }

    fn spills(&self) -> Option<Arc<SpillDirectory>> {
        Some(self.site.spills())
    }

    fn disk_guard(&self) -> Option<&DiskGuard> {
        Some(self.site.disk_guard())
    }
}

/// The filters of system calls as files that commands do not see.
fn write_filters(network: bool, directory: &Path) -> Result<Vec<PathBuf>, SandboxError> {
    let sockets = if network { Sockets::All } else { Sockets::Namespaced };
    let filters = seccomp::filters(sockets).map_err(unavailable)?;
    let write = |(index, filter)| {
        let path = directory.join(format!("filter-{index}"));
        std::fs::write(&path, seccomp::as_bytes(filter)).map_err(SandboxError::Scratch)?;
        Ok(path)
    };
    filters.iter().enumerate().map(write).collect()
}

fn namespaces(network: bool) -> Vec<OsString> {
    let mut arguments = vec!["--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent"];
    arguments.extend(["--new-session", "--cap-drop", "ALL", "--hostname", "sandbox"]);
    arguments.extend(network.then_some("--share-net"));
    arguments.into_iter().map(OsString::from).collect()
}

fn mounts(options: &SandboxOptions, root: &Path, scratch: &Scratch) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = Vec::new();
    for path in system::readable() {
        match path.read_link() {
            // `/bin` is a link into `/usr` on most systems; in `/etc` links lead anywhere.
            Ok(target) if path.parent() == Some(Path::new("/")) => {
                arguments.extend(["--symlink".into(), target.into(), path.into()]);
            }
            _ => arguments.extend(["--ro-bind-try".into(), path.clone().into(), path.into()]),
        }
    }
    for fixed in ["--proc", "/proc", "--dev", "/dev", "--dir", "/run", "--dir", "/var/tmp"] {
        arguments.push(fixed.into());
    }
    for path in KERNEL {
        arguments.extend(["--ro-bind-try".into(), path.into(), path.into()]);
    }
    let own = [(scratch.temporary().path(), TEMPORARY), (scratch.home(), HOME), (root, ROOT)];
    let own = own.map(|(from, to)| ("--bind", from, Path::new(to)));
    let shared = shared("--ro-bind", &options.readable).chain(shared("--bind", &options.writable));
    // A directory comes after those that it lies in, which would hide it.
    let mut all: Vec<_> = shared.chain(own).collect();
    all.sort_by_key(|(_, _, to)| to.components().count());
    for (how, from, to) in all {
        arguments.extend([how.into(), from.into(), to.into()]);
    }
    // Without this, commands could write to the memory that holds all these mounts.
    arguments.extend(["--remount-ro".into(), "/".into()]);
    arguments
}

/// Paths that are the same inside, and how they are mounted.
fn shared<'a>(how: &'static str, paths: &'a [PathBuf]) -> impl Iterator<Item = (&'static str, &'a Path, &'a Path)> {
    paths.iter().map(move |path| (how, path.as_path(), path.as_path()))
}

/// `bwrap` as a shell starts it, which opens the files of filters for it: descriptors 3 and 4.
fn with_filters(bwrap: &Path, filters: usize) -> Vec<OsString> {
    let mut script = String::from("bwrap=$1; shift");
    let mut options = String::new();
    for descriptor in 3..3 + filters {
        script.push_str(&format!("; exec {descriptor}<\"$1\"; shift"));
        options.push_str(&format!(" --add-seccomp-fd {descriptor}"));
    }
    script.push_str(&format!("; exec \"$bwrap\"{options} \"$@\""));
    vec!["/bin/sh".into(), "-c".into(), script.into(), "sh".into(), bwrap.into()]
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// What comes of a `bwrap` that is this script.
    fn with_bwrap(script: &str) -> Result<BubblewrapSandbox, SandboxError> {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("bwrap");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        BubblewrapSandbox::by(&program, directory.path(), SandboxOptions::new())
    }

    #[test]
    fn a_bwrap_that_cannot_make_namespaces_is_an_error_and_not_a_sandbox() {
        let refused = "echo 'bwrap: No permissions to create new namespace' >&2; exit 1";
        let error = with_bwrap(refused).unwrap_err();
        assert!(matches!(error, SandboxError::Unavailable { kind: SandboxKind::Bubblewrap, .. }), "{error:?}");
        assert!(error.to_string().contains("No permissions to create new namespace"), "{error}");
        with_bwrap("exit 0").unwrap();
    }
}
