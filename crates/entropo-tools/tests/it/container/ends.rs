//! Nothing is left behind, whoever ends first.

use std::path::Path;
use std::process::{Child, Stdio};

use super::*;

#[tokio::test]
async fn on_timeout_the_whole_family_is_killed_and_others_live_on() {
    let Some((_root, sandbox)) = start(ContainerOptions::new()).await else { return };
    let (mine, other) = (marker(), marker());
    let mut running = sandbox.spawn(&Command::script(format!("sleep {other}; true")), Input::Closed).await.unwrap();
    // The inner subshell ends at once, so that the sleeper is nobody's child; the other has a session of its own.
    let script = format!("((sleep {mine} &) &); setsid sleep {mine} & echo begun; sleep {mine}");
    let result = exec(&sandbox, Command::script(script).timeout(Duration::from_secs(1))).await;
    assert_eq!((result.status, result.output.head.as_str()), (Status::TimedOut, "begun\n"));
    assert!(!runs(&mine), "all are gone as the call returns");
    assert!(runs(&other), "another command lives on");
    running.control.kill().await.unwrap();
    running.control.kill().await.unwrap();
    assert!(!runs(&other));
    assert_eq!(running.control.wait().await.unwrap(), Status::Signalled(9));
    assert_eq!(printed(&sandbox, "echo works").await, "works\n");
}

#[tokio::test]
async fn a_background_child_neither_holds_up_the_call_nor_survives_it() {
    let Some((_root, sandbox)) = start(ContainerOptions::new()).await else { return };
    let marker = marker();
    let result = exec(&sandbox, Command::script(format!("sleep {marker} & setsid sleep {marker} & echo done"))).await;
    assert_eq!((result.status, result.output.head.as_str()), (Status::Exited(0), "done\n"));
    assert!(!runs(&marker));
}

#[tokio::test]
async fn cancelling_and_dropping_kill() {
    let Some((_root, sandbox)) = start(ContainerOptions::new()).await else { return };
    let (marker, cancel) = (marker(), CancellationToken::new());
    let command = Command::script(format!("echo begun; sleep {marker}; echo never"));
    let (result, ()) = tokio::join!(sandbox.exec(command.clone(), &cancel), async {
        until("it runs", || runs(&marker)).await;
        cancel.cancel();
    });
    let result = result.unwrap();
    assert_eq!((result.status, result.output.head.as_str()), (Status::Cancelled, "begun\n"));
    assert!(!runs(&marker));
    let uncancelled = CancellationToken::new();
    tokio::select! {
        _ = sandbox.exec(command.clone(), &uncancelled) => panic!("it should still run"),
        () = until("it runs", || runs(&marker)) => {}
    }
    until("it is gone", || !runs(&marker)).await;
    // Also while it starts.
    drop(tokio::time::timeout(Duration::from_millis(5), sandbox.exec(command, &uncancelled)).await);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!runs(&marker));
}

#[tokio::test]
async fn signals_reach_the_whole_family() {
    let Some((_root, sandbox)) = start(ContainerOptions::new()).await else { return };
    let script = "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 1; done";
    let mut process = sandbox.spawn(&Command::script(script), Input::Closed).await.unwrap();
    let mut ready = [0; 6];
    process.output.read_exact(&mut ready).await.unwrap();
    process.control.signal(entropo_tools::sandbox::Signal::SIGINT).await.unwrap();
    assert_eq!(process.control.wait().await.unwrap(), Status::Exited(7));
    process.control.signal(entropo_tools::sandbox::Signal::SIGINT).await.unwrap();
}

#[tokio::test]
async fn closing_twice_and_dropping_after_it_are_no_errors() {
    let Some((_root, sandbox)) = start(ContainerOptions::new()).await else { return };
    let marker = marker();
    let mut running = sandbox.spawn(&Command::script(format!("sleep {marker}")), Input::Closed).await.unwrap();
    let container = sandbox.container().to_owned();
    assert!(exists(&container) && runs(&marker));
    sandbox.close().await.unwrap();
    assert!(!exists(&container) && !runs(&marker));
    sandbox.close().await.unwrap();
    running.control.kill().await.unwrap();
    assert!(
        running.control.wait().await.is_ok_and(|status| status == Status::Signalled(9))
            || running.control.wait().await.is_err()
    );
    let after = sandbox.exec(Command::script("echo"), &CancellationToken::new()).await;
    assert!(matches!(after, Err(SandboxError::Engine { .. })), "{after:?}");
    drop(sandbox);
}

