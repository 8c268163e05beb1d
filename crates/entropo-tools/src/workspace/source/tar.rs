//! Entries of a tar file.
//!
//! The headers that only carry another's name are read here and not by the library, which would take one of any length into
//! memory.

use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::super::WorkspaceError;
use super::archive::stripped;
use super::writer::{Writer, shown};

/// The longest header that carries a name.
const HEADER: u64 = 64 << 10;

/// What headers said of the entry that follows them.
#[derive(Default)]
struct Said {
    path: Option<PathBuf>,
    target: Option<PathBuf>,
    modified: Option<(i64, u64)>,
}

/// Writes all entries. Pipes, devices and sparse files are refused.
pub(super) fn unpack(reader: impl Read, strip: usize, writer: &mut Writer) -> Result<(), WorkspaceError> {
    let mut archive = Archive::new(reader);
    let mut said = Said::default();
    for entry in archive.entries().map_err(|error| writer.unreadable(error))?.raw(true) {
        let mut entry = entry.map_err(|error| writer.unreadable(error))?;
        match entry.header().entry_type() {
            EntryType::GNULongName => said.path = Some(name(&header(&mut entry, writer)?)),
            EntryType::GNULongLink => said.target = Some(name(&header(&mut entry, writer)?)),
            EntryType::XHeader => extended(&header(&mut entry, writer)?, &mut said, writer)?,
            EntryType::XGlobalHeader => drop(header(&mut entry, writer)?),
            kind => write(&mut entry, kind, std::mem::take(&mut said), strip, writer)?,
        }
    }
    Ok(())
}

fn write<R: Read>(
    entry: &mut Entry<'_, R>,
    kind: EntryType,
    said: Said,
    strip: usize,
    writer: &mut Writer,
) -> Result<(), WorkspaceError> {
    let long = said.path.unwrap_or_else(|| name(&entry.header().path_bytes()));
    let Some(path) = checked(&long, strip, writer)? else { return Ok(()) };
    let target = || said.target.clone().or_else(|| entry.header().link_name_bytes().map(|bytes| name(&bytes)));
    let target = target().unwrap_or_default();
    let mode = entry.header().mode().map_err(|error| writer.unreadable(error))?;
    let seconds = entry.header().mtime().ok().and_then(|seconds| i64::try_from(seconds).ok());
    let modified = said.modified.or(seconds.map(|seconds| (seconds, 0)));
    match kind {
        EntryType::Directory => writer.directory(&path),
        // Before there was a type for directories, their names ended like this.
        EntryType::Regular if long.as_os_str().as_bytes().ends_with(b"/") => writer.directory(&path),
        EntryType::Regular | EntryType::Continuous => writer.file(&path, mode, modified, entry),
        EntryType::Symlink => writer.link(&path, &target),
        EntryType::Link => match checked(&target, strip, writer)? {
            Some(target) => writer.again(&path, &target),
            None => Err(writer.refused(format!("{} is a link to what is left out", shown(&path)))),
        },
        EntryType::Fifo | EntryType::Char | EntryType::Block => {
            Err(writer.refused(format!("{} is a pipe or a device", shown(&path))))
        }
        other => Err(writer.refused(format!("{} is of the unknown kind {other:?}", shown(&path)))),
    }
}

/// A path without its first directories, after the whole of it was found harmless.
fn checked(path: &Path, strip: usize, writer: &Writer) -> Result<Option<PathBuf>, WorkspaceError> {
    Ok(writer.checked(path)?.and_then(|path| stripped(&path, strip)))
}

fn header<R: Read>(entry: &mut Entry<'_, R>, writer: &Writer) -> Result<Vec<u8>, WorkspaceError> {
    let mut content = Vec::new();
    entry.take(HEADER + 1).read_to_end(&mut content).map_err(|error| writer.unreadable(error))?;
    if content.len() as u64 > HEADER {
        return Err(writer.refused(format!("a header has more than {HEADER} bytes")));
    }
    Ok(content)
}

fn extended(header: &[u8], said: &mut Said, writer: &Writer) -> Result<(), WorkspaceError> {
    for field in PaxExtensions::new(header) {
        let field = field.map_err(|error| writer.unreadable(error))?;
        match field.key_bytes() {
            b"path" => said.path = Some(name(field.value_bytes())),
            b"linkpath" => said.target = Some(name(field.value_bytes())),
            b"mtime" => said.modified = field.value().ok().and_then(time),
            b"size" => return Err(writer.refused("a file has 8 GiB or more")),
            key if key.starts_with(b"GNU.sparse.") => return Err(writer.refused("a file is sparse")),
            _ => {}
        }
    }
    Ok(())
}

/// Seconds, with a fraction or without.
fn time(text: &str) -> Option<(i64, u64)> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    Some((seconds.parse().ok()?, digits.parse().ok()?))
}

/// A name as far as its first NUL.
fn name(bytes: &[u8]) -> PathBuf {
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    std::ffi::OsString::from_vec(bytes.to_vec()).into()
}
