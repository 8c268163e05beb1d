//! A place to act in: one shell script with a bug, in memory. Models find it easy, and so does the repair lab's policy,
//! which knows nothing else.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use entropo_agent::tool::ToolboxError;
use entropo_agent::{CancellationToken, EnvironmentError, Episode, Tool, ToolError, ToolOutput, Toolbox};
use entropo_core::{ExitReason, Message, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;

const PATH: &str = "lib/chapel.sh";
const SCRIPT: &str = "duty() {\n  rate=$1\n  final=$(( rate * 8 ))\n  echo \"$final\"\n}\n";

type Text = Arc<Mutex<String>>;

/// A repository, and what can be done in it.
pub(crate) struct Repository {
    text: Text,
    toolbox: Toolbox,
}

impl Repository {
    /// A fresh one.
    pub(crate) fn new() -> Result<Self, ToolboxError> {
        let text: Text = Arc::new(Mutex::new(SCRIPT.to_owned()));
        let toolbox = Toolbox::new()
            .with(Shell(Arc::clone(&text)))?
            .with(Editor(Arc::clone(&text)))?
            .with(Search(Arc::clone(&text)))?
            .with(Finish)?;
        Ok(Self { text, toolbox })
    }

    /// What a model is told first.
    pub(crate) fn task() -> Vec<Message> {
        vec![
            Message::system("You repair sh code. Find the bug, edit it, run `sh test.sh`, then finish."),
            Message::user("`duty 700` prints 5600, expected 56."),
        ]
    }
}

#[async_trait]
impl Episode for Repository {
    fn messages(&self) -> Vec<Message> {
        Self::task()
    }

    fn toolbox(&self) -> &Toolbox {
        &self.toolbox
    }

    async fn close(self: Box<Self>, _: ExitReason) -> Result<Outcome, EnvironmentError> {
        Ok(Outcome { reward: Some(f64::from(is_repaired(&self.text))), ..Outcome::default() })
    }
}

fn read(text: &Text) -> String {
    text.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn is_repaired(text: &Text) -> bool {
    read(text).replace(' ', "").contains("rate*8/100") || read(text).replace(' ', "").contains("rate*8+99)/100")
}

struct Shell(Text);

#[derive(Deserialize, JsonSchema)]
struct ShellArguments {
    /// What is run, with sh.
    command: String,
}

impl Tool for Shell {
    const NAME: &'static str = "shell";
    type Args = ShellArguments;

    fn description(&self) -> String {
        "Runs a command.".to_owned()
    }

    async fn call(&self, arguments: ShellArguments, _: &CancellationToken) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::text(match arguments.command.trim() {
            "sh test.sh" | "./test.sh" if is_repaired(&self.0) => "all passed".to_owned(),
            "sh test.sh" | "./test.sh" => "duty 700: got 5600, expected 56\n[exit status 1]".to_owned(),
            command if command.starts_with("cat") => read(&self.0),
            command if command.starts_with("ls") => format!("{PATH}\ntest.sh"),
            _ => return Err(ToolError::new("Only `ls`, `cat` and `sh test.sh` can be run here.")),
        }))
    }
}

struct Editor(Text);

#[derive(Deserialize, JsonSchema)]
struct EditorArguments {
    /// `view` or `str_replace`.
    command: String,
    /// The file.
    path: String,
    /// With `str_replace`: what is replaced; it must stand in the file once.
    old_str: Option<String>,
    /// With `str_replace`: what stands there afterwards.
    new_str: Option<String>,
}

impl Tool for Editor {
    const NAME: &'static str = "editor";
    type Args = EditorArguments;

    fn description(&self) -> String {
        "Shows or edits a file.".to_owned()
    }

    async fn call(&self, arguments: EditorArguments, _: &CancellationToken) -> Result<ToolOutput, ToolError> {
        let EditorArguments { command, path, old_str, new_str } = arguments;
        if path.trim_start_matches('/') != PATH {
            return Err(ToolError::new(format!("There is no {path}; there is {PATH}.")));
        }
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (command.as_str(), old_str, new_str) {
            ("str_replace", Some(old), Some(new)) if text.matches(&old).count() == 1 => {
                *text = text.replace(&old, &new);
                Ok(ToolOutput::text(format!("Edited {PATH}.")))
            }
            ("str_replace", ..) => Err(ToolError::new(format!("old_str not found in {PATH}."))),
            _ => Ok(ToolOutput::text(
                text.lines().zip(1..).map(|(line, number)| format!("{number}\t{line}\n")).collect::<String>(),
            )),
        }
    }
}

struct Search(Text);

#[derive(Deserialize, JsonSchema)]
struct SearchArguments {
    /// What is searched for.
    query: String,
}

impl Tool for Search {
    const NAME: &'static str = "search";
    type Args = SearchArguments;

    fn description(&self) -> String {
        "Searches all files.".to_owned()
    }

    async fn call(&self, arguments: SearchArguments, _: &CancellationToken) -> Result<ToolOutput, ToolError> {
        let query = arguments.query.trim_start_matches('^');
        let text = read(&self.0);
        let found: Vec<_> = (1..).zip(text.lines()).filter(|(_, line)| line.contains(query)).collect();
        let lines = found.iter().map(|(number, line)| format!("{PATH}:{number}:{line}")).collect::<Vec<_>>();
        Ok(ToolOutput::text(if lines.is_empty() { format!("No match for {query:?}.") } else { lines.join("\n") }))
    }
}

struct Finish;

#[derive(Deserialize, JsonSchema)]
struct FinishArguments {}

impl Tool for Finish {
    const NAME: &'static str = "finish";
    type Args = FinishArguments;

    fn description(&self) -> String {
        "Ends the task.".to_owned()
    }

    async fn call(&self, _: FinishArguments, _: &CancellationToken) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::finish("Done."))
    }
}
