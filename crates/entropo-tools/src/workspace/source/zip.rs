//! Entries of a zip file.

use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use ::zip::ZipArchive;

use super::super::WorkspaceError;
use super::archive::stripped;
use super::writer::{Writer, shown};

/// Bits of a mode that tell kinds of files apart.
const KIND: u32 = 0o170_000;
/// The longest target of a link.
const TARGET: u64 = 4096;

/// Writes all entries.
pub(super) fn unpack(reader: impl Read + Seek, strip: usize, writer: &mut Writer) -> Result<(), WorkspaceError> {
    let mut archive = ZipArchive::new(reader).map_err(|error| writer.unreadable(error.into()))?;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(|error| writer.unreadable(error.into()))?;
        let name = file.name().map_err(|error| writer.unreadable(error.into()))?.into_owned();
        let Some(path) = writer.checked(Path::new(&name))? else { continue };
        let Some(path) = stripped(&path, strip) else { continue };
        let mode = file.unix_mode().unwrap_or(0o644);
        match mode & KIND {
            _ if file.is_dir() => writer.directory(&path)?,
            0o120_000 => {
                let mut target = String::new();
                (&mut file).take(TARGET).read_to_string(&mut target).map_err(|error| writer.unreadable(error))?;
                writer.link(&path, &PathBuf::from(target))?;
            }
            0 | 0o100_000 => writer.file(&path, mode, None, &mut file)?,
            _ => return Err(writer.refused(format!("{} is a pipe or a device", shown(&path)))),
        }
    }
    Ok(())
}
