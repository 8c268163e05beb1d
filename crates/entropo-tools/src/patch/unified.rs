//! Reading unified diffs, git's and others'.
//!
//! A hunk's lines are counted against its header, since a patch that was cut short or miscounted says something else
//! than was meant.

use super::model::{self, Action, Anchor, FilePatch, Hunk, Line};
use super::name;

/// The files of a patch; what stands around them, such as a commit's message, is passed over.
pub(super) fn parse(patch: &str) -> Result<Vec<FilePatch>, String> {
    let mut lines = Lines { lines: model::lines(patch), at: 0 };
    let mut files = Vec::new();
    while let Some(line) = lines.peek() {
        if let Some(names) = line.strip_prefix("diff --git ") {
            lines.at += 1;
            files.push(git_file(&mut lines, names)?);
        } else if lines.at_names() {
            files.push(file(&mut lines, Header::default())?);
        } else if line.starts_with("@@ -") {
            return Err(format!("Line {} of the patch: no file is named before {line:?}.", lines.at + 1));
        } else {
            lines.at += 1;
        }
    }
    Ok(files)
}

struct Lines<'a> {
    lines: Vec<&'a str>,
    at: usize,
}

impl<'a> Lines<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.lines.get(self.at).copied()
    }

    /// Whether the names of a file's two sides are next.
    fn at_names(&self) -> bool {
        let begins = |at, with| self.lines.get(at).is_some_and(|line: &&str| line.starts_with(with));
        begins(self.at, "--- ") && begins(self.at + 1, "+++ ")
    }
}

/// What git says of a file before its lines.
#[derive(Default)]
struct Header {
    /// The file's name where both sides have the same.
    name: Option<String>,
    created: bool,
    deleted: bool,
    moved: Option<(String, String)>,
    copied: bool,
    executable: Option<bool>,
}

fn git_file(lines: &mut Lines<'_>, names: &str) -> Result<FilePatch, String> {
    let mut header = Header { name: name::pair(names.trim_end_matches('\r')), ..Header::default() };
    let mut from = None;
    while let Some(line) = lines.peek().map(|line| line.trim_end_matches('\r')) {
        let named = |written: &str| {
            name::token(written).map(|(name, _)| name).ok_or_else(|| format!("The name in {line:?} cannot be read."))
        };
        if let Some(mode) = line.strip_prefix("new file mode ") {
            header.created = true;
            header.executable = Some(executable(mode)?);
        } else if let Some(mode) = line.strip_prefix("deleted file mode ") {
            header.deleted = true;
            executable(mode)?;
        } else if let Some(mode) = line.strip_prefix("new mode ") {
            header.executable = Some(executable(mode)?);
        } else if let Some(name) = line.strip_prefix("rename from ").or_else(|| line.strip_prefix("copy from ")) {
            header.copied = line.starts_with("copy");
            from = Some(named(name)?);
        } else if let Some(name) = line.strip_prefix("rename to ").or_else(|| line.strip_prefix("copy to ")) {
            header.moved = from.take().zip(Some(named(name)?));
        } else if line.starts_with("Binary files ") || line == "GIT binary patch" {
            return Err(format!("Binary patches are not applied: diff --git {names}."));
        } else if !["index ", "old mode ", "similarity index ", "dissimilarity index "]
            .iter()
            .any(|known| line.starts_with(known))
        {
            break;
        }
        lines.at += 1;
    }
    file(lines, header)
}

/// Whether a file of this mode is executable; links and submodules have other modes.
fn executable(mode: &str) -> Result<bool, String> {
    match mode.trim() {
        "100644" => Ok(false),
        "100755" => Ok(true),
        other => Err(format!("Only the modes 100644 and 100755 are applied, not {other:?}.")),
    }
}

fn file(lines: &mut Lines<'_>, header: Header) -> Result<FilePatch, String> {
    let (mut old, mut new) = (header.name.clone(), header.name);
    if lines.at_names() {
        (old, new) = name::without_prefixes(side(lines)?, side(lines)?);
    }
    let (path, action) = match (header.moved, old, new) {
        (Some((from, to)), _, _) => (from, if header.copied { Action::Copy(to) } else { Action::Move(to) }),
        (None, _, Some(new)) if header.created => (new, Action::Create),
        (None, Some(old), _) if header.deleted => (old, Action::Delete),
        (None, None, Some(new)) => (new, Action::Create),
        (None, Some(old), None) => (old, Action::Delete),
        (None, Some(old), Some(new)) if old == new => (new, Action::Update),
        (None, Some(old), Some(new)) => {
            return Err(format!("{old} and {new}: a rename needs the lines 'rename from' and 'rename to'."));
        }
        (None, None, None) => return Err(format!("Line {} of the patch: no file is named.", lines.at)),
    };
    let mut hunks = Vec::new();
    while lines.peek().is_some_and(|line| line.starts_with("@@ -")) {
        hunks.push(hunk(lines).map_err(|reason| format!("{path}: hunk {}: {reason}.", hunks.len() + 1))?);
    }
    if hunks.is_empty() && action == Action::Update && header.executable.is_none() {
        return Err(format!("{path}: the patch has no hunk for it."));
    }
    Ok(FilePatch { path, action, executable: header.executable, hunks })
}

/// The name in a line that begins with `---` or `+++`; none for `/dev/null`.
fn side(lines: &mut Lines<'_>) -> Result<Option<String>, String> {
    let line = lines.peek().unwrap_or_default().trim_end_matches('\r');
    lines.at += 1;
    let name = line.get(4..).and_then(name::token).ok_or_else(|| format!("The name in {line:?} cannot be read."))?.0;
    Ok(if name == "/dev/null" { None } else { Some(name) })
}

