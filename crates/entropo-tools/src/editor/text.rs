//! Changes of a text, without files.
//!
//! In a file all of whose lines end with CRLF, what the model writes is given that ending, since it is shown the lines
//! without their endings and cannot know. In all other files its text is taken to the byte.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memmem};

use super::nearest;

/// Occurrences whose lines are named when there are several.
const NAMED_OCCURRENCES: usize = 10;
/// Occurrences that are counted, and bytes of them that are compared; more would take long where they overlap.
const COUNTED_OCCURRENCES: usize = 1000;
const COUNTED_BYTES: usize = 64 << 20;

/// Replaces the one occurrence of `old`; `name` is the file's, for the errors.
pub(crate) fn replace(name: &str, text: &str, old: &str, new: &str) -> Result<String, String> {
    if old.is_empty() {
        return Err("old_str must not be empty.".to_owned());
    }
    if old == new {
        return Err("old_str and new_str are the same.".to_owned());
    }
    let (old, new) = (with_endings_of(text, old), with_endings_of(text, new));
    let (found, all) = occurrences(text, &old);
    match found.as_slice() {
        &[at] => {
            let (before, rest) = text.split_at(at);
            Ok([before, &new, rest.split_at(old.len()).1].concat())
        }
        [] => Err(nearest::not_found(name, text, &old)),
        several => Err(ambiguous(name, text, several, all)),
    }
}

/// Where `part` begins, counting overlapping places too, as each is one the model could mean; and whether these are all.
fn occurrences(text: &str, part: &str) -> (Vec<usize>, bool) {
    let step = part.chars().next().map_or(1, char::len_utf8);
    let counted = COUNTED_OCCURRENCES.min(COUNTED_BYTES / part.len().max(1)).max(2);
    let finder = memmem::Finder::new(part);
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text.as_bytes().get(from..).and_then(|rest| finder.find(rest)) {
        if found.len() == counted {
            return (found, false);
        }
        found.push(from + at);
        from += at + step;
    }
    (found, true)
}

fn ambiguous(name: &str, text: &str, found: &[usize], all: bool) -> String {
    let (mut line, mut from) = (1, 0);
    let mut lines: Vec<usize> = Vec::new();
    for &at in found {
        line += newlines(text.get(from..at).unwrap_or_default());
        from = at;
        lines.push(line);
    }
    lines.dedup();
    let word = if lines.len() == 1 { "line" } else { "lines" };
    let more = if lines.len() > NAMED_OCCURRENCES { ", …" } else { "" };
    let lines: Vec<String> = lines.iter().take(NAMED_OCCURRENCES).map(usize::to_string).collect();
    let count = if all { found.len().to_string() } else { format!("more than {}", found.len()) };
    format!("old_str occurs {count} times in {name}, on {word} {}{more}.", lines.join(", "))
}

/// Inserts whole lines after line `after`; a last line without an ending gets one first.
pub(super) fn insert(name: &str, text: &str, after: usize, new: &str) -> Result<String, String> {
    let lines = lines(text);
    if after > lines {
        return Err(format!("insert_line must be from 0 to {lines}, the number of lines in {name}."));
    }
    let ending = if has_crlf(text) { "\r\n" } else { "\n" };
    let rest = self::after(text, after);
    let before = text.split_at(text.len() - rest.len()).0;
    let before_ending = if before.is_empty() || before.ends_with('\n') { "" } else { ending };
    let new_ending = if new.ends_with('\n') { "" } else { ending };
    Ok([before, before_ending, &with_endings_of(text, new), new_ending, rest].concat())
}

fn newlines(text: &str) -> usize {
    memchr_iter(b'\n', text.as_bytes()).count()
}

/// How many lines there are; a last one need not have an ending.
pub(crate) fn lines(text: &str) -> usize {
    newlines(text) + usize::from(!text.is_empty() && !text.ends_with('\n'))
}

