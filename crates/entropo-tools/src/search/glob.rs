//! The tool with which an agent finds files by their names.
//!
//! Those that lie less deep come first: where there are too many to show, what is near is more often meant.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use entropo_agent::{Tool, ToolError, ToolOutput};
use globset::{GlobBuilder, GlobMatcher};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::first::{First, Want};
use super::walk::{Visitor, Walk};
use super::{everything, shown};
use crate::paths::{Kind, Root};

/// Files shown at most.
const MAX_FILES: usize = 100;
/// Bytes of a pattern at most.
const MAX_PATTERN: usize = 1000;

/// Finds the files of a workspace whose names match a pattern.
#[derive(Debug)]
pub struct Glob {
    root: Root,
    threads: usize,
}

/// What [`Glob`] looks for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "")]
pub struct GlobArgs {
    /// Such as *.rs for files of that name anywhere, or src/**/*.rs for a path.
    pub pattern: String,
    /// The directory to look in, relative to the workspace; everything if left out.
    #[serde(default = "everything")]
    pub path: String,
    /// Whether to include hidden files.
    #[serde(default)]
    pub hidden: bool,
}

impl Glob {
    /// A search for files below `root`.
    ///
    /// # Errors
    ///
    /// Where `root` does not exist.
    pub fn new(root: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self { root: Root::new(root)?, threads: 0 })
    }

    /// Searches with so many threads; zero for as many as there are processors, up to eight.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }
}

impl Tool for Glob {
    const NAME: &'static str = "glob";
    type Args = GlobArgs;

    fn description(&self) -> String {
        "Find files by name. * stands for anything within a name, ** for any directories, {a,b} for either.".to_owned()
    }

    async fn call(&self, arguments: GlobArgs, cancel: &CancellationToken) -> Result<ToolOutput, ToolError> {
        let pattern = Pattern::new(&arguments.pattern).map_err(|error| ToolError::new(format!("pattern {error}.")))?;
        let place = self.root.existing(&arguments.path).map_err(ToolError::new)?;
        let (root, hidden, threads, cancel) = (self.root.clone(), arguments.hidden, self.threads, cancel.clone());
        let found = tokio::task::spawn_blocking(move || {
            let start = place.real.strip_prefix(root.path()).unwrap_or(Path::new(""));
            let first = Mutex::new(First::new(MAX_FILES));
            let walk = Walk { root: &root, place: &place, hidden, insist: true, threads };
            walk.run(&cancel, || Names { root: &root, pattern: &pattern, start, first: &first });
            first.into_inner().unwrap_or_else(PoisonError::into_inner).show("files", "narrow the pattern or the path")
        });
        let found = found.await.map_err(|error| ToolError::new(format!("The search failed: {error}.")))?;
        let nothing = || format!("No file matches \"{}\".", arguments.pattern);
        Ok(ToolOutput::text(if found.is_empty() { nothing() } else { found.join("\n") }))
    }
}

/// Files in the order in which they are shown: by their depth, then by their path.
type Key = (usize, OsString);

/// One thread's part in a search.
struct Names<'a> {
    root: &'a Root,
    pattern: &'a Pattern,
    start: &'a Path,
    first: &'a Mutex<First<Key>>,
}

impl Names<'_> {
    fn first(&self) -> MutexGuard<'_, First<Key>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visitor for Names<'_> {
    fn file(&mut self, path: &Path, name: &OsStr) {
        if !self.pattern.matches(self.start, Path::new(name)) {
            return;
        }
        let key = (depth(name), name.to_owned());
        let want = self.first().want(&key);
        // A directory that became a link while it was listed has the names of another one.
        if want == Want::Items && self.root.found(path).is_none_or(|place| place.kind != Kind::File || place.link) {
            return;
        }
        self.first().add(key, vec![shown(&name.to_string_lossy())], 1);
    }

    fn skips(&mut self, name: &OsStr) -> bool {
        // Before all that lies below it.
        let least = (depth(name) + 1, name.to_owned());
        self.first().want(&least) == Want::Nothing
    }
}

