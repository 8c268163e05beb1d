//! What the shell tool prints.

use std::sync::Arc;
use std::time::Duration;

use entropo_agent::Tool;
use entropo_tools::sandbox::OutputLimit;
use entropo_tools::shell::ShellArgs;
use entropo_tools::{LocalSandbox, Shell};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

fn shell() -> (TempDir, Shell) {
    let root = tempfile::tempdir().unwrap();
    let shell = Shell::new(Arc::new(LocalSandbox::new(root.path()).unwrap()));
    (root, shell)
}

async fn run(shell: &Shell, command: &str) -> String {
    let arguments = ShellArgs { command: command.to_owned() };
    shell.call(arguments, &CancellationToken::new()).await.unwrap().content
}

#[tokio::test]
async fn output_and_a_line_for_what_is_unusual() {
    let (_root, shell) = shell();
    for (command, shown) in [
        ("echo hello", "hello"),
        ("printf '  a\n\nb'", "  a\n\nb"),
        ("true", "[no output]"),
        ("echo", "[no output]"),
        ("false", "[exit status 1]"),
        ("echo FAIL: add; exit 2", "FAIL: add\n[exit status 2]"),
        ("printf x; exit 1", "x\n[exit status 1]"),
        ("kill -9 $$", "[killed by signal 9]"),
        ("no-such-program", "sh: 1: no-such-program: not found\n[exit status 127]"),
        ("pwd; echo $PWD/lib", ".\n./lib"),
    ] {
        // Shells word their own complaint about a missing program differently; dash's is the one written here.
        let got = run(&shell, command).await;
        if command == "no-such-program" {
            assert!(got.contains("no-such-program: not found\n[exit status 127]") || got == shown, "{got}");
        } else {
            assert_eq!(got, shown, "{command}");
        }
    }
}

#[tokio::test]
async fn timeouts_and_cancellation_are_told() {
    let (_root, shell) = shell();
    let shell = shell.timeout(Duration::from_millis(500));
    assert_eq!(run(&shell, "echo begun; sleep 60").await, "begun\n[killed: timed out after 0.5 s]");
    let cancel = CancellationToken::new();
    cancel.cancel();
    let arguments = ShellArgs { command: "sleep 60".to_owned() };
    assert_eq!(shell.call(arguments, &cancel).await.unwrap().content, "[killed: cancelled]");
}

#[tokio::test]
async fn what_is_left_out_can_be_read_by_a_later_command() {
    let (_root, shell) = shell();
    let shell = shell.output(OutputLimit { head: 6, tail: 6, spill: 30 });
    let marker = "[… 9 bytes left out; full output in the file $TMPDIR/output-1.txt]";
    assert_eq!(run(&shell, "seq 1 10").await, format!("1\n2\n3\n{marker}\n\n9\n10"));
    assert_eq!(run(&shell, "sed -n 5p $TMPDIR/output-1.txt").await, "5");
    let marker = "first part in the file $TMPDIR/output-2.txt]";
    assert!(run(&shell, "seq 1 50").await.contains(marker));
    assert_eq!(run(&shell, "wc -c < $TMPDIR/output-2.txt").await, "30");
}

#[tokio::test]
async fn commands_that_cannot_be_are_refused() {
    let (_root, shell) = shell();
    for command in ["", "  \n", "echo \0"] {
        let arguments = ShellArgs { command: command.to_owned() };
        assert!(shell.call(arguments, &CancellationToken::new()).await.is_err());
    }
}
