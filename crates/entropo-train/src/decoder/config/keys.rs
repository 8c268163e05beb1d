//! Typed access to the keys of a configuration, with errors that name file and key.
//!
//! A key that is absent has its family's default, as in transformers. `null` is no value: where transformers wants one
//! it is an error here too, and elsewhere it says "none".

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::ConfigError;

/// No size of a model comes near it, and the product of two still fits.
const LARGEST: usize = 1 << 31;

/// Characters of a wrong value that an error quotes.
const QUOTED: usize = 80;

/// The keys of one object of a configuration.
pub(super) struct Keys<'a> {
    map: &'a Map<String, Value>,
    origin: &'a str,
    /// The keys that this object is nested in, each with a dot after it.
    path: String,
}

impl<'a> Keys<'a> {
    /// The keys of a whole file; `origin` names it in errors.
    pub(super) fn new(map: &'a Map<String, Value>, origin: &'a str) -> Self {
        Self { map, origin, path: String::new() }
    }

    /// A value that is there and not `null`.
    pub(super) fn get(&self, key: &'static str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// The names of all keys.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.map.keys().map(String::as_str)
    }

    /// An object; none where it is absent, `null` or empty.
    pub(super) fn object(&self, key: &'static str) -> Result<Option<Self>, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let map = value.as_object().ok_or_else(|| self.wrong(key, "an object"))?;
        Ok((!map.is_empty()).then(|| Self { map, origin: self.origin, path: format!("{}{key}.", self.path) }))
    }

    /// The one of two names of the same thing that is there. If both are, they must agree.
    pub(super) fn either(&self, key: &'static str, other: &'static str) -> Result<&'static str, ConfigError> {
        match (self.get(key), self.get(other)) {
            (Some(one), Some(two)) if one != two => Err(self.wrong(key, "the same under both of its names")),
            (None, Some(_)) => Ok(other),
            _ => Ok(key),
        }
    }

    /// A positive integer.
    pub(super) fn count(&self, key: &'static str, default: usize) -> Result<usize, ConfigError> {
        self.within(key, default, 1..=LARGEST, "a positive integer")
    }

    /// A positive integer, or none where it is `null`.
    pub(super) fn optional_count(
        &self,
        key: &'static str,
        default: Option<usize>,
    ) -> Result<Option<usize>, ConfigError> {
        match self.map.get(key) {
            None => Ok(default),
            Some(Value::Null) => Ok(None),
            Some(_) => self.count(key, 1).map(Some),
        }
    }

    /// An integer from 0.
    pub(super) fn whole(&self, key: &'static str, default: usize) -> Result<usize, ConfigError> {
        self.within(key, default, 0..=LARGEST, "an integer from 0")
    }

    /// An integer within bounds, which `expected` tells.
    pub(super) fn within(
        &self,
        key: &'static str,
        default: usize,
        bounds: RangeInclusive<usize>,
        expected: &'static str,
    ) -> Result<usize, ConfigError> {
        let Some(value) = self.map.get(key) else { return Ok(default) };
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        number.filter(|number| bounds.contains(number)).ok_or_else(|| self.wrong(key, expected))
    }

    /// A finite number.
    pub(super) fn number(&self, key: &'static str) -> Result<Option<f64>, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = value.as_f64().filter(|number| number.is_finite());
        number.map(Some).ok_or_else(|| self.wrong(key, "a number"))
    }

    /// A finite number above 0.
    pub(super) fn positive(&self, key: &'static str) -> Result<Option<f64>, ConfigError> {
        match self.number(key)? {
            Some(number) if number <= 0.0 => Err(self.wrong(key, "a positive number")),
            number => Ok(number),
        }
    }

    /// A finite number above 0 that has no default.
    pub(super) fn required(&self, key: &'static str) -> Result<f64, ConfigError> {
        self.positive(key)?.ok_or_else(|| self.wrong(key, "a positive number"))
    }

    /// True or false; `null` is the default too.
    pub(super) fn boolean(&self, key: &'static str, default: bool) -> Result<bool, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.wrong(key, "true or false"))
    }

    /// A list; none where it is absent or `null`.
    pub(super) fn list(&self, key: &'static str) -> Result<Option<&'a [Value]>, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_array().map(|list| Some(list.as_slice())).ok_or_else(|| self.wrong(key, "a list"))
    }

    /// Token ids: one, several, or none where it is `null`.
    pub(super) fn tokens(&self, key: &'static str, default: &[u32]) -> Result<Vec<u32>, ConfigError> {
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let ids: Option<Vec<u32>> = match self.map.get(key) {
            None => Some(default.to_vec()),
            Some(Value::Null) => Some(Vec::new()),
            Some(Value::Array(list)) => list.iter().map(id).collect(),
            Some(value) => id(value).map(|id| vec![id]),
        };
        ids.ok_or_else(|| self.wrong(key, "a token id or a list of token ids"))
    }

    /// Refuses every value but one; absent and `null` are accepted too.
    pub(super) fn only(&self, key: &'static str, one: &Value, supported: &'static str) -> Result<(), ConfigError> {
        match self.get(key) {
            Some(value) if value != one => Err(self.unsupported(key, supported)),
            _ => Ok(()),
        }
    }

    /// The error that a key has not the value it should have.
    pub(super) fn wrong(&self, key: &'static str, expected: &'static str) -> ConfigError {
        ConfigError::Value { origin: self.origin.to_owned(), key: self.full(key), found: self.quote(key), expected }
    }

    /// The error that a key asks for something which is not done.
    pub(super) fn unsupported(&self, key: &'static str, supported: &'static str) -> ConfigError {
        let found = self.quote(key);
        ConfigError::Unsupported { origin: self.origin.to_owned(), key: self.full(key), found, supported }
    }

    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.path)
    }

    fn quote(&self, key: &str) -> String {
        let text = self.map.get(key).map_or_else(|| "missing".to_owned(), Value::to_string);
        match text.char_indices().nth(QUOTED) {
            Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
            None => text,
        }
    }
}
