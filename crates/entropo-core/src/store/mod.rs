//! Append-only files of records, one JSON value a line (JSON Lines), that survive a crash at any moment.
//!
//! A long job is resumable when every finished item is on disk under its name. [`JsonlStore`] therefore does one thing:
//! it adds whole lines at the end and reports success only once the disk has them. A process that dies while it writes
//! leaves at most one line without its newline; the next [`open`](JsonlStore::open) cuts that torn line off and says so
//! in a [`Recovery`]. Nothing else is ever repaired: a complete line that cannot be read is somebody's data, and an
//! error names its file and line. Nothing is changed on disk before the whole file has been read and found good.
//!
//! A record is written only if it can be read back, so that no append can make its file unreadable (JSON has no
//! infinity, for example, and readers limit nesting).
//!
//! What no longer holds can be taken away: [`retain`](JsonlStore::retain) puts a new file in the old one's place.
//!
//! One process holds a store at a time, through an advisory lock on the file that ends with the process. All records
//! stay in memory.
//!
//! [`TrajectoryStore`] adds what is particular to trajectories: their format version, their names, valid token traces.
//!
//! ```
//! use entropo_core::{ExitReason, RolloutId, Trajectory, TrajectoryStore};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("rollouts.jsonl");
//! let id = RolloutId::new("fix-the-clock", 0);
//! let mut store = TrajectoryStore::open(&path)?;
//! store.append(&Trajectory::empty(id.clone(), "my-model", 7, ExitReason::Cancelled))?;
//! drop(store); // or a crash
//!
//! let store = TrajectoryStore::open(&path)?;
//! assert!(store.contains(&id)); // no need to run it again
//! assert_eq!(store.recovery().torn_bytes, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod jsonl;
mod lock;
mod retain;
mod trajectories;

pub use error::StoreError;
pub use jsonl::{JsonlStore, Recovery};
pub use trajectories::TrajectoryStore;
