//! What ends what runs in a terminal, also while nobody asks.

use entropo_tools::sandbox::Limits;

use super::*;
use crate::sandbox::disk::{FILLER, SmallDisk};
use crate::sandbox::{sandbox_around, skip};

for_each_kind! {
    a_filler_of_the_disk_is_stopped_between_calls,
    what_takes_too_long_is_killed_between_calls,
    each_command_has_its_own_time,
    a_cancelled_call_leaves_no_command_running,
    a_dropped_call_leaves_no_command_running,
    a_job_lives_on_where_waiting_for_it_is_cancelled,
}

fn job(command: &str) -> TerminalArgs {
    TerminalArgs { command: Some(command.to_owned()), background: true, ..TerminalArgs::default() }
}

fn at_once(command: &str) -> TerminalArgs {
    TerminalArgs { command: Some(command.to_owned()), wait: Some(0.0), ..TerminalArgs::default() }
}

fn poll(job: Option<u32>) -> TerminalArgs {
    TerminalArgs { job, ..TerminalArgs::default() }
}

async fn a_filler_of_the_disk_is_stopped_between_calls(kind: SandboxKind) {
    let Some(disk) = SmallDisk::new("size=256m") else { return };
    let root = disk.root();
    let limits = Limits::default().free_disk(192 << 20);
    let sandbox = match sandbox_around(&root, kind, SandboxOptions::new().limits(limits)).await {
        Ok(sandbox) => sandbox,
        Err(error) => return skip(&error),
    };
    let terminal = Terminal::new(sandbox).idle(Duration::from_secs(1));
    let clear = || {
        let files = std::fs::read_dir(&root).unwrap().map(|file| file.unwrap().path());
        files.for_each(|file| std::fs::remove_file(file).unwrap());
    };
    let full = |what: &str| format!("[{what} was killed: the disk is almost full]");

    let marker = marker();
    let filler = format!("sleep {marker} & echo begun; {FILLER}");
    assert!(ask(&terminal, at_once(&filler)).await.ends_with("[still running]"));
    until("the shell's filler runs", || runs(&marker)).await;
    until("the shell's filler is gone", || !runs(&marker)).await;
    assert!(ask(&terminal, poll(None)).await.ends_with(&full("the shell")));

    clear();
    assert_eq!(ask(&terminal, job(&filler)).await, "[job 1 started]");
    until("the job's filler runs", || runs(&marker)).await;
    until("the job's filler is gone", || !runs(&marker)).await;
    assert_eq!(ask(&terminal, poll(Some(1))).await, format!("begun\n{}", full("the job")));

    // A shell that waits for a command is no less at fault for what it left in the background.
    clear();
    let left = format!("(sleep {marker} & {FILLER}) & echo left");
    assert_eq!(run(&terminal, &left).await, "left");
    until("what was left runs", || runs(&marker)).await;
    until("what was left is gone", || !runs(&marker)).await;
    let told = run(&terminal, "echo no").await;
    assert!(told.starts_with(&full("the shell")), "{told}");
    clear();
    assert_eq!(run(&terminal, "echo new").await, "new");
}

async fn what_takes_too_long_is_killed_between_calls(kind: SandboxKind) {
    let Some((_place, terminal)) = terminal(kind).await else { return };
    let terminal = terminal.timeout(Duration::from_secs(2));
    let marker = marker();
    // The inner subshell ends at once, so that the sleeper is nobody's child.
    let script = format!("((setsid sleep {marker} &) &); echo begun; sleep {marker}");

    let first = ask(&terminal, at_once(&script)).await;
    until("the sleepers run", || runs(&marker)).await;
    until("the sleepers are gone", || !runs(&marker)).await;
    let second = ask(&terminal, poll(None)).await;
    assert!(format!("{first}{second}").contains("begun"), "what was printed is kept: {first} {second}");
    assert!(second.ends_with("[the shell was killed: timed out after 2 s]"), "{second}");
    assert_eq!(run(&terminal, "echo new").await, "new");

    assert_eq!(ask(&terminal, job(&script)).await, "[job 1 started]");
    until("the job's sleepers run", || runs(&marker)).await;
    until("the job's sleepers are gone", || !runs(&marker)).await;
    assert_eq!(ask(&terminal, poll(Some(1))).await, "begun\n[the job was killed: timed out after 2 s]");
}

async fn each_command_has_its_own_time(kind: SandboxKind) {
    let Some((_place, terminal)) = terminal(kind).await else { return };
    let terminal = terminal.timeout(Duration::from_secs(3));
    assert_eq!(run(&terminal, "x=kept").await, "[no output]");
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(run(&terminal, "echo $x").await, "kept", "a shell may stay for as long as it likes");
    }
}

async fn a_cancelled_call_leaves_no_command_running(kind: SandboxKind) {
    let Some((_place, terminal)) = terminal(kind).await else { return };
    let terminal = terminal.idle(Duration::from_secs(60));
    let (marker, cancel) = (marker(), CancellationToken::new());
    let script = format!("((setsid sleep {marker} &) &); trap '' INT; echo begun; sleep {marker}");
    let arguments = TerminalArgs { command: Some(script), ..TerminalArgs::default() };
    let (answer, ()) = tokio::join!(terminal.call(arguments, &cancel), async {
        until("it runs", || runs(&marker)).await;
        cancel.cancel();
    });
    assert!(!runs(&marker), "nothing runs when the call returns");
    assert!(answer.unwrap().content.ends_with("[the shell was killed: cancelled]"));
    assert_eq!(run(&terminal, "echo new").await, "new");
}

async fn a_dropped_call_leaves_no_command_running(kind: SandboxKind) {
    let Some((_place, terminal)) = terminal(kind).await else { return };
    let terminal = terminal.idle(Duration::from_secs(60));
    let (marker, cancel) = (marker(), CancellationToken::new());
    let arguments = TerminalArgs { command: Some(format!("sleep {marker}; true")), ..TerminalArgs::default() };
    tokio::select! {
        _ = terminal.call(arguments, &cancel) => panic!("it should still run"),
        () = until("it runs", || runs(&marker)) => {}
    }
    until("it is gone", || !runs(&marker)).await;
    assert_eq!(run(&terminal, "echo new").await, "new");
}

async fn a_job_lives_on_where_waiting_for_it_is_cancelled(kind: SandboxKind) {
    let Some((_place, terminal)) = terminal(kind).await else { return };
    assert_eq!(ask(&terminal, job("read -r x; echo got $x")).await, "[job 1 started]");
    let cancel = CancellationToken::new();
    cancel.cancel();
    assert_eq!(terminal.call(poll(Some(1)), &cancel).await.unwrap().content, "[still running]");
    let input = TerminalArgs { input: Some("this\n".into()), ..poll(Some(1)) };
    assert_eq!(ask(&terminal, input).await, "got this\n[the job ended with exit status 0]");
}