/// What follows the first `count` lines.
pub(super) fn after(text: &str, count: usize) -> &str {
    let Some(last) = count.checked_sub(1) else { return text };
    let end = memchr_iter(b'\n', text.as_bytes()).nth(last);
    end.and_then(|end| text.get(end + 1..)).unwrap_or_default()
}

/// Whether all lines end with CRLF, and there is one that does.
pub(crate) fn has_crlf(text: &str) -> bool {
    let bytes = text.as_bytes();
    let crlf = |end: usize| end.checked_sub(1).and_then(|before| bytes.get(before)) == Some(&b'\r');
    memchr(b'\n', bytes).is_some_and(crlf) && memchr_iter(b'\n', bytes).all(crlf)
}

fn with_endings_of<'a>(text: &str, written: &'a str) -> Cow<'a, str> {
    if written.contains('\n') && has_crlf(text) {
        Cow::Owned(written.replace("\r\n", "\n").replace('\n', "\r\n"))
    } else {
        Cow::Borrowed(written)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_outside_an_edit_changes(
            before in "([abé]{0,3}\r?\n){0,6}", old in "[xy]{1,3}", new in "[abz]{0,3}", after in "[abé]{0,3}(\r?\n[abé]{0,3}){0,6}"
        ) {
            let text = format!("{before}<{old}>{after}");
            let expected = format!("{before}{new}{after}");
            prop_assert_eq!(replace("f", &text, &format!("<{old}>"), &new).unwrap(), expected);
            let line = before.matches('\n').count();
            let inserted = insert("f", &text, line, &new).unwrap();
            let rest = inserted.strip_prefix(&before).and_then(|rest| rest.strip_prefix(&new)).unwrap();
            let rest = rest.strip_prefix('\r').unwrap_or(rest);
            prop_assert_eq!(rest, format!("\n<{old}>{after}"));
        }
    }

    #[test]
    fn the_one_occurrence_is_replaced() {
        assert_eq!(replace("f", "a\nb\nc\n", "b\n", "").unwrap(), "a\nc\n");
        assert_eq!(replace("f", "a\nb", "b", "x\ny").unwrap(), "a\nx\ny");
        assert_eq!(replace("f", "a\r\nb\r\n", "a\nb", "c\nd").unwrap(), "c\r\nd\r\n");
        assert_eq!(replace("f", "a\r\nb\n", "b\n", "c\n").unwrap(), "a\r\nc\n");
    }

    #[test]
    fn none_or_several_are_refused() {
        let refusal = |text: &str, old: &str, new: &str| replace("f", text, old, new).unwrap_err();
        assert_eq!(refusal("x\ny\nx\n", "x", "z"), "old_str occurs 2 times in f, on lines 1, 3.");
        assert_eq!(refusal("aaa\n", "aa", "z"), "old_str occurs 2 times in f, on line 1.");
        assert_eq!(
            refusal(&"x\n".repeat(12), "x", "z"),
            "old_str occurs 12 times in f, on lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …."
        );
        assert_eq!(refusal("x\n", "", "z"), "old_str must not be empty.");
        assert_eq!(refusal("x\n", "x", "x"), "old_str and new_str are the same.");
        assert_eq!(refusal("x\n", "q", "z"), "old_str not found in f.");
    }

    #[test]
    fn whole_lines_are_inserted() {
        for (text, after, new, result) in [
            ("", 0, "a", "a\n"),
            ("b\n", 0, "a", "a\nb\n"),
            ("a\nc\n", 1, "b\n", "a\nb\nc\n"),
            ("a\nc\n", 1, "", "a\n\nc\n"),
            ("a", 1, "b", "a\nb\n"),
            ("a\r\nc\r\n", 1, "b\nb", "a\r\nb\r\nb\r\nc\r\n"),
        ] {
            assert_eq!(insert("f", text, after, new).unwrap(), result, "{text:?}");
        }
        let refusal = insert("f", "a\nb\n", 3, "c").unwrap_err();
        assert_eq!(refusal, "insert_line must be from 0 to 2, the number of lines in f.");
    }
}
