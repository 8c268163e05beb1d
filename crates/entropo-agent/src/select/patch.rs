//! When two patches are the same change.
//!
//! A vote over patches is worth as much as its idea of equality: compared byte by byte, two agents with the same fix
//! differ in the hash of a blob, in a script left behind, or in the order of files. [`PatchRules::normalise`] leaves
//! out what does not change the behaviour of the program under repair:
//!
//! 1. files whose path is a test's (`leave_out`), and files that the patch creates whose path is a scratch file's
//!    (`leave_out_new`);
//! 2. blobs' hashes and similarities, positions and headings of hunks;
//! 3. white space at the ends of lines, and added or removed lines that hold nothing else;
//! 4. files without any change after that; and the order of files, which are sorted by path.
//!
//! White space *within* lines stays, since indentation is syntax in some languages and text is text in all. Context
//! lines stay too: without them equal edits at two places of a file would be one.

mod pattern;

use serde::{Deserialize, Serialize};

pub use pattern::{PathPattern, PatternError};

/// What is left out of patches before they are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PatchRules {
    /// Paths of files that do not count; by default those of tests.
    pub leave_out: Vec<PathPattern>,
    /// Paths of files that do not count if the patch creates them; by default scripts that reproduce or debug, and what
    /// editors and patch programs leave behind.
    pub leave_out_new: Vec<PathPattern>,
}

const TESTS: [&str; 7] = [
    "**/{test,tests,testing,__tests__}/**",
    "**/test_*.py",
    "**/*_test.{py,go,rs,rb,c,cc,cpp}",
    "**/conftest.py",
    "**/*.{test,spec}.{js,jsx,mjs,ts,tsx}",
    "**/*{Test,Tests}.{java,kt,cs}",
    "**/*_spec.rb",
];

const SCRATCH: [&str; 4] = [
    "{reproduce,reproduction,repro,debug,scratch,tmp,temp,demo,example,verify,check,validate}*.*",
    "test*.*",
    "**/*.{orig,rej,log,bak,tmp,swp,pyc}",
    "**/{__pycache__,.pytest_cache}/**",
];

impl Default for PatchRules {
    fn default() -> Self {
        // Patterns of this file are readable; a test says so.
        let patterns = |list: &[&str]| list.iter().filter_map(|pattern| PathPattern::new(pattern).ok()).collect();
        Self { leave_out: patterns(&TESTS), leave_out_new: patterns(&SCRATCH) }
    }
}

impl PatchRules {
    /// Rules under which every file counts.
    pub fn every_file() -> Self {
        Self { leave_out: Vec::new(), leave_out_new: Vec::new() }
    }

    /// The change that a git patch makes, in one spelling; empty if nothing that counts is changed.
    pub fn normalise(&self, patch: &str) -> String {
        let mut files: Vec<_> = sections(patch).into_iter().filter_map(|lines| self.file(&lines)).collect();
        files.sort();
        files.into_iter().map(|(_, text)| text).collect()
    }

    /// The path of a file and its change, if that counts.
    fn file(&self, lines: &[&str]) -> Option<(String, String)> {
        let headers = lines.iter().take_while(|line| !line.starts_with("@@")).count();
        let (header, body) = lines.split_at_checked(headers)?;
        let path = path(header);
        let is_new = header.iter().any(|line| line.starts_with("new file mode"));
        let matches = |patterns: &[PathPattern]| patterns.iter().any(|pattern| pattern.matches(&path));
        if matches(&self.leave_out) || is_new && matches(&self.leave_out_new) {
            return None;
        }
        // Of a binary file that is not in the patch, hashes are all there is to compare.
        let is_opaque = header.iter().any(|line| line.starts_with("Binary files"));
        let told = |line: &&&str| {
            (is_opaque || !line.starts_with("index "))
                && !line.starts_with("similarity index ")
                && !line.starts_with("dissimilarity index ")
        };
        let header: Vec<&str> = header.iter().filter(told).map(|line| line.trim_end()).collect();
        let body: Vec<&str> = body.iter().filter_map(|line| content(line)).collect();
        let is_changed = body.iter().any(|line| line.starts_with(['+', '-'])) || header.iter().any(|line| says(line));
        let text = header.iter().chain(&body).flat_map(|line| [*line, "\n"]).collect();
        is_changed.then_some((path, text))
    }
}

/// Whether a header line is a change of its own.
fn says(line: &str) -> bool {
    const CHANGES: [&str; 10] = [
        "new file mode",
        "deleted file mode",
        "old mode",
        "rename from",
        "copy from",
        "Binary files",
        "GIT binary patch",
        "literal ",
        "delta ",
        "Submodule ",
    ];
    CHANGES.iter().any(|change| line.starts_with(change))
}

/// A line of a hunk in its one spelling; `None` if it changes nothing.
fn content(line: &str) -> Option<&str> {
    if line.starts_with("@@") {
        return Some("@@");
    }
    let line = line.trim_end();
    (!matches!(line, "+" | "-") && !line.starts_with('\\')).then_some(line)
}

/// The files of a patch; what stands before the first of several is none.
///
/// Lines of content begin with a space, `+`, `-` or `\`, so none is mistaken for a beginning.
fn sections(patch: &str) -> Vec<Vec<&str>> {
    let mut files: Vec<Vec<&str>> = Vec::new();
    for line in patch.lines() {
        match files.last_mut() {
            Some(file) if !is_beginning(line) => file.push(line),
            _ => files.push(vec![line]),
        }
    }
    let is_preamble = |file: &Vec<&str>| !file.first().is_some_and(|line| is_beginning(line));
    if files.len() > 1 && files.first().is_some_and(is_preamble) {
        files.remove(0);
    }
    files
}

fn is_beginning(line: &str) -> bool {
    line.starts_with("diff --git ")
}

/// The path of a file by its header; empty if the header names none.
fn path(header: &[&str]) -> String {
    let after = |start: &str| header.iter().find_map(|line| line.strip_prefix(start));
    let side = |start: &str, side: &str| {
        let paths = header.iter().filter_map(|line| line.strip_prefix(start));
        let mut paths = paths.map(|path| path.trim_end().trim_matches('"')).filter(|path| *path != "/dev/null");
        paths.find(|path| !path.is_empty()).map(|path| path.strip_prefix(side).unwrap_or(path).to_owned())
    };
    let both = || {
        // "a/PATH b/PATH": where nothing was renamed, the middle is known.
        let paths = after("diff --git ")?.trim_end();
        let (old, new) = paths.split_at_checked(paths.len() / 2)?;
        let new = new.strip_prefix(' ')?.trim_matches('"').strip_prefix("b/")?;
        (old.trim_matches('"').strip_prefix("a/")? == new).then(|| new.to_owned())
    };
    let renamed = || after("rename to ").map(|path| path.trim_end().trim_matches('"').to_owned());
    side("+++ ", "b/").or_else(|| side("--- ", "a/")).or_else(renamed).or_else(both).unwrap_or_default()
}

#[cfg(test)]
mod tests;
