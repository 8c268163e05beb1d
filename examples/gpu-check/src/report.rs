//! What comes out.

use serde::{Serialize, Serializer};

use crate::bench::Measured;
use crate::device::DeviceReport;
use crate::failure::Failure;
use crate::soak::Soaked;

/// The whole report.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    version: &'static str,
    pub(crate) device: Option<DeviceReport>,
    /// Why nothing was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    pub(crate) fixtures: Option<Outcome<()>>,
    pub(crate) smoke: Option<Outcome<()>>,
    pub(crate) soak: Option<Outcome<Soaked>>,
    pub(crate) bench: Option<Outcome<Vec<Measured>>>,
    /// Whether everything that was asked for did.
    pub(crate) passed: bool,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            device: None,
            error: None,
            fixtures: None,
            smoke: None,
            soak: None,
            bench: None,
            passed: false,
        }
    }
}

impl Report {
    /// Whether all parts that were run passed.
    pub(crate) fn all_passed(&self) -> bool {
        let passed = [
            self.fixtures.as_ref().map(Outcome::passed),
            self.smoke.as_ref().map(Outcome::passed),
            self.soak.as_ref().map(Outcome::passed),
            self.bench.as_ref().map(Outcome::passed),
        ];
        passed.into_iter().flatten().all(|passed| passed)
    }
}

/// What came of one part. It passed if it has no error and all its checks passed.
#[derive(Debug, Default)]
pub(crate) struct Outcome<T> {
    pub(crate) seconds: f64,
    pub(crate) checks: Vec<Check>,
    /// Why it was not finished.
    pub(crate) error: Option<String>,
    pub(crate) details: Option<T>,
}

impl<T> Outcome<T> {
    pub(crate) fn new(checks: Vec<Check>, details: Option<T>) -> Self {
        Self { seconds: 0.0, checks, error: None, details }
    }

    pub(crate) fn failed(failure: &Failure) -> Self {
        Self { seconds: 0.0, checks: Vec::new(), error: Some(failure.to_string()), details: None }
    }

    pub(crate) fn passed(&self) -> bool {
        self.error.is_none() && self.checks.iter().all(Check::passed)
    }
}

impl<T: Serialize> Serialize for Outcome<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a, T> {
            passed: bool,
            seconds: f64,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: &'a Option<String>,
            #[serde(skip_serializing_if = "<[Check]>::is_empty")]
            checks: &'a [Check],
            #[serde(skip_serializing_if = "Option::is_none")]
            details: &'a Option<T>,
        }
        let Self { seconds, checks, error, details } = self;
        Shown { passed: self.passed(), seconds: *seconds, error, checks, details }.serialize(serializer)
    }
}

/// A number that must not be larger than it may be.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    name: String,
    measured: f64,
    allowed: f64,
}

impl Check {
    /// Says so on standard error, too.
    pub(crate) fn new(name: impl Into<String>, measured: f64, allowed: f64) -> Self {
        let check = Self { name: name.into(), measured, allowed };
        let verdict = if check.passed() { "ok  " } else { "FAIL" };
        eprintln!("{verdict} {}: {:.3e}, at most {:.3e}", check.name, check.measured, check.allowed);
        check
    }

    /// NaN does not pass.
    pub(crate) fn passed(&self) -> bool {
        self.measured <= self.allowed
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            name: &'a str,
            passed: bool,
            measured: f64,
            allowed: f64,
        }
        let Self { name, measured, allowed } = self;
        Shown { name, passed: self.passed(), measured: *measured, allowed: *allowed }.serialize(serializer)
    }
}

/// As text; what cannot be written becomes an object that says so.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value)
        .unwrap_or_else(|error| serde_json::json!({ "error": error.to_string(), "passed": false }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_passes_with_all_its_checks() {
        let good = Check::new("good", 1.0, 1.0);
        for (bad, passes) in [(0.5, true), (1.5, false), (f64::NAN, false)] {
            let outcome = Outcome::<()>::new(vec![good.clone(), Check::new("other", bad, 1.0)], None);
            assert_eq!(outcome.passed(), passes);
        }
        let failure = Failure::Case("no".to_owned());
        assert!(!Outcome::<()>::failed(&failure).passed());
    }

    #[test]
    fn only_what_was_asked_for_counts() {
        let mut report = Report { smoke: Some(Outcome::new(vec![], None)), ..Report::default() };
        assert!(report.all_passed());
        report.fixtures = Some(Outcome::failed(&Failure::Case("no".to_owned())));
        assert!(!report.all_passed());
        let shown: serde_json::Value = serde_json::from_str(&json(&report)).unwrap();
        assert_eq!(shown["fixtures"]["error"], "no");
        assert_eq!(shown["smoke"]["passed"], true);
        assert_eq!(shown["soak"], serde_json::Value::Null);
    }
}
