//! Diffs of texts, made and applied.

use proptest::prelude::*;
use similar::TextDiff;

use super::*;
use crate::patch::{codex, unified};

/// The hunks of a diff as `similar` writes it, lines ending at `\n` only.
fn diff(old: &str, new: &str, context: usize) -> Vec<Hunk> {
    let lines = |text: &str| -> Vec<String> { text.split_inclusive('\n').map(str::to_owned).collect() };
    let (old, new) = (lines(old), lines(new));
    let old: Vec<&str> = old.iter().map(String::as_str).collect();
    let new: Vec<&str> = new.iter().map(String::as_str).collect();
    let diff = TextDiff::configure().newline_terminated(true).diff_slices(&old, &new);
    let patch = diff.unified_diff().context_radius(context).header("a/x", "b/x").to_string();
    unified::parse(&patch).unwrap().into_iter().flat_map(|file| file.hunks).collect()
}

fn codex(body: &str) -> Vec<Hunk> {
    let patch = format!("*** Begin Patch\n*** Update File: x\n{body}\n*** End Patch");
    codex::parse(&patch).unwrap().remove(0).hunks
}

fn unified(body: &str) -> Vec<Hunk> {
    unified::parse(&format!("--- a/x\n+++ b/x\n{body}\n")).unwrap().remove(0).hunks
}

fn text(text: &str, hunks: &[Hunk]) -> String {
    apply(text, hunks).unwrap().text
}

#[test]
fn final_newlines_stay_unless_the_patch_says_otherwise() {
    let change = "@@ -1,2 +1,2 @@\n a\n-b\n+c";
    assert_eq!(text("a\nb\n", &unified(change)), "a\nc\n");
    assert_eq!(text("a\nb", &unified(change)), "a\nc");
    assert_eq!(text("a\nb", &unified("@@ -2 +2,2 @@\n b\n+c")), "a\nb\nc");
    let marker = "\n\\ No newline at end of file";
    assert_eq!(text("a\nb\n", &unified(&format!("{change}{marker}"))), "a\nc");
    assert_eq!(text("a\nb", &unified(&format!("@@ -2 +2 @@\n-b{marker}\n+b"))), "a\nb\n");
    let error = apply("a\nb\n", &unified(&format!("@@ -2 +2 @@\n-b{marker}\n+b"))).unwrap_err();
    assert_eq!(error, "hunk 1 (@@ -2 +2 @@): line 2 ends with a newline, where the patch has none");
}

#[test]
fn crlf_is_kept_where_the_patch_has_none() {
    assert_eq!(text("a\r\nb\r\n", &unified("@@ -1,2 +1,3 @@\n a\n-b\n+c\n+d")), "a\r\nc\r\nd\r\n");
    assert_eq!(text("a\r\nb", &codex("@@\n-b\n+c\n+d")), "a\r\nc\r\nd");
    assert_eq!(text("a\r\nb\n", &codex("@@\n a\r\n-b\n+c")), "a\r\nc\n", "mixed endings are taken as they are");
    assert!(apply("a\r\nb\n", &codex("@@\n-a\n+c")).is_err());
}

#[test]
fn hunks_without_line_numbers_are_found_by_their_lines() {
    let file = "class A\n  def f\n    x\nclass B\n  def f\n    x\n";
    assert_eq!(
        text(file, &codex("@@ class B\n@@ def f\n-    x\n+    y")),
        file.replace("B\n  def f\n    x", "B\n  def f\n    y")
    );
    let error = apply(file, &codex("@@\n-    x\n+    y")).unwrap_err();
    assert_eq!(error, "hunk 1 (@@): it matches at lines 3, 6; give more context, or @@ and a line above it");
    assert_eq!(
        text(file, &codex("-    x\n+    y\n*** End of File")),
        file.replace("B\n  def f\n    x", "B\n  def f\n    y")
    );
    assert_eq!(text("a\nb\n", &codex("@@ a\n+x")), "a\nx\nb\n");
    assert_eq!(text("a\nb\n", &codex("+x\n*** End of File")), "a\nb\nx\n");
    assert_eq!(text("a\nb\nc\n", &codex("-a\n+x\n@@\n-c\n+z")), "x\nb\nz\n");
    for (body, reason) in [
        ("@@ q\n-a\n+x", "hunk 1 (@@ q): there is no line \"q\" below line 0"),
        ("-c\n+x\n@@\n-a\n+y", "hunk 2 (@@): it matches at line 1, before the end of the hunk above it (line 3)"),
        ("-a\n+x\n*** End of File", "hunk 1 (@@): it must be at the end of the file, and is not"),
        (
            " a\n-q\n+x",
            "hunk 1 (@@): no place matches; the nearest is at line 1: line 2 is \"b\", where the patch has \"q\"",
        ),
        ("-q\n+x", "hunk 1 (@@): none of its old lines is in the file"),
    ] {
        assert_eq!(apply("a\nb\nc\n", &codex(body)).unwrap_err(), reason);
    }
}

