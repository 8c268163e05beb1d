//! What may be called, by the tool's name.

use std::collections::BTreeMap;

use async_trait::async_trait;
use entropo_core::ToolCall;

use super::{BeforeTool, Hook, Moment};

/// A [`Hook`] that decides by the tool's name alone.
///
/// ```
/// use entropo_agent::hook::ToolRules;
///
/// // Whoever reads may read; changing something is asked about, and there is no shell.
/// let rules = ToolRules::asking().allow("search").refuse("shell", "There is no shell here.");
/// ```
#[derive(Clone, Debug)]
pub struct ToolRules {
    rules: BTreeMap<String, BeforeTool>,
    otherwise: BeforeTool,
}

impl ToolRules {
    /// Everything is allowed that no rule names.
    pub fn allowing() -> Self {
        Self { rules: BTreeMap::new(), otherwise: BeforeTool::Allow }
    }

    /// Everything is asked about that no rule names.
    pub fn asking() -> Self {
        Self { rules: BTreeMap::new(), otherwise: BeforeTool::Ask("a person has to agree to this call".to_owned()) }
    }

    /// Everything is refused that no rule names.
    pub fn refusing() -> Self {
        let why = "Not allowed here. Do it another way.".to_owned();
        Self { rules: BTreeMap::new(), otherwise: BeforeTool::Refuse(why) }
    }

    /// Calls of `tool` are carried out.
    #[must_use]
    pub fn allow(self, tool: impl Into<String>) -> Self {
        self.rule(tool, BeforeTool::Allow)
    }

    /// Calls of `tool` are asked about, for the reason `why`.
    #[must_use]
    pub fn ask(self, tool: impl Into<String>, why: impl Into<String>) -> Self {
        self.rule(tool, BeforeTool::Ask(why.into()))
    }

    /// Calls of `tool` are answered with `words`.
    #[must_use]
    pub fn refuse(self, tool: impl Into<String>, words: impl Into<String>) -> Self {
        self.rule(tool, BeforeTool::Refuse(words.into()))
    }

    fn rule(mut self, tool: impl Into<String>, rule: BeforeTool) -> Self {
        self.rules.insert(tool.into(), rule);
        self
    }
}

#[async_trait]
impl Hook for ToolRules {
    async fn before_tool(&self, _: &Moment<'_>, call: &ToolCall) -> BeforeTool {
        self.rules.get(&call.name).unwrap_or(&self.otherwise).clone()
    }
}
