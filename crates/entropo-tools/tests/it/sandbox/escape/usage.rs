//! More of the machine than is allowed.

use std::time::Duration;

use entropo_tools::Command;
use entropo_tools::sandbox::{Limits, Status};

use super::*;

for_each_kind! {
    a_memory_bomb_is_stopped,
    a_fork_bomb_is_stopped,
    no_process_grows_beyond_its_limit,
}

// Bombs are not tried where nothing stops them.
async fn a_memory_bomb_is_stopped(kind: SandboxKind) {
    let options = SandboxOptions::new().limits(Limits::default().memory(64 << 20));
    let Some(place) = promising(kind, Promise::Memory, options).await else { return };
    // One process, and many that are small each by itself.
    let result = place.exec(Command::script("tail /dev/zero").timeout(Duration::from_secs(30))).await;
    assert!(
        matches!(result.status, Status::Signalled(9) | Status::Exited(_)) && !result.status.is_success(),
        "{:?}",
        result.status
    );
    let many = "for i in 1 2 3 4 5 6 7 8; do (head -c 20000000 /dev/zero | tail -c 20000000 | tail -c 1 >/dev/null; echo ok) & done; wait";
    let result = place.exec(Command::script(many).timeout(Duration::from_secs(30))).await;
    assert!(result.status != Status::TimedOut, "{:?}", result.status);
    assert_eq!(place.say("echo still here").await, "still here");
}

async fn a_fork_bomb_is_stopped(kind: SandboxKind) {
    let options = SandboxOptions::new().limits(Limits::default().processes(64));
    let Some(place) = promising(kind, Promise::Processes, options).await else { return };
    let marker = marker();
    let bomb = format!(
        "bomb() {{ bomb | bomb & }}; bomb; for i in $(seq 200); do sleep {marker} & done 2>/dev/null; sleep 60"
    );
    let bomb = Command::script(bomb).timeout(Duration::from_secs(2));
    let result = place.exec(bomb).await;
    assert!(!result.status.is_success());
    assert!(!runs(&marker), "{:?}", result.status);
    assert_eq!(place.say("echo still here").await, "still here");
}

async fn no_process_grows_beyond_its_limit(kind: SandboxKind) {
    // `tail` holds what it is told to keep.
    let script = "head -c 100000000 /dev/zero | tail -c 100000000 | wc -c";
    let Some(free) = open(kind, SandboxOptions::new()).await else { return };
    assert_eq!(free.say(script).await, "100000000", "it works where there is no limit");
    let place = open(kind, SandboxOptions::new().limits(Limits::default().address_space(64 << 20))).await.unwrap();
    let said = place.say(script).await;
    assert!(!said.contains("100000000"), "{said}");
    assert_eq!(place.say("echo still here").await, "still here");
}
