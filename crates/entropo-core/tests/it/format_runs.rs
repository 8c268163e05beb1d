//! Rollouts of other agents, as their files have them.

use entropo_core::format::export::Loss;
use entropo_core::format::r2e::R2eRun;
use entropo_core::format::{
    Carried, Format, Items, Record, RowError, dialogue_of_trajectory, dialogues_of_pair, export, mini_swe_agent, parse,
    swe_agent,
};
use entropo_core::{ExitReason, Message, RolloutId, ToolSpec, Trajectory};
use serde_json::{Value, json};

use crate::fixture::{self, rows, value, with};

fn id() -> RolloutId {
    RolloutId::new("stats", 3)
}

fn roles(trajectory: &Trajectory) -> Vec<&'static str> {
    trajectory.messages.iter().map(Message::role).collect()
}

/// The names and arguments of all calls.
fn calls(trajectory: &Trajectory) -> Vec<(String, Value)> {
    let said = trajectory.messages.iter().filter_map(Message::as_assistant);
    said.flat_map(|said| &said.tool_calls).map(|call| (call.name.clone(), call.arguments.clone())).collect()
}

fn r2e() -> Vec<R2eRun> {
    let text = fixture::text("foreign/r2e.jsonl");
    Items::new(text.as_bytes(), R2eRun::read).collect::<Result<_, _>>().unwrap()
}

#[test]
fn runs_of_r2e_gym_become_trajectories() {
    let runs = r2e();
    let Carried { value: first, lost } = runs[0].to_trajectory(4).unwrap();
    assert!(lost.is_empty(), "{lost:?}");
    assert_eq!(first.id, RolloutId::new("lab/stats:3f1c", 4));
    assert_eq!((first.model.as_str(), first.exit), ("openai/tiny-coder", ExitReason::Agent));
    let expected =
        ["system", "user", "assistant", "tool", "assistant", "user", "assistant", "tool", "assistant", "tool"];
    assert_eq!(roles(&first), expected);
    assert_eq!(first.messages[1].content(), "`median([])` raises IndexError. It should return None.");
    let calls = calls(&first);
    assert_eq!(calls[0], ("file_editor".to_owned(), json!({"command": "view", "path": "/testbed/stats.py"})));
    assert_eq!(calls[1].1["new_str"], "if not xs:\n        return None\n    return sorted(xs)");
    assert_eq!(calls[2], ("finish".to_owned(), json!({"command": "submit"})));
    assert!(first.is_solved() && first.outcome.patch.starts_with("diff --git"));
    assert_eq!(first.outcome.scores, [("reproduction".to_owned(), 2.0), ("verifier".to_owned(), 0.875)].into());
    let usage = first.usage;
    assert_eq!((usage.model_calls, usage.tool_calls, usage.prompt_tokens, usage.completion_tokens), (4, 3, 4010, 165));

    let Carried { value: second, lost } = runs[1].to_trajectory(0).unwrap();
    assert_eq!(lost, [Loss::Scores].into(), "the regression tests' log is not read here");
    assert_eq!((second.id.task.as_str(), second.exit), ("stats__stats-7", ExitReason::StepLimit));
    assert_eq!((second.usage.prompt_tokens, second.outcome.reward), (0, Some(0.0)));
}

#[test]
fn a_run_of_r2e_gym_is_written_as_it_was_read() {
    for (run, row) in r2e().iter().zip(rows("foreign/r2e.jsonl")) {
        assert_eq!(serde_json::to_value(run).unwrap(), row);
        let trajectory = run.to_trajectory(0).unwrap().value;
        let written = R2eRun::of_trajectory(&trajectory).unwrap();
        for (old, new) in run.trajectory_steps.iter().zip(&written.value.trajectory_steps) {
            assert_eq!((&old.thought, &old.action), (&new.thought, &new.action));
            assert_eq!((&old.observation, old.done), (&new.observation, new.done));
        }
        assert!(written.lost.is_subset(&[Loss::Usage].into()), "{:?}", written.lost);
    }
}

