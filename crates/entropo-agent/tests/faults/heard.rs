//! Everything that an observer is told, counted.

use std::collections::HashMap;
use std::sync::Mutex;

use entropo_agent::Observer;
use entropo_agent::observe::Event;
use entropo_core::{ExitReason, Message, RolloutId, Trajectory};

/// What was told of each rollout.
#[derive(Default)]
pub(crate) struct Heard(Mutex<HashMap<RolloutId, Counts>>);

#[derive(Clone, Debug, Default, PartialEq)]
struct Counts {
    turns: usize,
    replies: Vec<String>,
    calls: usize,
    /// Call and content.
    answers: Vec<(String, String)>,
    ends: usize,
}

impl Observer for Heard {
    fn event(&self, rollout: &RolloutId, event: Event<'_>) {
        let mut heard = self.0.lock().unwrap();
        let counts = heard.entry(rollout.clone()).or_default();
        match event {
            Event::TurnStarted { turn } => {
                assert_eq!(turn, counts.replies.len(), "{rollout}: turns come in order");
                counts.turns += 1;
            }
            Event::Replied { message, .. } => counts.replies.push(message.content.clone()),
            Event::CallStarted { .. } => counts.calls += 1,
            Event::CallReturned { result, .. } => {
                counts.answers.push((result.call_id.clone(), result.content.clone()));
            }
            Event::Finished { trajectory } => {
                assert_eq!(&trajectory.id, rollout);
                counts.ends += 1;
            }
            other => panic!("{rollout}: nobody asked for {other:?}"),
        }
    }
}

impl Heard {
    /// Holds what was told against what was kept.
    pub(crate) fn check(&self, trajectory: &Trajectory) {
        let told = self.0.lock().unwrap().get(&trajectory.id).cloned().unwrap_or_default();
        let at = format!("{}, {:?}: {told:?}", trajectory.id, trajectory.exit);
        assert_eq!(told.ends, 1, "{at}");
        assert_eq!(told.replies.len(), trajectory.steps(), "{at}");
        let open = told.turns - told.replies.len();
        // A turn without a reply is the last, and the reason for the end or its victim.
        let may_be_open = matches!(trajectory.exit, ExitReason::ModelError | ExitReason::TimeLimit);
        assert!(open == 0 || (open == 1 && may_be_open), "{at}");
        assert!(open == 1 || trajectory.exit != ExitReason::ModelError, "{at}");

        let kept = trajectory.messages.iter().filter_map(|message| match message {
            Message::Tool(result) => Some((result.call_id.clone(), result.content.clone())),
            _ => None,
        });
        let kept: Vec<_> = kept.collect();
        // Those that were told are the first of those that were kept; the others were answered by the run's end.
        assert!(told.answers.len() <= kept.len() && told.answers.len() <= told.calls, "{at}");
        for (told, kept) in told.answers.iter().zip(&kept) {
            assert!(told.0 == kept.0 && kept.1.starts_with(&told.1), "{told:?} was kept as {kept:?}; {at}");
        }
        let unheard = &kept[told.answers.len()..];
        let ended = matches!(trajectory.exit, ExitReason::Agent | ExitReason::TimeLimit);
        assert!(unheard.is_empty() || ended, "{at}");
        assert!(unheard.iter().all(|(_, content)| content.starts_with("Not carried out")), "{unheard:?}; {at}");
    }
}
