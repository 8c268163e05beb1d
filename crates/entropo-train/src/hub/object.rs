//! Git's names of file contents, by which every download is checked.
//!
//! The hub's file list gives each file's git object id: for a small file the id of its content, for a large one (Git
//! LFS, Xet) the id of a three-line pointer that holds the content's SHA-256 and size. Both can be computed from the
//! content, so the list alone is enough to tell a right file from a wrong one. The same hash is the file's ETag, which
//! is what the cache calls it: the git object id of a small file, the SHA-256 of a large one.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A file of a repository, as its list describes it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Path in the repository.
    pub(super) path: String,
    /// Bytes of the content.
    pub(super) size: u64,
    /// The git object id: of the content, or of its pointer.
    pub(super) object: String,
    /// Whether git holds a pointer rather than the content.
    pub(super) is_pointer: bool,
}

/// The hash of a content that comes piece by piece.
#[derive(Debug, Clone)]
pub(super) enum ContentHash {
    Git(Sha1),
    Large(Sha256),
}

/// What a content is called.
pub(super) struct ContentName {
    /// Its name in the cache.
    pub(super) blob: String,
    /// Its git object id, to compare with the list's.
    pub(super) object: String,
}

impl ContentHash {
    pub(super) fn new(entry: &Entry) -> Self {
        if entry.is_pointer { Self::Large(Sha256::new()) } else { Self::Git(git_object(entry.size)) }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Git(hash) => hash.update(bytes),
            Self::Large(hash) => hash.update(bytes),
        }
    }

    /// The names of `size` bytes that were put in.
    pub(super) fn finish(self, size: u64) -> ContentName {
        match self {
            Self::Git(hash) => {
                let object = hexadecimal(&hash.finalize());
                ContentName { blob: object.clone(), object }
            }
            Self::Large(hash) => {
                let blob = hexadecimal(&hash.finalize());
                ContentName { object: pointer_object(&blob, size), blob }
            }
        }
    }
}

/// The git object id of the pointer to a content of this SHA-256 and size.
/// Source: <https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>, "The Pointer".
pub(super) fn pointer_object(sha256: &str, size: u64) -> String {
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n");
    let mut hash = git_object(pointer.len() as u64);
    hash.update(pointer);
    hexadecimal(&hash.finalize())
}

/// The hash of a git object of `size` bytes before its content.
fn git_object(size: u64) -> Sha1 {
    let mut hash = Sha1::new();
    hash.update(format!("blob {size}\0"));
    hash
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `blobId`, `lfs.sha256` and `size` as the hub lists them for ggerganov/whisper.cpp and lysandre/arxiv-nlp.
    #[test]
    fn pointers_of_the_hub_have_these_ids() {
        for (sha256, size, object) in [
            (
                "7d99f41a10525d0206bddadd86760181fa920438b6b33237e3118ff6c83bb53d",
                3_094_623_691,
                "047db73ddfd7789113dfc94c20b22bc1d044586f",
            ),
            (
                "9be78edb5b928eba33aa88f431551348f7466ba9f5ef3daf1d552398722a5436",
                548_123_560,
                "64eaa9c526867e404b68f2c5d66fd78e27026523",
            ),
        ] {
            assert_eq!(pointer_object(sha256, size), object);
        }
    }

    /// `printf 'hello\n' | git hash-object --stdin`
    #[test]
    fn small_files_have_gits_id() {
        let entry = Entry { path: "a".into(), size: 6, object: String::new(), is_pointer: false };
        let mut hash = ContentHash::new(&entry);
        hash.update(b"hel");
        hash.update(b"lo\n");
        assert_eq!(hash.finish(6).object, "ce013625030ba8dba906f756967f9e9ca394464a");
    }
}
