//! Test scripts, and the one shell process that says what a task's functions print.

use std::process::{Command, Stdio};

use super::LabError;

/// Loads the library anew for every check, in a subshell: whatever a file breaks, redefines or exits from, each check
/// still gives its line, and a file that does not parse fails them all.
const PRELUDE: &str = r#"unset PORT
count=0
failed=0
check() {
  count=$((count + 1))
  got=$( (for f in lib/*.sh; do . "./$f" || exit; done; eval "$1") 2>&1 )
  if [ "$got" = "$2" ]; then
    echo "ok $count - $1"
  else
    echo "not ok $count - $1: got $got, want $2"
    failed=$((failed + 1))
  fi
}
"#;

const VERDICT: &str = r#"[ $failed = 0 ] && echo "all passed" || echo "$failed failed"
[ $failed = 0 ]
"#;

/// A script that makes each call and compares what it prints, for `checks` of (call, wanted output).
pub(super) fn test_script<'a>(checks: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let checks: String = checks.into_iter().map(|(call, want)| format!("check '{call}' '{want}'\n")).collect();
    format!("{PRELUDE}{checks}{VERDICT}")
}

/// What `script` prints, by lines; its error output is dropped.
pub(super) fn printed(script: &str) -> Result<Vec<String>, LabError> {
    let output = Command::new("sh")
        .args(["-c", script])
        .env_remove("PORT")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(|source| LabError::Shell { source })?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}
