//! A fenced block of bash, for models that were never taught tools.
//!
//! ````text
//! I look at the files first.
//!
//! ```bash
//! ls -la
//! ```
//! ````
//!
//! A reply holds at most one such block, which is the command for a shell tool; text may stand around it, blocks in other
//! languages too. A block with nothing but the word of the finishing tool, `finish`, calls that. No other tool can be
//! called. A block may be fenced with more than three backticks, so that a command can hold some.

use entropo_core::{AssistantMessage, ToolCall, ToolSpec};
use serde_json::{Value, json};

use super::{Dialect, FormatError};

/// Languages that mean the shell.
const LANGUAGES: [&str; 3] = ["bash", "sh", "shell"];
const FORM: &str = r"```bash\nCOMMAND\n```";

/// A fenced block of bash; see the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bash {
    shell: String,
    argument: String,
    finish: String,
}

impl Default for Bash {
    /// For the tools `shell`, with the argument `command`, and `finish`.
    fn default() -> Self {
        Self::new("shell", "command", "finish")
    }
}

impl Bash {
    /// For the tool `shell`, whose `argument` is the command, and the tool `finish`, which needs no arguments.
    pub fn new(shell: impl Into<String>, argument: impl Into<String>, finish: impl Into<String>) -> Self {
        Self { shell: shell.into(), argument: argument.into(), finish: finish.into() }
    }

    fn call(&self, command: &str) -> ToolCall {
        let (name, arguments) = if command.trim() == self.finish {
            (self.finish.clone(), json!({}))
        } else {
            (self.shell.clone(), json!({ self.argument.as_str(): command }))
        };
        ToolCall { id: String::new(), name, arguments }
    }
}

impl Dialect for Bash {
    fn opening(&self) -> &'static str {
        "```bash"
    }

    fn parse(&self, raw: &str) -> Result<AssistantMessage, FormatError> {
        let mut around = Vec::new();
        let mut commands = Vec::new();
        let mut lines = raw.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            let Some((fence, language)) = opening_fence(line).filter(|_| !line.trim().is_empty()) else {
                around.push(line);
                continue;
            };
            let is_command = LANGUAGES.contains(&language);
            let (mut block, mut closed) = (Vec::new(), false);
            for (_, line) in lines.by_ref() {
                closed = closes(line, fence);
                if closed {
                    break;
                }
                block.push(line);
            }
            if !is_command {
                around.push(line);
                around.extend(block);
                around.extend(closed.then_some(line.get(..fence).unwrap_or("```")));
            } else if !closed {
                return Err(error(number, "the block of bash has no closing ```"));
            } else if block.iter().all(|line| line.trim().is_empty()) {
                return Err(error(number, "the block of bash is empty"));
            } else if !commands.is_empty() {
                return Err(error(number, "there is a second block of bash; write one command, wait for its result"));
            } else {
                commands.push(block.join("\n"));
            }
        }
        Ok(AssistantMessage {
            content: around.join("\n").trim().to_owned(),
            tool_calls: commands.iter().map(|command| self.call(command)).collect(),
            raw: Some(raw.to_owned()),
        })
    }

    /// A call of a tool that is neither the shell nor the finishing one becomes a block of JSON in its name, which is not
    /// read back.
    fn render(&self, message: &AssistantMessage) -> String {
        super::cursor::render(message, |call| {
            let command = call.arguments.get(&self.argument).and_then(Value::as_str);
            match command {
                Some(command) if call.name == self.shell => fenced("bash", command),
                _ if call.name == self.finish => fenced("bash", &self.finish),
                _ => fenced(&call.name, &call.arguments.to_string()),
            }
        })
    }

    fn instructions(&self, _: &[ToolSpec]) -> String {
        format!(
            "You act through a shell. Each of your replies holds exactly one command, or several in one script, in a \
             block like this:\n\n{}\n\nThe result is in the next message. When the task is done, reply with:\n\n{}",
            fenced("bash", "COMMAND"),
            fenced("bash", &self.finish),
        )
    }

    fn result(&self, _: &str, content: &str) -> String {
        format!("Result:\n{content}")
    }
}

/// How many backticks open a block on this line, and its language.
fn opening_fence(line: &str) -> Option<(usize, &str)> {
    let language = line.trim_start_matches('`');
    let fence = line.len() - language.len();
    (fence >= 3 && !language.contains('`')).then(|| (fence, language.trim()))
}

fn closes(line: &str, fence: usize) -> bool {
    let line = line.trim_end();
    line.len() >= fence && line.bytes().all(|byte| byte == b'`')
}

