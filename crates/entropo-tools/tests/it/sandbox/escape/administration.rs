//! Powers over the machine. No attempt harms it where it succeeds.

use std::fs;

use super::*;

for_each_kind! { the_machine_is_not_administered }

/// Attempts that must really have been made for the test to have tested anything.
const AT_LEAST: usize = 6;

/// The first disk of this machine: its device, and its number.
fn disk() -> Option<(String, String)> {
    let disks = fs::read_dir("/sys/class/block").ok()?.flatten();
    let mut disks = disks.filter_map(|disk| {
        let device = format!("/dev/{}", disk.file_name().to_str()?);
        let number = fs::read_to_string(disk.path().join("dev")).ok()?.trim().replace(':', " ");
        let size = fs::read_to_string(disk.path().join("size")).ok()?;
        (fs::metadata(&device).is_ok() && size.trim() != "0").then_some((device, number))
    });
    disks.next()
}

/// The program that is needed, and what it is told to do.
fn attempts() -> Vec<(&'static str, String)> {
    let mut attempts: Vec<(&str, String)> = vec![
        ("mount", "mkdir t; mount -t tmpfs none t && umount t".into()),
        ("mount", "mkdir p; mount -t proc proc p && umount p".into()),
        ("unshare", "unshare -m true".into()),
        ("unshare", "unshare -U true".into()),
        ("chroot", "chroot / true".into()),
        // Some only say that they could not.
        ("date", "date -s \"@$(date +%s)\" 2>&1 | { ! grep 'not permitted'; }".into()),
        ("sysctl", "sysctl -w kernel.panic=$(cat /proc/sys/kernel/panic) && sysctl -w kernel.panic".into()),
        ("cat", "v=$(cat /proc/sys/kernel/panic) && echo $v > /proc/sys/kernel/panic".into()),
        ("nsenter", "nsenter -t 1 -m true".into()),
        ("hostname", "hostname \"$(hostname)\"".into()),
        ("renice", "renice -n -5 $$".into()),
    ];
    if let Some((device, number)) = disk() {
        attempts.push(("mknod", format!("mknod disk b {number} && dd if=disk of=/dev/null count=1")));
        attempts.push(("dd", format!("dd if={device} of=/dev/null count=1")));
    }
    attempts
}

async fn the_machine_is_not_administered(kind: SandboxKind) {
    let Some(place) = promising(kind, Promise::Files, SandboxOptions::new()).await else { return };
    let free = open_country().await;
    let mut tried = 0;
    for (program, script) in attempts() {
        // In a container there may be namespaces, in which nobody is more than outside.
        if kind == SandboxKind::Container && script == "unshare -U true" {
            continue;
        }
        if place.run(&format!("command -v {program}")).await.status.is_success() {
            // Only root can show that it works. What it cannot do here either, as in a container, is not counted; and the clock
            // is better left alone.
            tried += usize::from(!is_root() || program == "date" || free.run(&script).await.status.is_success());
        }
        let result = place.run(&script).await;
        assert!(!result.status.is_success(), "{script}: {}", result.output.head);
    }
    assert!(tried >= AT_LEAST, "only {tried} attempts were made");
}
