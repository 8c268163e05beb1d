//! A directory of a container's image, as the engine packs it.

use std::io;
use std::path::Path;

use tokio::runtime::Handle;
use tokio_util::io::SyncIoBridge;

use super::super::WorkspaceError;
use super::tar;
use super::writer::Writer;
use crate::sandbox::image_files;

/// Writes what is below a directory of an image. Blocks, so it must be called on a thread that may, of a runtime.
pub(super) fn unpack(
    image: &str,
    path: &str,
    socket: Option<&Path>,
    writer: &mut Writer,
) -> Result<(), WorkspaceError> {
    if !path.starts_with('/') || path.trim_matches('/').is_empty() {
        return Err(writer.refused("name a directory below `/` of the image, by its whole path"));
    }
    let runtime = Handle::current();
    let files = runtime.block_on(image_files(image, path, socket));
    let files = files.map_err(|error| writer.unreadable(io::Error::other(error)))?;
    // The engine's entries begin with the directory's own name.
    tar::unpack(SyncIoBridge::new_with_handle(files, runtime), 1, writer)?;
    if writer.is_empty() {
        return Err(writer.refused("there are no files below this path"));
    }
    Ok(())
}