/// A block whose fence is longer than any at the beginning of a line in it.
fn fenced(language: &str, text: &str) -> String {
    let longest = text.lines().map(|line| line.len() - line.trim_start_matches('`').len()).max();
    let fence = "`".repeat(longest.unwrap_or(0).max(2) + 1);
    format!("{fence}{language}\n{text}\n{fence}")
}

fn error(line: usize, reason: &str) -> FormatError {
    FormatError::new(format!("Line {}: {reason}; write a command as {FORM}", line + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(raw: &str) -> (String, Vec<(String, Value)>) {
        let message = Bash::default().parse(raw).unwrap();
        (message.content, message.tool_calls.into_iter().map(|call| (call.name, call.arguments)).collect())
    }

    fn shell(command: &str) -> Vec<(String, Value)> {
        vec![("shell".to_owned(), json!({"command": command}))]
    }

    #[test]
    fn text_and_a_command() {
        let raw = "Look.\n```bash\nls -la\ncat <<E\n\n  x\nE\n```";
        assert_eq!(parse(raw), ("Look.".to_owned(), shell("ls -la\ncat <<E\n\n  x\nE")));
        let message = Bash::default().parse(raw).unwrap();
        assert_eq!(Bash::default().render(&message), raw);
        assert_eq!(parse("```sh\nls\n```\nThen."), ("Then.".to_owned(), shell("ls")));
        assert_eq!(parse("````bash\necho '\n```\n'\n````").1, shell("echo '\n```\n'"));
    }

    #[test]
    fn one_word_finishes() {
        assert_eq!(parse("Done.\n```bash\n finish\n```").1, [("finish".to_owned(), json!({}))]);
        let own = Bash::new("run", "script", "submit");
        let calls = own.parse("```bash\nsubmit\n```").unwrap().tool_calls;
        assert_eq!((calls[0].name.as_str(), &calls[0].arguments), ("submit", &json!({})));
        assert_eq!(own.parse("```bash\nls\n```").unwrap().tool_calls[0].arguments, json!({"script": "ls"}));
    }

    #[test]
    fn other_blocks_are_text() {
        for raw in
            ["I am done.", "```python\nprint(1)\n```", "````markdown\n```bash\nls\n```\n````", "```\nls\n```", "```x"]
        {
            assert_eq!(parse(raw), (raw.to_owned(), Vec::new()));
        }
        let both = "```python\nx\n```\n```bash\nls\n```";
        assert_eq!(parse(both), ("```python\nx\n```".to_owned(), shell("ls")));
    }

    #[test]
    fn faults_are_told_precisely() {
        for (raw, start) in [
            ("x\n```bash\nls", "Line 2: the block of bash has no closing ```; write a command as ```bash\\nCOMMAND"),
            ("```bash\n \n```", "Line 1: the block of bash is empty"),
            ("```bash\nls\n```\n```bash\npwd\n```", "Line 4: there is a second block of bash"),
        ] {
            let fault = Bash::default().parse(raw).unwrap_err().to_string();
            assert!(fault.starts_with(start), "{fault}");
            assert!(!fault.contains('\n'));
        }
    }

    #[test]
    fn its_instructions_are_in_its_own_form() {
        let told = Bash::default().instructions(&[]);
        let [first, last] = [told.find("```bash").unwrap(), told.rfind("```bash").unwrap()];
        assert_eq!(parse(&told[last..]).1[0].0, "finish");
        assert_eq!(parse(&told[first..last]).1, shell("COMMAND"));
    }

    proptest! {
        #[test]
        fn what_is_rendered_is_read_back(content in "[^`]{0,40}", command in "[a-z`'\n é]{0,60}") {
            // Lines are parted by line feeds, and an empty command is none.
            prop_assume!(!command.trim().is_empty() && command.trim() != "finish" && !content.contains('\r'));
            let call = ToolCall { id: String::new(), name: "shell".to_owned(), arguments: json!({"command": command}) };
            let content = content.trim().to_owned();
            let written = AssistantMessage { content, tool_calls: vec![call], raw: None };
            let raw = Bash::default().render(&written);
            let read = Bash::default().parse(&raw).unwrap();
            prop_assert_eq!(read, AssistantMessage { raw: Some(raw), ..written });
        }

        #[test]
        fn any_text_is_read_or_refused(pieces in prop::collection::vec(
            prop_oneof![
                Just("```bash\n"), Just("```\n"), Just("````"), Just("ls"), Just("\n"), Just("é"), Just("`"), Just("\r\n")
            ], 0..20), noise in "(?s).{0,20}"
        ) {
            let raw = pieces.concat() + &noise;
            if let Err(error) = Bash::default().parse(&raw) {
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
    }
}