fn depth(name: &OsStr) -> usize {
    Path::new(name).components().count()
}

/// A pattern for names, if it has no slash, else for paths.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    matcher: GlobMatcher,
    is_path: bool,
}

/// Why a pattern was refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum PatternError {
    #[error("must not be empty")]
    Empty,
    #[error("is longer than {MAX_PATTERN} bytes")]
    TooLong,
    #[error("is not a glob: {0}")]
    Syntax(String),
}

impl Pattern {
    pub(super) fn new(written: &str) -> Result<Self, PatternError> {
        let pattern = written.trim_start_matches("./").trim_start_matches('/');
        if pattern.is_empty() {
            return Err(PatternError::Empty);
        }
        if written.len() > MAX_PATTERN {
            return Err(PatternError::TooLong);
        }
        let pattern = if pattern.ends_with('/') { format!("{pattern}**") } else { pattern.to_owned() };
        let glob = GlobBuilder::new(&pattern).literal_separator(true).empty_alternates(true).build();
        let glob = glob.map_err(|error| PatternError::Syntax(error.kind().to_string()))?;
        Ok(Self { matcher: glob.compile_matcher(), is_path: written.contains('/') })
    }

    /// Whether the file `name` matches, for a search that starts at `start`.
    pub(super) fn matches(&self, start: &Path, name: &Path) -> bool {
        let path = if self.is_path { name.strip_prefix(start).ok() } else { None };
        let path = path.filter(|path| !path.as_os_str().is_empty());
        self.matcher.is_match(path.unwrap_or(Path::new(name.file_name().unwrap_or_default())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_without_a_slash_is_for_names() {
        for (pattern, start, name, expected) in [
            ("*.rs", "", "a.rs", true),
            ("*.rs", "", "src/deep/a.rs", true),
            ("*.rs", "", "src/a.rs.bak", false),
            ("/*.rs", "", "src/a.rs", false),
            ("./*.rs", "", "a.rs", true),
            ("src/*.rs", "", "src/a.rs", true),
            ("src/*.rs", "", "src/deep/a.rs", false),
            ("src/**/*.rs", "", "src/a.rs", true),
            ("**/*.rs", "", "a.rs", true),
            ("src/**/*.rs", "", "src/x/y/a.rs", true),
            ("deep/*.rs", "src", "src/deep/a.rs", true),
            ("deep/*.rs", "", "src/deep/a.rs", false),
            ("src/", "", "src/x/a.rs", true),
            ("*.{rs,py}", "", "x/a.py", true),
            ("a{,b}.rs", "", "a.rs", true),
            ("[ab].rs", "", "b.rs", true),
            ("[!ab].rs", "", "b.rs", false),
            ("a?", "", "ab", true),
            ("a?b", "", "a/b", false),
        ] {
            let found = Pattern::new(pattern).unwrap().matches(Path::new(start), Path::new(name));
            assert_eq!(found, expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (pattern, said) in [
            ("", "must not be empty"),
            ("/", "must not be empty"),
            ("a[", "is not a glob: unclosed character class; missing ']'"),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap_err().to_string(), said);
        }
        assert_eq!(Pattern::new(&"*".repeat(1001)).unwrap_err().to_string(), "is longer than 1000 bytes");
        assert!(Pattern::new(&"{a,".repeat(333)).is_err());
        assert!(Pattern::new(&"**/".repeat(333)).is_ok());
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in r"(\PC|[*?\[\]{},!/.\\a-c^-]){0,40}", name in r"[a-c./\PC]{0,20}") {
            if let Ok(pattern) = Pattern::new(&pattern) {
                pattern.matches(Path::new(""), Path::new(&name));
            }
        }

        #[test]
        fn a_name_matches_itself(name in "[a-z0-9][a-z0-9._-]{0,20}", directory in "[a-z]{1,5}") {
            let path = format!("{directory}/{name}");
            prop_assert!(Pattern::new(&name).unwrap().matches(Path::new(""), Path::new(&path)));
            prop_assert!(Pattern::new(&path).unwrap().matches(Path::new(""), Path::new(&path)));
        }
    }
}
