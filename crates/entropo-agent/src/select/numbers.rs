//! Numbers of a configuration that are in their range, or refused.
//!
//! A share of 50 in place of 0.5 keeps everybody and an error of 5 stops after one vote, without a word. `serde` refuses them
//! where they are read, so that they are refused before anything is made.

use serde::de::{Deserialize, Deserializer, Error, Unexpected};

/// A number that is neither NaN nor infinite.
pub(super) fn finite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    checked(value, value.is_finite(), "a finite number")
}

/// The same where there may be none.
pub(super) fn finite_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let value = Option::<f64>::deserialize(deserializer)?;
    value.map(|value| checked(value, value.is_finite(), "a finite number")).transpose()
}

/// A part of something that is not nothing.
pub(super) fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    checked(value, value > 0.0 && value <= 1.0, "a share above 0 and at most 1")
}

/// A chance of being wrong, with which something can be known.
pub(super) fn error<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    checked(value, value > 0.0 && value < 1.0, "a chance of error above 0 and below 1")
}

/// `value`, if it `holds`.
pub(super) fn checked<E: Error>(value: f64, holds: bool, expected: &str) -> Result<f64, E> {
    if holds { Ok(value) } else { Err(E::invalid_value(Unexpected::Float(value), &expected)) }
}
