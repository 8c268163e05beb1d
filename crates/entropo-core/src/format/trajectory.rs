//! Rollouts as rows: a line of a [trajectory store](crate::TrajectoryStore).

use serde::Deserialize;
use serde_json::Value;

use super::error::{shortened, shown};
use super::place::Place;
use super::tokens::only_segment;
use super::{Record, Row, RowError, Side, value};
use crate::{TRAJECTORY_FORMAT, Trajectory, preference};

pub(super) fn read(row: &Value) -> Result<Row, RowError> {
    let format = value::need(value::object(row, Place::ROW)?, "format", Place::ROW)?;
    if format != TRAJECTORY_FORMAT {
        return Err(RowError::FormatVersion { found: shown(format), expected: TRAJECTORY_FORMAT });
    }
    let trajectory =
        Trajectory::deserialize(row).map_err(|error| RowError::Malformed { reason: shortened(&error.to_string()) })?;
    of_trajectory(trajectory)
}

/// A rollout as a labelled row: its only context with the actions marked, wanted if it
/// [solved](Trajectory::is_solved) its task. The group is the task.
///
/// [`Row::into_demonstration`] then keeps the solved ones.
///
/// # Errors
/// [`RowError::Trajectory`] with the reason why [`label`](crate::preference::label) would leave it out: not finished by
/// the agent, not judged, or without exactly one context with an action. [`RowError::Trace`] if the trace is not valid.
pub fn of_trajectory(trajectory: Trajectory) -> Result<Row, RowError> {
    let at = Place::ROW.key("trace");
    trajectory.trace.validate().map_err(|source| RowError::Trace { at: at.to_string(), source })?;
    preference::admit(&trajectory).map_err(RowError::Trajectory)?;
    let (id, desirable) = (trajectory.id.to_string(), trajectory.is_solved());
    let segment = only_segment(trajectory.trace);
    let side = Side::Tokens(segment.ok_or_else(|| RowError::NothingLearned { at: at.to_string() })?);
    let record = Record::Labelled { side, desirable };
    Ok(Row { id: Some(id), group: Some(trajectory.id.task), record })
}
