//! The rules of `.gitignore` files, which anybody may have written.
//!
//! What works in a workspace may put a pipe, a link or a gigabyte where such a file was, also in the moment in which it is
//! opened. So it is opened without following a link and without waiting, looked at by its handle, and read up to a limit.
//! What is no small plain file is no rule. (git follows no such link either.)

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::RandomState;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// The largest `.gitignore`, in bytes.
const MAX_FILE: u64 = 256 << 10;
/// Bytes of rules that are kept at most; compiled they take many times as much.
const MAX_KEPT: u64 = 1 << 20;
/// Directories that are kept at most.
const MAX_DIRECTORIES: usize = 100_000;

/// Opens the `.gitignore` of a directory.
type Open<'a> = dyn Fn(&Path) -> Option<File> + Send + Sync + 'a;

/// The rules of a workspace's directories, each read when it is first asked for.
pub(crate) struct Ignores<'a> {
    open: Box<Open<'a>>,
    known: RwLock<Known>,
}

/// What was read. When it is too much all of it is given up and read again, so that the answers do not depend on it.
#[derive(Default)]
struct Known {
    /// By directory; none where there are no rules.
    rules: HashMap<OsString, Option<Arc<Rules>>, RandomState>,
    bytes: u64,
}

/// The rules of one directory.
struct Rules {
    /// One set but where that would be too large; the last that knows of a path decides.
    sets: Vec<Gitignore>,
    bytes: u64,
}

impl<'a> Ignores<'a> {
    /// `open` opens the `.gitignore` of a directory, which it is given relative to the workspace, if there is one. It must
    /// neither follow a link nor wait; what it opened need not be a file.
    pub(crate) fn new(open: impl Fn(&Path) -> Option<File> + Send + Sync + 'a) -> Self {
        Self { open: Box::new(open), known: RwLock::default() }
    }

    /// What the nearest `.gitignore` that knows of `path` says, from the directory that holds it up to `top`.
    pub(crate) fn matched(&self, top: &Path, path: &Path, is_directory: bool) -> Match<()> {
        for above in path.ancestors().skip(1) {
            if let Some(rules) = self.rules(above) {
                let matched = rules.matched(path, is_directory);
                if !matched.is_none() {
                    return matched;
                }
            }
            if above == top {
                break;
            }
        }
        Match::None
    }

    fn rules(&self, directory: &Path) -> Option<Arc<Rules>> {
        let name = directory.as_os_str();
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).rules.get(name) {
            return known.clone();
        }
        let rules = (self.open)(directory).and_then(|file| read(directory, file)).map(Arc::new);
        self.known.write().unwrap_or_else(PoisonError::into_inner).keep(name, rules.clone());
        rules
    }
}

impl fmt::Debug for Ignores<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ignores").finish_non_exhaustive()
    }
}

impl Known {
    fn keep(&mut self, directory: &OsStr, rules: Option<Arc<Rules>>) {
        let bytes = rules.as_ref().map_or(0, |rules| rules.bytes);
        if self.bytes + bytes > MAX_KEPT || self.rules.len() >= MAX_DIRECTORIES {
            *self = Self::default();
        }
        self.bytes += bytes;
        self.rules.insert(directory.to_owned(), rules);
    }
}

impl Rules {
    fn matched(&self, path: &Path, is_directory: bool) -> Match<()> {
        let mut said = self.sets.iter().rev().map(|set| set.matched(path, is_directory).map(|_| ()));
        said.find(|said| !said.is_none()).unwrap_or(Match::None)
    }
}

