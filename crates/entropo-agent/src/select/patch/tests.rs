use proptest::prelude::*;

use super::*;

fn edit(path: &str, line: &str) -> String {
    format!(
        "diff --git a/{path} b/{path}\nindex 1111111..2222222 100644\n--- a/{path}\n+++ b/{path}\n@@ -1,2 +1,2 @@ fn f\n \
         kept\n-old\n+{line}\n"
    )
}

fn create(path: &str) -> String {
    format!(
        "diff --git a/{path} b/{path}\nnew file mode 100644\nindex 0000000..3333333\n--- /dev/null\n+++ b/{path}\n\
         @@ -0,0 +1 @@\n+x\n"
    )
}

fn normal(patch: &str) -> String {
    PatchRules::default().normalise(patch)
}

#[test]
fn every_pattern_of_the_defaults_is_readable() {
    let rules = PatchRules::default();
    assert_eq!((rules.leave_out.len(), rules.leave_out_new.len()), (TESTS.len(), SCRATCH.len()));
    let text = serde_json::to_string(&rules).unwrap();
    assert_eq!(serde_json::from_str::<PatchRules>(&text).unwrap(), rules);
    let error = serde_json::from_str::<PatchRules>(r#"{"leave_out":["src/[a"]}"#).unwrap_err().to_string();
    assert!(error.starts_with("\"src/[a\" is no pattern of paths: "), "{error}");
}

#[test]
fn order_hashes_positions_and_ends_of_lines_do_not_count() {
    let (a, b) = (edit("src/a.py", "new"), edit("src/b.py", "new"));
    assert_eq!(normal(&format!("{a}{b}")), normal(&format!("{b}{a}")));
    assert_eq!(normal(&a), normal(&a.replace("1111111", "4444444").replace("-1,2 +1,2 @@ fn f", "-9,2 +8,2 @@")));
    assert_eq!(normal(&a), normal(&a.replace("+new", "+new \t\r")));
    assert_eq!(normal(&a), normal(&a.replace("+new\n", "+new\n+  \n-\n\\ No newline at end of file\n")));
}

#[test]
fn what_the_program_does_counts() {
    let a = edit("src/a.py", "new");
    for other in [
        edit("src/a.py", "newer"),
        edit("src/b.py", "new"),
        edit("src/a.py", "    new"),
        a.replace(" kept", " other"),
        a.replace("index", "old mode 100644\nnew mode 100755\nindex"),
        format!("{a}{}", create("src/c.py")),
    ] {
        assert_ne!(normal(&a), normal(&other), "{other}");
    }
}

#[test]
fn tests_and_scratch_files_do_not_count() {
    let fix = edit("src/a.py", "new");
    for path in ["tests/test_a.py", "src/x/tests/data.json", "a_test.go", "src/a.spec.ts", "conftest.py"] {
        assert_eq!(normal(&format!("{fix}{}", edit(path, "t"))), normal(&fix), "{path}");
    }
    for path in ["reproduce_issue.py", "debug.py", "test_fix.py", "src/a.py.orig"] {
        assert_eq!(normal(&format!("{}{fix}", create(path))), normal(&fix), "{path}");
    }
    for path in ["debug.py", "check.py", "src/latest/a.py", "src/contest.py"] {
        assert_ne!(normal(&format!("{fix}{}", edit(path, "t"))), normal(&fix), "{path} was there before");
    }
    assert_ne!(normal(&create("src/debug.py")), "", "only at the root");
    assert_eq!(normal(&create("repro.py")), "");
    assert_ne!(PatchRules::every_file().normalise(&create("repro.py")), "");
}

#[test]
fn files_without_hunks_have_paths_too() {
    let mode = "diff --git a/tests/run b/tests/run\nold mode 100644\nnew mode 100755\n";
    assert_eq!(normal(mode), "");
    let binary = |hash: &str| {
        format!("diff --git a/x.bin b/x.bin\nindex 1..{hash} 100644\nBinary files a/x.bin and b/x.bin differ\n")
    };
    assert_ne!(normal(&binary("2")), "");
    assert_ne!(normal(&binary("2")), normal(&binary("3")), "the hash is all there is of it");
    let renamed = "diff --git a/a b/tests/b\nsimilarity index 100%\nrename from a\nrename to tests/b\n";
    assert_eq!(normal(renamed), "");
    let blank = edit("src/a.py", "").replace("-old\n", "");
    assert_eq!(normal(&blank), "", "only an empty line");
}

proptest! {
    #[test]
    fn any_text_is_normalised_and_once_is_enough(
        lines in prop::collection::vec(
            "(diff --git a/[ab/]{1,4} b/[ab/]{1,4}|new file mode 1|--- [ab/]{0,4}|\\+\\+\\+ \"?b/[a-z/]{0,4}|@@ x|index 1|\
             Binary files |[ +\\-\\\\][a ]{0,3}|\\PC{0,6})\r?", 0..14),
    ) {
        let patch = lines.join("\n");
        let once = normal(&patch);
        prop_assert_eq!(normal(&once), once);
    }
}
