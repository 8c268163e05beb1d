//! A row of SWE-bench's shape in a container, as its harness runs it. `scripts/evaluate-container-setup.sh` makes the image;
//! without it these tests are skipped, or fail where `ENTROPO_REQUIRE_SANDBOXES` says that nothing may be missing.

use std::process::Command;

use serde_json::{Value, json};

use crate::place::{Place, json_of};
use crate::server::Server;

const IMAGE: &str = "localhost/entropo-swe-bench-test";
/// The same with what an agent must not see.
const HIDDEN: &str = "localhost/entropo-hidden-test";
const FIX: &str =
    "diff --git a/greet.sh b/greet.sh\n--- a/greet.sh\n+++ b/greet.sh\n@@ -1 +1 @@\n-echo helo\n+echo hello\n";
const SCRIPT: &str = r#"#!/bin/bash
set -uxo pipefail
cd /testbed
git config --global --add safe.directory /testbed
git status
git checkout HEAD README
git apply -v - <<'EOF'
diff --git a/test.sh b/test.sh
new file mode 100644
--- /dev/null
+++ b/test.sh
@@ -0,0 +1,3 @@
+[ -d .git ] && echo 'PASSED is a repository'
+[ "$(sh greet.sh)" = hello ] && echo 'PASSED greets' || { echo 'FAILED greets - no'; exit 1; }
+[ "$(id -u)" = 0 ] && echo 'PASSED rules' || { echo 'FAILED rules'; exit 1; }
EOF
: '>>>>> Start Test Output'
bash test.sh
: '>>>>> End Test Output'
git checkout HEAD README
"#;

/// Whether there is an image; says so if not.
pub(crate) fn is_there(image: &str) -> bool {
    let there = Command::new("podman").args(["image", "exists", image]).status();
    if there.is_ok_and(|status| status.success()) {
        return true;
    }
    assert!(std::env::var_os("ENTROPO_REQUIRE_SANDBOXES").is_none(), "there is no image {image}");
    #[allow(clippy::print_stderr)]
    {
        eprintln!("skipped, run scripts/evaluate-container-setup.sh first: there is no image {image}");
    }
    false
}

/// The row, if there is an image to run it in.
fn row() -> Option<Value> {
    if !is_there(IMAGE) {
        return None;
    }
    Some(json!({
        "instance_id": "pallets__flask-1", "repo": "pallets/flask", "problem_statement": "It should say hello.",
        "image": IMAGE, "version": "1", "log_parser": "parse_log_pytest", "eval_type": "pass_and_fail", "patch": FIX,
        "eval_script": SCRIPT, "FAIL_TO_PASS": "[\"greets\"]", "PASS_TO_PASS": "[\"rules\", \"is\"]",
    }))
}

#[test]
fn an_instance_is_judged_in_its_image() {
    let Some(row) = row() else { return };
    let place = Place::new();
    place.rows(&[row]);
    let gold = place.evaluate("grade", &["--gold", "--network", "off"]);
    let log =
        || std::fs::read_to_string(place.path("logs/run_evaluation/evaluation/gold/pallets__flask-1/test_output.txt"));
    assert!(gold.status == 0 && gold.printed.contains("1 of 1 resolved"), "{gold:?} {:?}", log());
    assert!(log().unwrap().contains(">>>>> Test Exit Code: 0\n"), "{:?}", log());
    let empty = place.evaluate("grade", &["--empty", "--network", "off"]);
    assert!(empty.printed.contains("still fails: greets"), "{empty:?}");
    // A line of context that is not there: git's three ways refuse it, patch does not.
    let loose = FIX
        .replace("@@ -1 +1 @@\n", "@@ -1,2 +1,2 @@\n")
        .replace("+echo hello\n", "+echo hello\n nothing of the kind\n");
    let loose = json!({"instance_id": "pallets__flask-1", "model_name_or_path": "loose", "model_patch": loose});
    std::fs::write(place.path("loose.jsonl"), format!("{loose}\n")).unwrap();
    let loose = place.evaluate("grade", &["--predictions", "loose.jsonl", "--network", "off"]);
    assert!(loose.status == 0 && loose.printed.contains("1 of 1 resolved"), "{loose:?}");
    let misfit = json!({"instance_id": "pallets__flask-1", "model_name_or_path": "m", "model_patch": FIX.replace("helo", "good day")});
    std::fs::write(place.path("misfit.jsonl"), format!("{misfit}\n")).unwrap();
    let misfit = place.evaluate("grade", &["--predictions", "misfit.jsonl", "--network", "off"]);
    assert!(misfit.status == 1 && misfit.printed.contains("error, the patch does not apply"), "{misfit:?}");
}

