//! Rows of SWE-smith and R2E-Gym, judged in a container. `scripts/evaluate-container-setup.sh` makes the image; shell scripts
//! stand there for Python, so this tells that the steps are taken and the logs are read, and not what the data sets' images do.

use serde_json::{Value, json};

use crate::container::is_there;
use crate::place::{Place, Ran, json_of};
use crate::server::Server;

const IMAGE: &str = "localhost/entropo-graded-test";
/// One with the script that runs hidden tests, and without such tests.
const BARE: &str = "localhost/entropo-bare-test";

/// What breaks the greeting.
const FAULT: &str =
    "diff --git a/greet.sh b/greet.sh\n--- a/greet.sh\n+++ b/greet.sh\n@@ -1 +1 @@\n-echo hello\n+echo helo\n";
/// What takes a file away that both kinds of tests look for.
const LOSS: &str =
    "diff --git a/README b/README\ndeleted file mode 100644\n--- a/README\n+++ /dev/null\n@@ -1 +0,0 @@\n-Greets.\n";
const SLOW: &str = "diff --git a/slow b/slow\nnew file mode 100644\n--- /dev/null\n+++ b/slow\n@@ -0,0 +1 @@\n+slow\n";

fn smith() -> Value {
    json!({
        "instance_id": "pallets__flask.bc098406.func_1", "repo": "swesmith/pallets__flask.bc098406", "image_name": IMAGE,
        "problem_statement": "It should say hello.", "patch": FAULT,
        "FAIL_TO_PASS": ["tests/test_greet.py::test_greets"], "PASS_TO_PASS": ["tests/test_rules.py::test_rules"],
    })
}

fn r2e() -> Value {
    let range = json!({"start": 1, "length": null});
    let line = |content: &str, kind: &str| json!({"content": content, "type": kind});
    let lines = [line("echo $((1 - 2))", "deleted"), line("echo $((1 + 2))", "added")];
    let hunk = json!({
        "descriptor": {"old_range": range, "new_range": range, "section": ""}, "line_group": {"all_lines": lines},
    });
    let file = json!({
        "header": {"file": {"path": "add.py"}}, "minus_file": {"path": "a/add.py"}, "plus_file": {"path": "b/add.py"},
        "hunks": [hunk],
    });
    json!({
        "docker_image": IMAGE, "repo_name": "sympy", "commit_hash": "0", "problem_statement": "It should add.",
        "expected_output_json": json!({"test_adds": "PASSED", "Case.test_rules - a reason": "PASSED"}).to_string(),
        "parsed_commit_content": json!({"file_diffs": [file]}).to_string(),
    })
}

fn grade(place: &Place, more: &[&str]) -> Ran {
    place.evaluate("grade", &[&["--network", "off"], more].concat())
}

/// What becomes of a patch.
fn patched(place: &Place, row: &Value, model: &str, patch: &str, more: &[&str]) -> Ran {
    let id = row.get("instance_id").unwrap_or(&row["docker_image"]);
    let line = json!({"instance_id": id, "model_name_or_path": model, "model_patch": patch});
    std::fs::write(place.path("patches.jsonl"), format!("{line}\n")).unwrap();
    grade(place, &[&["--predictions", "patches.jsonl"], more].concat())
}

/// Two patches in one.
fn both(one: &str, other: &str) -> String {
    format!("{one}{other}")
}

/// A patch that makes a file of one line.
fn new(path: &str, line: &str) -> String {
    format!("diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{line}\n")
}

