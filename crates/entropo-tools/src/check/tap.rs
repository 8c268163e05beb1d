//! The Test Anything Protocol, versions 12 to 14.
//!
//! Subtests are indented by four spaces and come before the result of their test (TAP 14, node), or after it in braces
//! (vitest).

use super::recorder::Recorder;
use super::text::{indented, number};
use super::{ParseError, Status, TestReport};

/// How deep tests may be nested.
const DEPTH: usize = 16;

#[derive(Default)]
struct Log {
    recorder: Recorder,
    /// Results of each level that wait for the test above them, or for the end.
    waiting: Vec<Vec<(String, Status)>>,
    /// The tests whose braces are open.
    open: Vec<String>,
    planned: Option<usize>,
    points: usize,
    bailed: bool,
}

/// Reads a log.
pub(super) fn parse(log: &str) -> Result<TestReport, ParseError> {
    // Details of a test stand right below its result, between `---` and `...`, indented further.
    let (mut state, mut yaml, mut below) = (Log::default(), None, None);
    let mut lines = log.lines().enumerate().peekable();
    while let Some((at, line)) = lines.next() {
        let (indent, text) = indented(line.trim_end());
        let above: Option<usize> = below.take();
        match yaml {
            Some(begin) if text == "..." && indent == begin => yaml = None,
            Some(_) => {}
            None if text == "---" && above.is_some_and(|above| above < indent) => yaml = Some(indent),
            None if indent % 4 == 0 => {
                let next = lines.peek().map_or((0, ""), |(_, next)| indented(next));
                let plan_below = next.0 == indent + 4 && next.1.starts_with("1..");
                let point = state.line(indent / 4, text, plan_below, at + 1)?;
                below = point.then_some(indent);
            }
            None => {}
        }
    }
    // A plan that comes first is fulfilled before the last line is whole, or its braces are closed.
    let ended = log.ends_with('\n') && state.open.is_empty() && yaml.is_none();
    let complete = ended && !state.bailed && state.planned == Some(state.points);
    for (test, status) in state.waiting.into_iter().flatten() {
        state.recorder.add(test, status)?;
    }
    Ok(state.recorder.finish(complete))
}

impl Log {
    /// Takes a line, and tells whether it is a test's result.
    fn line(&mut self, level: usize, text: &str, plan_below: bool, line: usize) -> Result<bool, ParseError> {
        if text == "}" {
            self.open.pop();
        } else if text.starts_with("Bail out!") {
            self.bailed = true;
        } else if let Some(plan) = text.strip_prefix("1..") {
            if level == 0 {
                // Several programs, one after the other, each have a plan.
                let tests = number(plan).map_or(0, |(tests, _)| tests);
                self.planned = Some(self.planned.unwrap_or(0).saturating_add(tests));
            }
        } else if let Some((mut name, status)) = point(text) {
            if level > DEPTH {
                return Err(ParseError::TooDeep { line, limit: DEPTH });
            }
            // Without a plan below it, the brace is part of the name.
            let brace = name.strip_suffix(" {").filter(|_| plan_below).map(str::to_owned);
            let opens = brace.is_some();
            name = brace.unwrap_or(name);
            self.points += usize::from(level == 0);
            self.note(level, name, status, opens)?;
            return Ok(true);
        }
        Ok(false)
    }

    fn note(&mut self, level: usize, name: String, status: Status, opens: bool) -> Result<(), ParseError> {
        let prefixed = |above: &str, name: &str| format!("{above} > {name}");
        if opens || !self.open.is_empty() {
            self.open.truncate(level);
            let whole = self.open.last().map_or(name.clone(), |above| prefixed(above, &name));
            self.recorder.add(whole.clone(), status)?;
            if opens {
                self.open.push(whole);
            }
            return Ok(());
        }
        let below: Vec<_> = self.waiting.drain((level + 1).min(self.waiting.len())..).flatten().collect();
        self.waiting.resize_with(self.waiting.len().max(level + 1), Vec::new);
        let Some(own) = self.waiting.get_mut(level) else { return Ok(()) };
        for (test, status) in below {
            let test = prefixed(&name, &test);
            self.recorder.claim(test.len())?;
            own.push((test, status));
        }
        own.push((name, status));
        Ok(())
    }
}

/// `ok 1 - name # SKIP why`: the name, or the number if there is none, and the result.
fn point(text: &str) -> Option<(String, Status)> {
    let (passed, rest) = match text.strip_prefix("not ok") {
        Some(rest) => (false, rest),
        None => (true, text.strip_prefix("ok")?),
    };
    if !rest.is_empty() && !rest.starts_with(' ') {
        return None;
    }
    let rest = rest.trim_start();
    let (id, rest) = number(rest).map_or((None, rest), |(id, rest)| (Some(id), rest.trim_start()));
    let rest = rest.strip_prefix("- ").unwrap_or(rest);
    let (name, directive) = split_directive(rest);
    let status = match (directive, passed) {
        (Some(Directive::Skip), _) => Status::Skipped,
        (Some(Directive::Todo), true) => Status::UnexpectedPass,
        (Some(Directive::Todo), false) => Status::ExpectedFailure,
        (_, true) => Status::Passed,
        (_, false) => Status::Failed,
    };
    let name = if name.is_empty() { id.map(|id| id.to_string()).unwrap_or_default() } else { name };
    Some((name, status))
}

#[derive(Clone, Copy)]
enum Directive {
    Skip,
    Todo,
    Time,
}

/// Takes the directive off the end; `\#` and `\\` in names stand for themselves. A brace behind it is kept.
fn split_directive(text: &str) -> (String, Option<Directive>) {
    let mut name = String::with_capacity(text.len());
    let mut rest = text.char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some((_, escaped @ ('#' | '\\'))) => name.push(escaped),
                Some((_, other)) => name.extend(['\\', other]),
                None => name.push('\\'),
            },
            '#' if at == 0 || name.ends_with(' ') => {
                let after = text.get(at + 1..).unwrap_or_default().trim_start();
                if let Some(directive) = directive(after) {
                    let brace = if after.ends_with(" {") { " {" } else { "" };
                    return (format!("{}{brace}", name.trim_end()), Some(directive));
                }
                name.push('#');
            }
            _ => name.push(c),
        }
    }
    (name, None)
}

fn directive(text: &str) -> Option<Directive> {
    let begins = |word: &str| text.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
    [("skip", Directive::Skip), ("todo", Directive::Todo), ("time=", Directive::Time)]
        .into_iter()
        .find_map(|(word, directive)| begins(word).then_some(directive))
}
