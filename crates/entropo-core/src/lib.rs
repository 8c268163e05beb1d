//! Trajectories, token traces, preferences and statistics: the data that entropo's agents record and its trainer reads.
//!
//! An agent that learns is a loop: it attempts tasks, its attempts are judged, and the judged attempts become training
//! data. This crate is the data of that loop and nothing else. It runs no model, starts no process and opens no
//! connection, so that whoever only records, inspects or exports trajectories depends on nothing heavy.
//!
//! # How the parts fit
//!
//! | Module | What it holds |
//! |---|---|
//! | [`task`] | What an agent is asked to do |
//! | [`message`], [`tool`] | The conversation that people and chat templates read |
//! | [`tokens`] | The same conversation as the model's own tokens, with the actions marked |
//! | [`trajectory`] | Both of them, why the rollout ended and what it achieved |
//! | [`store`] | Trajectories on disk: append-only, whole after any crash |
//! | [`preference`] | From stored trajectories to pairs and labels, every omission counted |
//! | [`format`](mod@format) | Rows of training data as OpenAI, ShareGPT, LLaMA-Factory and TRL write them, and our own; rollouts of other agents; SWE-bench's files |
//! | [`stats`] | pass@k, best@k, confidence intervals, diversity |
//! | `plot` (feature `plots`) | the same as SVG, and with `png` as PNG |
//!
//! Three decisions run through all of them. What the policy sampled is kept token for token, never recovered from text.
//! Which tokens are actions is decided once, when they are recorded, and is data from then on. And a rollout is known by
//! its name, a [`RolloutId`], never by its position in some list.
//!
//! # From rollouts to data and numbers
//!
//! ```
//! use entropo_core::preference::{PreferenceRules, build_pairs};
//! use entropo_core::stats::{count_patches, effective_number, pass_at_k};
//! use entropo_core::{ExitReason, Message, RolloutId, Trajectory, TrajectoryStore};
//!
//! # let folder = tempfile::tempdir()?;
//! let mut store = TrajectoryStore::open(folder.path().join("rollouts.jsonl"))?;
//! for (number, (word, reward)) in [("n - 1", 1.0), ("n + 1", 0.0), ("n - 1", 1.0)].into_iter().enumerate() {
//!     let id = RolloutId::new("off-by-one", number);
//!     if store.contains(&id) {
//!         continue; // done before an interruption
//!     }
//!     let mut rollout = Trajectory::empty(id, "my-model", 0, ExitReason::Agent);
//!     rollout.messages = vec![Message::user("The last item is missing."), Message::assistant(word)];
//!     let sampled: Vec<u32> = word.bytes().map(u32::from).collect();
//!     rollout.trace.record(0, &[1, 2, 3], &sampled, &[], 2)?; // the prompt's ids, then the action's
//!     rollout.outcome.patch = format!("@@ -1 +1 @@\n-n\n+{word}\n");
//!     rollout.outcome.reward = Some(reward);
//!     store.append(&rollout)?;
//! }
//!
//! let data = build_pairs(store.records(), &PreferenceRules::default());
//! assert_eq!(data.pairs.len(), 2);
//! assert!(data.pairs.iter().all(|pair| pair.chosen.is_solved() && !pair.rejected.is_solved()));
//! assert_eq!(data.dropped.to_string(), "nothing dropped");
//!
//! let solved = store.iter().filter(|rollout| rollout.is_solved()).count();
//! assert_eq!(pass_at_k(store.len(), solved, 2)?, 1.0);
//! let fixes = count_patches(store.iter().map(|rollout| rollout.outcome.patch.as_str()));
//! assert!(effective_number(fixes.into_values()) < 2.0); // two kinds, unevenly common
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod condensation;
pub mod format;
pub mod message;
#[cfg(feature = "plots")]
pub mod plot;
pub mod preference;
pub mod stats;
pub mod store;
pub mod task;
pub mod tokens;
pub mod tool;
pub mod trajectory;
pub mod usage;

pub use condensation::{Condensation, CondensationError, Replacement};
pub use message::{AssistantMessage, Message};
pub use preference::{DropReason, DropReport, PreferenceData, PreferencePair, PreferenceRules};
pub use preference::{LabelledData, LabelledTrajectory};
pub use store::{JsonlStore, Recovery, StoreError, TrajectoryStore};
pub use task::Task;
pub use tokens::{ActionSpan, Segment, TokenTrace, TraceError};
pub use tool::{ToolCall, ToolMessage, ToolResult, ToolSpec, ToolStatus};
pub use trajectory::{ExitReason, Outcome, RolloutId, TRAJECTORY_FORMAT, Trajectory};
pub use usage::Usage;
