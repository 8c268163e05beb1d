//! What a model's name means: a directory, or a repository of the hub.
//!
//! A directory that exists always wins, so that no name on the hub can take the place of what a user has.

use std::path::{Component, Path, PathBuf};

use super::HubError;

/// The longest repository id that the hub allows, in characters.
const LONGEST_ID: usize = 96;

/// A model's name, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ModelName {
    /// An existing directory.
    Directory(PathBuf),
    /// A repository of the hub.
    Repository {
        /// `org/name`, or `name` for the oldest models.
        id: String,
        /// The branch, tag or commit after `@`.
        revision: Option<String>,
    },
}

impl ModelName {
    pub(super) fn parse(name: &str) -> Result<Self, HubError> {
        let path = Path::new(name);
        if path.is_dir() {
            return Ok(Self::Directory(path.to_owned()));
        }
        let (id, revision) = match name.split_once('@') {
            Some((id, revision)) => (id, Some(revision)),
            None => (name, None),
        };
        if !is_repository_id(id) {
            return Err(HubError::Name { name: name.to_owned(), tried: tried(path) });
        }
        if let Some(revision) = revision {
            check_revision(revision)?;
        }
        Ok(Self::Repository { id: id.to_owned(), revision: revision.map(str::to_owned) })
    }
}

/// A revision names a file under the cache's `refs`, so it must stay there.
pub(super) fn check_revision(revision: &str) -> Result<(), HubError> {
    if stays_inside(revision) { Ok(()) } else { Err(HubError::UnsafeName { name: revision.to_owned() }) }
}

/// Whether a relative path can be joined to a directory without leaving it.
pub(super) fn stays_inside(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Whether these are the letters of a commit's hash.
pub(super) fn is_object_id(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn tried(path: &Path) -> String {
    let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = if full.exists() { "is a file, not a directory" } else { "is no directory" };
    format!("{} {found}, and a name on the hub is `org/name` or `org/name@revision`", full.display())
}

/// The hub's own rules: `huggingface_hub/utils/_validators.py`, `validate_repo_id`.
fn is_repository_id(id: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            && !part.starts_with(['-', '.'])
            && !part.ends_with(['-', '.'])
            && !part.contains("--")
            && !part.contains("..")
    };
    id.len() <= LONGEST_ID && id.split('/').count() <= 2 && id.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn repository(id: &str, revision: Option<&str>) -> ModelName {
        ModelName::Repository { id: id.into(), revision: revision.map(Into::into) }
    }

    #[test]
    fn ids_and_revisions() {
        for (name, id, revision) in [
            ("Qwen/Qwen3-Coder-30B-A3B-Instruct", "Qwen/Qwen3-Coder-30B-A3B-Instruct", None),
            ("gpt2", "gpt2", None),
            ("org/name@v1.0", "org/name", Some("v1.0")),
            ("org/name@refs/pr/3", "org/name", Some("refs/pr/3")),
        ] {
            assert_eq!(ModelName::parse(name).unwrap(), repository(id, revision), "{name}");
        }
    }

    #[test]
    fn neither_directory_nor_id_says_what_was_tried() {
        for name in ["/no/such/model", "./no-such-model", "a/b/c", "", "~/model", "org/", "org/..", "-org/name", "é/x"]
        {
            let error = ModelName::parse(name).unwrap_err();
            assert!(matches!(error, HubError::Name { .. }), "{name}: {error}");
            let text = error.to_string();
            assert!(text.contains("is no directory") && text.contains("org/name"), "{text}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = ModelName::parse(file.path().to_str().unwrap()).unwrap_err();
        assert!(error.to_string().contains("is a file"), "{error}");
    }

    #[test]
    fn a_revision_stays_in_the_cache() {
        for name in ["org/name@../../etc", "org/name@/etc", "org/name@", "org/name@a/../../../b"] {
            assert!(matches!(ModelName::parse(name), Err(HubError::UnsafeName { .. })), "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_stays_inside_has_the_directory_as_ancestor(path in "[a./\\\\]{0,12}") {
            if stays_inside(&path) {
                let mut depth = 0i32;
                for part in Path::new(&path).components() {
                    depth += if part == Component::ParentDir { -1 } else { 1 };
                    prop_assert!(depth > 0);
                }
                prop_assert!(Path::new("/root").join(&path).starts_with("/root"));
            }
        }

        #[test]
        fn any_text_is_understood_or_refused(name in ".{0,40}") {
            if let Ok(ModelName::Repository { id, revision }) = ModelName::parse(&name) {
                prop_assert!(stays_inside(&id) && revision.is_none_or(|revision| stays_inside(&revision)));
            }
        }
    }
}