#[test]
fn rows_of_swe_smith_are_judged() {
    if !is_there(IMAGE) {
        return;
    }
    let place = Place::new();
    let row = smith();
    place.rows(std::slice::from_ref(&row));
    let fix = FAULT.replace("-echo hello\n+echo helo\n", "-echo helo\n+echo hello\n");
    let gold = grade(&place, &["--gold"]);
    assert!(gold.status == 0 && gold.printed.contains("1 of 1 resolved"), "{gold:?}");
    let empty = grade(&place, &["--empty"]);
    assert!(empty.status == 0 && empty.printed.contains("still fails: tests/test_greet.py::test_greets"), "{empty:?}");
    let misfit = patched(&place, &row, "misfit", &fix.replace("helo", "good day"), &[]);
    assert!(misfit.status == 1 && misfit.printed.contains("error, the patch does not apply"), "{misfit:?}");
    let report = json_of(&place.path("misfit.evaluation.json"));
    assert_eq!(report["error_ids"], json!(["pallets__flask.bc098406.func_1"]));
    let loss = patched(&place, &row, "loss", &both(&fix, LOSS), &[]);
    assert!(loss.printed.contains("broken: tests/test_rules.py::test_rules"), "{loss:?}");
    let slow = patched(&place, &row, "slow", &both(&fix, SLOW), &["--test-seconds", "2"]);
    assert!(slow.status == 0 && slow.printed.contains("unresolved, the tests timed out"), "{slow:?}");
    // A test that is made to pass is put back.
    let cheat = "diff --git a/tests/test_greet.py b/tests/test_greet.py\ndeleted file mode 100644\n--- a/tests/test_greet.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-[ \"$(sh greet.sh)\" = hello ] && echo 'tests/test_greet.py::test_greets PASSED [ 50%]' || echo 'tests/test_greet.py::test_greets FAILED [ 50%]'\n";
    let cheat = patched(&place, &row, "cheat", cheat, &[]);
    assert!(cheat.printed.contains("still fails: tests/test_greet.py::test_greets"), "{cheat:?}");
}

#[test]
fn rows_of_swe_smith_that_are_not_known_need_a_command() {
    if !is_there(IMAGE) {
        return;
    }
    let place = Place::new();
    let mut row = smith();
    row["repo"] = json!("swesmith/someone__greeter.12345678");
    // No file of a test has this name: others are put back all the same.
    row["PASS_TO_PASS"] = json!(["tests/test_rules.py::test_rules", "nowhere::rules"]);
    row["FAIL_TO_PASS"] = json!(["greets"]);
    place.rows(std::slice::from_ref(&row));
    let refused = grade(&place, &["--gold"]);
    let told = ["pallets__flask.bc098406.func_1", "someone__greeter.12345678", "--test-command"];
    assert!(refused.status == 1 && told.iter().all(|word| refused.printed.contains(word)), "{refused:?}");
    let command = "[ \"$(sh greet.sh)\" = hello ] && echo ok 1 - greets || echo not ok 1 - greets; \
                   for name in nowhere::rules tests/test_rules.py::test_rules; do echo ok 2 - $name; done; echo 1..3";
    let own = ["--test-command", command, "--test-log", "tap"];
    let gold = grade(&place, &[&["--gold"], &own[..]].concat());
    assert!(gold.status == 0 && gold.printed.contains("1 of 1 resolved"), "{gold:?}");
    let empty = grade(&place, &[&["--empty"], &own[..]].concat());
    assert!(empty.status == 0 && empty.printed.contains("still fails: greets"), "{empty:?}");
    let half = grade(&place, &["--gold", "--test-command", "x"]);
    assert!(half.status != 0 && half.complaint.contains("--test-log"), "{half:?}");
    let nonsense = grade(&place, &["--gold", "--test-command", "x", "--test-log", "nonsense"]);
    assert!(nonsense.status == 1 && nonsense.complaint.contains("\"nonsense\""), "{nonsense:?}");
}

#[test]
fn a_fault_that_does_not_fit_its_image_is_no_judgement() {
    if !is_there(IMAGE) {
        return;
    }
    let place = Place::new();
    let misfit = FAULT.replace("hello", "good day");
    // `patch` would take these: the one as it is not so exact, the other as it takes it back.
    let loose = FAULT
        .replace("@@ -1 +1 @@\n", "@@ -1,2 +1,2 @@\n")
        .replace("+echo helo\n", "+echo helo\n nothing of the kind\n");
    let turned = FAULT.replace("-echo hello\n+echo helo\n", "-echo helo\n+echo hello\n");
    for fault in [misfit, loose, turned] {
        let mut row = smith();
        row["patch"] = json!(fault);
        place.rows(&[row]);
        let empty = grade(&place, &["--empty"]);
        assert!(
            empty.status == 1 && empty.printed.contains("fault cannot be put into its image"),
            "{fault}: {empty:?}"
        );
    }
}

