//! The table in `docs/sandboxes.md` is what the sandboxes say of themselves.

use entropo_tools::sandbox::{Limits, Promise, SandboxKind, SandboxOptions};

use super::{for_each_kind, open};

for_each_kind! { the_table_is_true }

async fn the_table_is_true(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    let limited = open(kind, SandboxOptions::new().limits(Limits::strict())).await;
    let table = include_str!("../../../../../docs/sandboxes.md");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let column = rows[0].iter().position(|name| *name == kind.to_string()).expect("a column for each kind");
    for promise in Promise::ALL {
        let row = rows.iter().find(|row| row[0] == promise.what()).expect("a row for each promise");
        let kept = place.sandbox.promises().contains(&promise);
        match row[column] {
            "yes" if matches!(promise, Promise::Memory | Promise::Processes) => {
                assert!(limited.as_ref().unwrap().sandbox.promises().contains(&promise), "{kind}: {promise}");
            }
            "yes" => assert!(kept, "{kind}: {promise}"),
            "no" => assert!(!kept, "{kind}: {promise}"),
            "with cgroups" => {
                assert!(!kept, "{kind}: {promise}");
                let Some(limited) = &limited else { continue };
                assert!(limited.sandbox.promises().contains(&promise), "{kind}: {promise}");
            }
            other => {
                let needed = other.strip_prefix("Linux ").and_then(version).expect("a word that says when");
                let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
                let is_there = version(&release).unwrap() >= needed;
                assert_eq!(kept, is_there, "{kind}: {promise}, {other} on {release}");
            }
        }
    }
}

/// The first two numbers of a release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.trim().split(['.', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
