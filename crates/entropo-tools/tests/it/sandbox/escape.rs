//! Attempts to get out. Each is made in every sandbox that promises to stop it, and first where nothing stops it, so that
//! an attempt which never worked does not pass for one that was stopped.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use entropo_tools::Command;
use entropo_tools::sandbox::{Limits, Promise, SandboxKind, SandboxOptions, Status};

use super::{Place, for_each_kind, marker, open, outside, runs};

for_each_kind! {
    files_outside_are_not_changed,
    files_outside_are_not_read,
    links_do_not_lead_out,
    the_embedding_process_is_not_looked_into,
    nothing_is_reached_over_the_network,
    nobody_outside_is_killed,
    nobody_stays_behind,
    the_machine_is_not_administered,
    a_memory_bomb_is_stopped,
    a_fork_bomb_is_stopped,
    many_files_do_no_harm,
}

/// A sandbox that keeps this promise, if its kind does.
async fn promising(kind: SandboxKind, promise: Promise, options: SandboxOptions) -> Option<Place> {
    let place = open(kind, options).await?;
    if place.sandbox.promises().contains(&promise) {
        return Some(place);
    }
    eprintln!("skipped: {kind} does not promise that commands cannot {promise}");
    None
}

/// Where nothing is stopped, to see that an attempt works.
async fn open_country() -> Place {
    open(SandboxKind::Local, SandboxOptions::new()).await.unwrap()
}

async fn files_outside_are_not_changed(kind: SandboxKind) {
    let attempts = |at: &Path| {
        let at = at.display();
        [
            format!("echo x > {at}/new"),
            format!("echo x > {at}/there"),
            format!("echo x >> {at}/there"),
            format!("rm -f {at}/there"),
            format!("mv {at}/there {at}/moved"),
            format!("mkdir {at}/directory"),
            format!("chmod 777 {at}/there && echo x > {at}/there"),
            format!("ln -sfn {at} link && echo x > link/new"),
            format!("echo x > {at}/../$(basename {at})/new"),
            format!("ln {at}/there hard && echo x > hard"),
            format!("cp {at}/there copy && mv copy {at}/there2"),
            format!("echo x > /proc/1/root{at}/new"),
            format!("for p in /proc/[0-9]*; do echo x > $p/root{at}/new; done"),
            format!("mkdir m; mount --bind {at} m && echo x > m/new; umount m"),
            format!("unshare -rm sh -c 'mkdir n; mount --bind {at} n && echo x > n/new'"),
            format!("tar -cf t.tar -C / etc/passwd; tar -xf t.tar -C {at}"),
            format!("truncate -s 0 {at}/there"),
        ]
    };
    let listing = |at: &Path| {
        let mut all: Vec<_> = fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path()).collect();
        all.sort();
        all.into_iter().map(|path| (fs::read(&path).ok(), path)).collect::<Vec<_>>()
    };
    let prepared = || {
        let directory = outside();
        fs::write(directory.path().join("there"), "untouched").unwrap();
        directory
    };
    let free = open_country().await;
    for script in 0..4 {
        let directory = prepared();
        let before = listing(directory.path());
        free.run(&attempts(directory.path())[script]).await;
        assert_ne!(listing(directory.path()), before, "attempt {script} works where nothing stops it");
    }
    let Some(place) = promising(kind, Promise::Files, SandboxOptions::new()).await else { return };
    let directory = prepared();
    let before = listing(directory.path());
    for script in attempts(directory.path()) {
        let result = place.run(&script).await;
        assert_eq!(listing(directory.path()), before, "{script}: {:?} {}", result.status, result.output.head);
    }
    // The system, where this test may be root.
    let name = format!("entropo-escape-{}", std::process::id());
    for system in ["/usr/bin", "/etc", "/var/tmp", "/dev/shm", "/root", "/"] {
        place.run(&format!("echo x > {system}/{name}")).await;
        assert!(!Path::new(system).join(&name).exists(), "{system}");
    }
    let before = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    place.run("echo '|/tmp/x' > /proc/sys/kernel/core_pattern").await;
    assert_eq!(fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), before);
}

async fn files_outside_are_not_read(kind: SandboxKind) {
    let directory = outside();
    fs::write(directory.path().join("key"), "the-secret-itself").unwrap();
    let at = directory.path().display();
    let attempts = [
        format!("cat {at}/key"),
        format!("ln -s {at}/key link; cat link"),
        format!("ln {at}/key hard; cat hard"),
        format!("cp {at}/key copy; cat copy"),
        format!("cat /proc/1/root{at}/key; cat /proc/*/root{at}/key"),
        "cat /proc/*/cwd/key".to_owned(),
        format!(
            "cd / && find . -xdev -name key -path '*{}*' -exec cat {{}} + ",
            directory.path().file_name().unwrap().display()
        ),
        format!("grep -r secret {at}"),
    ];
    assert!(open_country().await.run(&attempts[0]).await.output.head.contains("the-secret-itself"));
    let Some(place) = promising(kind, Promise::Secrets, SandboxOptions::new()).await else { return };
    for script in attempts {
        let result = place.run(&script).await;
        assert!(!result.output.head.contains("the-secret-itself"), "{script}");
    }
    for secret in ["/etc/shadow", "/root/.bashrc"] {
        let content = fs::read_to_string(secret).unwrap_or_default();
        let result = place.run(&format!("cat {secret}")).await;
        assert!(content.is_empty() || !result.output.head.contains(&content), "{secret}");
    }
}

