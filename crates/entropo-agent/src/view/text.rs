//! The same for a terminal.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use entropo_core::Trajectory;

use super::View;
use super::record::{Call, Record, Turn, exit, usage};

/// Lines of a text that are shown at its beginning and end, if it is longer than both.
const HEAD: usize = 24;
const TAIL: usize = 8;
/// Characters of a line that are shown.
const WIDTH: usize = 400;

const ID: Style = Style::new().bold();
const ASSISTANT: Style = AnsiColor::Green.on_default().bold();
const TOOL: Style = AnsiColor::Yellow.on_default();
const OTHER: Style = AnsiColor::Blue.on_default();
const QUIET: Style = Style::new().dimmed();
const ADDED: Style = AnsiColor::Green.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();
const HUNK: Style = AnsiColor::Magenta.on_default();

impl View<'_> {
    /// The rollouts as text, task by task: the turns, long ones cut in the middle, the patch, and what the selector decided.
    pub fn text(&self) -> String {
        let mut screen = Screen { text: String::new(), coloured: self.coloured };
        let mut tasks: Vec<&str> = Vec::new();
        for rollout in &self.rollouts {
            if !tasks.contains(&rollout.id.task.as_str()) {
                tasks.push(&rollout.id.task);
            }
        }
        for task in tasks {
            let of_task = self.rollouts.iter().filter(|rollout| rollout.id.task == task);
            of_task.for_each(|rollout| self.write(&mut screen, rollout));
            if let Some(selection) = self.selections.get(task) {
                screen.line(ID, "", &format!("selection of {}", self.shown(task)));
                self.shown(&selection.explain()).lines().for_each(|line| screen.line(Style::new(), "  ", line));
                screen.text.push('\n');
            }
        }
        screen.text
    }

    fn write(&self, screen: &mut Screen, rollout: &Trajectory) {
        let chosen = self.selection_of(rollout).is_some_and(|one| one.chosen.as_ref() == Some(&rollout.id));
        let mark = if chosen { ", chosen" } else { "" };
        screen.line(ID, "", &format!("{}{mark}", self.shown(&rollout.id.to_string())));
        let error = rollout.error.as_deref().map(|error| format!(": {}", self.shown(error))).unwrap_or_default();
        screen.line(QUIET, "  ", &format!("{}, ended: {}{error}", self.shown(&rollout.model), exit(rollout.exit)));
        screen.line(QUIET, "  ", &usage(rollout));
        let reward = rollout.outcome.reward.map(|reward| format!("reward {reward}"));
        let scores = rollout.outcome.scores.iter().map(|(name, value)| format!("{} {value}", self.shown(name)));
        let judged: Vec<_> = reward.into_iter().chain(scores).collect();
        if !judged.is_empty() {
            screen.line(QUIET, "  ", &judged.join(", "));
        }
        let record = Record::of(self, rollout);
        record.turns.iter().for_each(|turn| screen.turn(turn));
        screen.line(OTHER, "", "[patch]");
        if record.patch.is_empty() {
            screen.line(QUIET, "  ", "(no changes)");
        }
        screen.patch(&record.patch);
        screen.text.push('\n');
    }
}

/// What is written.
struct Screen {
    text: String,
    coloured: bool,
}

impl Screen {
    fn line(&mut self, style: Style, indent: &str, line: &str) {
        // A name with line breaks in it is one line, lest it pass for another turn.
        let cut: String = line.chars().take(WIDTH).map(|one| if one == '\n' { '␊' } else { one }).collect();
        let more = line.chars().count().saturating_sub(WIDTH);
        let more = if more > 0 { format!(" [… {more} characters more]") } else { String::new() };
        let style = if self.coloured { style } else { Style::new() };
        _ = writeln!(self.text, "{}", format!("{indent}{style}{cut}{style:#}{more}").trim_end());
    }

    fn turn(&mut self, turn: &Turn) {
        let style = match turn.role {
            "assistant" => ASSISTANT,
            "tool" => TOOL,
            _ => OTHER,
        };
        let step = turn.step.map(|step| format!(" {step}")).unwrap_or_default();
        let name = turn.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        self.line(style, "", &format!("[{}{step}{name}]", turn.role));
        turn.note.iter().for_each(|note| self.line(QUIET, "  ", note));
        self.block("  ", &turn.text, |_| Style::new());
        turn.calls.iter().for_each(|call| self.call(call));
    }

    fn call(&mut self, call: &Call) {
        self.line(TOOL, "  ", &format!("> {}", call.name));
        for (key, text) in &call.arguments {
            if text.contains('\n') || key.is_empty() {
                self.line(QUIET, "    ", key);
                self.block("      ", text, |_| Style::new());
            } else {
                self.line(Style::new(), "    ", &format!("{key}: {text}"));
            }
        }
    }

    fn patch(&mut self, patch: &str) {
        self.block("  ", patch, |line| match line.as_bytes().first() {
            Some(b'+') => ADDED,
            Some(b'-') => REMOVED,
            Some(b'@') => HUNK,
            _ => Style::new(),
        });
    }

    /// Lines, without the middle of many.
    fn block(&mut self, indent: &str, text: &str, style: impl Fn(&str) -> Style) {
        let lines: Vec<&str> = text.lines().collect();
        let left_out = lines.len().saturating_sub(HEAD + TAIL);
        let (head, tail) = if left_out > 1 { (HEAD, lines.len() - TAIL) } else { (lines.len(), lines.len()) };
        lines.iter().take(head).for_each(|line| self.line(style(line), indent, line));
        if left_out > 1 {
            self.line(QUIET, indent, &format!("[… {left_out} lines more]"));
        }
        lines.iter().skip(tail).for_each(|line| self.line(style(line), indent, line));
    }
}
