//! Making one directory like another.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// Makes `to` like `from`, without touching what is the same. Links are never followed.
pub(super) fn mirror(from: &Path, to: &Path) -> io::Result<()> {
    let wanted = names(from)?;
    for name in names(to)?.difference(&wanted) {
        let path = to.join(name);
        // Sockets and the like stand for programs on this machine.
        let kind = path.symlink_metadata()?.file_type();
        if kind.is_dir() || kind.is_file() || kind.is_symlink() {
            remove(&path)?;
        }
    }
    for name in &wanted {
        one(&from.join(name), &to.join(name))?;
    }
    Ok(())
}

fn names(directory: &Path) -> io::Result<BTreeSet<OsString>> {
    fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect()
}

fn one(from: &Path, to: &Path) -> io::Result<()> {
    let new = from.symlink_metadata()?;
    let old = to.symlink_metadata().ok();
    if new.is_dir() {
        if !old.as_ref().is_some_and(Metadata::is_dir) {
            replace(to, old.as_ref())?;
            fs::create_dir(to)?;
        }
        return mirror(from, to);
    }
    if new.is_symlink() {
        let target = fs::read_link(from)?;
        if fs::read_link(to).ok().as_ref() != Some(&target) {
            replace(to, old.as_ref())?;
            symlink(target, to)?;
        }
        return Ok(());
    }
    let mode = |metadata: &Metadata| metadata.permissions().mode() & 0o777;
    let alike = |old: &Metadata| old.is_file() && old.size() == new.size() && mode(old) == mode(&new);
    if !(old.as_ref().is_some_and(alike) && same_content(from, to)?) {
        replace(to, old.as_ref())?;
        fs::copy(from, to)?;
    }
    Ok(())
}

fn replace(path: &Path, old: Option<&Metadata>) -> io::Result<()> {
    if old.is_some() { remove(path) } else { Ok(()) }
}

fn remove(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

fn same_content(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (BufReader::new(File::open(one)?), BufReader::new(File::open(other)?));
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let both = left.len().min(right.len());
        if both == 0 {
            return Ok(left.is_empty() && right.is_empty());
        }
        if left.get(..both) != right.get(..both) {
            return Ok(false);
        }
        one.consume(both);
        other.consume(both);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn the_copy_becomes_the_same_and_links_are_not_followed() {
        let (from, to, outside) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (from, to) = (from.path(), to.path());
        fs::write(outside.path().join("kept"), "kept").unwrap();
        fs::create_dir_all(from.join("d/deep")).unwrap();
        fs::write(from.join("d/deep/new"), "new").unwrap();
        fs::write(from.join("script"), "s").unwrap();
        fs::set_permissions(from.join("script"), Permissions::from_mode(0o755)).unwrap();
        symlink("script", from.join("link")).unwrap();
        fs::write(from.join("same"), "same").unwrap();
        // Here a link lies in the place of a directory, a file in that of a link, and more.
        symlink(outside.path(), to.join("d")).unwrap();
        symlink(outside.path(), to.join("gone")).unwrap();
        fs::write(to.join("link"), "file").unwrap();
        fs::write(to.join("script"), "s").unwrap();
        fs::write(to.join("same"), "same").unwrap();
        let inode = to.join("same").metadata().unwrap().ino();
        mirror(from, to).unwrap();
        assert_eq!(names(to).unwrap(), names(from).unwrap());
        assert_eq!(fs::read_to_string(to.join("d/deep/new")).unwrap(), "new");
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("script"));
        assert_eq!(to.join("script").metadata().unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(to.join("same").metadata().unwrap().ino(), inode, "what is the same is left alone");
        assert_eq!(names(outside.path()).unwrap(), [OsString::from("kept")].into());
    }
}
