//! What all kinds of sandboxes do alike.

use std::fs;
use std::time::Duration;

use entropo_tools::sandbox::{Input, OutputLimit, SandboxKind, SandboxOptions, Signal, Status};
use entropo_tools::{Command, PathError, SandboxError};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio_util::sync::CancellationToken;

use super::{for_each_kind, marker, open, runs, until};

for_each_kind! {
    statuses_and_order_of_output,
    directories,
    environment,
    files_go_both_ways,
    private_directories,
    timeout_kills_the_family_and_keeps_the_output,
    silence_is_limited_where_asked,
    cancelling,
    dropping,
    the_end_of_one_leaves_others,
    background_children_and_daemons_are_gone,
    output_that_is_no_text,
    long_output_is_whole_in_a_file,
    a_conversation,
    signals_reach_the_family,
    killing_twice,
    the_sandbox_may_go_before_its_processes,
    many_at_once,
    variables_and_paths_of_the_options,
    what_is_shared_must_be_there,
    a_new_sandbox_knows_nothing_of_an_old_one,
}

async fn statuses_and_order_of_output(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    let result = place.run("echo out; echo err >&2; echo more; exit 3").await;
    assert_eq!((result.status, result.output.head.as_str()), (Status::Exited(3), "out\nerr\nmore\n"));
    assert!(result.duration > Duration::ZERO);
    assert_eq!(place.run("kill -9 $$").await.status, Status::Signalled(9));
    assert_eq!(place.run("kill -15 $$").await.status, Status::Signalled(15));
    assert_eq!(place.run("exit 127").await.status, Status::Exited(127));
    assert!(place.exec(Command::program("cat", Vec::<String>::new())).await.status.is_success(), "no input");
    let result = place.exec(Command::program("printf", ["%s|", "a b", "$HOME", "*"])).await;
    assert_eq!(result.output.head, "a b|$HOME|*|");
    let missing = place.sandbox.exec(Command::program("no-such-program", ["x"]), &CancellationToken::new()).await;
    assert!(matches!(missing, Err(SandboxError::Missing { .. })), "{missing:?}");
}

async fn directories(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    fs::create_dir(place.root.join("lib")).unwrap();
    fs::write(place.root.join("lib/tool"), "#!/bin/sh\necho tool\n").unwrap();
    std::os::unix::fs::symlink("/", place.root.join("out")).unwrap();
    let inside = place.sandbox.root().to_string_lossy().into_owned();
    assert_eq!(place.say("pwd -P").await, inside);
    let pwd = |directory: &'static str| Command::script("pwd -P").directory(directory);
    assert_eq!(place.exec(pwd("lib")).await.output.head.trim_end(), format!("{inside}/lib"));
    for directory in ["..", "/", "out"] {
        let refused = place.sandbox.exec(pwd(directory), &CancellationToken::new()).await;
        assert!(matches!(refused, Err(SandboxError::Directory { source: PathError::Outside(_), .. })), "{directory}");
    }
    place.run("chmod +x lib/tool").await;
    let result = place.exec(Command::program("./tool", Vec::<String>::new()).directory("lib")).await;
    assert_eq!(result.output.head, "tool\n");
}

async fn environment(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    // cargo sets this one for every test; it would be seen if it were passed on.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let result = place.exec(Command::program("env", Vec::<String>::new()).env("EXTRA", "1").env("EXTRA", "2")).await;
    let mut lines: Vec<&str> = result.output.head.lines().collect();
    lines.sort_unstable();
    let names: Vec<&str> = lines.iter().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    // An image brings variables of its own.
    let own = ["EXTRA", "HOME", "LANG", "PATH", "TMPDIR"];
    let seen = names.into_iter().filter(|name| kind != SandboxKind::Container || own.contains(name));
    assert_eq!(seen.filter(|name| *name != "PWD").collect::<Vec<_>>(), own);
    assert!(!lines.iter().any(|line| line.starts_with("CARGO")), "{lines:?}");
    assert!(lines.contains(&"EXTRA=2"), "the later one wins");
}

async fn files_go_both_ways(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    fs::write(place.root.join("given"), "from outside").unwrap();
    assert_eq!(
        place.say("cat given; mkdir -p a/b; echo from inside > a/b/made; ln -s made a/b/link; rm given").await,
        "from outside"
    );
    assert_eq!(fs::read_to_string(place.root.join("a/b/link")).unwrap(), "from inside\n");
    assert!(!place.root.join("given").exists());
}

async fn private_directories(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    assert!(place.run("echo 1 > \"$HOME/a\" && echo 2 > \"$TMPDIR/b\"").await.status.is_success());
    assert_eq!(place.say("cat \"$HOME/a\" \"$TMPDIR/b\"").await, "1\n2", "they last as long as the sandbox");
    assert_eq!(fs::read_dir(&place.root).unwrap().count(), 0, "both lie outside the root");
}

