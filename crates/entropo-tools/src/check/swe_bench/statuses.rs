//! What a parser made of a log.

use indexmap::IndexMap;

/// How a test ended, in the harness's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Word {
    /// `PASSED`.
    Passed,
    /// `FAILED`.
    Failed,
    /// `SKIPPED`.
    Skipped,
    /// `ERROR`.
    Error,
    /// `XFAIL`.
    Xfail,
    /// Something that a parser took for a status and that is none, such as `ERROR:`. It is neither success nor failure.
    Other,
}

impl Word {
    /// All that are words.
    pub(super) const ALL: [(&'static str, Self); 5] = [
        ("FAILED", Self::Failed),
        ("PASSED", Self::Passed),
        ("SKIPPED", Self::Skipped),
        ("ERROR", Self::Error),
        ("XFAIL", Self::Xfail),
    ];

    /// What a word is as a status.
    pub(super) fn of(text: &str) -> Self {
        Self::ALL.into_iter().find(|(word, _)| *word == text).map_or(Self::Other, |(_, status)| status)
    }

    /// The word, as the harness has it.
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, status)| *status == self).map_or("OTHER", |(word, _)| word)
    }

    /// Whether a text begins with one.
    pub(super) fn begins(text: &str) -> bool {
        Self::ALL.iter().any(|(word, _)| text.starts_with(word))
    }

    /// Whether a text ends with one.
    pub(super) fn ends(text: &str) -> bool {
        Self::ALL.iter().any(|(word, _)| text.ends_with(word))
    }

    fn passes(self) -> bool {
        matches!(self, Self::Passed | Self::Xfail)
    }

    pub(super) fn fails(self) -> bool {
        matches!(self, Self::Failed | Self::Error)
    }
}

/// Tests and how they ended. A test is where it was first reported, and is what was last reported of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statuses(IndexMap<String, Word>);

impl Statuses {
    pub(super) fn set(&mut self, test: impl Into<String>, word: Word) {
        self.0.insert(test.into(), word);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tests, in the order in which they were first reported.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Word)> {
        self.0.iter().map(|(test, word)| (test.as_str(), *word))
    }

    /// What is reported of exactly this test.
    pub fn exactly(&self, test: &str) -> Option<Word> {
        self.0.get(test).copied()
    }

    /// What is reported of a test; of a name that was cut off within its parameters, what is reported of the first test
    /// that begins so, if all that do agree on whether they pass.
    pub(super) fn find(&self, test: &str) -> Option<Word> {
        let exact = self.exactly(test);
        if exact.is_some() || test.matches('[').count() <= test.matches(']').count() {
            return exact;
        }
        let mut alike = self.0.iter().filter(|(name, _)| name.starts_with(test)).map(|(_, word)| *word);
        let first = alike.next()?;
        alike.all(|word| word.passes() == first.passes()).then_some(first)
    }

    /// Whether a test passes.
    pub(super) fn passes(&self, test: &str) -> bool {
        self.find(test).is_some_and(Word::passes)
    }

    /// Whether a test passes or is skipped.
    pub(super) fn is_kept(&self, test: &str) -> bool {
        self.find(test).is_some_and(|word| word.passes() || word == Word::Skipped)
    }

    /// Whether a test is missing, fails or is skipped. A test of which something else is reported neither passes nor fails.
    pub(super) fn fails(&self, test: &str) -> bool {
        self.find(test).is_none_or(|word| word.fails() || word == Word::Skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(tests: &[(&str, Word)]) -> Statuses {
        let mut statuses = Statuses::default();
        tests.iter().for_each(|(test, word)| statuses.set(*test, *word));
        statuses
    }

    #[test]
    fn the_last_word_counts() {
        let found = statuses(&[("a", Word::Passed), ("a", Word::Error), ("b", Word::Failed), ("b", Word::Passed)]);
        assert!(!found.passes("a") && found.passes("b"));
    }

    #[test]
    fn a_name_that_was_cut_off_stands_for_what_begins_so_if_that_agrees() {
        let found = statuses(&[("t[a b]", Word::Passed), ("t[a c]", Word::Xfail), ("u[x 1]", Word::Passed)]);
        assert!(found.passes("t[a") && !found.passes("t") && !found.passes("t[b"));
        let mixed = statuses(&[("t[a b]", Word::Passed), ("t[a c]", Word::Failed)]);
        assert!(!mixed.passes("t[a") && mixed.fails("t[a"));
        let first = [statuses(&[("t[a b]", Word::Skipped), ("t[a c]", Word::Failed)]).is_kept("t[a")];
        assert_eq!(first, [true]);
    }

    #[test]
    fn what_is_no_status_neither_passes_nor_fails() {
        let found = statuses(&[("not", Word::of("ERROR:"))]);
        assert!(!found.passes("not") && !found.fails("not") && found.fails("missing"));
    }
}
