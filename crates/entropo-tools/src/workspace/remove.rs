//! Removing a directory whatever was done in it.
//!
//! The standard library descends into the directory and holds each level open, so that a thousand levels use up the files a
//! process may have open. Here what is deep is brought up: two directories are open at a time, however deep it goes.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Removes what is at `path`, and that it is not there is fine. Links are removed, not followed.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let name = CString::new(path.as_os_str().as_encoded_bytes())?;
    match rustix::fs::statat(CWD, &*name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
        Ok(stat) if !FileType::from_raw_mode(stat.st_mode).is_dir() => {
            return Ok(rustix::fs::unlinkat(CWD, &*name, AtFlags::empty())?);
        }
        Ok(_) => {}
    }
    empty(&open(CWD, &name)?)?;
    Ok(rustix::fs::unlinkat(CWD, &*name, AtFlags::REMOVEDIR)?)
}

/// Empties a directory.
fn empty(top: &OwnedFd) -> Result<(), Errno> {
    let mut serial = 0_u64;
    loop {
        let mut directories = false;
        for (name, is_directory) in entries(top)? {
            if is_directory {
                directories = true;
                raise(top, &name, &mut serial)?;
            } else {
                unlink(top, &name, AtFlags::empty())?;
            }
        }
        if !directories {
            return Ok(());
        }
    }
}

/// Removes a directory directly below `top`; the directories in it become such.
fn raise(top: &OwnedFd, name: &CStr, serial: &mut u64) -> Result<(), Errno> {
    let child = match open(top, name) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    for (inner, is_directory) in entries(&child)? {
        if is_directory {
            lift(top, &child, &inner, serial)?;
        } else {
            unlink(&child, &inner, AtFlags::empty())?;
        }
    }
    unlink(top, name, AtFlags::REMOVEDIR)
}

fn lift(top: &OwnedFd, child: &OwnedFd, inner: &CStr, serial: &mut u64) -> Result<(), Errno> {
    loop {
        *serial += 1;
        match rustix::fs::renameat(child, inner, top, format!(".removed-{serial}")) {
            // A name that is taken.
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            // A directory without rights cannot be moved.
            Err(Errno::ACCESS) => grant(child, inner)?,
            // A subvolume of its own.
            Err(Errno::XDEV) => {
                empty(&open(child, inner)?)?;
                return unlink(child, inner, AtFlags::REMOVEDIR);
            }
            other => return other,
        }
    }
}

fn unlink(parent: &OwnedFd, name: &CStr, flags: AtFlags) -> Result<(), Errno> {
    match rustix::fs::unlinkat(parent, name, flags) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Opens a directory, with all rights to it.
fn open(parent: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(&parent, name, flags, Mode::empty());
    let opened = match open() {
        Err(Errno::ACCESS) => {
            grant(&parent, name)?;
            open()?
        }
        opened => opened?,
    };
    let stat = rustix::fs::fstat(&opened)?;
    if stat.st_mode & 0o700 != 0o700 {
        rustix::fs::fchmod(&opened, Mode::RWXU)?;
    }
    Ok(opened)
}

fn grant(parent: impl AsFd, name: &CStr) -> Result<(), Errno> {
    let stat = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if !FileType::from_raw_mode(stat.st_mode).is_dir() || stat.st_mode & 0o700 == 0o700 {
        return Err(Errno::ACCESS);
    }
    rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())
}

fn entries(directory: &OwnedFd) -> Result<Vec<(CString, bool)>, Errno> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let is_directory = match entry.file_type() {
            FileType::Unknown => match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                stat => FileType::from_raw_mode(stat?.st_mode).is_dir(),
            },
            kind => kind.is_dir(),
        };
        entries.push((name.to_owned(), is_directory));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_links_and_missing_rights_do_not_hold_it_up() {
        let outer = tempfile::tempdir().unwrap();
        let kept = outer.path().join("kept");
        std::fs::create_dir(&kept).unwrap();
        std::fs::write(kept.join("file"), "").unwrap();
        let root = outer.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink(&kept, root.join("link")).unwrap();
        std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
        std::fs::create_dir_all(root.join(".removed-1/.removed-2/.removed-1")).unwrap();
        std::fs::write(root.join(".removed-3"), "").unwrap();
        // Deeper than the files that a process may have open by default, and than a path may be long.
        let mut at = open(CWD, &CString::new(root.as_os_str().as_encoded_bytes()).unwrap()).unwrap();
        for _ in 0..1100 {
            rustix::fs::mkdirat(&at, "deep", Mode::RWXU).unwrap();
            at = open(&at, c"deep").unwrap();
        }
        std::fs::create_dir_all(root.join("closed/inner/x")).unwrap();
        for path in ["closed/inner/x", "closed/inner", "closed"] {
            let none = std::os::unix::fs::PermissionsExt::from_mode(0o0);
            std::fs::set_permissions(root.join(path), none).unwrap();
        }
        remove(&root).unwrap();
        assert!(!root.exists() && kept.join("file").exists());
        remove(&root).unwrap();
        let link = outer.path().join("link");
        std::os::unix::fs::symlink(&kept, &link).unwrap();
        remove(&link).unwrap();
        assert!(!link.is_symlink() && kept.join("file").exists());
    }
}