async fn timeout_kills_the_family_and_keeps_the_output(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    let marker = marker();
    // The inner subshell ends at once, so that the sleeper is nobody's child.
    let script = format!("((sleep {marker} &) &); echo begun; sleep {marker}");
    let result = place.exec(Command::script(script).timeout(Duration::from_millis(1500))).await;
    assert_eq!((result.status, result.output.head.as_str()), (Status::TimedOut, "begun\n"));
    assert!(!runs(&marker), "nothing runs when the call returns");
}

async fn silence_is_limited_where_asked(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    let command = |script: &str| Command::script(script).idle_timeout(Duration::from_secs(1));
    let result = place.exec(command("echo waiting; sleep 60")).await;
    assert_eq!((result.status, result.output.head.as_str()), (Status::Idle, "waiting\n"));
    let result = place.exec(command("for i in 1 2 3 4; do sleep 0.4; echo $i; done")).await;
    assert_eq!(
        (result.status, result.output.head.as_str()),
        (Status::Exited(0), "1\n2\n3\n4\n"),
        "each line starts it anew"
    );
}

async fn cancelling(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    let (marker, cancel) = (marker(), CancellationToken::new());
    let command = Command::script(format!("echo begun; sleep {marker}; echo never"));
    let (result, ()) = tokio::join!(place.sandbox.exec(command, &cancel), async {
        until("it runs", || runs(&marker)).await;
        cancel.cancel();
    });
    let result = result.unwrap();
    assert_eq!((result.status, result.output.head.as_str()), (Status::Cancelled, "begun\n"));
    assert!(!runs(&marker));
}

async fn dropping(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    let (marker, cancel) = (marker(), CancellationToken::new());
    {
        let call = place.sandbox.exec(Command::script(format!("sleep {marker} & sleep {marker}; true")), &cancel);
        tokio::select! {
            _ = call => panic!("it should still run"),
            () = until("it runs", || runs(&marker)) => {}
        }
    }
    until("all are gone", || !runs(&marker)).await;
    // Also while it starts.
    let command = Command::script(format!("sleep {marker}"));
    drop(tokio::time::timeout(Duration::from_millis(2), place.sandbox.exec(command, &cancel)).await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!runs(&marker));
}

async fn the_end_of_one_leaves_others(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    let (mine, other) = (marker(), marker());
    let command = Command::script(format!("sleep {other}; true"));
    let mut running = place.sandbox.spawn(&command, Input::Closed).await.unwrap();
    until("it runs", || runs(&other)).await;
    let script = format!("setsid sleep {mine} & sleep {mine}");
    let result = place.exec(Command::script(script).timeout(Duration::from_secs(1))).await;
    assert_eq!(result.status, Status::TimedOut);
    assert!(!runs(&mine) && runs(&other));
    running.control.kill().await.unwrap();
    assert!(!runs(&other));
}

async fn background_children_and_daemons_are_gone(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    let marker = marker();
    let daemon = format!("setsid sh -c 'sleep {marker} </dev/null >/dev/null 2>&1 &' </dev/null >/dev/null 2>&1");
    let script =
        format!("sleep {marker} & {daemon}; env -i setsid sleep {marker} >/dev/null 2>&1 & sleep 0.2; echo done");
    let result = place.run(&script).await;
    assert_eq!((result.status, result.output.head.as_str()), (Status::Exited(0), "done\n"));
    assert!(!runs(&marker), "nothing runs when the call returns");
}

async fn output_that_is_no_text(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    let result = place.run(r"printf 'a\377b\000c\n'").await;
    assert_eq!(result.output.head, "a\u{fffd}b\0c\n");
}

async fn long_output_is_whole_in_a_file(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    let script = "yes 0123456789abcde | head -c 5000000; echo; echo end";
    let result =
        place.exec(Command::script(script).output(OutputLimit { head: 1000, tail: 1000, spill: 6_000_000 })).await;
    assert!(result.status.is_success() && result.output.is_truncated());
    assert!(result.output.head.starts_with("0123456789abcde\n") && result.output.tail.ends_with("\nend\n"));
    assert_eq!(result.output.left_out, 5_000_005 - 2000);
    let spill = result.output.full_output.unwrap();
    assert_eq!(fs::metadata(&spill.path).unwrap().len(), 5_000_005);
    let name = spill.path.file_name().unwrap().to_str().unwrap();
    assert_eq!(place.say(&format!("wc -c < $TMPDIR/{name}")).await, "5000005", "commands can read it");
}

async fn a_conversation(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    let command = Command::script("while read -r line; do echo \"<$line>\"; done; echo end; exit 4");
    let mut process = place.sandbox.spawn(&command, Input::Piped).await.unwrap();
    let mut input = process.input.take().unwrap();
    let mut output = BufReader::new(process.output);
    for word in ["one", "two"] {
        input.write_all(format!("{word}\n").as_bytes()).await.unwrap();
        input.flush().await.unwrap();
        let mut line = String::new();
        output.read_line(&mut line).await.unwrap();
        assert_eq!(line, format!("<{word}>\n"));
    }
    input.shutdown().await.unwrap();
    drop(input);
    let mut rest = String::new();
    output.read_to_string(&mut rest).await.unwrap();
    assert_eq!((rest.as_str(), process.control.wait().await.unwrap()), ("end\n", Status::Exited(4)));
    assert_eq!(process.control.wait().await.unwrap(), Status::Exited(4), "asked again, it says the same");
}