#[test]
fn an_agent_works_where_the_image_has_its_repository() {
    let Some(row) = row() else { return };
    let place = Place::new();
    place.rows(&[row]);
    let script = || {
        vec![
            (
                "shell",
                json!({"command": "cd /testbed && ls -d /testbed* && sed -i s/helo/hello/ greet.sh && ls -a && sh greet.sh"}),
            ),
            ("finish", json!({})),
        ]
    };
    let server = Server::start([script(), script()]);
    let ran = place.evaluate("run", &["--base-url", &server.url, "--model", "m", "--output", "run"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let kept = std::fs::read_to_string(place.path("run/trajectories.jsonl")).unwrap();
    assert!(kept.contains("/testbed\\n.\\n..\\nREADME\\ngreet.sh\\nhello\""), "the history is hidden: {kept}");
    let graded = place.evaluate("grade", &["--run", "run", "--network", "off"]);
    assert!(graded.status == 0 && graded.printed.contains("1 of 1 resolved"), "{graded:?}");
    assert_eq!(json_of(&place.path("run/m.evaluation.json"))["resolved_ids"], json!(["pallets__flask-1"]));
}

#[test]
fn a_fault_of_swe_smith_is_put_into_the_files() {
    let Some(_) = row() else { return };
    let place = Place::new();
    place.rows(&[json!({
        "instance_id": "greeter.1.func_1", "repo": "swesmith/greeter", "problem_statement": "It says hello.",
        "image_name": IMAGE, "patch": FIX, "FAIL_TO_PASS": [], "PASS_TO_PASS": [],
    })]);
    let script = || vec![("shell", json!({"command": "sh greet.sh"})), ("finish", json!({}))];
    let server = Server::start([script(), script()]);
    let ran = place.evaluate("run", &["--base-url", &server.url, "--model", "m", "--output", "run"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let kept = std::fs::read_to_string(place.path("run/trajectories.jsonl")).unwrap();
    assert!(kept.contains("\"content\":\"hello\""), "{kept}");
    let gold = place.evaluate("grade", &["--gold"]);
    assert!(gold.status == 1 && gold.printed.contains("`FAIL_TO_PASS` names no test"), "{gold:?}");
}

/// What an agent sees that runs a command in an instance of the row.
fn seen(row: Value, command: &str) -> String {
    let place = Place::new();
    place.rows(&[row]);
    let script = || vec![("shell", json!({"command": command})), ("finish", json!({}))];
    let server = Server::start([script(), script()]);
    let ran = place.evaluate("run", &["--base-url", &server.url, "--model", "m", "--output", "run"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let kept = std::fs::read_to_string(place.path("run/trajectories.jsonl")).unwrap();
    assert!(kept.contains("greet.sh"), "{kept}");
    kept
}

#[test]
fn hidden_tests_of_r2e_gym_are_seen_nowhere() {
    if !is_there(HIDDEN) {
        return;
    }
    let row = json!({"docker_image": HIDDEN, "repo_name": "greeter", "commit_hash": "0", "problem_statement": "It should greet."});
    let kept =
        seen(row, "find / -xdev -name '*_tests*'; ls -aR /testbed/; cat /testbed/run* /*/test_1.py /*/*/test_1.py");
    for secret in ["run_tests", "r2e_tests", "secret"] {
        assert!(!kept.contains(secret), "{secret} is seen: {kept}");
    }
    assert!(kept.contains("test_rules.py"), "the repository's own tests stay: {kept}");
}

#[test]
fn tests_that_show_a_fault_of_swe_smith_are_not_seen() {
    if !is_there(HIDDEN) {
        return;
    }
    let row = |tests: Value| {
        json!({"instance_id": "greeter.1.func_1", "repo": "swesmith/greeter", "problem_statement": "It says hello.",
            "image_name": HIDDEN, "patch": FIX, "FAIL_TO_PASS": tests, "PASS_TO_PASS": ["tests/test_rules.py::test_rules"]})
    };
    let look = "cat /testbed/greet.sh; ls -aR /testbed/; cat /testbed/tests/*";
    let tests = json!(["tests/test_greet.py::test_greets", "tests/test_greet.py::Case::test_two", "../etc/passwd::x"]);
    let kept = seen(row(tests), look);
    assert!(!kept.contains("test_greet") && !kept.contains("test_greets"), "{kept}");
    assert!(kept.contains("echo hello") && kept.contains("test_rules.py"), "{kept}");
    // Names of other runners tell no file.
    assert!(seen(row(json!(["TestGreets", "greeter::tests::greets"])), look).contains("test_greet.py"));
}

#[test]
fn what_a_rollout_leaves_in_its_container_is_not_there_for_the_next() {
    let Some(row) = row() else { return };
    let place = Place::new();
    place.rows(&[row]);
    let command = "ls -a / /tmp /root /testbed/ | tr a-z A-Z
        touch /tmp/left.txt /testbed/left.txt && echo done | tr a-z A-Z; touch /left.txt /root/left.txt";
    let script = || vec![("shell", json!({"command": command})), ("finish", json!({}))];
    let server = Server::start([script(), script()]);
    let arguments = ["--base-url", &server.url, "--model", "m", "--output", "run", "-n", "2", "--jobs", "1"];
    let ran = place.evaluate("run", &arguments);
    assert_eq!(ran.status, 0, "{ran:?}");
    let kept = std::fs::read_to_string(place.path("run/trajectories.jsonl")).unwrap();
    assert!(kept.matches("DONE").count() == 2 && kept.matches("GREET.SH").count() == 2, "{kept}");
    assert!(!kept.contains("LEFT.TXT"), "{kept}");
}
