//! Pods, by an API server of our own that runs them as processes of this machine.

mod cluster;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use entropo_tools::sandbox::kubernetes::{KubernetesSandbox, PodOptions, PodResources, remove_left_overs};
use entropo_tools::sandbox::{Input, Promise, Promises, Signal, Status};
use entropo_tools::{Command, ExecResult, Sandbox, SandboxError};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use self::cluster::{Cluster, Fate};
use super::sandbox::{marker, runs, until};

/// A workspace here, and a place for the pod's.
struct Places {
    local: TempDir,
    remote: TempDir,
}

impl Places {
    fn new() -> Self {
        let places = Self { local: tempfile::tempdir().unwrap(), remote: tempfile::tempdir().unwrap() };
        fs::write(places.local.path().join("greeting"), "hello\n").unwrap();
        fs::create_dir(places.local.path().join("sub")).unwrap();
        places
    }

    fn pod_root(&self) -> PathBuf {
        self.remote.path().join("workspace")
    }

    fn options(&self) -> PodOptions {
        PodOptions::new("debian:13").root(self.pod_root()).request_timeout(Duration::from_secs(20))
    }

    async fn start(&self, cluster: &Cluster) -> KubernetesSandbox {
        KubernetesSandbox::start(cluster.client(), self.local.path(), self.options()).await.unwrap()
    }

    fn here(&self, name: &str) -> PathBuf {
        self.local.path().join(name)
    }
}

async fn exec(sandbox: &KubernetesSandbox, command: Command) -> ExecResult {
    sandbox.exec(command, &CancellationToken::new()).await.unwrap()
}

async fn prints(sandbox: &KubernetesSandbox, script: &str) -> String {
    let result = exec(sandbox, Command::script(script)).await;
    assert_eq!(result.status, Status::Exited(0), "{}", result.output.head);
    result.output.head
}

fn told(error: &SandboxError) -> String {
    error.to_string()
}

