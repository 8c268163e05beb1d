//! The script that runs an instance's tests.

use super::log::{END, EXIT_CODE};
use super::python::stripped;

/// The row's script as the harness runs it: with its own two first lines, and telling how the tests' command exited, where
/// there is a line that ends their output.
pub fn eval_script(script: &str) -> String {
    let first = ["#!/bin/bash", "set -uxo pipefail"];
    let mut lines: Vec<String> = first.map(str::to_owned).into();
    let mut told = false;
    for line in stripped(script).split('\n').filter(|line| !first.contains(line)) {
        let ends = !told && line.contains(END);
        told |= ends;
        if ends {
            lines.push("SWEBENCH_TEST_EXIT_CODE=$?".to_owned());
        }
        lines.push(line.to_owned());
        if ends {
            lines.push(format!("echo \"{EXIT_CODE}: $SWEBENCH_TEST_EXIT_CODE\""));
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_of_the_tests_is_told_after_their_output() {
        let script = "#!/bin/bash\nset -uxo pipefail\npytest\n: '>>>>> End Test Output'\ngit checkout a\n";
        let expected = "#!/bin/bash\nset -uxo pipefail\npytest\nSWEBENCH_TEST_EXIT_CODE=$?\n: '>>>>> End Test Output'\n\
                        echo \">>>>> Test Exit Code: $SWEBENCH_TEST_EXIT_CODE\"\ngit checkout a\n";
        assert_eq!(eval_script(script), expected);
        assert_eq!(eval_script("pytest"), "#!/bin/bash\nset -uxo pipefail\npytest\n");
    }
}