#[tokio::test]
async fn a_dropped_sandbox_is_removed() {
    let Some((_root, sandbox)) = start(ContainerOptions::new()).await else { return };
    let marker = marker();
    let _running = sandbox.spawn(&Command::script(format!("sleep {marker}")), Input::Closed).await.unwrap();
    let container = sandbox.container().to_owned();
    drop(sandbox);
    until("its commands are gone", || !runs(&marker)).await;
    until("it is removed", || !exists(&container)).await;
}

/// Not a test by itself: the next one runs it in a process that it kills.
#[tokio::test]
#[ignore = "a part of the test after it"]
async fn owner_to_be_killed() {
    let Some(marker) = std::env::var_os("ENTROPO_TEST_MARKER") else { return };
    let Some((_root, sandbox)) = start(ContainerOptions::new()).await else { return };
    let command = Command::script(format!("setsid sleep {}", marker.to_str().unwrap()));
    let _running = sandbox.spawn(&command, Input::Closed).await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
}

#[tokio::test]
async fn a_container_ends_with_its_owner_also_when_that_is_killed() {
    if !is_possible().await {
        return;
    }
    let marker = marker();
    let mut owner = Program::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "container::ends::owner_to_be_killed"])
        .env("ENTROPO_TEST_MARKER", &marker)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("its command runs", || runs(&marker)).await;
    owner.kill().unwrap();
    owner.wait().unwrap();
    until("its command is gone", || !runs(&marker)).await;
}

#[tokio::test]
async fn what_dead_owners_left_is_removed_at_the_next_start() {
    if !is_possible().await {
        return;
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let table = fs::read_link("/proc/self/ns/pid").unwrap();
    // The first process of the machine lives, but did not start then.
    let owner = format!("entropo.owner={} {} 1 1234567", boot.trim(), table.display());
    let left = |labels: &[&str]| {
        let mut podman = Program::new("podman");
        podman.args(["run", "--detach", "--network=none"]);
        for label in labels {
            podman.args(["--label", label]);
        }
        let output = podman.args([IMAGE, "sleep", "1000"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let (dead, foreign) = (left(&["entropo=sandbox", &owner]), left(&[]));
    let Some((_root, _sandbox)) = start(ContainerOptions::new()).await else { return };
    assert!(!exists(&dead));
    assert!(exists(&foreign), "not ours");
    assert!(
        Program::new("podman")
            .args(["rm", "-f", "-t", "0", &foreign])
            .stdout(Stdio::null())
            .status()
            .unwrap()
            .success()
    );
}

/// Another service of the same engine, on a socket of its own.
struct Service(Child);

impl Service {
    async fn start(socket: &Path) -> Self {
        let address = format!("unix://{}", socket.display());
        let service = Program::new("podman").args(["system", "service", "--time=0", &address]).spawn().unwrap();
        until("the service listens", || socket.exists()).await;
        Self(service)
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn an_engine_that_dies_is_an_error_and_leaves_nothing() {
    if !is_possible().await {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("podman.sock");
    let mut service = Service::start(&socket).await;
    let Some((_root, sandbox)) = start(ContainerOptions::new().socket(&socket)).await else { return };
    let (marker, cancel) = (marker(), CancellationToken::new());
    let command = Command::script(format!("echo begun; sleep {marker}; echo never"));
    let (result, ()) = tokio::join!(sandbox.exec(command, &cancel), async {
        until("it runs", || runs(&marker)).await;
        service.kill();
    });
    let error = result.unwrap_err();
    assert!(matches!(error, SandboxError::Engine { .. }), "{error:?}");
    until("it is gone", || !runs(&marker)).await;
    let after = sandbox.exec(Command::script("echo"), &CancellationToken::new()).await;
    assert!(matches!(after, Err(SandboxError::Engine { .. })), "{after:?}");
    assert!(matches!(sandbox.close().await, Err(SandboxError::Engine { .. })));
    let container = sandbox.container().to_owned();
    drop(sandbox);
    until("it is removed all the same", || !exists(&container)).await;
}