#[tokio::test]
async fn a_pod_is_asked_for_until_the_cluster_has_time() {
    let (cluster, places) = (Cluster::new(Fate::Runs), Places::new());
    cluster.shared.refusals.lock().unwrap().extend([(429, "TooManyRequests"), (409, "Conflict"), (0, "")]);
    let resources = PodResources::default().memory(1 << 30).processor_millis(500).disk(5 << 30);
    let options = places.options().resources(resources).owner("me").env("PRICE", "$(HOME) $5").user(1000);
    let options = options.node_label("disk", "fast").pull_secret("registry").label("team", "a");
    let sandbox = KubernetesSandbox::start(cluster.client(), places.local.path(), options).await.unwrap();
    // Refused, refused, made although it said otherwise, and found to be there already.
    assert_eq!(cluster.requests("create"), 4);
    let pods = cluster.pods();
    assert_eq!(pods.len(), 1);
    let (spec, metadata) = (&pods[0]["spec"], &pods[0]["metadata"]);
    assert_eq!(metadata["labels"]["entropo/owner"], "me");
    assert_eq!(metadata["labels"]["team"], "a");
    for (key, value) in [
        ("restartPolicy", json!("Never")),
        ("automountServiceAccountToken", json!(false)),
        ("enableServiceLinks", json!(false)),
        ("activeDeadlineSeconds", json!(3600)),
        ("nodeSelector", json!({"disk": "fast"})),
        ("imagePullSecrets", json!([{"name": "registry"}])),
    ] {
        assert_eq!(spec[key], value, "{key}");
    }
    assert_eq!(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(spec["securityContext"]["runAsUser"], 1000);
    let container = &spec["containers"][0];
    assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    let limits = json!({"cpu": "500m", "ephemeral-storage": "5368709120", "memory": "1073741824"});
    assert_eq!((&container["resources"]["limits"], &container["resources"]["requests"]), (&limits, &limits));
    assert_eq!(prints(&sandbox, "echo \"$PRICE\"").await, "$(HOME) $5\n");
    let promised = [
        Promise::Environment,
        Promise::Files,
        Promise::Attributes,
        Promise::Secrets,
        Promise::Signals,
        Promise::Memory,
    ];
    assert_eq!(sandbox.promises(), Promises::from(promised));

    sandbox.close().await.unwrap();
    sandbox.close().await.unwrap();
    assert_eq!(cluster.pods(), Vec::<Value>::new());
    let after = sandbox.exec(Command::script("true"), &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(after, SandboxError::Engine { .. }), "{after}");
}

#[tokio::test]
async fn a_refusal_for_good_is_not_asked_again() {
    let (cluster, places) = (Cluster::new(Fate::Runs), Places::new());
    cluster.shared.refusals.lock().unwrap().push_back((403, "Forbidden"));
    let error = KubernetesSandbox::start(cluster.client(), places.local.path(), places.options()).await.unwrap_err();
    assert!(told(&error).contains("create a pod") && told(&error).contains("Forbidden"), "{error}");
    assert_eq!(cluster.requests("create"), 1);
}

#[tokio::test]
async fn a_pod_that_cannot_start_says_why_and_is_deleted() {
    for (fate, words) in [
        (Fate::Waits("ImagePullBackOff"), ["image debian:13", "ImagePullBackOff: no such image"]),
        (Fate::Fails("OutOfcpu"), ["cannot start", "Failed: OutOfcpu: the node says no"]),
        (Fate::Unschedulable, ["within 1 s", "Unschedulable: 0/3 nodes are available"]),
        (Fate::Waits("ContainerCreating"), ["within 1 s", "ContainerCreating"]),
    ] {
        let (cluster, places) = (Cluster::new(fate), Places::new());
        let options = places.options().start_timeout(Duration::from_secs(1));
        let error = KubernetesSandbox::start(cluster.client(), places.local.path(), options).await.unwrap_err();
        assert!(words.iter().all(|word| told(&error).contains(word)), "{error}");
        assert_eq!(cluster.pods(), Vec::<Value>::new(), "{error}");
        assert!(cluster.requests("watch") > 0);
    }
}

#[tokio::test]
async fn exit_codes_signals_directories_and_variables() {
    for protocol in ["v4.channel.k8s.io", "v5.channel.k8s.io"] {
        let (cluster, places) = (Cluster::speaking(Fate::Runs, protocol), Places::new());
        let sandbox = places.start(&cluster).await;
        let result = exec(&sandbox, Command::script("echo out; echo err >&2; echo more; exit 3")).await;
        assert_eq!((result.status, result.output.head.as_str()), (Status::Exited(3), "out\nerr\nmore\n"));
        assert_eq!(exec(&sandbox, Command::script("kill -9 $$")).await.status, Status::Signalled(9));
        assert_eq!(exec(&sandbox, Command::script("kill -TERM 0")).await.status, Status::Signalled(15));
        assert!(exec(&sandbox, Command::program("cat", Vec::<String>::new())).await.status.is_success(), "no input");
        let result = exec(&sandbox, Command::program("printf", ["%s|", "a b", "$HOME", "ö"])).await;
        assert_eq!(result.output.head, "a b|$HOME|ö|");
        let result = exec(&sandbox, Command::program("no-such-program", ["x"])).await;
        assert!(result.status == Status::Exited(127) && result.output.head.contains("no-such-program"), "{result:?}");
        let result = exec(&sandbox, Command::script("pwd; echo $A $LANG").directory("sub").env("A", "b c")).await;
        assert_eq!(result.output.head, format!("{}\nb c C.UTF-8\n", places.pod_root().join("sub").display()));
        for wrong in [Command::script("true").directory(".."), Command::script("true").env("a=b", "c")] {
            assert!(sandbox.exec(wrong, &CancellationToken::new()).await.is_err());
        }
        let result = exec(&sandbox, Command::script("head -c 3000000 /dev/zero | tr '\\0' x")).await;
        assert_eq!(result.output.left_out, 3_000_000 - (16 << 10));
        sandbox.close().await.unwrap();
    }
}

#[tokio::test]
async fn input_is_passed_on_and_so_is_its_end() {
    let (cluster, places) = (Cluster::new(Fate::Runs), Places::new());
    let sandbox = places.start(&cluster).await;
    let mut process =
        sandbox.spawn(&Command::script("read line; echo got $line; cat; exit 4"), Input::Piped).await.unwrap();
    let mut input = process.input.take().unwrap();
    input.write_all(b"one\n").await.unwrap();
    let mut answer = [0; 8];
    process.output.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"got one\n");
    input.write_all(b"two").await.unwrap();
    drop(input);
    let mut rest = String::new();
    process.output.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "two");
    assert_eq!(process.control.wait().await.unwrap(), Status::Exited(4));
    assert_eq!(process.control.wait().await.unwrap(), Status::Exited(4), "also after the end");
    process.control.kill().await.unwrap();

    let script = Command::script("trap 'echo caught; exit 5' USR1; echo ready; while :; do sleep 0.05; done");
    let mut process = sandbox.spawn(&script, Input::Closed).await.unwrap();
    process.output.read_exact(&mut [0; 6]).await.unwrap();
    process.control.signal(Signal::SIGUSR1).await.unwrap();
    assert_eq!(process.control.wait().await.unwrap(), Status::Exited(5));
}

