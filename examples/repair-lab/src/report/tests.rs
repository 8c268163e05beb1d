//! The page as a whole.

use std::path::Path;

use entropo::agent::Selection;
use entropo::core::{Message, ToolMessage};

use super::*;
use crate::results::{Arm, Preferences};

const HOSTILE: &str = "</script></style><img src=x onerror=alert(1)>&\"'{{ 7 * 7 }}";

fn sample_page() -> String {
    let (results, curves, tasks, phases) = (sample::results(), sample::curves(), sample::tasks(), sample::phases());
    page::render(&Report { results: &results, curves: &curves, tasks: &tasks, phases: &phases }).unwrap()
}

fn count(page: &str, part: &str) -> usize {
    page.matches(part).count()
}

#[test]
fn hostile_text_is_only_text_wherever_it_stands() {
    let mut results = sample::results();
    let mut tasks = sample::tasks();
    let mut curves = sample::curves();
    let hostile = || HOSTILE.to_owned();
    for arm in &mut results.arms {
        arm.name = hostile();
        arm.training = hostile();
        let interval = arm.metrics["pass@1"];
        arm.metrics.insert(hostile(), interval);
    }
    for difference in &mut results.differences {
        (difference.arm, difference.control, difference.metric) = (hostile(), hostile(), hostile());
    }
    results.preferences.dropped.insert(hostile(), 1);
    curves[0].arm = hostile();
    let task = &mut tasks[0];
    (task.arm, task.issue) = (hostile(), hostile());
    for decision in &mut task.selection.decisions {
        (decision.stage, decision.reason) = (hostile(), hostile());
    }
    for rollout in &mut task.trajectories {
        rollout.error = Some(hostile());
        rollout.outcome.patch = format!("{HOSTILE}\n@@ {HOSTILE}\n+{HOSTILE}\n-{HOSTILE}\n {HOSTILE}\n");
        rollout.outcome.scores.insert(hostile(), 1.0);
        for message in &mut rollout.messages {
            match message {
                Message::System { content } | Message::User { content } => *content = hostile(),
                Message::Tool(ToolMessage { name, content, .. }) => (*name, *content) = (hostile(), hostile()),
                Message::Assistant(message) => {
                    message.content = hostile();
                    for call in &mut message.tool_calls {
                        call.name = hostile();
                        call.arguments = serde_json::json!({ HOSTILE: HOSTILE });
                    }
                }
            }
        }
    }
    let phases = [Phase { name: hostile(), seconds: 1.0, note: hostile() }];
    let page = page::render(&Report { results: &results, curves: &curves, tasks: &tasks, phases: &phases }).unwrap();
    assert!(!page.contains("<img"), "an element got through");
    assert_eq!((count(&page, "<script"), count(&page, "</script")), (1, 1));
    assert_eq!((count(&page, "<style"), count(&page, "</style")), (1, 1));
    assert!(count(&page, "&lt;img src=x onerror=alert(1)&gt;&amp;&quot;&#x27;{{ 7 * 7 }}") > 100);
}

#[test]
fn nothing_is_loaded_from_anywhere() {
    let page = sample_page();
    for part in ["http://", "https://", "src=", "@import", "url("] {
        let found = page.replace("http://www.w3.org/2000/svg", "").matches(part).count();
        assert_eq!(found, 0, "{part}");
    }
}

#[test]
fn ids_are_unique_and_links_lead_somewhere() {
    let page = sample_page();
    let quoted = |start: &str| {
        let parts = page.split(start).skip(1);
        parts.filter_map(|part| Some(part.split_once('"')?.0.to_owned())).collect::<Vec<_>>()
    };
    let ids = quoted(" id=\"");
    let unique: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len());
    let links = quoted("href=\"#");
    assert!(links.len() > 10);
    assert!(links.iter().all(|link| ids.contains(link)), "{links:?} {ids:?}");
}

#[test]
fn numbers_reasons_and_patches_are_shown() {
    let page = sample_page();
    for part in [
        "34.1 to 46.0",
        "of tasks always or never solved",
        "best regression",
        "class=\"added\">+  echo $(( (qty * unit + 50) &#x2f; 100 ))",
        "not ok 1 - total_price 7 50: got 3, want 4",
        "7 min 53 s",
        "Of 9 differences between policies, 4 are resolved",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(count(&page, " data-shown>"), 2, "one for each task");
}

#[test]
fn a_single_arm_without_curves_tasks_and_phases_is_a_page() {
    let mut results = sample::results();
    results.arms.truncate(1);
    results.differences.clear();
    results.preferences = Preferences::default();
    let page = page::render(&Report { results: &results, curves: &[], tasks: &[], phases: &[] }).unwrap();
    assert!(page.contains("nothing is said about their order"));
    assert!(page.contains("Nothing was left out."));
    for absent in ["id=\"differences\"", "id=\"training\"", "id=\"trajectories\"", "id=\"time\"", "#training"] {
        assert!(!page.contains(absent), "{absent}");
    }
}

#[test]
fn empty_and_odd_input_is_a_page() {
    let mut results = sample::results();
    let odd = Arm { pass_at: vec![f64::NAN, 0.5], best_at: Vec::new(), ..results.arms[0].clone() };
    (results.arms, results.rollouts) = (vec![odd], 0);
    let curves = [TrainingCurve { arm: "unknown".to_owned(), records: Vec::new() }];
    let mut task = sample::tasks().remove(0);
    task.trajectories.truncate(1);
    task.trajectories[0].messages.clear();
    task.trajectories[0].outcome = Default::default();
    let nothing = ShownTask { trajectories: Vec::new(), selection: Selection::default(), ..task.clone() };
    let report = Report { results: &results, curves: &curves, tasks: &[task, nothing], phases: &[] };
    let page = page::render(&report).unwrap();
    for part in ["It never acted.", "It changed nothing.", "There are no rollouts to show.", "unjudged"] {
        assert!(page.contains(part), "{part}");
    }
    results.arms.clear();
    page::render(&Report { results: &results, curves: &[], tasks: &[], phases: &[] }).unwrap();
}

#[test]
fn the_same_report_is_the_same_page() {
    assert_eq!(sample_page(), sample_page());
}

#[test]
fn it_is_written_or_the_path_is_told() {
    let (results, folder) = (sample::results(), tempfile::tempdir().unwrap());
    let report = Report { results: &results, curves: &[], tasks: &[], phases: &[] };
    let path = folder.path().join("report.html");
    write(&report, &path).unwrap();
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("<!DOCTYPE html>"));
    let error = write(&report, Path::new("/nowhere/at/all.html")).unwrap_err().to_string();
    assert!(error.starts_with("cannot write the report to /nowhere/at/all.html: "), "{error}");
}
