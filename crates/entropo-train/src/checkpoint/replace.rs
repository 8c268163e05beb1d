//! Files and directories that are replaced as a whole: whoever looks finds the old one or the new one, never half of one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::error::CheckpointError;

/// What temporary files and directories are called until they are complete.
const PREFIX: &str = ".entropo-";

/// Replaces a file as a whole, its directory made if need be.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let written = replace_file(path, |file| file.write_all(bytes));
    written.map_err(|source| CheckpointError::File { path: path.to_owned(), source })
}

/// The same with what a function writes, piece by piece.
pub(super) fn replace_file<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut io::BufWriter<&File>) -> Result<(), E>,
) -> Result<(), E> {
    // The parent of a bare name is empty, and nothing that could be opened.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let file = temporary_in(directory)?;
    let mut out = io::BufWriter::new(file.as_file());
    write(&mut out)?;
    out.flush()?;
    drop(out);
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(sync(directory)?)
}

/// A temporary file with the permissions that the process gives any new file; temporary files are private otherwise.
fn temporary_in(directory: &Path) -> io::Result<tempfile::NamedTempFile> {
    let create = |path: &Path| fs::OpenOptions::new().write(true).create_new(true).open(path);
    tempfile::Builder::new().prefix(PREFIX).make_in(directory, create)
}

/// A directory in the making, beside the one that it will replace. It vanishes if it is dropped before.
pub(crate) struct Staging {
    directory: TempDir,
    target: PathBuf,
}

impl Staging {
    /// A new directory that will become `target`, whose parent is made if need be.
    pub(crate) fn beside(target: &Path) -> io::Result<Self> {
        let target = match fs::canonicalize(target) {
            Ok(target) if target.is_dir() => target, // not a link to it, nor `.`
            Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => target.to_owned(),
            Err(error) => return Err(error),
        };
        let parent = match target.parent() {
            None => return Err(io::ErrorKind::InvalidInput.into()),
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
        };
        fs::create_dir_all(parent)?;
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777)); // less the process's mask
        Ok(Self { directory: builder.prefix(PREFIX).tempdir_in(parent)?, target })
    }

    /// Where to write.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Becomes the target. What was there goes, but for entries that are `kept` and that the new directory lacks.
    pub(crate) fn commit(self, kept: impl Fn(&str) -> bool) -> io::Result<()> {
        let Self { directory, target } = self;
        sync(directory.path())?;
        if !target.exists() {
            fs::rename(directory.path(), &target)?;
            let _ = directory.keep();
        } else {
            exchange(directory.path(), &target)?;
            if let Err(error) = carry_over(directory.path(), &target, kept) {
                let place = directory.keep();
                return Err(io::Error::other(format!(
                    "saved, but files of the old directory are left in {place:?}: {error}"
                )));
            }
            directory.close()?;
        }
        target.parent().map_or(Ok(()), sync)
    }
}

/// Moves entries that are `kept` from the old directory to the new one, unless they are there.
fn carry_over(old: &Path, new: &Path, kept: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(old)? {
        let entry = entry?;
        let place = new.join(entry.file_name());
        if kept(&entry.file_name().to_string_lossy()) && !place.exists() {
            fs::rename(entry.path(), place)?;
        }
    }
    Ok(())
}

/// Makes two directories change places, at once where the system can.
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
            Ok(()) => return Ok(()),
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {} // a file system without it
            Err(error) => return Err(error.into()),
        }
    }
    exchange_in_steps(one, other)
}

/// The same in three renames. A process killed between them leaves both directories whole, one under another name.
fn exchange_in_steps(one: &Path, other: &Path) -> io::Result<()> {
    let aside = one.with_extension("old");
    fs::rename(other, &aside)?;
    if let Err(error) = fs::rename(one, other) {
        fs::rename(&aside, other)?;
        return Err(error);
    }
    fs::rename(&aside, one)
}

/// Waits until a directory's entries are on disk, where the system lets directories be opened.
fn sync(directory: &Path) -> io::Result<()> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn files(directory: &Path) -> BTreeMap<String, String> {
        let read = |entry: io::Result<fs::DirEntry>| {
            let entry = entry.unwrap();
            let text = fs::read_to_string(entry.path()).unwrap_or_else(|_| "a directory".to_owned());
            (entry.file_name().to_string_lossy().into_owned(), text)
        };
        fs::read_dir(directory).unwrap().map(read).collect()
    }

    fn staged(target: &Path, files: &[(&str, &str)]) -> Staging {
        let staging = Staging::beside(target).unwrap();
        for (name, text) in files {
            fs::write(staging.path().join(name), text).unwrap();
        }
        staging
    }

    #[test]
    fn a_directory_is_replaced_but_for_what_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("made/if/need/be");
        staged(&target, &[("a", "1"), ("b", "1"), ("c", "1")]).commit(|_| true).unwrap();
        fs::create_dir(target.join("d")).unwrap();
        staged(&target, &[("a", "2")]).commit(|name| name != "b").unwrap();
        let expected = [("a", "2"), ("c", "1"), ("d", "a directory")];
        assert_eq!(files(&target), expected.map(|(name, text)| (name.to_owned(), text.to_owned())).into());
        assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_directory_in_the_making_vanishes() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        staged(&target, &[("a", "1")]).commit(|_| true).unwrap();
        drop(staged(&target, &[("a", "2")]));
        assert_eq!(files(folder.path()).into_keys().collect::<Vec<_>>(), ["target"]);
        assert_eq!(files(&target)["a"], "1");
    }

    #[test]
    fn directories_change_places_in_steps_too() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
        for path in [&one, &other] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("name"), path.file_name().unwrap().as_encoded_bytes()).unwrap();
        }
        exchange_in_steps(&one, &other).unwrap();
        assert_eq!([&files(&one)["name"], &files(&other)["name"]], ["other", "one"]);
        fs::remove_dir_all(&one).unwrap();
        exchange_in_steps(&one, &other).unwrap_err();
        assert_eq!(files(&other)["name"], "one", "brought back");
    }

    #[cfg(unix)]
    #[test]
    fn what_a_link_points_to_is_replaced_and_not_the_link() {
        let folder = tempfile::tempdir().unwrap();
        let [real, link] = ["real", "link"].map(|name| folder.path().join(name));
        staged(&real, &[("a", "1")]).commit(|_| true).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        staged(&link, &[("a", "2")]).commit(|_| true).unwrap();
        assert_eq!(files(&real)["a"], "2");
        assert!(link.is_symlink());
    }

    #[test]
    fn a_file_in_the_way_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "in the way").unwrap();
        assert!(Staging::beside(&file).is_err() && Staging::beside(&file.join("below")).is_err());
        assert_eq!(files(folder.path())["file"], "in the way");
    }
}
