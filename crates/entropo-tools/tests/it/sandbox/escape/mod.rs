//! Attempts to get out. Each is made in every sandbox that promises to stop it, and first where nothing stops it, so that
//! an attempt which never worked does not pass for one that was stopped. Where it cannot be made there, it says why.

mod administration;
mod files;
mod network;
mod own;
mod processes;
mod usage;

use std::process::{Child, Stdio};

use entropo_tools::sandbox::{Promise, SandboxKind, SandboxOptions};

use super::{Place, for_each_kind, marker, open, outside, runs, until};

/// A sandbox that keeps this promise, if its kind does.
async fn promising(kind: SandboxKind, promise: Promise, options: SandboxOptions) -> Option<Place> {
    let place = open(kind, options).await?;
    if place.sandbox.promises().contains(&promise) {
        return Some(place);
    }
    eprintln!("skipped: {kind} does not promise that commands cannot {promise}");
    None
}

/// Where nothing is stopped, to see that an attempt works.
async fn open_country() -> Place {
    open(SandboxKind::Local, SandboxOptions::new()).await.unwrap()
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Someone outside.
struct Bystander(Child);

impl Bystander {
    fn new(marker: &str, directory: &std::path::Path) -> Self {
        let mut sleep = std::process::Command::new("sleep");
        Self(sleep.arg(marker).current_dir(directory).stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
