//! Processes: what they see, what is kept of what they print, and that none is left.

use std::fs;
use std::time::Duration;

use entropo_tools::sandbox::{OutputLimit, Status};
use entropo_tools::{Command, ExecResult, LocalSandbox, PathError, Sandbox, SandboxError};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::processes::{marker, runs, until};

fn sandbox() -> (TempDir, LocalSandbox) {
    let root = tempfile::tempdir().unwrap();
    let sandbox = LocalSandbox::new(root.path()).unwrap();
    (root, sandbox)
}

async fn exec(sandbox: &LocalSandbox, command: Command) -> ExecResult {
    sandbox.exec(command, &CancellationToken::new()).await.unwrap()
}

#[tokio::test]
async fn exit_codes_signals_and_order_of_output() {
    let (_root, sandbox) = sandbox();
    let result = exec(&sandbox, Command::script("echo out; echo err >&2; echo more; exit 3")).await;
    assert_eq!((result.status, result.output.head.as_str()), (Status::Exited(3), "out\nerr\nmore\n"));
    assert_eq!(exec(&sandbox, Command::script("kill -9 $$")).await.status, Status::Signalled(9));
    assert!(exec(&sandbox, Command::program("cat", Vec::<String>::new())).await.status.is_success(), "no input");
    let result = exec(&sandbox, Command::program("printf", ["%s|", "a b", "$HOME"])).await;
    assert_eq!(result.output.head, "a b|$HOME|");
    let missing = sandbox.exec(Command::program("no-such-program", ["x"]), &CancellationToken::new()).await;
    assert!(matches!(missing, Err(SandboxError::Missing { .. })));
}

#[tokio::test]
async fn commands_start_in_the_root_or_below_and_nowhere_else() {
    let (root, sandbox) = sandbox();
    fs::create_dir(root.path().join("lib")).unwrap();
    std::os::unix::fs::symlink("/", root.path().join("out")).unwrap();
    let root = root.path().canonicalize().unwrap();
    let pwd = |directory: &'static str| Command::script("pwd -P").directory(directory);
    assert_eq!(exec(&sandbox, pwd("")).await.output.head.trim_end(), root.to_str().unwrap());
    assert_eq!(exec(&sandbox, pwd("lib")).await.output.head.trim_end(), root.join("lib").to_str().unwrap());
    for directory in ["..", "/", "out"] {
        let refused = sandbox.exec(pwd(directory), &CancellationToken::new()).await;
        assert!(matches!(refused, Err(SandboxError::Directory { source: PathError::Outside(_), .. })), "{directory}");
    }
}

#[tokio::test]
async fn nothing_of_the_parents_environment_is_seen() {
    let (root, sandbox) = sandbox();
    // cargo sets this one for every test; `env` would show it if it were passed on.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let result = exec(&sandbox, Command::program("env", Vec::<String>::new()).env("EXTRA", "1")).await;
    let mut names: Vec<&str> = result.output.head.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    names.sort_unstable();
    assert_eq!(names, ["EXTRA", "HOME", "LANG", "PATH", "TMPDIR"]);
    assert!(exec(&sandbox, Command::script("touch \"$HOME/a\" \"$TMPDIR/b\"")).await.status.is_success());
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "both lie outside the root");
}

#[tokio::test]
async fn on_timeout_the_whole_family_is_killed_and_the_output_kept() {
    let (_root, sandbox) = sandbox();
    let marker = marker();
    // The inner subshell ends at once, so that the sleeper is nobody's child.
    let script = format!("((sleep {marker} &) &); echo begun; sleep {marker}");
    let result = exec(&sandbox, Command::script(script).timeout(Duration::from_secs(1))).await;
    assert_eq!((result.status, result.output.head.as_str()), (Status::TimedOut, "begun\n"));
    until("all are gone", || !runs(&marker)).await;
}

#[tokio::test]
async fn a_background_child_neither_holds_up_the_call_nor_survives_it() {
    let (_root, sandbox) = sandbox();
    let marker = marker();
    let result = exec(&sandbox, Command::script(format!("sleep {marker} & echo done"))).await;
    assert_eq!((result.status, result.output.head.as_str()), (Status::Exited(0), "done\n"));
    until("it is gone", || !runs(&marker)).await;
}

#[tokio::test]
async fn a_process_that_escaped_with_the_pipe_does_not_hold_up_the_call() {
    let (_root, sandbox) = sandbox();
    let result = exec(&sandbox, Command::script("setsid sh -c 'sleep 2' & sleep 0.2; echo done")).await;
    assert_eq!((result.status, result.output.head.as_str()), (Status::Exited(0), "done\n"));
}

#[tokio::test]
async fn cancelling_kills_and_keeps_the_output() {
    let (_root, sandbox) = sandbox();
    let (marker, cancel) = (marker(), CancellationToken::new());
    let command = Command::script(format!("echo begun; sleep {marker}; echo never"));
    let (result, ()) = tokio::join!(sandbox.exec(command, &cancel), async {
        until("it runs", || runs(&marker)).await;
        cancel.cancel();
    });
    let result = result.unwrap();
    assert_eq!((result.status, result.output.head.as_str()), (Status::Cancelled, "begun\n"));
    until("it is gone", || !runs(&marker)).await;
}

#[tokio::test]
async fn dropping_the_call_leaves_no_process() {
    let (_root, sandbox) = sandbox();
    let (marker, cancel) = (marker(), CancellationToken::new());
    {
        let call = sandbox.exec(Command::script(format!("sleep {marker} & sleep {marker}; true")), &cancel);
        tokio::select! {
            _ = call => panic!("it should still run"),
            () = until("it runs", || runs(&marker)) => {}
        }
    }
    until("all are gone", || !runs(&marker)).await;
}

#[tokio::test]
async fn much_output_is_bounded_in_memory_and_whole_in_a_file() {
    let (_root, sandbox) = sandbox();
    let script = "yes 0123456789abcde | head -c 50000000; echo; echo end";
    let limit = OutputLimit { head: 1000, tail: 1000, spill: 60_000_000 };
    let before = peak_memory();
    let result = exec(&sandbox, Command::script(script).output(limit)).await;
    assert!(peak_memory() - before < 30 << 20, "far less than the output; other tests run meanwhile");
    assert!(result.status.is_success() && result.output.is_truncated());
    assert!(result.output.head.starts_with("0123456789abcde\n") && result.output.tail.ends_with("\nend\n"));
    assert_eq!(result.output.left_out, 50_000_005 - 2000);
    let spill = result.output.full_output.unwrap();
    assert_eq!(fs::metadata(&spill.path).unwrap().len(), 50_000_005);
    drop(sandbox);
    assert!(!spill.path.exists(), "the file goes with the sandbox");
}

/// The most memory this process ever held, in bytes.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
