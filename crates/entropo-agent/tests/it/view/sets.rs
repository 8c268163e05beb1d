//! Rollouts to look at.

use entropo_agent::select::Selection;
use entropo_agent::{Selector, StageConfig, view::View};
use entropo_core::{
    AssistantMessage, ExitReason, Message, Outcome, RolloutId, TokenTrace, ToolCall, ToolMessage, Trajectory,
};
use serde_json::json;

pub(super) const PATCH: &str = "diff --git a/greet.sh b/greet.sh\n--- a/greet.sh\n+++ b/greet.sh\n@@ -1,2 +1,2 @@\n \
                                #!/bin/sh\n-echo helo\n+echo hello\n";

pub(super) fn says(text: &str, tool: &str, arguments: serde_json::Value) -> Message {
    let call = ToolCall { id: "c".to_owned(), name: tool.to_owned(), arguments };
    Message::Assistant(AssistantMessage { content: text.to_owned(), tool_calls: vec![call], raw: None })
}

pub(super) fn answers(tool: &str, text: &str) -> Message {
    Message::Tool(ToolMessage { call_id: "c".to_owned(), name: tool.to_owned(), content: text.to_owned() })
}

/// Two candidates of one task: the first is right.
pub(super) fn greeters() -> Vec<Trajectory> {
    let one = |number: usize, solved: bool| {
        let mut rollout = Trajectory::empty(RolloutId::new("greet", number), "policy", 7, ExitReason::Agent);
        let log: String = (1..=100).map(|line| format!("test {line} passed\n")).collect();
        rollout.messages = vec![
            Message::system("You repair programs."),
            Message::user("`./greet.sh` should say hello."),
            says("I look first.", "bash", json!({"command": "cat greet.sh"})),
            answers("bash", "#!/bin/sh\necho helo\n"),
            says("", "edit", json!({"path": "greet.sh", "old": "echo helo\nexit", "count": 1})),
            answers("edit", &log),
        ];
        rollout.usage.tool_calls = 2;
        let patch = if solved { PATCH.to_owned() } else { String::new() };
        let scores = [("regression".to_owned(), if solved { 5.0 } else { 3.0 })].into();
        rollout.outcome = Outcome { patch, reward: Some(f64::from(solved)), scores };
        let mut trace = TokenTrace::default();
        trace.record(0, &[1, 2, 3], &[4, 5], &[-0.01, -2.5], 3).unwrap();
        trace.record(1, &[1, 2, 3, 4, 5, 6], &[7], &[-0.3], 5).unwrap();
        rollout.trace = trace;
        rollout
    };
    vec![one(0, true), one(1, false)]
}

pub(super) fn selected(rollouts: &[Trajectory]) -> Selection {
    // One of them changed nothing, and is to be dropped by a number.
    let mut stages = StageConfig::hybrid();
    stages.retain(|stage| !matches!(stage, StageConfig::Changed(_)));
    Selector::from_config(stages).select(&rollouts.iter().collect::<Vec<_>>()).unwrap()
}

/// A text for each id.
pub(super) fn words(ids: &[u32]) -> Vec<String> {
    ids.iter().map(|id| format!("w{id} ")).collect()
}

/// What tries to be executed, in every place where a model, a task or a tool can write.
pub(super) fn hostile() -> (Vec<Trajectory>, Selection) {
    const EVIL: &str = "<script>window.pwned=1</script></script><!--<script><img src=x onerror=\"window.pwned=2\">\
                        <svg onload=window.pwned=3>\u{2028}'\"&amp;{{script}}{{islands}}]]>\u{202e}\u{1b}[31m";
    let mut rollouts = greeters();
    for rollout in &mut rollouts {
        rollout.id.task = EVIL.to_owned();
        rollout.model = EVIL.to_owned();
        rollout.error = Some(EVIL.to_owned());
        rollout.messages = vec![
            Message::system(EVIL),
            Message::user(EVIL),
            says(EVIL, EVIL, json!({EVIL: EVIL, "__proto__": EVIL})),
            answers(EVIL, EVIL),
            says(EVIL, EVIL, json!([EVIL])),
        ];
        rollout.outcome.patch = format!("--- {EVIL}\n+++ {EVIL}\n@@ -1 +1 @@\n-{EVIL}\n+{EVIL}\n");
        rollout.outcome.scores.insert(EVIL.to_owned(), 1.0);
    }
    let mut selection = selected(&rollouts);
    for decision in &mut selection.decisions {
        decision.stage = EVIL.to_owned();
        decision.reason = EVIL.to_owned();
    }
    (rollouts, selection)
}

/// `candidates` of one task, each with so many messages of some size, tokens included.
pub(super) fn large(candidates: usize, messages: usize) -> Vec<Trajectory> {
    let observation: String =
        (0..40).map(|line| format!("src/module_{line}.rs:{line}: let value = {line};\n")).collect();
    let one = |number: usize| {
        let mut rollout = Trajectory::empty(RolloutId::new("large", number), "policy", 1, ExitReason::StepLimit);
        let mut read: Vec<u32> = (0..200).collect();
        for turn in 0..messages / 2 {
            let command = format!("grep -rn value src # {number} {turn}");
            rollout.messages.push(says("I look for the value.", "bash", json!({"command": command})));
            rollout.messages.push(answers("bash", &observation));
            let written: Vec<u32> = (0..40).collect();
            rollout.trace.record(turn, &read, &written, &[-0.5; 40], 2 * turn + 1).unwrap();
            read.extend(written);
            read.extend(0..160);
        }
        rollout.outcome.patch = PATCH.to_owned();
        rollout
    };
    (0..candidates).map(one).collect()
}

pub(super) fn page(rollouts: &[Trajectory], selection: Option<&Selection>) -> String {
    let view = View::new("<b>Title</b>", rollouts).decoder(words);
    let view = if let Some(selection) = selection { view.selection(selection) } else { view };
    view.html().unwrap()
}