/// Reads what was opened, if it is a small plain file. Lines that are no patterns are passed over, as git does.
fn read(directory: &Path, file: File) -> Option<Rules> {
    let metadata = file.metadata().ok().filter(|metadata| metadata.is_file() && metadata.len() <= MAX_FILE)?;
    let mut content = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    // It may grow while it is read.
    file.take(MAX_FILE + 1).read_to_end(&mut content).ok()?;
    if content.len() as u64 > MAX_FILE {
        return None;
    }
    let text = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&content);
    let lines: Vec<&str> = text.split(|byte| *byte == b'\n').filter_map(|line| str::from_utf8(line).ok()).collect();
    let mut sets = Vec::new();
    compile(directory, &lines, &mut sets);
    sets.retain(|set| !set.is_empty());
    (!sets.is_empty()).then_some(Rules { sets, bytes: content.len() as u64 })
}

/// Compiles lines to as few sets as they fit in: the matcher of all together may be larger than is allowed.
fn compile(directory: &Path, lines: &[&str], sets: &mut Vec<Gitignore>) {
    let mut builder = GitignoreBuilder::new(directory);
    for line in lines {
        let _ = builder.add_line(None, line);
    }
    match builder.build() {
        Ok(set) => sets.push(set),
        Err(error) if lines.len() < 2 => tracing::debug!(%error, "a rule is too large"),
        Err(_) => {
            let (first, last) = lines.split_at(lines.len() / 2);
            compile(directory, first, sets);
            compile(directory, last, sets);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignores(root: &Path) -> Ignores<'_> {
        Ignores::new(|directory| File::open(root.join(directory).join(".gitignore")).ok())
    }

    fn is_ignored(ignores: &Ignores<'_>, path: &str) -> bool {
        ignores.matched(Path::new(""), Path::new(path), false).is_ignore()
    }

    #[test]
    fn rules_that_are_too_large_together_all_count() {
        let root = tempfile::tempdir().unwrap();
        let mut text: String = (0..15_000).map(|number| format!("????{number}*????\n")).collect();
        text.push_str("!????7*kept\nlast*\n");
        std::fs::write(root.path().join(".gitignore"), &text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let mut sets = Vec::new();
        compile(Path::new(""), &lines, &mut sets);
        assert!(sets.len() > 1, "else this tests nothing");
        let ignores = ignores(root.path());
        for (path, out) in
            [("abcd7xwxyz", true), ("abcd14999wxyz", true), ("abcd7xkept", false), ("lastly", true), ("y", false)]
        {
            assert_eq!(is_ignored(&ignores, path), out, "{path}");
        }
    }

    #[test]
    fn a_line_that_is_no_text_or_no_pattern_leaves_the_others() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join(".gitignore"), b"\xef\xbb\xbffirst\n\xff\n[\nlast\r\n").unwrap();
        let ignores = ignores(root.path());
        assert!(is_ignored(&ignores, "first") && is_ignored(&ignores, "d/last") && !is_ignored(&ignores, "other"));
    }

    #[test]
    fn what_is_given_up_is_read_again() {
        let root = tempfile::tempdir().unwrap();
        let long = "#".repeat(200 << 10);
        for name in ["a", "b", "c", "d", "e", "f", "g"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
            std::fs::write(root.path().join(name).join(".gitignore"), format!("{name}\n{long}\n")).unwrap();
        }
        let ignores = ignores(root.path());
        for _ in 0..2 {
            for name in ["a", "b", "c", "d", "e", "f", "g"] {
                assert!(is_ignored(&ignores, &format!("{name}/{name}")) && !is_ignored(&ignores, &format!("{name}/x")));
                assert!(ignores.known.read().unwrap().bytes <= MAX_KEPT);
            }
        }
    }

    #[test]
    fn rules_above_the_top_do_not_count() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("d")).unwrap();
        std::fs::write(root.path().join(".gitignore"), "x\n").unwrap();
        std::fs::write(root.path().join("d/.gitignore"), "y\n").unwrap();
        let ignores = ignores(root.path());
        let matched = |top: &str, path: &str| ignores.matched(Path::new(top), Path::new(path), false).is_ignore();
        assert_eq!([matched("", "d/x"), matched("d", "d/x"), matched("d", "d/y")], [true, false, true]);
    }
}
