//! What a process holds, and must not keep.

use std::fs;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

/// Tasks of a runtime, and what its process has open and has started. Zeroes where there is no `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    tasks: usize,
    files: usize,
    children: usize,
}

impl Left {
    pub(crate) fn in_process(runtime: &Runtime) -> Self {
        let tasks = runtime.metrics().num_alive_tasks();
        let files = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Self { tasks, files, children: children() }
    }

    /// Waits until no more is left than there was: a closed connection is noticed by the other side a little later.
    pub(crate) fn settles_at(runtime: &Runtime, before: Self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Self::in_process(runtime) != before && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(Self::in_process(runtime), before);
    }
}

/// Processes, ended but unheeded ones included, whose parent is this one.
fn children() -> usize {
    let this = std::process::id().to_string();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = processes.filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
    // "PID (NAME) STATE PARENT …", where the name may hold anything.
    stats.filter(|stat| stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)) == Some(&this)).count()
}

/// Hundreds of them are expected.
pub(crate) fn panics_of_tools_are_not_printed() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some("the tool is broken") {
            print(panic);
        }
    }));
}
