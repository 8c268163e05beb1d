//! Archives of the workspace.
//!
//! What comes out of a pod was written by whatever the commands made of `tar` there, so it is unpacked into a directory of
//! its own, by a library that follows no links out of it, and only plain files, directories and links are taken.

use std::fs::{self, File, Permissions};
use std::io::{self, Seek};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Builder, EntryType};

/// Puts these paths below `root` into an archive, and says how long it is. It is read from its beginning.
pub(super) fn pack(root: &Path, paths: &[PathBuf]) -> io::Result<(File, u64)> {
    let mut builder = Builder::new(tempfile::tempfile()?);
    builder.follow_symlinks(false);
    for path in paths {
        builder.append_path_with_name(root.join(path), path)?;
    }
    let mut file = builder.into_inner()?;
    let size = file.stream_position()?;
    file.rewind()?;
    Ok((file, size))
}

/// Paths for `xargs -0`.
pub(super) fn names(paths: &[PathBuf]) -> Vec<u8> {
    paths.iter().flat_map(|path| [b"./", path.as_os_str().as_bytes(), b"\0"].concat()).collect()
}

/// Unpacks an archive into an empty directory.
pub(super) fn unpack(archive: File, into: &Path) -> io::Result<()> {
    for entry in Archive::new(io::BufReader::new(archive)).entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        let needed = match kind {
            EntryType::Regular | EntryType::Continuous => Some(0o600),
            // What is short in the archive would be as large as it says here; `tar` was not asked for such.
            EntryType::GNUSparse => return Err(io::Error::other("the archive has a sparse file")),
            EntryType::Directory => Some(0o700),
            EntryType::Symlink | EntryType::Link => None,
            _ => continue,
        };
        // As it is unpacked: from the root it would be a path of this machine.
        let path: PathBuf =
            entry.path()?.components().filter(|part| !matches!(part, Component::RootDir | Component::CurDir)).collect();
        if !entry.unpack_in(into)? {
            return Err(io::Error::other(format!("the archive names {}, which is outside", path.display())));
        }
        // Whoever owns this must be able to read it, and to put more into a directory.
        let unpacked = into.join(&path);
        if let Some(needed) = needed
            && let Ok(metadata) = unpacked.symlink_metadata()
            && !metadata.file_type().is_symlink()
            && metadata.permissions().mode() & needed != needed
        {
            fs::set_permissions(&unpacked, Permissions::from_mode(metadata.permissions().mode() | needed))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tar::Header;

    use super::*;

    fn archive(entries: &[(&str, EntryType, &str)]) -> File {
        let mut builder = Builder::new(tempfile::tempfile().unwrap());
        for (path, kind, content) in entries {
            let mut header = Header::new_gnu();
            // As `set_path` refuses what a hostile archive has.
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o000);
            if *kind == EntryType::GNUSparse {
                // All of it is a hole.
                let sparse = header.as_gnu_mut().unwrap();
                sparse.set_real_size(1 << 40);
                sparse.sparse[0].set_offset(1 << 40);
                sparse.sparse[0].set_length(0);
            }
            if matches!(kind, EntryType::Symlink | EntryType::Link) {
                header.set_link_name(content).unwrap();
            }
            let content = if *kind == EntryType::Regular { content.as_bytes() } else { b"" };
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content).unwrap();
        }
        let mut file = builder.into_inner().unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn nothing_is_unpacked_outside() {
        use EntryType::{Directory, Fifo, Link, Regular, Symlink};
        let outside = tempfile::tempdir().unwrap();
        let out = outside.path().to_str().unwrap();
        fs::write(outside.path().join("secret"), "kept").unwrap();
        fs::set_permissions(outside.path(), Permissions::from_mode(0o500)).unwrap();
        let secret = format!("{out}/secret");
        let cases: [&[(&str, EntryType, &str)]; 5] = [
            &[("link", Symlink, out), ("link/new", Regular, "x")],
            &[("link", Symlink, out), ("link", Directory, "")],
            &[("link", Symlink, out), ("link/new", Directory, "")],
            &[("../new", Regular, "x")],
            &[("hard", Link, &secret), ("hard", Regular, "overwritten")],
        ];
        for case in cases {
            let into = tempfile::tempdir().unwrap();
            let _ = unpack(archive(case), into.path());
            let found: Vec<_> = fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(found, ["secret"], "{case:?}");
            assert_eq!(fs::read_to_string(&secret).unwrap(), "kept", "{case:?}");
            assert_eq!(outside.path().metadata().unwrap().permissions().mode() & 0o777, 0o500, "{case:?}");
            assert!(!into.path().parent().unwrap().join("new").exists());
        }
        // A name from the root is one below the directory, and nothing at the root is touched.
        let closed = outside.path().join("secret");
        fs::set_permissions(&closed, Permissions::from_mode(0o000)).unwrap();
        let into = tempfile::tempdir().unwrap();
        unpack(archive(&[(&secret, Regular, "x")]), into.path()).unwrap();
        assert_eq!(closed.metadata().unwrap().permissions().mode() & 0o777, 0o000);
        assert_eq!(fs::read_to_string(into.path().join(secret.trim_start_matches('/'))).unwrap(), "x");
        let sparse = unpack(archive(&[("huge", EntryType::GNUSparse, "")]), into.path()).unwrap_err();
        assert_eq!(sparse.to_string(), "the archive has a sparse file");

        let into = tempfile::tempdir().unwrap();
        unpack(archive(&[("d", Directory, ""), ("d/f", Regular, "x"), ("pipe", Fifo, "")]), into.path()).unwrap();
        assert_eq!(fs::read_to_string(into.path().join("d/f")).unwrap(), "x");
        assert!(!into.path().join("pipe").exists());
    }
}
