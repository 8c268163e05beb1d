//! Signs in a log that the environment broke, and not the patch. They are remarks: nobody's verdict depends on them.

use super::LogError;
use super::python::pattern;

/// How sure a sign is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// No patch of a repository does this.
    Environment,
    /// Either may have done it.
    Ambiguous,
}

/// A sign that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The harness's name for it.
    pub reason: &'static str,
    /// How sure it is.
    pub tier: Tier,
}

/// Looked for in this order; the first that is found counts.
const SIGNS: [(&str, Tier, &str); 8] = [
    ("browser_launch_failed", Tier::Environment, r"Failed to launch|Failed to connect to the bus"),
    ("display_unavailable", Tier::Environment, r"cannot open display|Missing X server|unable to open X display"),
    ("out_of_memory", Tier::Environment, r"Cannot allocate memory|OutOfMemoryError|^Killed$"),
    ("container_unavailable", Tier::Environment, r"Error response from daemon|Cannot connect to the Docker daemon"),
    ("network_unreachable", Tier::Environment, r"Could not resolve host|Temporary failure in name resolution"),
    ("missing_module", Tier::Ambiguous, r"Cannot find module|MODULE_NOT_FOUND|ModuleNotFoundError"),
    ("no_tests_collected", Tier::Ambiguous, r"no tests ran|collected 0 items"),
    ("tests_timed_out", Tier::Ambiguous, r"Timeout error: \d+ seconds exceeded"),
];

/// The first sign in a log that the environment broke.
///
/// # Errors
/// Never, but for a fault of this crate.
pub fn classify(log: &str) -> Result<Option<Failure>, LogError> {
    for (reason, tier, sign) in SIGNS {
        if pattern(&format!("(?m){sign}"))?.is_match(log) {
            return Ok(Some(Failure { reason, tier }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sign_of_the_list_counts() {
        let found = |log| classify(log).unwrap().map(|failure| failure.reason);
        assert_eq!(found("no tests ran\nKilled\n"), Some("out_of_memory"));
        assert_eq!(found("it was Killed\n"), None);
        assert_eq!(found("x\n\nTimeout error: 5 seconds exceeded."), Some("tests_timed_out"));
    }
}
