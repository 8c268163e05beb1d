//! Made-up results in the shape of real ones, for tests and for looking at the page.

use std::collections::BTreeMap;

use entropo::agent::Selector;
use entropo::core::stats::Interval;
use entropo::core::{
    AssistantMessage, ExitReason, Message, Outcome, RolloutId, ToolCall, ToolMessage, Trajectory, Usage,
};
use serde_json::{Value, json};

use super::{CurvePoint, Phase, ShownTask, TrainingCurve};
use crate::results::{Arm, Difference, Preferences, Results};

const ROLLOUTS: usize = 16;

fn around(mean: f64, half: f64) -> Interval {
    Interval { mean, low: mean - half, high: mean + half }
}

/// `single` at k = 1, close to `all` at k = 16.
fn growing(single: f64, all: f64) -> Vec<f64> {
    (1..=ROLLOUTS).map(|k| single + (all - single) * ((k as f64).log2() / 4.0).powf(0.85)).collect()
}

fn arm(name: &str, training: &str, shares: [f64; 6], patches: f64) -> Arm {
    let [single, all, best, visible, finished, bad] = shares;
    let metrics = [
        ("pass@1", around(single, 0.0595)),
        ("pass@N", around(all, 0.094)),
        ("best@N", around(best, 0.102)),
        ("visible", around(visible, 0.051)),
        ("finished", around(finished, 0.021)),
        ("bad_calls", around(bad, 0.012)),
        ("patches", around(patches, 0.38)),
    ];
    Arm {
        name: name.to_owned(),
        training: training.to_owned(),
        metrics: metrics.into_iter().map(|(name, interval)| (name.to_owned(), interval)).collect(),
        pass_at: growing(single, all),
        best_at: growing(single, best),
    }
}

/// Four policies; some differences are resolved.
pub(super) fn results() -> Results {
    let difference = |arm: &str, control: &str, metric: &str, mean: f64, half: f64| Difference {
        arm: arm.to_owned(),
        control: control.to_owned(),
        metric: metric.to_owned(),
        interval: around(mean, half),
    };
    Results {
        seed: 7,
        evaluation_tasks: 60,
        rollouts: ROLLOUTS,
        preferences: Preferences {
            tasks: 240,
            rollouts: 1920,
            pairs: 311,
            dropped: BTreeMap::from([
                ("not finished by the agent".to_owned(), 58),
                ("of tasks always or never solved".to_owned(), 912),
                ("with equal actions".to_owned(), 17),
            ]),
            reference_gap_sd: 8.314,
        },
        arms: vec![
            arm("Start", "imitation of the teacher", [0.4005, 0.783, 0.512, 0.742, 0.962, 0.031], 3.42),
            arm("DPO", "β 0.1, 2 epochs, learning rate 1e-4", [0.4471, 0.767, 0.538, 0.771, 0.958, 0.044], 2.87),
            arm(
                "EntroPO",
                "α 0.11, β 0.1, 2 epochs, learning rate 1e-4",
                [0.4523, 0.801, 0.545, 0.779, 0.955, 0.041],
                3.31,
            ),
            arm("KTO", "β 0.1, 2 epochs, learning rate 1e-4", [0.4232, 0.776, 0.519, 0.756, 0.949, 0.052], 3.12),
        ],
        differences: vec![
            difference("DPO", "Start", "pass@1", 0.0466, 0.031),
            difference("EntroPO", "Start", "pass@1", 0.0518, 0.033),
            difference("EntroPO", "DPO", "pass@1", 0.0052, 0.024),
            difference("DPO", "Start", "pass@N", -0.016, 0.067),
            difference("EntroPO", "Start", "pass@N", 0.018, 0.062),
            difference("EntroPO", "DPO", "pass@N", 0.034, 0.058),
            difference("EntroPO", "DPO", "best@N", 0.007, 0.071),
            difference("DPO", "Start", "patches", -0.55, 0.24),
            difference("EntroPO", "DPO", "patches", 0.44, 0.27),
        ],
    }
}

/// Three runs of 78 steps.
pub(super) fn curves() -> Vec<TrainingCurve> {
    let wave = |step: usize, salt: usize| ((step * 37 + salt * 53) % 23) as f64 / 23.0 - 0.5;
    let curve = |arm: &str, salt: usize, entropo: bool| {
        let point = |step: usize| {
            let time = step as f64 / 78.0;
            CurvePoint {
                step,
                loss: 0.69 - 0.42 * time + 0.08 * wave(step, salt) + 0.05 * salt as f64,
                grad_norm: 6.0 - 3.0 * time + 2.0 * wave(step, salt + 1),
                accuracy: Some((0.5 + 0.35 * time.sqrt() + 0.15 * wave(step, salt + 2)).clamp(0.0, 1.0)),
                margin: Some(1.4 * time + 0.2 * wave(step, salt + 3)),
                offset_mean: entropo.then(|| 0.04 * wave(step, salt + 4)),
                effective_count: Some(15.5 - 3.0 * time + wave(step, salt + 5)),
            }
        };
        TrainingCurve { arm: arm.to_owned(), records: (1..=78).map(point).collect() }
    };
    vec![curve("DPO", 0, false), curve("EntroPO", 1, true), curve("KTO", 2, false)]
}

