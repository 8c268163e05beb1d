//! Overlay mounts: the template below, what the agent writes above.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use rustix::mount::{MountFlags, UnmountFlags};

use crate::workspace::WorkspaceError;
use crate::workspace::changes::Candidates;
use crate::workspace::tree::Tree;

/// The directories of one workspace.
pub(super) struct Layers {
    /// Where the workspace is seen.
    pub(super) root: PathBuf,
    /// What was written.
    pub(super) upper: PathBuf,
    /// What the kernel needs.
    scratch: PathBuf,
}

impl Layers {
    pub(super) fn below(directory: &Path) -> Self {
        let at = |name| directory.join(name);
        Self { root: at("work"), upper: at("upper"), scratch: at("scratch") }
    }

    /// Mounts an overlay over `lower`. `label` is by what the mount is found if its place was moved.
    pub(super) fn mount(&self, lower: &Path, label: &str) -> Result<(), WorkspaceError> {
        for directory in [&self.root, &self.upper, &self.scratch] {
            fs::create_dir(directory).map_err(WorkspaceError::io("make", directory))?;
        }
        // Directories may be renamed; all else that newer kernels can do would only make the upper layer harder to read.
        let options = "redirect_dir=on,metacopy=off,index=off,xino=off";
        let layers =
            format!("lowerdir={},upperdir={},workdir={}", text(lower)?, text(&self.upper)?, text(&self.scratch)?);
        let mount = |more: &str| {
            let options = std::ffi::CString::new(format!("{layers},{options}{more}")).unwrap_or_default();
            rustix::mount::mount(label, &self.root, "overlay", MountFlags::empty(), options.as_c_str())
        };
        // Nothing of it needs to survive the machine, so that nobody waits for the disk. Older kernels do not know that.
        mount(",volatile").or_else(|_| mount("")).map_err(WorkspaceError::io("mount an overlay at", &self.root))
    }
}

/// A path as it can stand among mount options.
fn text(path: &Path) -> Result<&str, WorkspaceError> {
    let plain = path.to_str().filter(|text| !text.contains([',', ':', '\\', '"']));
    plain.ok_or_else(|| WorkspaceError::Io {
        action: "name in the options of a mount",
        path: path.to_path_buf(),
        source: std::io::ErrorKind::InvalidInput.into(),
    })
}

/// Takes a mount away, also while something still uses it.
pub(super) fn unmount(root: &Path) -> std::io::Result<()> {
    Ok(rustix::mount::unmount(root, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?)
}

pub(super) fn attempt(scratch: &Path) -> Result<(), String> {
    let lower = scratch.join("lower");
    fs::create_dir(&lower).map_err(|error| error.to_string())?;
    fs::write(lower.join("x"), "1").map_err(|error| error.to_string())?;
    let layers = Layers::below(scratch);
    layers.mount(&lower, "entropo-attempt").map_err(|error| match error {
        WorkspaceError::Io { action, source, .. } => format!("cannot {action} a directory: {source}"),
        error => error.to_string(),
    })?;
    let tried = fs::write(layers.root.join("x"), "2").and_then(|()| fs::read(lower.join("x")));
    unmount(&layers.root).map_err(|error| format!("cannot unmount: {error}"))?;
    match tried {
        Ok(content) if content == b"1" => Ok(()),
        Ok(_) => Err("the layer below was written to".to_owned()),
        Err(error) => Err(format!("cannot write to it: {error}")),
    }
}

/// Where files may have changed, read off the upper layer.
pub(in crate::workspace) fn candidates(
    now: &Tree,
    before: Option<&Tree>,
    layer: &Path,
) -> Result<Candidates, WorkspaceError> {
    let upper = Tree::open_ours(layer)?;
    let written = upper.walk(Path::new(""))?;
    let mut candidates = Candidates::new();
    let gone = |path: &Path, candidates: &mut Candidates| -> Result<(), WorkspaceError> {
        let Some(before) = before else { return Ok(()) };
        match before.stat(path)?.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Some(FileType::Directory) => {
                for (path, _) in before.walk(path)?.files {
                    candidates.entry(path).or_default().0 = true;
                }
            }
            Some(_) => candidates.entry(path.to_path_buf()).or_default().0 = true,
            None => {}
        }
        Ok(())
    };
    // What takes a name's place hides what was there: a file, a pipe, or the device by which the kernel marks deletions.
    for (path, _) in written.special {
        gone(&path, &mut candidates)?;
    }
    for (path, _) in written.files {
        gone(&path, &mut candidates)?;
        candidates.entry(path).or_default().1 = true;
    }
    for path in written.directories {
        let merged = match before {
            Some(before) => before.has_directory(&path)?,
            None => false,
        };
        // It hides what was there, or shows what was elsewhere.
        let (hides, moved) = ("trusted.overlay.opaque", "trusted.overlay.redirect");
        if !merged || upper.has_attribute(&path, hides)? || upper.has_attribute(&path, moved)? {
            gone(&path, &mut candidates)?;
            for (path, _) in now.walk(&path)?.files {
                candidates.entry(path).or_default().1 = true;
            }
        }
    }
    Ok(candidates)
}
