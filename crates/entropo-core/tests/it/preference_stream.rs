//! Pairs out of a file, one task at a time.

use std::io::Cursor;

use entropo_core::preference::{StreamError, TrajectoryIndex, build_pairs};
use entropo_core::{ExitReason, PreferenceRules, Trajectory};
use proptest::prelude::*;

use crate::make::rollout;

fn file(trajectories: &[Trajectory]) -> String {
    trajectories.iter().map(|one| serde_json::to_string(one).unwrap() + "\n").collect()
}

fn index(text: &str) -> Result<TrajectoryIndex<Cursor<&str>>, StreamError> {
    TrajectoryIndex::new(Cursor::new(text))
}

proptest! {
    #[test]
    fn a_streamed_file_gives_the_pairs_of_the_whole(
        rollouts in prop::collection::vec((0_usize..4, 0.0_f64..1.5, any::<bool>(), 0_u32..3), 0..24),
        (cap, seed) in (0_usize..5, any::<u64>()),
    ) {
        let stored: Vec<Trajectory> = rollouts.into_iter().enumerate().map(|(number, (task, reward, finished, action))| {
            let mut one = rollout(&format!("task {task}"), 100 - number, &[1, 2], &[action, number as u32 % 2], reward);
            one.exit = if finished { ExitReason::Agent } else { ExitReason::Context };
            one
        }).collect();
        let rules = PreferenceRules::default().with_pairs_per_task(cap).with_seed(seed);
        let whole = build_pairs(&stored, &rules);
        let expected: Vec<_> = whole.pairs.iter().map(|pair| (pair.chosen.clone(), pair.rejected.clone())).collect();

        let text = file(&stored);
        let mut streamed = index(&text).unwrap();
        prop_assert_eq!(streamed.len(), stored.len());
        let mut pairs = Vec::new();
        let dropped = streamed.pairs(&rules, |pair| {
            pairs.push((pair.chosen.clone(), pair.rejected.clone()));
            Ok::<_, StreamError>(())
        }).unwrap();
        prop_assert_eq!(pairs, expected);
        prop_assert_eq!(dropped, whole.dropped);
    }
}

#[test]
fn a_torn_last_line_is_left_out() {
    let stored = [rollout("a", 0, &[1], &[2], 1.0), rollout("é", 1, &[1], &[3], 0.0)];
    let text = file(&stored);
    let first = text.find('\n').unwrap() + 1;
    for cut in (first..text.len() - 1).filter(|cut| text.is_char_boundary(*cut)) {
        let mut torn = index(&text[..cut]).unwrap();
        assert_eq!((torn.len(), torn.torn_bytes()), (1, (cut - first) as u64), "{}", &text[first..cut]);
        assert_eq!(torn.load("a").unwrap(), stored[..1]);
        assert!(torn.load("é").unwrap().is_empty());
    }
    let mut whole = index(text.trim_end()).unwrap();
    assert_eq!(whole.tasks().collect::<Vec<_>>(), ["a", "é"]);
    assert_eq!(whole.load("é").unwrap(), stored[1..]);
}

#[test]
fn lines_that_do_not_belong_are_named() {
    let good = file(&[rollout("a", 0, &[1], &[2], 1.0)]);
    let refused = |second: &str| index(&format!("{good}\n{second}\n{good}")).unwrap_err();
    assert!(matches!(refused("nonsense"), StreamError::Malformed { line: 3, .. }));
    assert!(matches!(refused("{\"format\":\"entropo-trajectory/1\"}"), StreamError::Malformed { line: 3, .. }));
    assert!(matches!(refused("{\"format\":\"entropo-trajectory/2\"}"), StreamError::Format { line: 3 }));
    let StreamError::Duplicate { line: 4, first: 1, id } = refused("") else { panic!() };
    assert_eq!(id.to_string(), "a#0");

    let broken = good.replace("\"end\":2", "\"end\":9");
    let mut broken = index(&broken).unwrap();
    assert!(matches!(broken.load("a"), Err(StreamError::Trace { line: 1, .. })));
    let mut partial = index("{\"format\":\"entropo-trajectory/1\",\"id\":{\"task\":\"a\",\"rollout\":0}}").unwrap();
    assert!(matches!(partial.load("a"), Err(StreamError::Malformed { line: 1, .. })));
}

#[test]
fn a_refusal_by_the_caller_stops_the_stream() {
    #[derive(Debug, PartialEq)]
    struct Full;
    impl From<StreamError> for Full {
        fn from(error: StreamError) -> Self {
            panic!("{error}")
        }
    }
    let text =
        file(&[rollout("a", 0, &[1], &[2], 1.0), rollout("a", 1, &[1], &[3], 0.0), rollout("a", 2, &[1], &[4], 0.0)]);
    let mut seen = 0;
    let result = index(&text).unwrap().pairs(&PreferenceRules::default(), |_| {
        seen += 1;
        Err::<(), Full>(Full)
    });
    assert_eq!((result.unwrap_err(), seen), (Full, 1));
}