#[tokio::test]
async fn nothing_of_a_command_runs_after_it() {
    let (cluster, places) = (Cluster::new(Fate::Runs), Places::new());
    let sandbox = places.start(&cluster).await;
    let marks = [marker(), marker(), marker()];
    let family = format!("sleep {} & setsid sleep {} & sleep {}", marks[0], marks[1], marks[2]);
    let result = exec(&sandbox, Command::script(&family).timeout(Duration::from_secs(2))).await;
    assert_eq!(result.status, Status::TimedOut);
    assert!(!marks.iter().any(|mark| runs(mark)));

    // Those left behind hold the output.
    let result = exec(&sandbox, Command::script(format!("setsid sleep {} & echo done", marks[0]))).await;
    assert_eq!((result.status, result.output.head.as_str()), (Status::Exited(0), "done\n"));
    assert!(!runs(&marks[0]));

    let cancel = CancellationToken::new();
    let command = sandbox.exec(Command::script(&family), &cancel);
    let (result, ()) = tokio::join!(command, async {
        until("it runs", || runs(&marks[1])).await;
        cancel.cancel();
    });
    assert_eq!(result.unwrap().status, Status::Cancelled);
    assert!(!marks.iter().any(|mark| runs(mark)));

    let never = CancellationToken::new();
    let command = sandbox.exec(Command::script(&family), &never);
    tokio::select! {
        _ = command => panic!("it sleeps"),
        () = until("it runs", || marks.iter().all(|mark| runs(mark))) => {}
    }
    until("a dropped command is killed", || !marks.iter().any(|mark| runs(mark))).await;
}

