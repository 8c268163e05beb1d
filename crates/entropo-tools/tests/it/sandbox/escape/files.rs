//! Files outside.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

for_each_kind! {
    files_outside_are_not_changed,
    what_is_readable_is_not_changed,
    files_outside_are_not_read,
    links_do_not_lead_out,
    many_files_do_no_harm,
}

/// What an attempt needs to work where nothing stops it.
#[derive(Clone, Copy)]
enum Needs {
    Nothing,
    /// A first process that this user may look into, as root may on most machines.
    FirstProcess,
    /// Mounts, as root may make them outside of containers.
    Mounts,
    /// Namespaces for whoever wants some.
    Namespaces,
    /// The root of the sandbox and what is outside on one file system, across which there are no hard links.
    OneFileSystem,
}

impl Needs {
    async fn are_met(self, free: &Place, outside: &Path) -> bool {
        match self {
            Self::Nothing => true,
            Self::FirstProcess => works(free, &format!("[ -e /proc/1/root{} ]", outside.display())).await,
            Self::Mounts => works(free, "mkdir b && mount --bind b b && umount b").await,
            Self::Namespaces => works(free, "unshare -rm true").await,
            Self::OneFileSystem => fs::metadata(&free.root).unwrap().dev() == fs::metadata(outside).unwrap().dev(),
        }
    }
}

async fn works(place: &Place, script: &str) -> bool {
    place.run(script).await.status.is_success()
}

/// Ways to change something in a directory in which there is a file `there`.
fn changes(at: &Path) -> Vec<(Needs, String)> {
    let at = at.display();
    vec![
        (Needs::Nothing, format!("echo x > {at}/new")),
        (Needs::Nothing, format!("echo x > {at}/there")),
        (Needs::Nothing, format!("echo x >> {at}/there")),
        (Needs::Nothing, format!("rm -f {at}/there")),
        (Needs::Nothing, format!("mv {at}/there {at}/moved")),
        (Needs::Nothing, format!("mkdir {at}/directory")),
        (Needs::Nothing, format!("chmod 777 {at}/there && echo x > {at}/there")),
        (Needs::Nothing, format!("ln -sfn {at} link && echo x > link/new")),
        (Needs::Nothing, format!("echo x > {at}/../$(basename {at})/new")),
        (Needs::OneFileSystem, format!("ln {at}/there hard && echo x > hard")),
        (Needs::Nothing, format!("cp {at}/there copy && mv copy {at}/there2")),
        (Needs::FirstProcess, format!("echo x > /proc/1/root{at}/new")),
        (Needs::Nothing, format!("for p in /proc/[0-9]*; do echo x > $p/root{at}/new; done")),
        (Needs::Mounts, format!("mkdir m; mount --bind {at} m && echo x > m/new; umount m")),
        (Needs::Namespaces, format!("unshare -rm sh -c 'mkdir n; mount --bind {at} n && echo x > n/new'")),
        (Needs::Nothing, format!("tar -cf t.tar -C / etc/passwd; tar -xf t.tar -C {at}")),
        (Needs::Nothing, format!("truncate -s 0 {at}/there")),
    ]
}

fn prepared() -> TempDir {
    let directory = outside();
    fs::write(directory.path().join("there"), "untouched").unwrap();
    directory
}

/// All that is in a directory, with the content of files.
pub(super) fn listing(at: &Path) -> Vec<(Option<Vec<u8>>, PathBuf)> {
    let mut all: Vec<_> = fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all.into_iter().map(|path| (fs::read(&path).ok(), path)).collect()
}

async fn files_outside_are_not_changed(kind: SandboxKind) {
    let Some(place) = promising(kind, Promise::Files, SandboxOptions::new()).await else { return };
    for attempt in 0..changes(Path::new("/")).len() {
        let (free, directory) = (open_country().await, prepared());
        let before = listing(directory.path());
        let (needs, script) = changes(directory.path()).swap_remove(attempt);
        if needs.are_met(&free, directory.path()).await {
            let result = free.run(&script).await;
            let said = result.output.head;
            assert_ne!(listing(directory.path()), before, "it works where nothing stops it: {script}: {said}");
        }
        let directory = prepared();
        let before = listing(directory.path());
        let (_, script) = changes(directory.path()).swap_remove(attempt);
        let result = place.run(&script).await;
        assert_eq!(listing(directory.path()), before, "{script}: {:?} {}", result.status, result.output.head);
    }
    // The system, where this test may be root. That one can write to it as root needs no proof.
    let name = format!("entropo-escape-{}-{kind}", std::process::id());
    for system in ["/usr/bin", "/etc", "/var/tmp", "/dev/shm", "/root", "/"] {
        place.run(&format!("echo x > {system}/{name}")).await;
        let written = Path::new(system).join(&name);
        assert!(fs::remove_file(&written).is_err(), "{}", written.display());
    }
    let setting = "/proc/sys/kernel/core_pattern";
    let before = fs::read_to_string(setting).unwrap();
    place.run(&format!("echo '|/tmp/x' > {setting}")).await;
    let after = fs::read_to_string(setting).unwrap();
    if after != before {
        fs::write(setting, &before).unwrap();
    }
    assert_eq!(after, before);
}