const ISSUE: &str =
    "total_price in lib/price.sh rounds the wrong way: `total_price 7 50` should print 4, but prints 3.";
const FILE: &str = "     1\t# prices in cents\n     2\ttotal_price() {\n     3\t  qty=$1\n     4\t  unit=${2:-100}\n     5\t  \
                    echo $(( qty * unit / 100 ))\n     6\t}\n";

fn call(text: &str, name: &str, arguments: Value) -> Message {
    let call = ToolCall { id: String::new(), name: name.to_owned(), arguments };
    Message::Assistant(AssistantMessage { content: text.to_owned(), tool_calls: vec![call], raw: None })
}

fn tool(name: &str, content: &str) -> Message {
    Message::Tool(ToolMessage { call_id: String::new(), name: name.to_owned(), content: content.to_owned() })
}

/// One attempt that replaces `qty * unit / 100` by `new`.
fn rollout(number: usize, new: &str, visible: bool, reward: f64, finished: bool) -> Trajectory {
    let exit = if finished { ExitReason::Agent } else { ExitReason::StepLimit };
    let mut rollout = Trajectory::empty(RolloutId::new("rounding-4711", number), "EntroPO", 90 + number as u64, exit);
    let old = "qty * unit / 100";
    let tests = if visible {
        "ok 1 - total_price 7 50\nok 2 - total_price 2 50\nall passed\n"
    } else {
        "not ok 1 - total_price 7 50: got 3, want 4\nok 2 - total_price 2 50\n1 failed\n"
    };
    let edit = json!({"command": "str_replace", "path": "lib/price.sh", "old_str": old, "new_str": new});
    rollout.messages = vec![
        Message::system("You repair sh code. Find the bug, edit it, run `sh test.sh`, then finish."),
        Message::user(ISSUE),
        call("Find it first.", "search", json!({"query": "^total_price"})),
        tool("search", "lib/price.sh:2:total_price() {"),
        call("", "editor", json!({"command": "view", "path": "lib/price.sh"})),
        tool("editor", FILE),
        call("This line is wrong.", "editor", edit),
        tool("editor", "Edited lib/price.sh."),
        call("Run the tests.", "shell", json!({"command": "sh test.sh"})),
        tool("shell", tests),
    ];
    if finished {
        rollout.messages.extend([call("Done.", "finish", json!({})), tool("finish", "")]);
    }
    rollout.usage = Usage {
        model_calls: 5,
        prompt_tokens: 1310,
        completion_tokens: 148 + number,
        tool_calls: 5,
        ..Usage::default()
    };
    rollout.outcome = Outcome {
        patch: format!(
            "diff --git a/lib/price.sh b/lib/price.sh\nindex 3f1c9d2..8a7be10 100644\n--- a/lib/price.sh\n\
             +++ b/lib/price.sh\n@@ -2,5 +2,5 @@\n total_price() {{\n   qty=$1\n   unit=${{2:-100}}\n-  echo $(( {old} \
             ))\n+  echo $(( {new} ))\n }}\n"
        ),
        reward: Some(reward),
        scores: BTreeMap::from([("regression".to_owned(), 1.0), ("reproduction".to_owned(), f64::from(visible))]),
    };
    rollout
}

fn shown(arm: &str, trajectories: Vec<Trajectory>) -> ShownTask {
    let selection = Selector::hybrid().select(&trajectories.iter().collect::<Vec<_>>()).unwrap();
    ShownTask { arm: arm.to_owned(), issue: ISSUE.to_owned(), trajectories, selection }
}

/// Two arms on one task.
pub(super) fn tasks() -> Vec<ShownTask> {
    vec![
        shown(
            "EntroPO",
            vec![
                rollout(0, "qty * unit / 10", false, 0.0, true),
                rollout(1, "(qty * unit + 99) / 100", true, 0.0, true),
                rollout(2, "(qty * unit + 50) / 100", true, 1.0, true),
                rollout(3, "qty * unit", false, 0.0, false),
            ],
        ),
        shown("Start", vec![rollout(0, "qty * unit / 10", false, 0.0, true)]),
    ]
}

/// Where eight minutes went.
pub(super) fn phases() -> Vec<Phase> {
    let phase = |name: &str, seconds, note: &str| Phase { name: name.to_owned(), seconds, note: note.to_owned() };
    vec![
        phase("collecting rollouts", 141.3, "1920 rollouts of 240 tasks"),
        phase("reference log-probabilities", 9.7, "311 pairs"),
        phase("training", 118.0, "3 arms, 78 steps each"),
        phase("evaluation", 203.9, "4 arms, 60 tasks, 16 rollouts each"),
        phase("report", 0.4, "this page"),
    ]
}
