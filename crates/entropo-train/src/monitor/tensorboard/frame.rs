//! TFRecord, the framing of event files: length, checksum of the length, data, checksum of the data, little-endian.

/// The frame of `data`.
pub(super) fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let checksum = |bytes: &[u8]| masked(crc32c::crc32c(bytes)).to_le_bytes();
    [&length[..], &checksum(&length), data, &checksum(data)].concat()
}

/// A checksum of data that may itself hold checksums is stored rotated and shifted.
fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The checksum of `123456789` is in every catalogue of CRCs.
    #[test]
    fn the_checksum_is_the_castagnoli_one() {
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn an_empty_frame_has_both_checksums() {
        let frame = frame(&[]);
        assert_eq!(frame.len(), 16);
        assert_eq!(frame[12..], 0xa282_ead8_u32.to_le_bytes()); // CRC-32C of nothing is 0
    }
}