async fn what_is_readable_is_not_changed(kind: SandboxKind) {
    for attempt in 0..changes(Path::new("/")).len() {
        let directory = prepared();
        let before = listing(directory.path());
        let (_, script) = changes(directory.path()).swap_remove(attempt);
        let options = SandboxOptions::new().readable(directory.path());
        let Some(place) = promising(kind, Promise::Files, options).await else { return };
        assert_eq!(place.say(&format!("cat {}/there", directory.path().display())).await, "untouched");
        let result = place.run(&script).await;
        assert_eq!(listing(directory.path()), before, "{script}: {:?} {}", result.status, result.output.head);
        if attempt == 0 {
            // The very same works where it is meant to.
            let place = open(kind, SandboxOptions::new().writable(directory.path())).await.unwrap();
            place.run(&script).await;
            assert_ne!(listing(directory.path()), before);
        }
    }
}

async fn files_outside_are_not_read(kind: SandboxKind) {
    let directory = outside();
    fs::write(directory.path().join("key"), "the-secret-itself").unwrap();
    let at = directory.path().display();
    // Someone who works there.
    let _bystander = Bystander::new(&marker(), directory.path());
    let attempts = [
        (Needs::Nothing, format!("cat {at}/key")),
        (Needs::Nothing, format!("ln -s {at}/key link; cat link")),
        (Needs::OneFileSystem, format!("ln {at}/key hard; cat hard")),
        (Needs::Nothing, format!("cp {at}/key copy; cat copy")),
        (Needs::FirstProcess, format!("cat /proc/1/root{at}/key")),
        (Needs::Nothing, format!("cat /proc/*/root{at}/key")),
        (Needs::Nothing, "cat /proc/*/cwd/key".to_owned()),
        (Needs::Nothing, format!("grep -r secret {at}")),
    ];
    let Some(place) = promising(kind, Promise::Secrets, SandboxOptions::new()).await else { return };
    let free = open_country().await;
    let secret = "the-secret-itself";
    for (needs, script) in attempts {
        if needs.are_met(&free, directory.path()).await {
            let said = free.run(&script).await.output;
            assert!(
                format!("{}{}", said.head, said.tail).contains(secret),
                "it works where nothing stops it: {script}"
            );
        }
        let said = place.run(&script).await.output;
        assert!(!format!("{}{}", said.head, said.tail).contains(secret), "{script}");
    }
    // Where nothing stops it, this one would look through all disks.
    let name = directory.path().file_name().unwrap().display();
    let script = format!("cd / && find . -xdev -name key -path '*{name}*' -exec cat {{}} +");
    assert!(!place.run(&script).await.output.head.contains(secret), "{script}");
    for secret in ["/etc/shadow", "/root/.bashrc"] {
        let content = fs::read_to_string(secret).unwrap_or_default();
        let result = place.run(&format!("cat {secret}")).await;
        assert!(content.is_empty() || !result.output.head.contains(&content), "{secret}");
    }
}

async fn links_do_not_lead_out(kind: SandboxKind) {
    // One process swaps a directory for a link to outside, another writes through it.
    let script = |at: &Path| {
        format!(
            "mkdir real; (for i in $(seq 300); do ln -sfn {} way; ln -sfn real way; done; : > done) & \
             until [ -e done ]; do echo x > way/there; echo x > way/new; done 2>/dev/null; wait",
            at.display()
        )
    };
    let Some(place) = promising(kind, Promise::Files, SandboxOptions::new()).await else { return };
    let (free, directory) = (open_country().await, prepared());
    let before = listing(directory.path());
    free.run(&script(directory.path())).await;
    assert_ne!(listing(directory.path()), before, "it works where nothing stops it");
    let directory = prepared();
    let before = listing(directory.path());
    place.run(&script(directory.path())).await;
    assert_eq!(listing(directory.path()), before);
}

async fn many_files_do_no_harm(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    assert_eq!(place.say("mkdir many && cd many && seq 20000 | xargs touch && ls | wc -l").await, "20000");
}
