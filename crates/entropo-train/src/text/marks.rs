//! Marks that travel through a template unseen.
//!
//! A template is a program; which bytes of its output came from message content cannot be read off the output. So
//! look-alikes are marked in the content before rendering, with characters that occur nowhere else, and the marks are
//! taken out of the output again.

use std::collections::BTreeSet;

use minijinja::value::Value;
use serde_json::Value as Json;

use super::conversation::fields;
use super::look_alike::{LookAlikes, Scope, after_character};
use super::rendered::Rendered;

/// The first few private-use characters that occur in none of the texts, as many as [`Marks`] needs.
pub(super) fn unused_characters<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<char> {
    let candidates = '\u{100000}'..='\u{10FFFD}';
    let characters = texts.into_iter().flat_map(str::chars);
    let used: BTreeSet<char> = characters.filter(|character| candidates.contains(character)).collect();
    candidates.filter(|candidate| !used.contains(candidate)).take(5).collect()
}

/// The characters that stand for marks in one rendering.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    pub(super) generation_start: char,
    pub(super) generation_end: char,
    /// After the first character of a look-alike.
    inside: char,
    /// Before a look-alike.
    before: char,
    /// After a look-alike.
    after: char,
}

impl Marks {
    /// Uses the characters given; `None` if they are too few.
    pub(super) fn new(characters: &[char]) -> Option<Self> {
        let &[generation_start, generation_end, inside, before, after, ..] = characters else { return None };
        Some(Self { generation_start, generation_end, inside, before, after })
    }

    /// Takes the marks out of what a template wrote; `None` if starts and ends of generation do not alternate.
    pub(super) fn strip(&self, output: &str) -> Option<Rendered> {
        let mut rendered = Rendered { text: String::with_capacity(output.len()), ..Rendered::default() };
        let (mut generation, mut before, mut last) = (None, false, 0);
        for character in output.chars() {
            let here = rendered.text.len();
            if character == self.generation_start {
                generation = generation.is_none().then_some(here);
                generation?;
            } else if character == self.generation_end {
                rendered.assistant_spans.push(generation.take()?..here);
            } else if character == self.inside {
                rendered.cuts.push(here);
            } else if character == self.before {
                before = true;
            } else if character == self.after {
                rendered.cuts.push(here - last);
            } else {
                rendered.text.push(character);
                last = character.len_utf8();
                if std::mem::take(&mut before) {
                    rendered.cuts.push(here + last);
                }
            }
        }
        rendered.cuts.sort_unstable();
        rendered.cuts.dedup();
        generation.is_none().then_some(rendered)
    }
}

/// Where look-alikes are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// After their first character. Templates that only copy, trim or quote content do not notice.
    Inside,
    /// Behind look-alikes that start a text, in front of all others. Templates that look for them in content, or test
    /// how it starts or ends, find them.
    Beside,
}

/// How content is marked for one rendering.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marking<'a> {
    pub(super) look_alikes: &'a LookAlikes,
    pub(super) placement: Placement,
    /// Whether the assistant's own text is marked too.
    pub(super) assistant: bool,
}

/// A message as a template sees it.
pub(super) fn message_value(message: &Json, marking: Option<&Marking<'_>>, marks: &Marks) -> Value {
    match message {
        Json::Object(message) => {
            let assistant = message.get("role").is_some_and(|role| role == "assistant");
            Value::from_pairs(fields(message).into_iter().map(|(key, field)| {
                let own_text = assistant && key != "tool_calls";
                let marking = marking.filter(|marking| !own_text || marking.assistant);
                let scope = if own_text { Scope::Special } else { Scope::Added };
                let key = match marking {
                    Some(marking) if !assistant => Value::from(marking.mark(key, scope, marks)),
                    _ => Value::from(key),
                };
                (key, data_value(field, scope, marking, marks))
            }))
        }
        _ => data_value(message, Scope::Added, marking, marks),
    }
}

/// Any JSON as a template sees it.
pub(super) fn data_value(data: &Json, scope: Scope, marking: Option<&Marking<'_>>, marks: &Marks) -> Value {
    let text = |text: &str| match marking {
        Some(marking) => Value::from(marking.mark(text, scope, marks)),
        None => Value::from(text),
    };
    match data {
        Json::Null => Value::from(()),
        Json::Bool(yes) => Value::from(*yes),
        Json::Number(number) => number_value(number),
        Json::String(content) => text(content),
        Json::Array(items) => items.iter().map(|item| data_value(item, scope, marking, marks)).collect(),
        Json::Object(entries) => {
            Value::from_pairs(entries.iter().map(|(key, entry)| (text(key), data_value(entry, scope, marking, marks))))
        }
    }
}

fn number_value(number: &serde_json::Number) -> Value {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(integer), ..) => Value::from(integer),
        (_, Some(integer), _) => Value::from(integer),
        (.., float) => float.map_or_else(|| Value::from(number.to_string()), Value::from),
    }
}

impl Marking<'_> {
    fn mark(&self, text: &str, scope: Scope, marks: &Marks) -> String {
        let mut places: Vec<(usize, char)> = self
            .look_alikes
            .find(text, scope)
            .map(|found| match self.placement {
                Placement::Inside => (after_character(text, found.start), marks.inside),
                Placement::Beside if found.start == 0 => (found.end, marks.after),
                Placement::Beside => (found.start, marks.before),
            })
            .collect();
        places.sort_unstable();
        let mut marked = String::with_capacity(text.len() + 4 * places.len());
        let mut copied = 0;
        for (place, mark) in places {
            marked.push_str(text.get(copied..place).unwrap_or_default());
            marked.push(mark);
            copied = place;
        }
        marked.push_str(text.get(copied..).unwrap_or_default());
        marked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_characters_are_not_chosen() {
        let text = "a\u{100000}\u{100002}";
        assert_eq!(unused_characters([text]).get(..2), Some(['\u{100001}', '\u{100003}'].as_slice()));
    }

    #[test]
    fn both_placements_cut_inside_each_look_alike() {
        let look_alikes = LookAlikes::new([("<a>", true), ("</a>", false)]);
        let text = "<a>é<a></a>";
        let marks = Marks::new(&unused_characters([text])).unwrap();
        for (placement, cuts) in [(Placement::Inside, [1, 6, 9]), (Placement::Beside, [2, 6, 9])] {
            let marking = Marking { look_alikes: &look_alikes, placement, assistant: true };
            let rendered = marks.strip(&marking.mark(text, Scope::Added, &marks)).unwrap();
            assert_eq!((rendered.text.as_str(), rendered.cuts.as_slice()), (text, cuts.as_slice()));
        }
    }

    #[test]
    fn generation_marks_must_alternate() {
        let marks = Marks::new(&unused_characters([])).unwrap();
        let (start, end) = (marks.generation_start, marks.generation_end);
        let spans = |output: String| marks.strip(&output).map(|rendered| rendered.assistant_spans);
        assert_eq!(spans(format!("é{start}ab{end}c{start}{end}")), Some(vec![2..4, 5..5]));
        assert_eq!(spans(format!("{start}{start}{end}")), None);
        assert_eq!(spans(format!("{start}a")), None);
        assert_eq!(spans(format!("a{end}")), None);
    }
}
