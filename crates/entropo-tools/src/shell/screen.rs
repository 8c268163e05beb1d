//! What a terminal would show of bytes that were meant for one.

use std::borrow::Cow;

/// The text without colours and other commands to a terminal, and of each line what was written over it last, as a progress
/// bar does. Most text is neither, and is given back as it is.
pub(super) fn screen(text: &str) -> Cow<'_, str> {
    if !text.contains(['\u{1b}', '\r', '\u{8}']) {
        return Cow::Borrowed(text);
    }
    let lines: Vec<String> = text.split('\n').map(|line| overstruck(line.trim_end_matches('\r'))).collect();
    Cow::Owned(anstream::adapter::strip_str(&lines.join("\n")).to_string())
}

/// A line after its last return to the beginning, with what was stepped back over left out.
fn overstruck(line: &str) -> String {
    let line = line.rsplit('\r').next().unwrap_or_default();
    let mut shown = String::with_capacity(line.len());
    for character in line.chars() {
        match character {
            '\u{8}' => drop(shown.pop()),
            other => shown.push(other),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_and_progress_are_left_out() {
        for (given, shown) in [
            ("plain\n", "plain\n"),
            ("\u{1b}[31mred\u{1b}[0m\n", "red\n"),
            (" 10 %\r 50 %\r100 %\ndone", "100 %\ndone"),
            ("dos\r\nlines\r\n", "dos\nlines\n"),
            ("ab\u{8}c\u{8}\u{8}\u{8}x", "x"),
            ("\u{1b}]0;title\u{7}text", "text"),
        ] {
            assert_eq!(screen(given), shown, "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_left_that_moves_a_cursor(text in "[a-c\n\r\u{8}\u{1b}\\[m0-9]{0,60}") {
            let shown = screen(&text);
            prop_assert!(!shown.contains(['\r', '\u{8}', '\u{1b}']), "{:?}", shown);
            prop_assert_eq!(screen(&shown), shown.clone());
        }
    }
}