#[test]
fn steps_of_swe_agent_become_messages() {
    let Carried { value: read, lost } = swe_agent::read(&value("foreign/swe_agent.traj"), id()).unwrap();
    assert!(lost.is_empty());
    assert_eq!(roles(&read), ["system", "user", "assistant", "tool", "assistant", "tool"]);
    assert_eq!(calls(&read), [("bash".into(), json!({"command": "cat stats.py"})), ("submit".into(), json!({}))]);
    assert!(matches!(&read.messages[3], Message::Tool(tool) if tool.call_id == "call_a" && tool.name == "bash"));
    assert_eq!((read.model.as_str(), read.exit, read.id), ("openai/tiny-coder", ExitReason::Agent, id()));
    assert_eq!(
        (read.usage.model_calls, read.usage.prompt_tokens, read.usage.cost_nano_usd),
        (2, 2100, Some(12_500_000))
    );
    assert!(read.outcome.patch.starts_with("diff") && read.outcome.reward.is_none());

    let old = swe_agent::read(&value("foreign/swe_agent_text.traj"), id()).unwrap().value;
    assert_eq!(roles(&old), ["system", "user", "user", "assistant", "user"]);
    assert_eq!(old.messages[3].content(), "Let us see.\n```\nls\n```");
    assert_eq!((old.exit, old.outcome.patch.as_str()), (ExitReason::CostLimit, "diff"), "saved, not submitted");
}

#[test]
fn messages_of_mini_swe_agent_are_read_in_both_versions() {
    let first = mini_swe_agent::read(&value("foreign/mini_1.traj.json"), id()).unwrap();
    assert!(first.lost.is_empty());
    assert_eq!(roles(&first.value), ["system", "user", "assistant", "user", "assistant"], "the patch is no message");
    assert_eq!((first.value.exit, first.value.model.as_str()), (ExitReason::Agent, "tiny-coder"));
    assert_eq!((first.value.usage.model_calls, first.value.usage.prompt_tokens), (2, 120));

    let file = value("foreign/mini_2.traj.json");
    assert_eq!(mini_swe_agent::task(&file), Some("stats__stats-7"));
    let second = mini_swe_agent::read(&file, id()).unwrap();
    assert_eq!(second.lost, [Loss::Reasoning].into());
    assert_eq!(roles(&second.value), ["system", "user", "assistant", "tool", "tool"]);
    assert_eq!(calls(&second.value)[1], ("bash".to_owned(), json!({"command": "cat stats.py"})));
    assert_eq!(second.value.exit, ExitReason::StepLimit, "one call was allowed, one was made");
    assert_eq!(second.value.usage.completion_tokens, 40);

    let third = mini_swe_agent::read(&value("foreign/mini_2_responses.traj.json"), id()).unwrap();
    assert_eq!(third.lost, [Loss::Reasoning].into());
    assert_eq!(roles(&third.value), ["system", "user", "assistant", "tool", "user"]);
    assert_eq!((third.value.messages[2].content(), calls(&third.value).len()), ("I look.", 1));
    assert_eq!((third.value.exit, third.value.error.as_deref()), (ExitReason::Panic, Some("'x'")));
    assert_eq!(third.value.usage.prompt_tokens, 33);

    let list = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]);
    let bare = mini_swe_agent::read(&list, id()).unwrap().value;
    assert_eq!((bare.exit, bare.messages.len()), (ExitReason::Cancelled, 2), "nobody knows how it ended");
}

#[test]
fn errors_say_where() {
    let (run, traj, mini) =
        (&rows("foreign/r2e.jsonl")[0], value("foreign/swe_agent.traj"), value("foreign/mini_2.traj.json"));
    let r2e = |pointer, other| R2eRun::read(&with(run, pointer, other)).unwrap_err().to_string();
    assert_eq!(
        r2e("/trajectory_steps/1/observation", Some(json!(7))),
        "trajectory_steps[1].observation does not fit: invalid type: integer `7`, expected a string"
    );
    assert_eq!(r2e("/output_patch", None), "the row does not fit: missing field `output_patch`");
    let unknown = R2eRun { exit_reason: "bored".into(), ..R2eRun::default() }.to_trajectory(0).unwrap_err();
    assert!(unknown.to_string().starts_with("exit_reason is \"bored\"; expected is agent,"));

    let swe = |pointer, other| swe_agent::read(&with(&traj, pointer, other), id()).unwrap_err();
    assert_eq!(
        swe("/history/3/tool_call_ids/0", Some(json!("x"))).to_string().split(',').next().unwrap(),
        "history[3] answers the call \"x\""
    );
    assert_eq!(swe("/history/2/is_demo", Some(json!(true))).reason(), "value");
    assert!(swe("/info/exit_status", Some(json!("left"))).to_string().starts_with("info.exit_status is \"left\""));
    assert_eq!(swe("/replay_config", Some(json!("{"))).reason(), "json");
    assert!(
        swe("/info/model_stats/api_calls", Some(json!(-1))).to_string().contains("info.model_stats.api_calls is -1")
    );
    assert_eq!(swe("/history", None), RowError::Missing { at: "the row".into(), key: "history" });

    let mini = |pointer, other| mini_swe_agent::read(&with(&mini, pointer, other), id()).unwrap_err().to_string();
    assert!(mini("/messages/3/role", Some(json!("robot"))).starts_with("messages[3].role is \"robot\""));
    assert!(
        mini("/messages/2/tool_calls/1/function/arguments", Some(json!("{"))).starts_with("messages[2].tool_calls[1]")
    );
    assert!(mini("/trajectory_format", Some(json!("mini-swe-agent-9"))).contains("mini-swe-agent-9"));
}

