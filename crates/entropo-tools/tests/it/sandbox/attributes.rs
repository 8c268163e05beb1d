//! What files outside are, beside what is in them: their modes, owners and times.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use entropo_tools::sandbox::{Promise, SandboxKind, SandboxOptions};

use super::{for_each_kind, open, outside};

for_each_kind! { files_outside_stay_as_they_are, no_program_is_made_to_run_as_its_owner }

async fn files_outside_stay_as_they_are(kind: SandboxKind) {
    let directory = outside();
    let file = directory.path().join("there");
    fs::write(&file, "").unwrap();
    let at = file.display();
    let attempts = [
        format!("chmod 777 {at}"),
        format!("touch -d 2001-01-01 {at}"),
        format!("chown 1234 {at}"),
        format!("chmod 777 {}", directory.path().display()),
        format!("ln -s {at} link; chmod 777 link; touch -d 2001-01-01 link"),
    ];
    let state = || {
        [directory.path(), &file].map(|path: &Path| {
            let metadata = path.metadata().unwrap();
            (metadata.mode(), metadata.uid(), metadata.gid(), metadata.mtime())
        })
    };
    let before = state();
    let free = open(SandboxKind::Local, SandboxOptions::new()).await.unwrap();
    free.run(&attempts[0]).await;
    assert_ne!(state(), before, "it works where nothing stops it");
    fs::set_permissions(&file, fs::Permissions::from_mode(before[1].0)).unwrap();

    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    if !place.sandbox.promises().contains(&Promise::Attributes) {
        return eprintln!("skipped: {kind} does not promise it");
    }
    for script in attempts {
        place.run(&script).await;
        assert_eq!(state(), before, "{script}");
    }
}

/// Root could leave such a program for everyone, in the workspace too, which is no place of the sandbox's own.
async fn no_program_is_made_to_run_as_its_owner(kind: SandboxKind) {
    if !matches!(kind, SandboxKind::Landlock | SandboxKind::Bubblewrap) {
        return;
    }
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    fs::write(place.root.join("program"), "").unwrap();
    for mode in ["4755", "2755", "6755", "u+s", "g+s"] {
        let said = place.say(&format!("chmod {mode} program && echo done")).await;
        assert!(!said.contains("done"), "{mode}: {said}");
    }
    let said = place.say("chmod 755 program && chmod 1777 . && echo done").await;
    assert_eq!(said, "done", "other bits can be set");
}
