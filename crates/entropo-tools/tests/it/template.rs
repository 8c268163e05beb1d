//! Templates: every strategy that works here against the same demands, hostile sources, and that nothing is left.

mod sources;
mod strategies;
mod trouble;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use entropo_tools::{Strategy, Template, WorkspaceError};

/// A directory with these files; what ends with `*` is executable.
fn project(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, content) in files {
        write(directory.path(), path, content);
    }
    directory
}

fn write(root: &Path, path: &str, content: &[u8]) {
    let file = root.join(path.trim_end_matches('*'));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, content).unwrap();
    let mode = if path.ends_with('*') { 0o755 } else { 0o644 };
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
}

/// All files and links below a directory: mode and content, or where it points.
fn tree(root: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let name = path.strip_prefix(root).unwrap().to_path_buf();
            if metadata.is_dir() {
                pending.push(path);
            } else if metadata.is_symlink() {
                found.insert(name, (0, fs::read_link(path).unwrap().into_os_string().into_encoded_bytes()));
            } else if metadata.is_file() {
                found.insert(name, (metadata.mode() & 0o100, fs::read(path).unwrap()));
            }
        }
    }
    found
}

/// A template by each strategy that works here; of the others it is said that they were left out.
async fn each(source: &Path, place: &Path) -> Vec<Template> {
    let mut templates = Vec::new();
    for strategy in Strategy::ALL {
        match Template::of(source).place(place).strategy(strategy).make().await {
            Ok(template) => templates.push(template),
            Err(WorkspaceError::Strategy { strategy, reason }) => println!("SKIPPED {strategy}: {reason}"),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(templates.iter().any(|template| template.strategy() == Strategy::Copy));
    templates
}
