//! Other processes, and becoming one of them.

use std::fs;
use std::time::Duration;

use entropo_tools::Command;

use super::*;

for_each_kind! {
    the_embedding_process_is_not_looked_into,
    nobody_outside_is_killed,
    nobody_stays_behind,
}

async fn the_embedding_process_is_not_looked_into(kind: SandboxKind) {
    let id = std::process::id();
    let attempts = [
        "cat /proc/$PPID/environ".to_owned(),
        format!("cat /proc/{id}/environ"),
        "cat /proc/*/environ".to_owned(),
        format!("cat /proc/{id}/task/*/environ"),
        format!("cat /proc/{id}/maps; dd if=/proc/{id}/mem bs=1 count=1"),
        format!("ls -l /proc/{id}/fd /proc/{id}/cwd"),
    ];
    let told = |output: entropo_tools::sandbox::Output| {
        let output = format!("{}{}", output.head, output.tail);
        ["CARGO_MANIFEST_DIR", "heap", " -> "].iter().any(|secret| output.contains(secret))
    };
    let Some(place) = promising(kind, Promise::Environment, SandboxOptions::new()).await else { return };
    let free = open_country().await;
    for script in attempts {
        // Of all processes on this machine only the first and last kilobytes are kept.
        assert!(script.contains("/*/environ") || told(free.run(&script).await.output), "nothing stops it: {script}");
        assert!(!told(place.run(&script).await.output), "{script}");
    }
    // Nor does a command inherit anything open but its own input and output.
    assert_eq!(place.say("ls /proc/self/fd | grep -v '^[0-3]$'").await, "");
}

async fn nobody_outside_is_killed(kind: SandboxKind) {
    let marker = marker();
    let mut bystander = Bystander::new(&marker, std::path::Path::new("/"));
    let id = bystander.0.id();
    let Some(place) = promising(kind, Promise::Signals, SandboxOptions::new()).await else { return };
    {
        let mut other = Bystander::new(&marker, std::path::Path::new("/"));
        let killed = open_country().await.run(&format!("kill -9 {}", other.0.id())).await;
        assert!(killed.status.is_success() && !other.0.wait().unwrap().success(), "it works where nothing stops it");
    }
    // The others need no proof, and where nothing stops them would end this test.
    for script in [
        format!("kill -9 {id}"),
        format!("kill -9 {}", std::process::id()),
        "kill -9 -1".to_owned(),
        "kill -9 $PPID; kill -9 -$PPID; kill -9 1".to_owned(),
        format!("setsid kill -9 {id}; pkill -9 -f {marker}"),
        "for p in /proc/[0-9]*; do kill -9 ${p#/proc/}; done".to_owned(),
    ] {
        let result = place.exec(Command::script(script.clone()).timeout(Duration::from_secs(10))).await;
        assert!(bystander.0.try_wait().unwrap().is_none(), "{script}: {:?}", result.status);
    }
    assert_eq!(place.say("echo still here").await, "still here", "and the sandbox works on");
}

/// Ends whoever has this among its arguments.
fn end(marker: &str) {
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if line.split(|byte| *byte == 0).any(|argument| argument == marker.as_bytes()) {
            std::process::Command::new("kill").arg("-9").arg(entry.file_name()).status().unwrap();
        }
    }
}

async fn nobody_stays_behind(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    // Landlock does not promise it, as one that forks and ends without pause is never met. All others it ends.
    if kind != SandboxKind::Landlock && !place.sandbox.promises().contains(&Promise::Survivors) {
        return eprintln!("skipped: {kind} does not promise it");
    }
    // What takes the mark off, and what every kind finds. The call ends when it is off, or cannot be.
    let unmarked = |marker: &str| {
        let wait = "i=0; until [ -e off ] || [ $i -gt 60 ]; do sleep 0.05; i=$((i + 1)); done; rm -f off";
        [
            format!(
                "(ulimit -m 1000; ulimit -m unlimited; setsid sh -c ': >off; exec sleep {marker}' </dev/null >/dev/null 2>&1 &)
                {wait}"
            ),
            format!(
                "python3 -c 'import os, resource as r; r.setrlimit(r.RLIMIT_RSS, (1, 1)); os.setsid(); open(\"off\", \"w\"); \
                 os.execvp(\"sleep\", [\"sleep\", \"{marker}\"])' </dev/null >/dev/null 2>&1 & {wait}"
            ),
        ]
    };
    let free = open_country().await;
    for attempt in 0..2 {
        let marker = marker();
        let script = &unmarked(&marker)[attempt];
        if attempt == 0 || free.run("command -v python3").await.status.is_success() {
            free.run(script).await;
            until("it has stayed, as it works where nothing stops it", || runs(&marker)).await;
            end(&marker);
            until("it is gone", || !runs(&marker)).await;
        }
        place.run(script).await;
        assert!(!runs(&marker), "{script}");
    }
    let marker = marker();
    for script in [
        format!("trap '' HUP TERM INT; env -i nohup setsid sleep {marker} >/dev/null 2>&1 &"),
        format!("i=0; while [ $i -lt 50 ]; do setsid sleep {marker} >/dev/null 2>&1 & i=$((i+1)); done"),
    ] {
        place.run(&script).await;
        assert!(!runs(&marker), "{script}");
    }
}
