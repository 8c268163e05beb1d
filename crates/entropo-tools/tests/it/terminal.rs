//! The shell that stays, against real shells in every sandbox.

mod hostile;
mod limits;

use std::time::Duration;

use entropo_agent::Tool;
use entropo_tools::Terminal;
use entropo_tools::sandbox::{SandboxKind, SandboxOptions};
use entropo_tools::shell::{TerminalArgs, TerminalSignal};
use tokio_util::sync::CancellationToken;

use crate::sandbox::{Place, for_each_kind, marker, open, runs, until};

for_each_kind! {
    what_a_command_sets_lasts,
    mistakes_and_endings_are_told,
    programs_are_given_input,
    what_runs_too_long_can_be_interrupted,
    a_killed_shell_is_replaced,
    jobs_run_beside,
    all_ends_with_the_terminal,
}

async fn terminal(kind: SandboxKind) -> Option<(Place, Terminal)> {
    let place = open(kind, SandboxOptions::new()).await?;
    let terminal = Terminal::new(place.sandbox.clone()).idle(Duration::from_secs(1));
    Some((place, terminal))
}

async fn ask(terminal: &Terminal, arguments: TerminalArgs) -> String {
    match terminal.call(arguments, &CancellationToken::new()).await {
        Ok(output) => output.content,
        Err(error) => format!("error: {error}"),
    }
}

async fn run(terminal: &Terminal, command: &str) -> String {
    ask(terminal, TerminalArgs { command: Some(command.to_owned()), ..TerminalArgs::default() }).await
}

async fn give(terminal: &Terminal, input: &str) -> String {
    ask(terminal, TerminalArgs { input: Some(input.to_owned()), ..TerminalArgs::default() }).await
}

async fn signal(terminal: &Terminal, signal: TerminalSignal) -> String {
    ask(terminal, TerminalArgs { signal: Some(signal), ..TerminalArgs::default() }).await
}

async fn what_a_command_sets_lasts(kind: SandboxKind) {
    let Some((_place, terminal)) = terminal(kind).await else { return };
    for (command, shown) in [
        ("mkdir -p lib && cd lib && x='a b' && export Y=2", "[no output]"),
        ("pwd", "./lib"),
        ("echo \"$x\"; sh -c 'echo $Y'", "a b\n2"),
        ("greet() {\n  echo \"hello $1\"\n}\ngreet you", "hello you"),
        ("greet 'it'\\''s me'", "hello it's me"),
        ("cat <<'end'\none\n  two \\t %s\nend", "one\n  two \\t %s"),
        ("printf 'no line end'", "no line end"),
        ("echo ünïcode 💡", "ünïcode 💡"),
        ("env | grep -c ENTROPO", "0\n[exit status 1]"),
    ] {
        assert_eq!(run(&terminal, command).await, shown, "{command}");
    }
}

async fn mistakes_and_endings_are_told(kind: SandboxKind) {
    let Some((_place, terminal)) = terminal(kind).await else { return };
    assert_eq!(run(&terminal, "false").await, "[exit status 1]");
    assert!(run(&terminal, "if").await.ends_with("[exit status 2]") || cfg!(not(target_os = "linux")));
    assert!(run(&terminal, "echo \"unterminated").await.contains("[exit status"));
    assert!(run(&terminal, "no-such-program").await.ends_with("[exit status 127]"));
    assert_eq!(run(&terminal, "kill -9 $$").await, "[the shell was killed by signal 9]");
    assert_eq!(run(&terminal, "echo new; exit 3").await, "new\n[the shell ended with exit status 3]");
    assert_eq!(run(&terminal, "echo newer").await, "newer");
    assert_eq!(give(&terminal, "x").await, "error: Nothing runs in the shell. Give a command.");
    assert!(run(&terminal, " ").await.starts_with("error: command must not be empty"));
    assert!(run(&terminal, "echo \0").await.starts_with("error: command must not contain a NUL"));
    let both = TerminalArgs { command: Some("true".into()), input: Some("x".into()), ..TerminalArgs::default() };
    assert!(ask(&terminal, both).await.starts_with("error: Give only one"));
    let negative = TerminalArgs { command: Some("true".into()), wait: Some(-1.0), ..TerminalArgs::default() };
    assert!(ask(&terminal, negative).await.starts_with("error: wait must be"));
}