#[test]
fn a_failure_of_version_1_leaves_words_where_a_patch_would_be() {
    let file = with(&value("foreign/mini_1.traj.json"), "/info/exit_status", Some(json!("DockerError")));
    let file = with(&file, "/info/submission", Some(json!("no daemon")));
    let read = mini_swe_agent::read(&file, id()).unwrap().value;
    assert_eq!((read.exit, read.error.as_deref()), (ExitReason::Panic, Some("no daemon")));
    assert_eq!(read.outcome.patch, "");
    assert_eq!(read.messages.len(), 6, "the last message is an answer now");
}

#[test]
fn a_closing_message_is_known_by_its_role_too() {
    let file = with(&value("foreign/mini_2.traj.json"), "/messages/5/extra", None);
    assert_eq!(mini_swe_agent::read(&file, id()).unwrap().value.messages.len(), 5);
}

#[test]
fn turns_may_count_their_calls_anew() {
    let file = value("foreign/swe_agent.traj").to_string().replace("call_b", "call_a");
    let read = swe_agent::read(&serde_json::from_str(&file).unwrap(), id()).unwrap().value;
    assert!(matches!(&read.messages[5], Message::Tool(tool) if tool.name == "submit"));
    let again = swe_agent::read(&swe_agent::write(&read).unwrap().value, id()).unwrap().value;
    assert_eq!(again, read);
}

#[test]
fn a_run_without_an_end_was_interrupted() {
    let file = value("foreign/swe_agent.traj");
    for file in [with(&file, "/info/exit_status", Some(Value::Null)), with(&file, "/info", None)] {
        assert_eq!(swe_agent::read(&file, id()).unwrap().value.exit, ExitReason::Cancelled);
    }
    let file = with(&value("foreign/mini_2.traj.json"), "/info/exit_status", Some(json!("")));
    assert_eq!(mini_swe_agent::read(&file, id()).unwrap().value.exit, ExitReason::Cancelled);
}

#[test]
fn rollouts_of_other_agents_become_rows_of_text() {
    let mut solved = swe_agent::read(&value("foreign/swe_agent.traj"), id()).unwrap().value;
    assert_eq!(dialogue_of_trajectory(&solved, &[]).unwrap_err().reason(), "unjudged");
    solved.outcome.reward = Some(1.0);
    let mut failed = solved.clone();
    (failed.outcome.reward, failed.id.rollout) = (Some(0.0), 4);
    assert_eq!(dialogues_of_pair(&solved, &failed, &[]).unwrap_err().reason(), "equal_sides");
    failed.messages.truncate(4);
    let tool = ToolSpec { name: "bash".into(), description: "Run.".into(), parameters: json!({"type": "object"}) };

    let labelled = dialogue_of_trajectory(&solved, std::slice::from_ref(&tool)).unwrap();
    assert_eq!((labelled.id.as_deref(), labelled.group.as_deref()), (Some("stats#3"), Some("stats")));
    assert!(matches!(labelled.record, Record::Labelled { desirable: true, .. }));
    let written = export::trl(&labelled).unwrap();
    assert_eq!(parse(&written, Format::Auto).unwrap(), labelled);

    let pair = dialogues_of_pair(&solved, &failed, &[tool]).unwrap();
    for written in [export::trl(&pair), export::messages(&pair)] {
        assert_eq!(parse(&written.unwrap(), Format::Auto).unwrap(), pair);
    }
    failed.exit = ExitReason::CostLimit;
    assert_eq!(dialogues_of_pair(&solved, &failed, &[]).unwrap_err().reason(), "unfinished");
}
