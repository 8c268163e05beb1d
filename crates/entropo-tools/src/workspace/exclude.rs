//! Which new files are no work of the agent's but what its commands left behind.
//!
//! Only new files are left out. A file that was there before counts whatever it is called.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::WorkspaceError;
use super::tree::Tree;
use crate::files::Ignores;

/// What builds, tests and installers write, in the notation of a `.gitignore`.
const GENERATED: [&str; 19] = [
    "__pycache__/",
    "*.py[cod]",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".hypothesis/",
    ".tox/",
    ".nox/",
    ".eggs/",
    "*.egg-info/",
    ".coverage",
    ".ipynb_checkpoints/",
    "target/",
    "node_modules/",
    ".gradle/",
    ".cache/",
    ".DS_Store",
    "*.swp",
    "core.[0-9]*",
];

/// Rules by which new files are left out of a patch, beside those of the workspace's `.gitignore` files.
///
/// A rule for directories holds for directories that are new; what is added to one that was there before counts.
#[derive(Clone, Debug)]
pub struct Exclude {
    rules: Arc<Gitignore>,
}

impl Default for Exclude {
    /// What builds, tests and installers leave behind: `__pycache__/`, `*.pyc`, `.pytest_cache/`, `*.egg-info/`,
    /// `target/`, `node_modules/` and their like; `docs/workspaces.md` lists them all.
    fn default() -> Self {
        Self::rules(GENERATED).unwrap_or_else(|_| Self::nothing())
    }
}

impl Exclude {
    /// No rules: only `.gitignore` files count.
    pub fn nothing() -> Self {
        Self { rules: Arc::new(Gitignore::empty()) }
    }

    /// These rules and no others, each in the notation of a line of a `.gitignore`.
    ///
    /// # Errors
    ///
    /// Where one is no pattern.
    pub fn rules<'a>(rules: impl IntoIterator<Item = &'a str>) -> Result<Self, ignore::Error> {
        let mut builder = GitignoreBuilder::new("");
        for rule in rules {
            builder.add_line(None, rule)?;
        }
        Ok(Self { rules: Arc::new(builder.build()?) })
    }
}

/// The rules of one workspace at one moment.
pub(super) struct Rules<'a> {
    exclude: &'a Exclude,
    ignores: Ignores<'a>,
    /// Whether what a directory holds is left out.
    directories: HashMap<PathBuf, bool>,
}

impl<'a> Rules<'a> {
    pub(super) fn new(now: &'a Tree, exclude: &'a Exclude) -> Self {
        let ignores = Ignores::new(|directory| now.open_file(&directory.join(".gitignore")).ok());
        Self { exclude, ignores, directories: HashMap::new() }
    }

    /// Whether a new file is left out. `was_there` says whether a directory was there before.
    pub(super) fn leave_out(
        &mut self,
        path: &Path,
        was_there: &dyn Fn(&Path) -> Result<bool, WorkspaceError>,
    ) -> Result<bool, WorkspaceError> {
        let parent = path.parent().unwrap_or(Path::new(""));
        if !parent.as_os_str().is_empty() && self.directory(parent, was_there)? {
            return Ok(true);
        }
        Ok(self.is_ignored(path, false) || self.exclude.rules.matched(path, false).is_ignore())
    }

    fn directory(
        &mut self,
        path: &Path,
        was_there: &dyn Fn(&Path) -> Result<bool, WorkspaceError>,
    ) -> Result<bool, WorkspaceError> {
        if let Some(known) = self.directories.get(path) {
            return Ok(*known);
        }
        let parent = path.parent().unwrap_or(Path::new(""));
        let excluded = || Ok(self.exclude.rules.matched(path, true).is_ignore() && !was_there(path)?);
        let out = excluded()?
            || (!parent.as_os_str().is_empty() && self.directory(parent, was_there)?)
            || self.is_ignored(path, true);
        self.directories.insert(path.to_path_buf(), out);
        Ok(out)
    }

    fn is_ignored(&self, path: &Path, is_directory: bool) -> bool {
        self.ignores.matched(Path::new(""), path, is_directory).is_ignore()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_rules_are_patterns_and_hold_for_what_is_new() {
        let root = tempfile::tempdir().unwrap();
        let exclude = Exclude::rules(GENERATED).unwrap();
        let now = Tree::open(root.path()).unwrap();
        let mut rules = Rules::new(&now, &exclude);
        let was_there = |path: &Path| Ok(path == Path::new("src/target"));
        for (path, out) in [
            ("lib/__pycache__/x.cpython-313.pyc", true),
            ("x.pyc", true),
            ("x.py", false),
            ("target/debug/x", true),
            ("src/target/x.rs", false),
            ("src/target/target/x.rs", true),
            ("target", false),
            ("a/node_modules/b/c.js", true),
            ("x.egg-info/PKG-INFO", true),
            ("core.123", true),
            ("core.rs", false),
        ] {
            assert_eq!(rules.leave_out(Path::new(path), &was_there).unwrap(), out, "{path}");
        }
    }

    #[test]
    fn the_nearest_gitignore_decides_and_an_ignored_directory_is_ignored_whole() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/out")).unwrap();
        std::fs::write(root.path().join(".gitignore"), "*.log\n/a/out/\n[\n").unwrap();
        std::fs::write(root.path().join("a/.gitignore"), "!kept.log\n").unwrap();
        std::fs::write(root.path().join("a/out/.gitignore"), "!*\n").unwrap();
        let exclude = Exclude::nothing();
        let now = Tree::open(root.path()).unwrap();
        let mut rules = Rules::new(&now, &exclude);
        for (path, out) in
            [("x.log", true), ("a/kept.log", false), ("a/x.log", true), ("a/out/x", true), ("out/x", false)]
        {
            assert_eq!(rules.leave_out(Path::new(path), &|_| Ok(false)).unwrap(), out, "{path}");
        }
    }
}
