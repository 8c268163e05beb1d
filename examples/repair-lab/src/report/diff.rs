//! A git patch by lines, so that each can be coloured. The signs stay in the text: colour says nothing by itself.

use serde::Serialize;

/// A line of a patch.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct DiffLine<'a> {
    /// Its kind, which is also its CSS class.
    pub(super) kind: Kind,
    /// The line.
    pub(super) text: &'a str,
}

/// What a line of a patch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// Names files.
    File,
    /// Starts a hunk.
    Hunk,
    /// New.
    Added,
    /// Gone.
    Removed,
    /// Unchanged.
    Context,
}

/// The lines of `patch`. Inside a hunk the first character decides, so that a removed `-- x` is not taken for a header.
pub(super) fn lines(patch: &str) -> Vec<DiffLine<'_>> {
    let mut in_hunk = false;
    let kind = |text: &str| {
        if text.starts_with("diff ") {
            in_hunk = false;
        }
        match text.chars().next() {
            Some('@') => {
                in_hunk = true;
                Kind::Hunk
            }
            _ if !in_hunk => Kind::File,
            Some('+') => Kind::Added,
            Some('-') => Kind::Removed,
            _ => Kind::Context,
        }
    };
    patch.lines().scan(kind, |kind, text| Some(DiffLine { kind: kind(text), text })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_count_inside_hunks_only() {
        let patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n same\n--- old\n+++ new\n\
                     diff --git a/y b/y\n--- a/y\n";
        let kinds: Vec<Kind> = lines(patch).into_iter().map(|line| line.kind).collect();
        use Kind::{Added, Context, File, Hunk, Removed};
        assert_eq!(kinds, [File, File, File, Hunk, Context, Removed, Added, File, File]);
    }

    #[test]
    fn no_patch_has_no_lines() {
        assert!(lines("").is_empty());
    }
}
