//! Where in a row something was found: `chosen[2].tool_calls[0].function.arguments`.

use std::fmt;

/// A path into a row, built on the stack so that it costs nothing until an error shows it.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Row,
    Key(&'a str),
    Index(usize),
}

impl<'a> Place<'a> {
    /// The row itself.
    pub(super) const ROW: Place<'static> = Place { parent: None, step: Step::Row };

    /// The entry `key` of an object.
    pub(super) fn key(&'a self, key: &'a str) -> Self {
        Self { parent: Some(self), step: Step::Key(key) }
    }

    /// The item `index` of a list.
    pub(super) fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), step: Step::Index(index) }
    }

    fn is_row(&self) -> bool {
        matches!(self.step, Step::Row)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parent = self.parent.filter(|parent| !parent.is_row());
        if let Some(parent) = parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Row => f.write_str("the row"),
            Step::Key(key) if parent.is_some() => write!(f, ".{key}"),
            Step::Key(key) => f.write_str(key),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_like_an_expression() {
        let chosen = Place::ROW.key("chosen");
        let message = chosen.index(2);
        let calls = message.key("tool_calls");
        assert_eq!(calls.index(0).to_string(), "chosen[2].tool_calls[0]");
        assert_eq!(Place::ROW.to_string(), "the row");
    }
}
