//! What makes a trajectory one that can be stored, replayed and trained on.

use entropo_core::{ExitReason, Message, Trajectory};

/// Holds a trajectory against all that is promised of one.
pub(crate) fn check(trajectory: &Trajectory) {
    let at = format!("{}, {:?}, {:?}", trajectory.id, trajectory.exit, trajectory.error);
    every_call_is_answered_in_order(trajectory, &at);

    let (steps, usage) = (trajectory.steps(), &trajectory.usage);
    assert_eq!(usage.model_calls, steps, "{at}");
    let answers = trajectory.messages.iter().filter(|message| matches!(message, Message::Tool(_))).count();
    assert!(usage.tool_calls <= answers && usage.bad_calls <= answers + steps, "{at}");

    let broken = matches!(trajectory.exit, ExitReason::ModelError | ExitReason::Context);
    assert_eq!(trajectory.error.is_some(), broken, "{at}");
    let expected =
        [ExitReason::Agent, ExitReason::ModelError, ExitReason::FormatErrors, ExitReason::TimeLimit, ExitReason::Stuck];
    assert!(expected.contains(&trajectory.exit), "{at}");
    assert_eq!(trajectory.outcome.patch, format!("{:?}", trajectory.exit), "its place was closed with its exit; {at}");
    if trajectory.exit == ExitReason::Agent {
        assert!(matches!(trajectory.messages.last(), Some(Message::Tool(result)) if result.content == "Finished."));
    }

    let stored = serde_json::to_string(trajectory).unwrap();
    assert_eq!(&serde_json::from_str::<Trajectory>(&stored).unwrap(), trajectory, "{at}");
}

fn every_call_is_answered_in_order(trajectory: &Trajectory, at: &str) {
    let [Message::System { .. }, Message::User { content }, rest @ ..] = trajectory.messages.as_slice() else {
        panic!("{at} does not begin as it was begun");
    };
    assert_eq!(content, &trajectory.id.task);
    let (mut rest, mut turn) = (rest, 0);
    while let Some((first, after)) = rest.split_first() {
        let Message::Assistant(said) = first else { panic!("{at}: nobody asked for {first:?}") };
        rest = after;
        for (index, call) in said.tool_calls.iter().enumerate() {
            assert_eq!(call.id, format!("call_{turn}_{index}"), "{at}");
            let Some((Message::Tool(answer), after)) = rest.split_first() else {
                panic!("{at}: {call:?} has no answer")
            };
            assert_eq!((&answer.call_id, &answer.name), (&call.id, &call.name), "{at}");
            rest = after;
        }
        if said.tool_calls.is_empty() {
            match rest.split_first() {
                Some((Message::User { .. }, after)) => rest = after,
                None => assert_eq!(trajectory.exit, ExitReason::FormatErrors, "{at}"),
                Some((other, _)) => panic!("{at}: {other:?} is no complaint"),
            }
        }
        turn += 1;
    }
}
