//! Texts that do what their reader cannot see, made harmless.

use std::borrow::Cow;

/// The text with everything that can be seen: instead of a control character its picture (`␛` for an escape), and instead of
/// a character that turns the direction of writing, or has no width, its number. Line breaks and tabs stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            _ if !is_hidden(character) => shown.push(character),
            '\u{7f}' => shown.push('␡'),
            '\0'..='\u{1f}' => shown.extend(char::from_u32(0x2400 + u32::from(character))),
            other => shown.extend(other.escape_unicode()),
        }
    }
    Cow::Owned(shown)
}

/// Controls, what changes the direction, separators that break lines, and what is there without being seen. Joiners are left:
/// scripts need them.
fn is_hidden(character: char) -> bool {
    (character.is_control() && !matches!(character, '\n' | '\t'))
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Both ends of a text that is longer than `at_most` bytes, and how much lay between them.
pub(super) fn shortened(text: &str, at_most: usize) -> Cow<'_, str> {
    if text.len() <= at_most {
        return Cow::Borrowed(text);
    }
    let head = text.floor_char_boundary(at_most / 3 * 2);
    let tail = text.ceil_char_boundary(text.len() - at_most / 3);
    let (before, after) = (text.get(..head).unwrap_or_default(), text.get(tail..).unwrap_or_default());
    Cow::Owned(format!("{before}\n[… {} bytes are left out here …]\n{after}", tail - head))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_acts_is_shown() {
        for (given, shown) in [
            ("plain\n\ttext", "plain\n\ttext"),
            ("\u{1b}[31mred\u{1b}[0m", "␛[31mred␛[0m"),
            ("a\rb\u{8}\u{7}\0\u{7f}", "a␍b␈␇␀␡"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("\u{202e}txt.exe", "\\u{202e}txt.exe"),
            ("\u{e0041}", "\\u{e0041}"),
            ("क्‍ष", "क्‍ष"),
        ] {
            assert_eq!(visible(given), shown, "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_left_that_acts(text in any::<String>()) {
            let shown = visible(&text).into_owned();
            prop_assert!(!shown.contains(is_hidden));
            prop_assert_eq!(visible(&shown), shown.as_str());
        }

        #[test]
        fn long_texts_keep_both_ends(text in ".{0,200}", at_most in 0_usize..100) {
            let short = shortened(&text, at_most);
            prop_assert!(short.len() <= at_most.max(text.len().min(at_most)) + 60);
            if text.len() > at_most {
                prop_assert!(short.contains(" bytes are left out here "));
            }
        }
    }
}
