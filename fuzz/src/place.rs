//! A directory with a workspace in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use entropo_agent::{CancellationToken, Tool};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// A workspace, `root`, in a directory with nothing else.
pub(crate) struct Place {
    outer: TempDir,
    runtime: Runtime,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self {
            outer: TempDir::with_prefix("fuzz-").unwrap(),
            runtime: Builder::new_current_thread().build().unwrap(),
        };
        fs::create_dir(place.root()).unwrap();
        place
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.outer.path().join("root")
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// All files, by their paths, with their contents; also those outside the workspace.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(self.outer.path(), &mut files);
        files
    }

    /// Calls a tool; whether it did what it was asked to.
    pub(crate) fn call<T: Tool>(&self, tool: &T, arguments: T::Args) -> bool {
        self.runtime.block_on(tool.call(arguments, &CancellationToken::new())).is_ok()
    }
}

fn collect(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            let content = fs::read(&path).unwrap();
            files.insert(path, content);
        }
    }
}