async fn signals_reach_the_family(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    let script = "trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.1; done";
    let mut process = place.sandbox.spawn(&Command::script(script), Input::Closed).await.unwrap();
    let mut output = BufReader::new(process.output);
    let mut line = String::new();
    output.read_line(&mut line).await.unwrap();
    assert_eq!(line, "ready\n");
    process.control.signal(Signal::SIGINT).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), process.control.wait()).await;
    assert_eq!(ended.expect("the signal arrives").unwrap(), Status::Exited(5));
    let mut rest = String::new();
    output.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "interrupted\n");
}

async fn killing_twice(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    let marker = marker();
    let command = Command::script(format!("sleep {marker}; true"));
    let mut process = place.sandbox.spawn(&command, Input::Closed).await.unwrap();
    until("it runs", || runs(&marker)).await;
    process.control.kill().await.unwrap();
    assert!(!runs(&marker));
    process.control.kill().await.unwrap();
    assert_eq!(process.control.wait().await.unwrap(), Status::Signalled(9));
    process.control.signal(Signal::SIGINT).await.unwrap();
}

async fn the_sandbox_may_go_before_its_processes(kind: SandboxKind) {
    for sandbox_first in [true, false, true, false] {
        let Some(place) = open(kind, SandboxOptions::new()).await else { return };
        let marker = marker();
        let command = Command::script(format!("sleep {marker} & sleep {marker}; true"));
        let mut process = place.sandbox.spawn(&command, Input::Piped).await.unwrap();
        until("it runs", || runs(&marker)).await;
        if sandbox_first {
            drop(place);
            process.control.kill().await.unwrap();
            assert!(!runs(&marker), "nothing runs when it is killed");
            process.control.signal(Signal::SIGINT).await.unwrap();
            process.control.kill().await.unwrap();
            let ended = tokio::time::timeout(Duration::from_secs(30), process.control.wait()).await;
            // An engine that has removed the container does not know how its commands ended.
            let ended = ended.expect("waiting comes to an end");
            assert!(matches!(ended, Ok(Status::Signalled(_))) || kind == SandboxKind::Container, "{ended:?}");
            drop(process);
        } else {
            drop(process);
            until("all are gone", || !runs(&marker)).await;
            assert_eq!(place.say("echo still here").await, "still here");
            drop(place);
        }
    }
}

async fn many_at_once(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..16 {
        let sandbox = std::sync::Arc::clone(&place.sandbox);
        let command = Command::script(format!("sleep 0.2; echo {number}"));
        calls.spawn(async move { (number, sandbox.exec(command, &CancellationToken::new()).await.unwrap()) });
    }
    while let Some(done) = calls.join_next().await {
        let (number, result) = done.unwrap();
        assert_eq!(
            result.output.head,
            format!("{number}\n"),
            "the end of one does not touch the others: {:?}",
            result.status
        );
    }
}

async fn variables_and_paths_of_the_options(kind: SandboxKind) {
    let (given, shared) = (super::outside(), super::outside());
    fs::write(given.path().join("file"), "given").unwrap();
    let temporary = tempfile::tempdir().unwrap();
    fs::write(temporary.path().join("file"), "among temporary ones").unwrap();
    let options = SandboxOptions::new().env("SET", "yes").readable(given.path()).writable(shared.path());
    let Some(place) = open(kind, options.readable(temporary.path())).await else { return };
    assert_eq!(place.say("echo $SET").await, "yes");
    let (given, shared) = (given.path(), shared.path());
    assert_eq!(place.say(&format!("cat {}/file", given.display())).await, "given");
    assert_eq!(place.say(&format!("cat {}/file", temporary.path().display())).await, "among temporary ones");
    assert!(place.run(&format!("echo kept > {}/file", shared.display())).await.status.is_success());
    assert_eq!(fs::read_to_string(shared.join("file")).unwrap(), "kept\n");
}

async fn what_is_shared_must_be_there(kind: SandboxKind) {
    let directory = tempfile::tempdir().unwrap();
    let options = SandboxOptions::new().readable("/no/such/path");
    match super::sandbox_around(directory.path(), kind, options).await {
        Ok(sandbox) => assert_eq!(sandbox.kind(), SandboxKind::Local, "there all is shared that is"),
        Err(error @ SandboxError::Shared { .. }) => assert!(error.to_string().contains("/no/such/path")),
        Err(error) => super::skip(&error),
    }
}

async fn a_new_sandbox_knows_nothing_of_an_old_one(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    place.run("echo old > \"$HOME/file\"; echo old > \"$TMPDIR/file\"").await;
    drop(place);
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    assert_eq!(place.say("ls \"$HOME\" \"$TMPDIR\" | grep file").await, "");
}