#[test]
fn patches_for_swe_smith_that_would_deceive_are_not_judged() {
    if !is_there(IMAGE) {
        return;
    }
    let place = Place::new();
    let row = smith();
    place.rows(std::slice::from_ref(&row));
    let fix = FAULT.replace("-echo hello\n+echo helo\n", "-echo helo\n+echo hello\n");
    let test = |line: &str| both(&fix, &new("tests/test_z.py", line));
    // git does not take the first, but `patch` would, and then nothing could be put back.
    let lock = new(".git/index.lock", "x") + &new("tests/test_z.py", "echo 'tests/test_greet.py::test_greets PASSED'");
    for (model, patch, word) in [
        ("lock", lock, "which no patch may touch"),
        ("start", test("echo \"+ : '>>>>> Start Test Output'\""), "more than once"),
        ("end", test("echo \"+ : '>>>>> End Test Output'\""), "more than once"),
        ("crash", test("exit 3"), "Exited(3), and their log tells of none that failed"),
        ("long", test("yes | head -c 20000000"), "bytes of the log are left out"),
    ] {
        let ran = patched(&place, &row, model, &patch, &[]);
        assert!(
            ran.status == 1 && ran.printed.contains("not judged") && ran.printed.contains(word),
            "{model}: {ran:?}"
        );
    }
    // Others may fail, whatever they are called; and where a test is missing, the exit status does not matter.
    for (model, patch, word) in [
        ("other", test("echo 'tests/test_z.py::test_z FAILED [100%]'"), "1 of 1 resolved"),
        ("spaced", test("echo 'tests/test_z.py::test_z[a b] FAILED [100%]'"), "1 of 1 resolved"),
        ("broken", both(LOSS, &new("tests/test_z.py", "exit 3")), "broken: tests/test_rules.py::test_rules"),
    ] {
        let ran = patched(&place, &row, model, &patch, &[]);
        assert!(ran.status == 0 && ran.printed.contains(word), "{model}: {ran:?}");
    }
}

#[test]
fn rows_of_r2e_gym_are_judged() {
    if !is_there(IMAGE) {
        return;
    }
    let place = Place::new();
    let row = r2e();
    place.rows(std::slice::from_ref(&row));
    let fix = &add_py("echo $((1 + 2))");
    let gold = grade(&place, &["--gold"]);
    assert!(gold.status == 0 && gold.printed.contains("1 of 1 resolved"), "{gold:?}");
    let empty = grade(&place, &["--empty"]);
    assert!(empty.status == 0 && empty.printed.contains("test_adds: FAILED, not PASSED"), "{empty:?}");
    let misfit = patched(&place, &row, "misfit", &fix.replace("1 - 2", "2 - 1"), &[]);
    assert!(misfit.status == 1 && misfit.printed.contains("error, the patch does not apply"), "{misfit:?}");
    assert_eq!(json_of(&place.path("misfit.evaluation.json"))["error_ids"], json!([IMAGE]));
    let loss = patched(&place, &row, "loss", &both(fix, LOSS), &[]);
    assert!(loss.printed.contains("Case.test_rules: FAILED, not PASSED"), "{loss:?}");
    let slow = patched(&place, &row, "slow", &both(fix, SLOW), &["--test-seconds", "2"]);
    assert!(slow.status == 0 && slow.printed.contains("unresolved, the tests timed out"), "{slow:?}");
    // What a patch puts in the place of the hidden tests and of their script does not count.
    let pass = "echo 'PASSED x.py::test_adds'; echo 'PASSED x.py::Case::test_rules'";
    let cheat =
        new("r2e_tests/test_1.py", pass) + &new("run_tests.sh", &format!("echo short test summary info; {pass}"));
    let cheat = patched(&place, &row, "cheat", &cheat, &[]);
    assert!(cheat.status == 0 && cheat.printed.contains("test_adds: FAILED, not PASSED"), "{cheat:?}");
}

