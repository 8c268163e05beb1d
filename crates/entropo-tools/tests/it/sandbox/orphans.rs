//! What comes of the embedding process's own fate: it is killed, or was started deaf to interrupts.

use std::process::Stdio;

use entropo_tools::sandbox::{Promise, SandboxKind, SandboxOptions};

use super::{for_each_kind, marker, open, runs, until};

for_each_kind! { nobody_outlives_the_embedding_process, interrupts_arrive_though_the_embedding_process_ignores_them }

const KIND: &str = "ENTROPO_ORPHANS_KIND";
const MARKER: &str = "ENTROPO_ORPHANS_MARKER";

/// Not a test by itself: the process that is killed, which is this test program again.
#[tokio::test]
#[ignore = "run by the other test in a process of its own"]
async fn embedding_process() {
    let (Ok(kind), Ok(marker)) = (std::env::var(KIND), std::env::var(MARKER)) else { return };
    let kind: SandboxKind = serde_json::from_value(kind.into()).unwrap();
    let place = open(kind, SandboxOptions::new()).await.unwrap();
    place.run(&format!("setsid sleep {marker} & sleep {marker}; true")).await;
}

async fn nobody_outlives_the_embedding_process(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    // A container does not promise it, as a command can see to it that its first process does not notice.
    if kind != SandboxKind::Container && !place.sandbox.promises().contains(&Promise::Orphans) {
        return eprintln!("skipped: {kind} does not promise it");
    }
    let marker = marker();
    let mut embedding = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sandbox::orphans::embedding_process", "--ignored"])
        .env(KIND, kind.to_string())
        .env(MARKER, &marker)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("it runs", || runs(&marker)).await;
    embedding.kill().unwrap();
    embedding.wait().unwrap();
    until("all are gone", || !runs(&marker)).await;
}

async fn interrupts_arrive_though_the_embedding_process_ignores_them(kind: SandboxKind) {
    if open(kind, SandboxOptions::new()).await.is_none() {
        return;
    }
    let test = format!("sandbox::conformance::{kind}::signals_reach_the_family");
    let script = "trap '' HUP INT QUIT TERM; exec \"$@\"";
    let output = std::process::Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &test])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
