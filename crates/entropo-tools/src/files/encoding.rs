//! Which text a file's bytes mean, and the way back to the very same bytes.
//!
//! A guess of the encoding can be wrong. It is only trusted if encoding the text again gives every byte of the file, so
//! that what an edit does not touch cannot change, whatever the guess was.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// How a file's text is written as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoding {
    charset: &'static encoding_rs::Encoding,
    /// Whether the bytes begin with a byte order mark, which is no part of the text.
    mark: bool,
}

impl Encoding {
    /// UTF-8 without a mark, as new files have it.
    pub(crate) const UTF_8: Self = Self { charset: UTF_8, mark: false };

    /// The text of `bytes` and how it was written, or why it is none.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(String, Self), &'static str> {
        if let Some((charset, length)) = encoding_rs::Encoding::for_bom(bytes) {
            let (_, rest) = bytes.split_at(length);
            let encoding = Self { charset, mark: true };
            let text = charset.decode_without_bom_handling_and_without_replacement(rest);
            let text = text.ok_or("its byte order mark does not fit the bytes after it")?.into_owned();
            // UTF-32 begins with the mark of UTF-16 too.
            return if is_binary(text.as_bytes()) { Err(BINARY) } else { encoding.proven(text, bytes) };
        }
        if is_binary(bytes) {
            return Err(BINARY);
        }
        if let Ok(text) = str::from_utf8(bytes) {
            return Ok((text.to_owned(), Self::UTF_8));
        }
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(bytes, true);
        // Windows-1252 is Latin-1 with more letters, and gives each of the 256 bytes back.
        for charset in [detector.guess(None, Utf8Detection::Deny), WINDOWS_1252] {
            let encoding = Self { charset, mark: false };
            let text = charset.decode_without_bom_handling_and_without_replacement(bytes);
            if let Some(Ok(decoded)) = text.map(|text| encoding.proven(text.into_owned(), bytes)) {
                return Ok(decoded);
            }
        }
        Err("its encoding is unknown")
    }

    fn proven(self, text: String, bytes: &[u8]) -> Result<(String, Self), &'static str> {
        match self.encode(&text) {
            Ok(again) if again == bytes => Ok((text, self)),
            _ => Err("its bytes would not survive being read and written"),
        }
    }

    /// The bytes of `text`, or why this encoding cannot write it.
    pub(crate) fn encode(self, text: &str) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::with_capacity(text.len());
        if self.mark {
            bytes.extend(self.units("\u{feff}")?.iter());
        }
        bytes.extend_from_slice(&self.units(text)?);
        Ok(bytes)
    }

    fn units(self, text: &str) -> Result<Cow<'_, [u8]>, String> {
        // encoding_rs writes no UTF-16, as the web does not.
        if self.charset == UTF_16LE {
            return Ok(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
        }
        if self.charset == UTF_16BE {
            return Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect());
        }
        let (bytes, _, unmappable) = self.charset.encode(text);
        if !unmappable {
            return Ok(bytes);
        }
        let missing = text.chars().find(|letter| self.charset.encode(letter.encode_utf8(&mut [0; 4])).2);
        let missing = missing.map(String::from).unwrap_or_default();
        Err(format!("it is written in {}, which has no {missing:?}", self.charset.name()))
    }
}

const BINARY: &str = "it is binary";

/// Whether there are control characters that no text has.
fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(byte, 0..=6 | 0x0e..=0x1a | 0x1c..=0x1f))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(unit).collect()
    }

    #[test]
    fn the_usual_encodings_are_read_and_written() {
        let text = "naïve — 🦀\r\n";
        for bytes in [
            text.as_bytes().to_vec(),
            ["\u{feff}", text].concat().into_bytes(),
            utf16(text, u16::to_le_bytes),
            utf16(text, u16::to_be_bytes),
        ] {
            let (decoded, encoding) = Encoding::decode(&bytes).unwrap();
            assert_eq!(decoded, text);
            assert_eq!(encoding.encode(&decoded).unwrap(), bytes);
        }
        let (decoded, encoding) = Encoding::decode(b"un caf\xe9 cr\xe8me\n").unwrap();
        assert_eq!(decoded, "un café crème\n");
        assert_eq!(encoding.encode("thé").unwrap(), b"th\xe9");
        assert_eq!(encoding.encode("a✓").unwrap_err(), "it is written in windows-1252, which has no \"✓\"");
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for bytes in [&b"\x7fELF\x02\x01"[..], b"a\0b", b"\xff\xfe\0\0a\0\0\0", b"\xff\xfea\0\0\xd8", b"\xff\xfeab\n"] {
            assert!(Encoding::decode(bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_back(bytes in prop::collection::vec(7u8.., 0..200), mark in 0..4usize) {
            let marks = [&b""[..], b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
            let bytes = [marks[mark], &bytes].concat();
            if let Ok((text, encoding)) = Encoding::decode(&bytes) {
                prop_assert_eq!(encoding.encode(&text).unwrap(), bytes);
            }
        }
    }
}
