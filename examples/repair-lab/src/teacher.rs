//! A scripted agent that knows the task and makes mistakes on purpose.
//!
//! The policy is first trained to imitate it. Its fix is drawn from a family's habit, or follows the sibling function
//! now and then; it does not know which fix the hidden tests want. So imitation alone stays well below what the task
//! allows, and leaves something for preferences to sharpen.

use std::sync::Mutex;

use async_trait::async_trait;
use entropo::agent::{ChatModel, ChatRequest, ChatResponse, ModelError};
use entropo::core::{AssistantMessage, Message, ToolCall};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::task::{FAMILIES, LabTask, fragment};

/// How often the first edit is one of the four fixes.
const FIRST_EDIT_VALID: f64 = 0.8;
/// How often a later edit is.
const LATER_EDIT_VALID: f64 = 0.85;
/// How often a fix is the one that the sibling function is written like.
const FOLLOWS_CUE: f64 = 0.35;
/// The habit of every family, permuted by its place in the list.
const HABIT: [f64; 4] = [0.40, 0.28, 0.20, 0.12];
/// How often a call is preceded by a thought.
const THINKS: f64 = 0.5;
/// How often a path is mistyped once.
const MISTYPES: f64 = 0.03;
/// Edits before it gives up.
const EDITS: usize = 3;

/// The teacher at work on one task.
#[derive(Debug)]
pub struct Teacher {
    task: LabTask,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: ChaCha8Rng,
    next: Next,
    line: String,
    edits: usize,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    Search,
    Mistype,
    View,
    Edit,
    Test,
    Judge,
}

impl Teacher {
    /// A teacher for `task`; the same seed makes the same decisions.
    pub fn new(task: &LabTask, seed: u64) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed);
        let state = State { random, next: Next::Search, line: task.bug.clone(), edits: 0 };
        Self { task: task.clone(), state: Mutex::new(state) }
    }

    fn act(&self, state: &mut State, observation: &str) -> AssistantMessage {
        let search = json!({"query": format!("^{}", self.task.function)});
        let view = |path: &str| json!({"command": "view", "path": path});
        match state.next {
            Next::Search => {
                state.next = if state.random.random_bool(MISTYPES) { Next::Mistype } else { Next::View };
                state.call(&["Find it first.", "Where is it?", "Search first."], "search", search)
            }
            Next::Mistype => {
                state.next = Next::View;
                let path = self.task.target.replace("lib/", "");
                state.call(&["Read the file.", "Open it."], "editor", view(&path))
            }
            Next::View => {
                state.next = Next::Edit;
                state.call(&["Read the file.", "Open it."], "editor", view(&self.task.target))
            }
            Next::Edit => {
                state.next = Next::Test;
                let arguments = self.edit(state);
                let thoughts: &[&str] = if state.edits == 1 {
                    &["This line is wrong.", "Here is the bug.", "Change it."]
                } else {
                    &["Still wrong, so try another way.", "That was not it. Change the line again.", "Not yet."]
                };
                state.call(thoughts, "editor", arguments)
            }
            Next::Test => {
                state.next = Next::Judge;
                state.call(&["Run the tests.", "Check it."], "shell", json!({"command": "sh test.sh"}))
            }
            Next::Judge if observation.contains("all passed") || state.edits == EDITS => {
                state.call(&["Done.", "The tests pass."], "finish", json!({}))
            }
            Next::Judge => {
                state.next = Next::Edit;
                self.act(state, observation)
            }
        }
    }

    /// The next edit: from the line as it is to another one.
    fn edit(&self, state: &mut State) -> Value {
        let valid = if state.edits == 0 { FIRST_EDIT_VALID } else { LATER_EDIT_VALID };
        let drawn =
            if state.random.random_bool(valid) { self.fix(state) } else { self.task.wrong.choose(&mut state.random) };
        let other = self.task.fixes.iter().find(|&fix| *fix != state.line);
        let line = drawn.filter(|&line| *line != state.line).or(other).unwrap_or(&self.task.bug).clone();
        let original = self.task.files.get(&self.task.target).map(String::as_str).unwrap_or_default();
        let (old, new) = fragment(original, self.task.line, &state.line, &line);
        state.line = line;
        state.edits += 1;
        json!({"command": "str_replace", "path": self.task.target, "old_str": old, "new_str": new})
    }

    fn fix(&self, state: &mut State) -> Option<&String> {
        if state.random.random_bool(FOLLOWS_CUE) {
            return self.task.fixes.get(self.task.cue);
        }
        let family = FAMILIES.iter().position(|family| family.name == self.task.family).unwrap_or(0);
        let mut draw = state.random.random::<f64>();
        let habit = HABIT.iter().cycle().skip(family % HABIT.len()).take(HABIT.len());
        let index = habit
            .take_while(|&&share| {
                draw -= share;
                draw > 0.0
            })
            .count();
        self.task.fixes.get(index.min(HABIT.len() - 1))
    }
}

impl State {
    fn call(&mut self, thoughts: &[&str], name: &str, arguments: Value) -> AssistantMessage {
        let thought = thoughts.choose(&mut self.random).filter(|_| self.random.random_bool(THINKS));
        let call = ToolCall { id: String::new(), name: name.to_owned(), arguments };
        AssistantMessage { content: thought.copied().unwrap_or_default().to_owned(), tool_calls: vec![call], raw: None }
    }
}

#[async_trait]
impl ChatModel for Teacher {
    fn name(&self) -> &str {
        "teacher"
    }

    async fn chat(&self, request: ChatRequest<'_>) -> Result<ChatResponse, ModelError> {
        let observation = request.messages.last().map(Message::content).unwrap_or_default();
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(ChatResponse { message: self.act(&mut state, observation), ..ChatResponse::default() })
    }
}
