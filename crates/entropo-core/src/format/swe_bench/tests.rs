//! Names of tests, in either of the forms in which data sets have them.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names of tests: a list, or as SWE-bench has it, JSON of a list in a string. It is written in the form in which it was
/// read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tests {
    /// The names.
    pub names: Vec<String>,
    /// Whether they are JSON in a string.
    pub as_text: bool,
}

impl Tests {
    /// JSON of a list in a string, as SWE-bench's own data sets have it.
    pub fn text(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { names: names.into_iter().map(Into::into).collect(), as_text: true }
    }

    /// A list, as SWE-smith and most others have it.
    pub fn list(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { as_text: false, ..Self::text(names) }
    }
}

impl Serialize for Tests {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.as_text {
            return self.names.serialize(serializer);
        }
        let text = serde_json::to_string(&self.names).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Tests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a list of names of tests, or JSON of one in a string")]
        enum Form {
            List(Vec<String>),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::List(names) => Ok(Self { names, as_text: false }),
            Form::Text(text) => {
                let names = serde_json::from_str(&text)
                    .map_err(|error| D::Error::custom(format_args!("the string is no JSON list of names: {error}")))?;
                Ok(Self { names, as_text: true })
            }
        }
    }
}