#[test]
fn wrong_line_numbers_are_corrected_or_reported() {
    let file = "1\n2\n3\n4\n5\n6\n";
    let applied = apply(file, &unified("@@ -1,2 +1,2 @@\n 3\n-4\n+x\n@@ -4 +4 @@\n-6\n+y")).unwrap();
    assert_eq!(applied.text, "1\n2\n3\nx\n5\ny\n");
    assert_eq!(applied.notes, ["hunk 1 applied at line 3, not 1"]);
    let body = "@@ -1,2 +1,2 @@\n 3\n-4\n+x\n@@ -6 +6 @@\n-6\n+y";
    assert_eq!(apply(file, &unified(body)).unwrap().notes.len(), 1, "the second is where it says");
    for (file, body, reason) in [
        (
            "a\nb\nc\na\nq\nc\n",
            "@@ -1,3 +1,3 @@\n a\n-x\n+y\n c",
            "hunk 1 (@@ -1,3 +1,3 @@): line 2 is \"b\", where the patch has \"x\"",
        ),
        (
            "a\nb\nc\n\n\n",
            "@@ -4,3 +4,3 @@\n a\n b\n-d\n+e",
            "hunk 1 (@@ -4,3 +4,3 @@): line 4 is \"\", where the patch has \"a\"; the nearest place is at line 1: \
             line 3 is \"c\", where the patch has \"d\"",
        ),
        (
            "x\na\na\n",
            "@@ -1 +1 @@\n-a\n+b",
            "hunk 1 (@@ -1 +1 @@): it does not match at line 1, but at 2 places, the nearest at line 2; correct its \
             line number",
        ),
        ("a\n", "@@ -9,0 +9 @@\n+b", "hunk 1 (@@ -9,0 +9 @@): it would insert after line 9, but the file has 1 lines"),
        (
            "a\n",
            "@@ -1,2 +1 @@\n a\n-b",
            "hunk 1 (@@ -1,2 +1 @@): the file ends at line 1, where the patch has \"b\" at 2",
        ),
    ] {
        assert_eq!(apply(file, &unified(body)).unwrap_err(), reason);
    }
}

proptest! {
    #[test]
    fn a_diff_of_two_texts_gives_the_second(
        old in "([ab é]{0,2}(\n|\r\n|\r)?){0,20}", new in "([ab é]{0,2}(\n|\r\n|\r)?){0,20}", context in 1..5usize
    ) {
        // `similar` takes it for the end of a line, and does not say that there is no newline.
        let (old, new) = (old.trim_end_matches('\r'), new.trim_end_matches('\r'));
        let applied = apply(old, &diff(old, new, context)).unwrap();
        prop_assert_eq!(applied.text, new);
        prop_assert_eq!(applied.notes, Vec::<String>::new());
    }

    #[test]
    fn a_diff_without_context_gives_the_second(old in "([abc]\n){0,20}", new in "([abc]\n){0,20}") {
        prop_assert_eq!(text(&old, &diff(&old, &new, 0)), new);
    }

    #[test]
    fn nothing_outside_the_edit_changes(
        before in "([ab\r]{0,3}\n){0,10}", after in "([ab\r]{0,3}\n){0,10}[ab]{0,2}", new in "[abx]{1,3}"
    ) {
        let file = format!("{before}!here!\n{after}");
        let expected = format!("{before}{new}\n{after}");
        prop_assert_eq!(text(&file, &codex(&format!("-!here!\n+{new}"))), expected.clone());
        prop_assert_eq!(text(&file, &unified(&format!("@@ -1 +1 @@\n-!here!\n+{new}"))), expected);
    }

    #[test]
    fn any_patch_applies_or_is_refused(file in "([ab]{0,1}\r?\n?){0,20}", body in "([-+ ][ab]{0,1}\n|@@( [ab])?\n){1,12}") {
        let patch = format!("*** Begin Patch\n*** Update File: x\n{body}*** End Patch");
        if let Ok(files) = codex::parse(&patch) {
            let _ = apply(&file, &files[0].hunks);
        }
        let patch = format!("--- a/x\n+++ b/x\n@@ -3,2 +3,2 @@\n{body}");
        if let Ok(files) = unified::parse(&patch) {
            let _ = apply(&file, &files[0].hunks);
        }
    }
}
