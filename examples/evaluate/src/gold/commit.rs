//! The patch of the commit that a row of R2E-Gym was made of.
//!
//! The row has the commit taken apart, as JSON. As where R2E-Gym tries its own rows, only files of Python are taken.

use serde::Deserialize;

#[derive(Deserialize)]
struct Commit {
    file_diffs: Vec<FileDiff>,
}

#[derive(Deserialize)]
struct FileDiff {
    header: Header,
    #[serde(default)]
    index_line: Option<IndexLine>,
    #[serde(default)]
    is_binary_file: bool,
    #[serde(default)]
    minus_file: Option<File>,
    #[serde(default)]
    plus_file: Option<File>,
    #[serde(default)]
    hunks: Vec<Hunk>,
}

#[derive(Deserialize)]
struct Header {
    file: File,
    /// A line such as `new file mode 100644`.
    #[serde(default)]
    misc_line: Option<String>,
}

#[derive(Deserialize)]
struct File {
    path: String,
}

#[derive(Deserialize)]
struct IndexLine {
    old_commit_hash: String,
    new_commit_hash: String,
    #[serde(default)]
    mode: String,
}

#[derive(Deserialize)]
struct Hunk {
    descriptor: Descriptor,
    line_group: LineGroup,
}

#[derive(Deserialize)]
struct Descriptor {
    old_range: Range,
    new_range: Range,
    #[serde(default)]
    section: String,
}

#[derive(Deserialize)]
struct Range {
    start: usize,
    #[serde(default)]
    length: Option<usize>,
}

#[derive(Deserialize)]
struct LineGroup {
    #[serde(default)]
    all_lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    content: String,
    r#type: Kind,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Context,
    Added,
    Deleted,
    Note,
}

/// The patch, if the JSON is that of a commit and changes files of Python, as text.
pub(super) fn patch(commit: &str) -> Option<String> {
    let commit: Commit = serde_json::from_str(commit).ok()?;
    let files = commit.file_diffs.iter().filter(|file| file.header.file.path.ends_with(".py") && !file.is_binary_file);
    let patch: String = files.map(FileDiff::text).collect();
    (!patch.is_empty()).then_some(patch)
}

impl FileDiff {
    fn text(&self) -> String {
        let path = &self.header.file.path;
        let mut text = format!("diff --git a/{path} b/{path}\n");
        if let Some(line) = &self.header.misc_line {
            text += &format!("{line}\n");
        }
        if let Some(IndexLine { old_commit_hash, new_commit_hash, mode }) = &self.index_line {
            let between = if mode.is_empty() { "" } else { " " };
            text += &format!("index {old_commit_hash}..{new_commit_hash}{between}{mode}\n");
        }
        if let (Some(minus), Some(plus)) = (&self.minus_file, &self.plus_file) {
            text += &format!("--- {}\n+++ {}\n", minus.path, plus.path);
        }
        self.hunks.iter().for_each(|hunk| text += &hunk.text());
        text
    }
}

impl Hunk {
    fn text(&self) -> String {
        let Descriptor { old_range, new_range, section } = &self.descriptor;
        let mut text = format!("@@ -{} +{} @@", old_range.text(), new_range.text());
        if !section.is_empty() {
            text += &format!(" {section}");
        }
        text.push('\n');
        for Line { content, r#type } in &self.line_group.all_lines {
            let sign = match r#type {
                Kind::Context => " ",
                Kind::Added => "+",
                Kind::Deleted => "-",
                Kind::Note => "\\ ",
            };
            text += &format!("{sign}{content}\n");
        }
        text
    }
}

impl Range {
    fn text(&self) -> String {
        let length = self.length.map(|length| format!(",{length}")).unwrap_or_default();
        format!("{}{length}", self.start)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_patch_of_a_commit_is_put_together() {
        let file = |path: &str| {
            json!({"header": {"file": {"path": path}, "misc_line": null}, "old_file_content": "", "new_file_content": "",
            "index_line": {"old_commit_hash": "12", "new_commit_hash": "34", "mode": "100644"},
            "is_binary_file": false, "binary_line": null,
            "minus_file": {"path": format!("a/{path}")}, "plus_file": {"path": format!("b/{path}")},
            "hunks": [{
                "descriptor": {"old_range": {"start": 1, "length": 2}, "new_range": {"start": 1, "length": null}, "section": "def f"},
                "line_group": {"all_lines": [
                    {"content": "a", "type": "context"}, {"content": "b", "type": "deleted"},
                    {"content": "No newline at end of file", "type": "note"}, {"content": "c", "type": "added"},
                ]},
                "modified_entities": [],
            }]})
        };
        let commit = json!({"file_diffs": [file("x/y.py"), file("README.md")], "old_commit_hash": "1"}).to_string();
        let expected = "diff --git a/x/y.py b/x/y.py\nindex 12..34 100644\n--- a/x/y.py\n+++ b/x/y.py\n@@ -1,2 +1 @@ def f\n a\n-b\n\\ No newline at end of file\n+c\n";
        assert_eq!(patch(&commit).as_deref(), Some(expected));
        let none = json!({"file_diffs": [file("README.md")]}).to_string();
        assert!(patch(&none).is_none() && patch("{}").is_none() && patch("no").is_none());
    }
}
