//! The shortest sensible edit from one line to another.
//!
//! An editing tool replaces text that occurs once. A small policy copies a whole line badly, but three tokens well, so
//! the teacher names the least that is unique and still shows what it is about.

use std::ops::ControlFlow;

/// The edit that turns line `line` (counted from 1) of `file_text` from `from` into `to`, as (old, new).
///
/// Replacing the only occurrence of old by new gives the changed file. Old starts as the tokens that differ (a token
/// is a word of letters, digits and underscores, or one other character), is widened leftwards until it holds an
/// identifier, then right and left in turn until it occurs once. Both texts are never empty and have no white space at
/// their ends, unless one of the lines is blank. If even the whole line is not unique, the edit is the whole line
/// without its indentation.
///
/// Whatever the file has at `line` is taken to be `from`, so a teacher can plan an edit of an edit.
pub fn fragment(file_text: &str, line: usize, from: &str, to: &str) -> (String, String) {
    let file = with_line(file_text, line, from);
    let (from, to) = (from.trim(), to.trim());
    let mut span = Span::difference(tokens(from), tokens(to));
    while !span.is_telling() && span.widen_left().is_continue() {}
    let mut rightwards = true;
    while !span.is_tidy() || occurrences(&file, &span.old().concat()) != 1 {
        let step = if rightwards { span.widen_right() } else { span.widen_left() };
        let other = |span: &mut Span| if rightwards { span.widen_left() } else { span.widen_right() };
        if step.is_break() && other(&mut span).is_break() {
            break;
        }
        rightwards = !rightwards;
    }
    (span.old().concat(), span.replacement().concat())
}

/// `text` with line `line`, counted from 1, replaced by `new`; unchanged if there is no such line.
pub(super) fn with_line(text: &str, line: usize, new: &str) -> String {
    let lines = text.lines().enumerate();
    lines.map(|(index, old)| if index + 1 == line { new } else { old }).flat_map(|line| [line, "\n"]).collect()
}

/// The part of two token lists that an edit replaces: all between a common beginning and a common end.
struct Span<'a> {
    from: Vec<&'a str>,
    to: Vec<&'a str>,
    /// Tokens kept at the beginning.
    before: usize,
    /// Tokens kept at the end.
    after: usize,
}

impl<'a> Span<'a> {
    fn difference(from: Vec<&'a str>, to: Vec<&'a str>) -> Self {
        let before = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        let room = from.len().min(to.len()) - before;
        let after = from.iter().rev().zip(to.iter().rev()).take(room).take_while(|(a, b)| a == b).count();
        Self { from, to, before, after }
    }

    fn old(&self) -> &[&'a str] {
        self.from.get(self.before..self.from.len() - self.after).unwrap_or_default()
    }

    fn replacement(&self) -> &[&'a str] {
        self.to.get(self.before..self.to.len() - self.after).unwrap_or_default()
    }

    /// Takes in the token to the left and any spaces before the next one; breaks at the start of the line.
    fn widen_left(&mut self) -> ControlFlow<()> {
        if self.before == 0 {
            return ControlFlow::Break(());
        }
        self.before -= 1;
        while self.before > 0 && self.old().first() == Some(&" ") {
            self.before -= 1;
        }
        self.trim_right();
        ControlFlow::Continue(())
    }

    /// Takes in the token to the right and any spaces after which comes the next one; breaks at the end of the line.
    fn widen_right(&mut self) -> ControlFlow<()> {
        if self.after == 0 {
            return ControlFlow::Break(());
        }
        self.after -= 1;
        while self.after > 0 && self.old().last() == Some(&" ") {
            self.after -= 1;
        }
        ControlFlow::Continue(())
    }

    /// Leaves out spaces at the end that both texts have.
    fn trim_right(&mut self) {
        while self.old().len() > 1
            && self.replacement().len() > 1
            && self.old().last() == Some(&" ")
            && self.replacement().last() == Some(&" ")
        {
            self.after += 1;
        }
    }

    /// Whether there is something to replace that has an identifier, and something to replace it by.
    fn is_telling(&self) -> bool {
        self.old().iter().any(|token| is_identifier(token)) && !self.replacement().is_empty()
    }

    fn is_tidy(&self) -> bool {
        [self.old(), self.replacement()]
            .iter()
            .all(|part| !part.is_empty() && part.first() != Some(&" ") && part.last() != Some(&" "))
    }
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

fn is_identifier(token: &str) -> bool {
    token.starts_with(|first: char| is_word(first) && !first.is_ascii_digit())
}

fn tokens(line: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
        let (token, tail) = rest.split_at(word.max(first.len_utf8()));
        tokens.push(token);
        rest = tail;
    }
    tokens
}

/// Occurrences of `needle`, overlapping ones too.
fn occurrences(text: &str, needle: &str) -> usize {
    text.char_indices().filter(|(index, _)| text.get(*index..).is_some_and(|rest| rest.starts_with(needle))).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(file: &str, line: usize, to: &str) -> (String, String) {
        fragment(file, line, file.lines().nth(line - 1).unwrap(), to)
    }

    fn pair(old: &str, new: &str) -> (String, String) {
        (old.to_owned(), new.to_owned())
    }

    #[test]
    fn takes_an_identifier_from_the_left() {
        let file = "f() {\n  out=$(( item + item * part / 100 ))\n}\n";
        assert_eq!(edit(file, 2, "  out=$(( item - item * part / 100 ))"), pair("item +", "item -"));
    }

    #[test]
    fn widens_until_unique() {
        let file = "  out=$(( item + 1 ))\n  total=$(( item + 1 ))\n";
        assert_eq!(edit(file, 1, "  out=$(( item - 1 ))"), pair("out=$(( item + 1 ))", "out=$(( item - 1 ))"));
    }

    #[test]
    fn a_pure_insertion_or_deletion_names_its_neighbour() {
        let file = "  out=$(( 4 * item ))\n";
        assert_eq!(edit(file, 1, "  out=$(( 4 ))"), pair("4 * item", "4"));
        let file = "  out=$(( item * 4 ))\n";
        assert_eq!(edit(file, 1, "  out=$(( item * 4 / 100 ))"), pair("item * 4", "item * 4 / 100"));
    }

    #[test]
    fn the_whole_line_is_the_last_resort() {
        assert_eq!(edit("  a=1\n  a=1\n", 1, "  a=2"), pair("a=1", "a=2"));
    }

    #[test]
    fn an_overlap_is_an_occurrence() {
        assert_eq!(occurrences("aaa", "aa"), 2);
    }
}
