//! Archives, told apart by how they begin.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::super::WorkspaceError;
use super::writer::Writer;
use super::{tar, zip};

/// What decompressing may use of memory, in KiB for xz and in bytes for zstd.
const XZ_MEMORY: u32 = 256 << 10;
const ZSTD_WINDOW: u64 = 128 << 20;

/// Writes what an archive holds.
pub(super) fn unpack(path: &Path, strip: usize, writer: &mut Writer) -> Result<(), WorkspaceError> {
    let open = || File::open(path).map_err(WorkspaceError::io("read", path));
    let mut file = open()?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err(writer.refused("it is no file"));
    }
    let mut magic = Vec::new();
    (&mut file).take(6).read_to_end(&mut magic).map_err(|error| writer.unreadable(error))?;
    file.rewind().map_err(|error| writer.unreadable(error))?;
    let file = BufReader::with_capacity(1 << 16, file);
    match magic.as_slice() {
        [0x1f, 0x8b, ..] => tar::unpack(flate2::bufread::MultiGzDecoder::new(file), strip, writer),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            tar::unpack(lzma_rust2::XzReader::new_mem_limit(file, true, XZ_MEMORY), strip, writer)
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => tar::unpack(Zstd::new(file), strip, writer),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => zip::unpack(file, strip, writer),
        _ => tar::unpack(file, strip, writer),
    }
}

/// A path without its first directories; nothing where no more is left of it.
pub(super) fn stripped(path: &Path, strip: usize) -> Option<PathBuf> {
    let mut parts = path.components();
    for _ in 0..strip {
        parts.next()?;
    }
    let rest = parts.as_path();
    (strip == 0 || !rest.as_os_str().is_empty()).then(|| rest.to_path_buf())
}

/// All frames of a zstd file, one after the other.
struct Zstd<R: BufRead> {
    decoder: FrameDecoder,
    input: R,
}

impl<R: BufRead> Zstd<R> {
    fn new(input: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTD_WINDOW);
        Self { decoder, input }
    }

    /// Begins the next frame; false at the end of the input. Frames that hold no content are passed over.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.input.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.input) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    io::copy(&mut (&mut self.input).take(length.into()), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.decoder.can_collect() == 0 {
            if self.decoder.is_finished() {
                if !self.begin()? {
                    return Ok(0);
                }
            } else {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.input, one).map_err(io::Error::other)?;
            }
        }
        self.decoder.read(buffer)
    }
}