#[tokio::test]
async fn files_are_the_same_before_and_after_each_command() {
    let (cluster, places) = (Cluster::new(Fate::Runs), Places::new());
    fs::write(places.here("-odd name\n"), "odd").unwrap();
    std::os::unix::fs::symlink("greeting", places.here("link")).unwrap();
    let sandbox = places.start(&cluster).await;
    assert_eq!(prints(&sandbox, "cat link ./-odd*").await, "hello\nodd");

    fs::write(places.here("greeting"), "good morning\n").unwrap();
    fs::remove_file(places.here("-odd name\n")).unwrap();
    fs::remove_file(places.here("link")).unwrap();
    fs::create_dir(places.here("link")).unwrap();
    fs::write(places.here("link/tool"), "#!/bin/sh\necho runs\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(places.here("link/tool"), mode).unwrap();
    assert_eq!(prints(&sandbox, "cat greeting; ls; link/tool").await, "good morning\ngreeting\nlink\nsub\nruns\n");

    let script = "echo new >sub/new; rm -r link; ln -s sub/new greeting2; mv greeting moved; mkdir empty";
    prints(&sandbox, script).await;
    let mut names: Vec<_> =
        fs::read_dir(places.local.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["empty", "greeting2", "moved", "sub"]);
    assert_eq!(fs::read_to_string(places.here("greeting2")).unwrap(), "new\n");
    assert!(fs::read_link(places.here("greeting2")).unwrap() == Path::new("sub/new"));

    // Nothing changed here: nothing is sent.
    let before = cluster.requests("exec");
    prints(&sandbox, "true").await;
    assert_eq!(cluster.requests("exec") - before, 2, "the command, and the archive");

    // What is changed here while a command runs is not lost.
    let never = CancellationToken::new();
    let running = sandbox.exec(Command::script("while ! [ -e go ]; do sleep 0.02; done; echo 1 >from-pod"), &never);
    let edit = async {
        fs::write(places.here("sub/new"), "edited\n").unwrap();
        fs::write(places.pod_root().join("go"), "").unwrap();
    };
    let (result, ()) = tokio::join!(running, edit);
    assert!(result.unwrap().status.is_success());
    assert_eq!(fs::read_to_string(places.here("sub/new")).unwrap(), "edited\n");
    assert!(places.here("from-pod").exists());
}

#[tokio::test]
async fn a_workspace_that_grew_too_large_is_not_taken() {
    let (cluster, places) = (Cluster::new(Fate::Runs), Places::new());
    let options = places.options().archive_limit(1 << 20);
    let sandbox = KubernetesSandbox::start(cluster.client(), places.local.path(), options).await.unwrap();
    let command = Command::script("head -c 5000000 /dev/zero >large");
    let error = sandbox.exec(command, &CancellationToken::new()).await.unwrap_err();
    assert!(told(&error).contains("larger than 1048576 bytes"), "{error}");
    assert!(!places.here("large").exists() && places.here("greeting").exists());
}

#[tokio::test]
async fn a_cluster_that_dies_is_an_error_and_not_the_end_of_a_command() {
    let (mut cluster, places) = (Cluster::new(Fate::Runs), Places::new());
    let sandbox = places.start(&cluster).await;
    let mark = marker();
    let (command, cancel) = (Command::script(format!("sleep {mark}")), CancellationToken::new());
    let (result, ()) = tokio::join!(sandbox.exec(command, &cancel), async {
        until("it runs", || runs(&mark)).await;
        cluster.die();
    });
    let error = result.unwrap_err();
    assert!(matches!(error, SandboxError::Watch(_)), "{error}");
    assert!(sandbox.close().await.is_err());
}

#[tokio::test]
async fn a_dropped_sandbox_is_deleted() {
    let (cluster, places) = (Cluster::new(Fate::Runs), Places::new());
    drop(places.start(&cluster).await);
    until("the pod is deleted", || cluster.pods().is_empty()).await;
}

#[tokio::test]
async fn left_overs_are_those_that_ended_are_late_or_belong_to_the_dead() {
    let cluster = Cluster::new(Fate::Runs);
    let pod = |name: &str, owner: &str, phase: &str, deadline: &str, by: &str| {
        json!({"metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": by, "entropo/owner": owner},
            "annotations": {"entropo/deadline": deadline}}, "status": {"phase": phase}})
    };
    for (name, owner, phase, deadline, by) in [
        ("kept", "alive", "Running", "99999999999", "entropo"),
        ("ended", "alive", "Failed", "99999999999", "entropo"),
        ("late", "alive", "Running", "1000", "entropo"),
        ("orphan", "dead", "Running", "99999999999", "entropo"),
        ("other", "dead", "Failed", "1000", "helm"),
    ] {
        cluster.insert(pod(name, owner, phase, deadline, by));
    }
    assert_eq!(remove_left_overs(cluster.client(), None, None).await.unwrap(), 2);
    assert_eq!(remove_left_overs(cluster.client(), Some("default"), Some("dead")).await.unwrap(), 1);
    let names: Vec<_> = cluster.pods().iter().map(|pod| pod["metadata"]["name"].clone()).collect();
    assert_eq!(names, ["kept", "other"]);
}