async fn links_do_not_lead_out(kind: SandboxKind) {
    let directory = outside();
    fs::write(directory.path().join("there"), "untouched").unwrap();
    let Some(place) = promising(kind, Promise::Files, SandboxOptions::new()).await else { return };
    // One process swaps a directory for a link to outside, another writes through it.
    let script = format!(
        "mkdir real; for i in $(seq 300); do ln -sfn {} way; ln -sfn real way; done & \
         for i in $(seq 300); do echo x > way/there; echo x > way/new; done 2>/dev/null; wait",
        directory.path().display()
    );
    place.run(&script).await;
    assert_eq!(fs::read_to_string(directory.path().join("there")).unwrap(), "untouched");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
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
    let told =
        |output: &str| output.contains("CARGO_MANIFEST_DIR") || output.contains("heap") || output.contains(" -> ");
    assert!(told(&open_country().await.run(&attempts[1]).await.output.head));
    let Some(place) = promising(kind, Promise::Environment, SandboxOptions::new()).await else { return };
    for script in attempts {
        let output = place.run(&script).await.output;
        assert!(!told(&output.head), "{script}: {}", output.head);
    }
    // Nor does a command inherit anything open but its own input and output.
    assert_eq!(place.say("ls /proc/self/fd | grep -v '^[0-3]$'").await, "");
}

async fn nothing_is_reached_over_the_network(kind: SandboxKind) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let directory = outside();
    let socket = directory.path().join("service");
    let service = UnixListener::bind(&socket).unwrap();
    service.set_nonblocking(true).unwrap();
    let datagrams = directory.path().join("datagrams");
    let receiver = UnixDatagram::bind(&datagrams).unwrap();
    receiver.set_nonblocking(true).unwrap();
    let python = |code: &str| format!("python3 -c '{code}'");
    let tcp = python(&format!("import socket; socket.create_connection((\"127.0.0.1\", {port}), 2)"));
    let unix = python(&format!("import socket; socket.socket(socket.AF_UNIX).connect(\"{}\")", socket.display()));
    let others = [
        python("import socket; socket.create_connection((\"192.0.2.1\", 80), 1); print(\"out\")"),
        python(
            "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b\"x\", (\"192.0.2.1\", 53)); print(\"out\")",
        ),
        python("import socket; socket.getaddrinfo(\"example.com\", 80); print(\"out\")"),
        python(&format!(
            "import socket; socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b\"x\", \"{}\"); print(\"out\")",
            datagrams.display()
        )),
        python("import socket; socket.socket(40, socket.SOCK_STREAM); print(\"out\")"),
        python("import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW).bind((\"lo\", 0)); print(\"out\")"),
    ];
    let free = open_country().await;
    if free.run("command -v python3").await.status.is_success() {
        assert!(free.run(&tcp).await.status.is_success() && listener.accept().is_ok());
        assert!(free.run(&unix).await.status.is_success() && service.accept().is_ok());
    }
    let Some(place) = promising(kind, Promise::Network, SandboxOptions::new()).await else { return };
    for script in [&tcp, &unix] {
        assert!(!place.run(script).await.status.is_success(), "{script}");
    }
    for script in others {
        assert!(!place.say(&script).await.contains("out"), "{script}");
    }
    assert!(receiver.recv(&mut [0]).is_err());
    assert!(listener.accept().is_err() && service.accept().is_err());
}

/// Someone outside, who should live.
struct Bystander(Child);

impl Bystander {
    fn new(marker: &str) -> Self {
        Self(std::process::Command::new("sleep").arg(marker).stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

async fn nobody_outside_is_killed(kind: SandboxKind) {
    let marker = marker();
    let mut bystander = Bystander::new(&marker);
    let id = bystander.0.id();
    // That it works where nothing stops it needs no proof, and would end this test.
    let Some(place) = promising(kind, Promise::Signals, SandboxOptions::new()).await else { return };
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

async fn nobody_stays_behind(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    // Landlock does not promise it, as one that forks and ends without pause is never met. All others it ends.
    if kind != SandboxKind::Landlock && !place.sandbox.promises().contains(&Promise::Survivors) {
        return eprintln!("skipped: {kind} does not promise it");
    }
    let marker = marker();
    for script in [
        format!("(ulimit -m 1000; ulimit -m unlimited; setsid sleep {marker} </dev/null >/dev/null 2>&1 &)"),
        format!(
            "python3 -c 'import resource as r; r.setrlimit(r.RLIMIT_RSS, (1, 1))'; setsid sleep {marker} >/dev/null 2>&1 &"
        ),
        format!("trap '' HUP TERM INT; env -i nohup setsid sleep {marker} >/dev/null 2>&1 &"),
        format!("i=0; while [ $i -lt 50 ]; do setsid sleep {marker} >/dev/null 2>&1 & i=$((i+1)); done"),
    ] {
        place.run(&script).await;
        assert!(!runs(&marker), "{script}");
    }
}

async fn the_machine_is_not_administered(kind: SandboxKind) {
    let Some(place) = promising(kind, Promise::Files, SandboxOptions::new()).await else { return };
    for script in [
        "mount -t tmpfs none /tmp",
        "mkdir x; mount -t proc proc x",
        "unshare -m true",
        "unshare -U true",
        "chroot / true",
        "mknod disk b 254 0 && dd if=disk of=/dev/null count=1",
        "dd if=/dev/vda of=/dev/null count=1",
        "date -s 2000-01-01 && [ \"$(date +%Y)\" = 2000 ]",
        "sysctl -w kernel.panic=1",
        "nsenter -t 1 -m true",
    ] {
        // In a container there may be namespaces, in which nobody is more than outside.
        if kind == SandboxKind::Container && script == "unshare -U true" {
            continue;
        }
        assert!(!place.run(script).await.status.is_success(), "{script}");
    }
}

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

async fn many_files_do_no_harm(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    assert_eq!(place.say("mkdir many && cd many && seq 20000 | xargs touch && ls | wc -l").await, "20000");
}
