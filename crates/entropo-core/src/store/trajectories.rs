//! The store for trajectories, which knows them by name.

use std::collections::HashMap;
use std::path::Path;

use super::{JsonlStore, Recovery, StoreError};
use crate::{RolloutId, TRAJECTORY_FORMAT, Trajectory};

/// A [`JsonlStore`] of trajectories of one [format](TRAJECTORY_FORMAT), each [`RolloutId`] at most once, each token
/// trace valid.
#[derive(Debug)]
pub struct TrajectoryStore {
    store: JsonlStore<Trajectory>,
    positions: Positions,
}

/// Where each rollout is, counted from 0.
type Positions = HashMap<RolloutId, usize>;

impl TrajectoryStore {
    /// Opens the file at `path`, or creates it in a folder that exists, reads every trajectory and cuts off a torn last
    /// line, as [`JsonlStore::open`] does.
    ///
    /// # Errors
    /// [`StoreError::Format`], [`StoreError::Malformed`], [`StoreError::Trace`] or [`StoreError::Duplicate`] for a line
    /// that does not belong; the file is left as it is then. [`StoreError::Locked`] or [`StoreError::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let (path, known, mut positions) = (path.as_ref(), Positions::new(), Positions::new());
        let store = JsonlStore::open_checked(path, Some(TRAJECTORY_FORMAT), |line, trajectory| {
            admit(path, line, trajectory, &known, &mut positions)
        })?;
        Ok(Self { store, positions })
    }

    /// Adds a trajectory; when this returns, the disk has it.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] if its [`RolloutId`] is taken; [`StoreError::Trace`], [`StoreError::Format`],
    /// [`StoreError::Unwritable`] or [`StoreError::Lossy`] if it could not be read back as it is. Nothing is written
    /// then. [`StoreError::Io`] if the disk refuses, and from then on [`StoreError::Broken`].
    pub fn append(&mut self, trajectory: &Trajectory) -> Result<(), StoreError> {
        self.append_all(std::slice::from_ref(trajectory))
    }

    /// Adds trajectories in order and waits for the disk once. A crash on the way keeps the first few of them, whole.
    ///
    /// # Errors
    /// Those of [`append`](Self::append); one trajectory that is refused stops all.
    pub fn append_all(&mut self, trajectories: &[Trajectory]) -> Result<(), StoreError> {
        let batch = self.store.encode(trajectories)?;
        let (path, mut added) = (self.store.path(), Positions::new());
        for (line, (trajectory, read_back)) in (self.len() + 1..).zip(trajectories.iter().zip(&batch.records)) {
            admit(path, line, trajectory, &self.positions, &mut added)?;
            if trajectory != read_back {
                return Err(StoreError::Lossy { path: path.to_owned(), id: trajectory.id.clone() });
            }
        }
        self.store.commit(batch)?;
        self.positions.extend(added);
        Ok(())
    }

    /// Whether the rollout is stored.
    pub fn contains(&self, id: &RolloutId) -> bool {
        self.positions.contains_key(id)
    }

    /// The rollout's trajectory, if it is stored.
    pub fn get(&self, id: &RolloutId) -> Option<&Trajectory> {
        self.store.records().get(*self.positions.get(id)?)
    }

    /// The trajectories in the order of the file, appended ones included.
    pub fn records(&self) -> &[Trajectory] {
        self.store.records()
    }

    /// Iterates over [`records`](Self::records).
    pub fn iter(&self) -> std::slice::Iter<'_, Trajectory> {
        self.store.iter()
    }

    /// How many trajectories there are.
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether there is no trajectory.
    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    /// Closes the store and keeps its trajectories.
    pub fn into_records(self) -> Vec<Trajectory> {
        self.store.into_records()
    }

    /// What was found when the store was opened.
    pub fn recovery(&self) -> Recovery {
        self.store.recovery()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.store.path()
    }
}

impl<'a> IntoIterator for &'a TrajectoryStore {
    type Item = &'a Trajectory;
    type IntoIter = std::slice::Iter<'a, Trajectory>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Notes `trajectory` in `added` if its trace is valid and its name is neither there nor `known`.
fn admit(
    path: &Path,
    line: usize,
    trajectory: &Trajectory,
    known: &Positions,
    added: &mut Positions,
) -> Result<(), StoreError> {
    let id = trajectory.id.clone();
    if let Err(source) = trajectory.trace.validate() {
        return Err(StoreError::Trace { path: path.to_owned(), line, id, source });
    }
    if let Some(position) = known.get(&id).or(added.get(&id)) {
        return Err(StoreError::Duplicate { path: path.to_owned(), line, id, first: position + 1 });
    }
    added.insert(id, line - 1);
    Ok(())
}
