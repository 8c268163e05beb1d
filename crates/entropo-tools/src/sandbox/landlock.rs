//! Commands that Linux itself confines, without any other program.
//!
//! Landlock takes files away, seccomp the network and the kernel's administration, and where the embedding process is
//! root, most of root's powers go too. What remains shared is what can be seen: the list of processes and their command
//! lines; and what Landlock does not guard: modes, owners, times and extended attributes of files, as far as they are the
//! user's to change. No socket can be made, not even to oneself; tests that need one need [`BubblewrapSandbox`](super::BubblewrapSandbox).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use caps::{CapSet, Capability, CapsHashSet};
use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr,
    RulesetError, Scope, path_beneath_rules,
};
use seccompiler::BpfProgram;

use super::host::{Launcher, Site};
use super::seccomp::{self, Sockets};
use super::{
    Command, DiskGuard, Input, Process, Promise, Promises, Sandbox, SandboxError, SandboxKind, SandboxOptions,
    SpillDirectory, system,
};

/// What root keeps: what it needs to work on files, and to become someone lesser.
const KEPT: [Capability; 7] = [
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_KILL,
    Capability::CAP_SETGID,
    Capability::CAP_SETUID,
];

/// Runs commands that can change only the root and the sandbox's own directories, read beyond these only the system's
/// programs, libraries and settings, and make no sockets. Needs Linux 6.2; from 6.12 on, signals too stay inside.
#[derive(Debug)]
pub struct LandlockSandbox {
    site: Site,
    signals: bool,
    network: bool,
}

impl LandlockSandbox {
    /// A sandbox whose commands start in `root`, with the default options.
    ///
    /// # Errors
    ///
    /// As [`LandlockSandbox::with`].
    pub fn new(root: impl AsRef<Path>) -> Result<Self, SandboxError> {
        Self::with(root, SandboxOptions::new())
    }

    /// A sandbox whose commands start in `root`.
    ///
    /// # Errors
    ///
    /// Where the kernel is too old or Landlock is turned off, a limit cannot be enforced, or a directory cannot be used.
    pub fn with(root: impl AsRef<Path>, options: SandboxOptions) -> Result<Self, SandboxError> {
        options.check()?;
        let (signals, network) = (confines_signals(), options.network);
        let (readable, writable) = (options.readable.clone(), options.writable.clone());
        let site = Site::new(SandboxKind::Landlock, root.as_ref(), options, |root, scratch| {
            let own = [root, scratch.home(), scratch.temporary().path()].map(Path::to_path_buf);
            let sockets = if network { Sockets::All } else { Sockets::Pairs };
            let writable = writable.into_iter().chain(own).collect();
            let confinement = Confinement::new(&readable, writable, sockets, signals)?;
            Launcher::confined(Arc::new(move || confinement.apply()))
        })?;
        Ok(Self { site, signals, network })
    }
}

#[async_trait]
impl Sandbox for LandlockSandbox {
    fn kind(&self) -> SandboxKind {
        SandboxKind::Landlock
    }

    fn root(&self) -> &Path {
        self.site.root()
    }

    fn promises(&self) -> Promises {
        let mut promises = self.site.promises();
        promises.extend([Promise::Environment, Promise::Files, Promise::Secrets]);
        promises.extend(self.signals.then_some(Promise::Signals));
        promises.extend((!self.network).then_some(Promise::Network));
        promises
    }

    async fn spawn(&self, command: &Command, input: Input) -> Result<Process, SandboxError> {
        self.site.spawn(command, input).await
    }

    fn spills(&self) -> Option<Arc<SpillDirectory>> {
        Some(self.site.spills())
    }

    fn disk_guard(&self) -> Option<&DiskGuard> {
        Some(self.site.disk_guard())
    }
}

/// What a thread that starts a command does to itself.
struct Confinement {
    files: RulesetCreated,
    filters: Vec<BpfProgram>,
}

impl Confinement {
    fn new(
        readable: &[PathBuf],
        writable: Vec<PathBuf>,
        sockets: Sockets,
        signals: bool,
    ) -> Result<Self, SandboxError> {
        let files = files(readable, writable, signals).map_err(|error| {
            let needs = "the kernel must be Linux 6.2 or newer, with `landlock` in /sys/kernel/security/lsm";
            unavailable(format!("{needs}: {error}"))
        })?;
        Ok(Self { files, filters: seccomp::filters(sockets).map_err(unavailable)? })
    }

    fn apply(&self) -> Result<(), SandboxError> {
        drop_capabilities().map_err(|error| unavailable(format!("root's powers cannot be dropped: {error}")))?;
        let files = self.files.try_clone().map_err(SandboxError::Launcher)?;
        files.restrict_self().map_err(|error| unavailable(error.to_string()))?;
        seccomp::apply(&self.filters).map_err(|error| unavailable(format!("the kernel refuses seccomp: {error}")))
    }
}

fn unavailable(reason: String) -> SandboxError {
    SandboxError::Unavailable { kind: SandboxKind::Landlock, reason }
}

/// What may be done with which files.
fn files(readable: &[PathBuf], writable: Vec<PathBuf>, signals: bool) -> Result<RulesetCreated, RulesetError> {
    let all = AccessFs::from_all(ABI::V3);
    let read = AccessFs::from_read(ABI::V3);
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(all)?;
    if signals {
        ruleset = ruleset.scope(Scope::Signal)?.scope(Scope::AbstractUnixSocket)?;
    }
    ruleset
        .create()?
        .add_rules(path_beneath_rules(system::readable(), read))?
        .add_rules(path_beneath_rules(["/proc"], read))?
        .add_rules(path_beneath_rules(system::DEVICES, AccessFs::from_file(ABI::V3)))?
        .add_rules(path_beneath_rules(readable, read))?
        .add_rules(path_beneath_rules(writable, all))
}

/// Whether the kernel can keep signals inside.
fn confines_signals() -> bool {
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    ruleset.scope(Scope::Signal).and_then(Ruleset::create).is_ok()
}

/// Gives up what root may do beyond [`KEPT`], for this thread and all that it starts. Others have nothing to give up.
fn drop_capabilities() -> Result<(), caps::errors::CapsError> {
    let kept: CapsHashSet = KEPT.into_iter().collect();
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        for capability in caps::read(None, CapSet::Bounding)?.difference(&kept) {
            caps::drop(None, CapSet::Bounding, *capability)?;
        }
    }
    caps::clear(None, CapSet::Ambient)?;
    caps::clear(None, CapSet::Inheritable)?;
    for set in [CapSet::Effective, CapSet::Permitted] {
        let now = caps::read(None, set)?;
        caps::set(None, set, &now.intersection(&kept).copied().collect())?;
    }
    Ok(())
}