fn add_py(line: &str) -> String {
    format!("diff --git a/add.py b/add.py\n--- a/add.py\n+++ b/add.py\n@@ -1 +1 @@\n-echo $((1 - 2))\n+{line}\n")
}

#[test]
fn patches_for_r2e_gym_that_would_deceive_solve_nothing() {
    if !is_there(IMAGE) {
        return;
    }
    let place = Place::new();
    let row = r2e();
    place.rows(std::slice::from_ref(&row));
    let fix = add_py("echo $((1 + 2))");
    let forged = |line: &str| add_py(&format!("echo '{line}' >&2; echo 3"));
    for (model, patch, word) in [
        ("summary", forged("short test summary info"), "more than one"),
        ("crash", both(&fix, &new("crash", "x")), "Exited(3), and their log tells of none that failed"),
        ("environment", both(&fix, &new(".venv/bin/bash", "x")), "which no patch may touch"),
        ("lock", both(&fix, &new(".git/index.lock", "x")), "which no patch may touch"),
        ("long", add_py("yes | head -c 20000000 >&2; echo 3"), "bytes of the log are left out"),
    ] {
        let ran = patched(&place, &row, model, &patch, &[]);
        assert!(
            ran.status == 1 && ran.printed.contains("not judged") && ran.printed.contains(word),
            "{model}: {ran:?}"
        );
    }
    let mixed = both(&forged("PASSED x.py::Case::test_rules"), LOSS);
    let mixed = patched(&place, &row, "mixed", &mixed, &[]);
    assert!(mixed.status == 0 && mixed.printed.contains("Case.test_rules: PASSED and another word"), "{mixed:?}");
    // Where a test failed, the exit status does not matter.
    let crash = patched(&place, &row, "broken", &both(LOSS, &new("crash", "x")), &[]);
    assert!(crash.status == 0 && crash.printed.contains("Case.test_rules: FAILED, not PASSED"), "{crash:?}");
}

#[test]
fn images_without_hidden_tests_are_no_judgement() {
    if !is_there(BARE) {
        return;
    }
    let place = Place::new();
    let mut row = r2e();
    row["docker_image"] = json!(BARE);
    place.rows(&[row]);
    let empty = grade(&place, &["--empty"]);
    assert!(empty.status == 1 && empty.printed.contains("no run_tests.sh and r2e_tests"), "{empty:?}");
}

#[test]
fn rows_of_r2e_gym_that_expect_nothing_are_refused() {
    if !is_there(IMAGE) {
        return;
    }
    let place = Place::new();
    let mut row = r2e();
    row["expected_output_json"] = json!("{}");
    place.rows(&[row]);
    let empty = grade(&place, &["--empty"]);
    assert!(empty.status == 1 && empty.printed.contains("names no test"), "{empty:?}");
}

#[test]
fn rollouts_of_both_kinds_are_judged() {
    if !is_there(IMAGE) {
        return;
    }
    let place = Place::new();
    for (row, repair) in
        [(smith(), "sed -i s/helo/hello/ /testbed/greet.sh"), (r2e(), "cd /testbed && sed -i 's/1 - 2/1 + 2/' add.py")]
    {
        place.rows(&[row]);
        let script = || vec![("shell", json!({"command": repair})), ("finish", json!({}))];
        let server = Server::start([script(), script()]);
        let output = if repair.contains("greet") { "smith" } else { "r2e" };
        let ran = place.evaluate("run", &["--base-url", &server.url, "--model", "m", "--output", output]);
        assert_eq!(ran.status, 0, "{ran:?}");
        let graded = grade(&place, &["--run", output]);
        assert!(graded.status == 0 && graded.printed.contains("1 of 1 resolved"), "{graded:?}");
    }
}
