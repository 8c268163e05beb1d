//! Numbers in JSON, which has no NaN and no infinity: these are the strings `"NaN"`, `"Infinity"` and `"-Infinity"`.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number that survives JSON, whatever it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scalar(pub(super) f64);

const NAN: &str = "NaN";
const INFINITY: &str = "Infinity";
const NEGATIVE_INFINITY: &str = "-Infinity";

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_finite() => serializer.serialize_f64(value),
            value if value.is_nan() => serializer.serialize_str(NAN),
            value if value > 0.0 => serializer.serialize_str(INFINITY),
            _ => serializer.serialize_str(NEGATIVE_INFINITY),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a number, {NAN:?}, {INFINITY:?} or {NEGATIVE_INFINITY:?}")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar(value as f64))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar(value as f64))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Scalar, E> {
        match value {
            NAN => Ok(Scalar(f64::NAN)),
            INFINITY => Ok(Scalar(f64::INFINITY)),
            NEGATIVE_INFINITY => Ok(Scalar(f64::NEG_INFINITY)),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_read_back() {
        for value in [0.0, -0.0, 0.1, f64::MIN_POSITIVE, f64::MAX, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let text = serde_json::to_string(&Scalar(value)).unwrap();
            let Scalar(read) = serde_json::from_str(&text).unwrap();
            assert!(read.to_bits() == value.to_bits() || (read.is_nan() && value.is_nan()), "{text}");
        }
        assert_eq!(serde_json::to_string(&Scalar(f64::NEG_INFINITY)).unwrap(), "\"-Infinity\"");
        assert_eq!(serde_json::from_str::<Scalar>("7").unwrap().0, 7.0);
    }

    #[test]
    fn nothing_else_is_a_number() {
        for text in ["null", "\"nan\"", "true", "[1]", "1e999"] {
            serde_json::from_str::<Scalar>(text).unwrap_err();
        }
    }
}