async fn programs_are_given_input(kind: SandboxKind) {
    let Some((_place, terminal)) = terminal(kind).await else { return };
    assert_eq!(run(&terminal, "printf 'Name: '; read -r name; echo \"Hello $name.\"").await, "Name: \n[still running]");
    assert!(run(&terminal, "true").await.starts_with("error: The last command still runs."));
    assert_eq!(give(&terminal, "Ada\n").await, "Hello Ada.");
    assert_eq!(run(&terminal, "echo $name").await, "Ada", "it ran in the shell itself");
    assert_eq!(run(&terminal, "cat").await, "[still running]", "it does not wait for ever");
    assert_eq!(give(&terminal, "line\n").await, "line\n[still running]");
    assert!(signal(&terminal, TerminalSignal::Interrupt).await.contains("[exit status 130]"));
    // What a program leaves unread is no command.
    run(&terminal, "sleep 2").await;
    give(&terminal, "touch hacked\n").await;
    ask(&terminal, TerminalArgs::default()).await;
    assert_eq!(run(&terminal, "ls hacked 2>/dev/null; echo done").await, "done");
}

async fn what_runs_too_long_can_be_interrupted(kind: SandboxKind) {
    let Some((_place, terminal)) = terminal(kind).await else { return };
    let marker = marker();
    assert_eq!(run(&terminal, &format!("x=kept; echo begun; sleep {marker}")).await, "begun\n[still running]");
    assert_eq!(signal(&terminal, TerminalSignal::Interrupt).await, "[exit status 130]");
    assert!(!runs(&marker));
    assert_eq!(run(&terminal, "echo $x").await, "kept");
}

async fn a_killed_shell_is_replaced(kind: SandboxKind) {
    let Some((_place, terminal)) = terminal(kind).await else { return };
    let marker = marker();
    run(&terminal, &format!("trap '' INT; echo begun; setsid sleep {marker}; true")).await;
    assert_eq!(signal(&terminal, TerminalSignal::Kill).await, "[the shell was killed by signal 9]");
    assert!(!runs(&marker));
    assert_eq!(run(&terminal, "echo new").await, "new");
}

async fn jobs_run_beside(kind: SandboxKind) {
    let Some((_place, terminal)) = terminal(kind).await else { return };
    let start =
        |command: &str| TerminalArgs { command: Some(command.into()), background: true, ..TerminalArgs::default() };
    let of = |job| TerminalArgs { job: Some(job), ..TerminalArgs::default() };
    assert_eq!(ask(&terminal, start("read -r x; echo got $x; seq 100000 | tail -1; exit 4")).await, "[job 1 started]");
    assert_eq!(ask(&terminal, start("while :; do echo tick; sleep 0.2; done")).await, "[job 2 started]");
    assert_eq!(run(&terminal, "echo beside").await, "beside");
    assert_eq!(
        ask(&terminal, TerminalArgs { input: Some("this\n".into()), ..of(1) }).await,
        "got this\n100000\n[the job ended with exit status 4]"
    );
    assert_eq!(ask(&terminal, of(1)).await, "error: There is no job 1. Jobs: 2.");
    let polled = ask(&terminal, TerminalArgs { wait: Some(0.5), ..of(2) }).await;
    assert!(polled.starts_with("tick\n") && polled.ends_with("[still running]"), "{polled}");
    let killed = ask(&terminal, TerminalArgs { signal: Some(TerminalSignal::Kill), ..of(2) }).await;
    assert!(killed.ends_with("[the job was killed by signal 9]"), "{killed}");
    let with_both = TerminalArgs { job: Some(2), ..start("true") };
    assert!(ask(&terminal, with_both).await.starts_with("error: background is for a command"));
}

async fn all_ends_with_the_terminal(kind: SandboxKind) {
    let Some((place, terminal)) = terminal(kind).await else { return };
    let marker = marker();
    let sleep = format!("sleep {marker}; true");
    ask(&terminal, TerminalArgs { command: Some(sleep.clone()), background: true, ..TerminalArgs::default() }).await;
    ask(&terminal, TerminalArgs { command: Some(sleep), wait: Some(0.2), ..TerminalArgs::default() }).await;
    until("it runs", || runs(&marker)).await;
    drop(terminal);
    until("all are gone", || !runs(&marker)).await;
    assert_eq!(place.say("echo the sandbox works on").await, "the sandbox works on");
}
