//! Every kind of sandbox, held to what it says of itself.
//!
//! A kind that does not work on this machine is skipped with a word why, unless `ENTROPO_REQUIRE_SANDBOXES` is set, as in `.ci/run`.

#[cfg(target_os = "linux")]
mod attributes;
mod conformance;
pub(crate) mod disk;
#[cfg(target_os = "linux")]
mod escape;
mod memory;
mod orphans;
#[cfg(target_os = "linux")]
mod relatives;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use entropo_tools::sandbox::{SandboxKind, SandboxOptions};
use entropo_tools::{Command, ExecResult, Sandbox, SandboxError};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Makes one test for each kind of a function that takes the kind.
macro_rules! for_each_kind {
    ($($test:ident),* $(,)?) => { for_each_kind! { @kinds [$($test),*] } };
    (@kinds $tests:tt) => {
        for_each_kind! { @kind local Local $tests }
        #[cfg(target_os = "linux")]
        for_each_kind! { @kind landlock Landlock $tests }
        #[cfg(target_os = "linux")]
        for_each_kind! { @kind bubblewrap Bubblewrap $tests }
        #[cfg(feature = "container")]
        for_each_kind! { @kind container Container $tests }
    };
    (@kind $module:ident $kind:ident [$($test:ident),*]) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(entropo_tools::sandbox::SandboxKind::$kind).await;
                }
            )*
        }
    };
}
pub(super) use for_each_kind;

/// A sandbox and its root on this machine.
pub(super) struct Place {
    pub(super) sandbox: Arc<dyn Sandbox>,
    pub(super) root: PathBuf,
    _directory: TempDir,
}

impl Place {
    pub(super) async fn run(&self, script: &str) -> ExecResult {
        self.exec(Command::script(script)).await
    }

    pub(super) async fn exec(&self, command: Command) -> ExecResult {
        self.sandbox.exec(command, &CancellationToken::new()).await.unwrap()
    }

    /// What a script prints, without the last line's end.
    pub(super) async fn say(&self, script: &str) -> String {
        self.run(script).await.output.head.trim_end().to_owned()
    }
}

/// A sandbox of this kind, or `None` after saying why there is none.
pub(super) async fn open(kind: SandboxKind, options: SandboxOptions) -> Option<Place> {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    match sandbox_around(&root, kind, options).await {
        Ok(sandbox) => Some(Place { sandbox, root, _directory: directory }),
        Err(error) => {
            skip(&error);
            None
        }
    }
}

/// A sandbox of this kind; a container is one of the image that `scripts/container-test-setup.sh` makes.
pub(super) async fn sandbox_around(
    root: &Path,
    kind: SandboxKind,
    options: SandboxOptions,
) -> Result<Arc<dyn Sandbox>, SandboxError> {
    #[cfg(feature = "container")]
    if kind == SandboxKind::Container {
        use entropo_tools::sandbox::{ContainerOptions, ContainerSandbox};
        let options = ContainerOptions::new().sandbox(options);
        return Ok(Arc::new(ContainerSandbox::start("localhost/entropo-test", root, options).await?));
    }
    Ok(Arc::from(kind.open(root, options).await?))
}

/// Says why a test is skipped, or fails where no kind may be missing. Limits may be where there are no control groups.
pub(super) fn skip(error: &SandboxError) {
    let may_be = match error {
        SandboxError::Unavailable { .. } => false,
        SandboxError::Unenforceable { .. } => !control_groups_work(),
        _ => panic!("{error}"),
    };
    let all_needed = std::env::var_os("ENTROPO_REQUIRE_SANDBOXES").is_some();
    assert!(may_be || !all_needed, "no sandbox may be missing here: {error}");
    eprintln!("skipped: {error}");
}

/// Whether this process can make control groups for memory and processes below its own.
fn control_groups_work() -> bool {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path_of = |controller: &str| {
        let mut lines = own.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        lines
            .find(|(names, _)| names.split(',').any(|name| name == controller))
            .map(|(_, path)| path.trim_start_matches('/'))
    };
    let can_make = |directory: PathBuf| {
        let trial = directory.join(format!("trial-{}", marker()));
        fs::create_dir(&trial).is_ok() && fs::remove_dir(&trial).is_ok()
    };
    let root = Path::new("/sys/fs/cgroup");
    ["memory", "pids"].into_iter().all(|controller| match path_of(controller) {
        Some(path) => can_make(root.join(controller).join(path)),
        // One hierarchy for all, where groups below have what their parent gives on.
        None => path_of("").is_some_and(|path| {
            let directory = root.join(path);
            let given = fs::read_to_string(directory.join("cgroup.subtree_control")).unwrap_or_default();
            given.split_whitespace().any(|name| name == controller) && can_make(directory)
        }),
    })
}

/// A number of seconds that no other `sleep` on this machine sleeps, to find it by.
pub(super) fn marker() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("9{}.{:06}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(super) fn runs(marker: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .any(|line| line.split(|byte| *byte == 0).any(|argument| argument == marker.as_bytes()))
}

pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain until {what}");
}

/// A directory outside every sandbox, and not in the system's own one for temporary files.
pub(super) fn outside() -> TempDir {
    tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap()
}