fn hunk(lines: &mut Lines<'_>) -> Result<Hunk, String> {
    let header = lines.peek().unwrap_or_default().trim_end_matches('\r');
    let (start, old, new) = ranges(header).ok_or_else(|| format!("{header:?} is no header of a hunk"))?;
    lines.at += 1;
    let begin = lines.at;
    let mut body: Vec<Line> = Vec::new();
    let (mut old_left, mut new_left) = (old, new);
    loop {
        let next = lines.peek();
        if let (Some(last), Some('\\')) = (body.last_mut(), next.and_then(|line| line.chars().next())) {
            last.newline = false;
        } else if old_left == 0 && new_left == 0 {
            break;
        } else {
            let miscounted = || miscounted(lines, begin, old, new);
            let line = next.and_then(Line::parse).ok_or_else(miscounted)?;
            old_left = old_left.checked_sub(line.is_old().into()).ok_or_else(miscounted)?;
            new_left = new_left.checked_sub(line.is_new().into()).ok_or_else(miscounted)?;
            body.push(line);
        }
        lines.at += 1;
    }
    // A mail ends with a signature below two dashes.
    let signature = lines.peek().is_some_and(|line| line.trim_end() == "--");
    if !signature && !lines.at_names() && lines.peek().is_some_and(|line| line.starts_with([' ', '-', '+'])) {
        return Err(miscounted(lines, begin, old, new));
    }
    // Without old lines the header names the line before, with them the first of them.
    let start = if old == 0 { start } else { start.saturating_sub(1) };
    Ok(Hunk { header: header.to_owned(), anchor: Anchor::Line(start), lines: body })
}

/// The first old line, and how many old and new lines there are.
fn ranges(header: &str) -> Option<(usize, usize, usize)> {
    let (old, rest) = header.strip_prefix("@@ -")?.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let range = |written: &str| -> Option<(usize, usize)> {
        let (start, count) = written.split_once(',').unwrap_or((written, "1"));
        Some((start.parse().ok()?, count.parse().ok()?))
    };
    let ((start, old), (_, new)) = (range(old)?, range(new)?);
    Some((start, old, new))
}

fn miscounted(lines: &Lines<'_>, begin: usize, old: usize, new: usize) -> String {
    let body = lines.lines.iter().skip(begin).take_while(|line| !line.starts_with("@@ ") && !line.starts_with('\\'));
    let body: Vec<Line> = body.map_while(|line| Line::parse(line)).collect();
    let has_old = body.iter().filter(|line| line.is_old()).count();
    let has_new = body.iter().filter(|line| line.is_new()).count();
    format!("its header counts {old} old and {new} new lines, but it has {has_old} and {has_new}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn summary(patch: &str) -> Vec<(String, Action, usize)> {
        parse(patch).unwrap().into_iter().map(|file| (file.path, file.action, file.hunks.len())).collect()
    }

    #[test]
    fn what_git_writes_is_read() {
        let patch = "From 1\nSubject: x\n---\n x | 2 +-\n\ndiff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n\
            @@ -1 +1 @@ fn\n--- a\n+++ b\n@@ -5,0 +6,2 @@\n+c\n+d\ndiff --git a/o b/n\nsimilarity index 100%\n\
            rename from o\nrename to n\ndiff --git a/e b/e\nnew file mode 100755\nindex 0..1\ndiff --git a/g b/g\n\
            deleted file mode 100644\n--- a/g\n+++ /dev/null\n@@ -1 +0,0 @@\n-g\n\\ No newline at end of file\n-- \n2.4\n";
        let expected = [
            ("x".to_owned(), Action::Update, 2),
            ("o".to_owned(), Action::Move("n".to_owned()), 0),
            ("e".to_owned(), Action::Create, 0),
            ("g".to_owned(), Action::Delete, 1),
        ];
        assert_eq!(summary(patch), expected);
        assert_eq!(summary(&patch.replace('\n', "\r\n")), expected, "translated as a whole");
        let plain = "--- x\t2026\n+++ x\t2026\n@@ -1 +1 @@\n-a\n+b\n--- /dev/null\n+++ b/y\n@@ -0,0 +1 @@\n+y\n";
        assert_eq!(summary(plain), [("x".to_owned(), Action::Update, 1), ("y".to_owned(), Action::Create, 1)]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let names = "--- a/x\n+++ b/x\n";
        for (patch, reason) in [
            ("@@ -1 +1 @@\n-a\n+b\n".to_owned(), "no file is named before"),
            (format!("{names}@@ -1,2 +1 @@\n-a\n+b\n"), "counts 2 old and 1 new lines, but it has 1 and 1"),
            (format!("{names}@@ -1 +1 @@\n-a\n+b\n+c\n"), "counts 1 old and 1 new lines, but it has 1 and 2"),
            (format!("{names}@@ -1 +1 @@\n a\n-b\n"), "counts 1 old and 1 new lines, but it has 2 and 1"),
            (format!("{names}@@ -x +1 @@\n-a\n"), "is no header of a hunk"),
            (names.to_owned(), "x: the patch has no hunk for it."),
            ("--- a/x\n+++ b/y\n@@ -1 +1 @@\n-a\n+b\n".to_owned(), "a rename needs"),
            ("diff --git a/x b/x\nnew file mode 120000\n".to_owned(), "not \"120000\""),
            ("diff --git a/x b/x\nBinary files a/x and b/x differ\n".to_owned(), "Binary patches"),
        ] {
            let error = parse(&patch).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(
            patch in "((diff --git |--- |\\+\\+\\+ |@@ -1,2 \\+1 @@|rename from |[-+ \\\\]|new mode )?[ab/\"\\\\é0-9,]{0,6}\r?\n?){0,30}"
        ) {
            let _ = parse(&patch);
        }
    }
}
