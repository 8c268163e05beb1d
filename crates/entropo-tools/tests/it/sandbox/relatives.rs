//! Processes that look as if they were gone, or as if they were somebody else's.

use std::fs;
use std::time::Duration;

use entropo_tools::sandbox::{SandboxKind, SandboxOptions};

use super::{for_each_kind, marker, open, runs};

for_each_kind! { threads_end_although_their_first_has, one_that_becomes_another_user_ends_too }

const PYTHON: &str = "/usr/bin/python3";

async fn threads_end_although_their_first_has(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    if !place.run(PYTHON).await.status.is_success() || !cfg!(target_arch = "x86_64") {
        return eprintln!("skipped: there is no {PYTHON} in {kind}, or it runs on another processor");
    }
    // System call 60 ends the thread that makes it. The others write on; from outside the process looks like a zombie.
    let code = "
import ctypes, os, threading, time
os.setsid()
def beat():
    while True:
        open('beat', 'a').write('x')
        time.sleep(0.01)
threading.Thread(target=beat).start()
time.sleep(0.1)
ctypes.CDLL(None).syscall(60, 0)
";
    fs::write(place.root.join("beat.py"), code).unwrap();
    place.run(&format!("{PYTHON} beat.py >/dev/null 2>&1 & sleep 0.5")).await;
    let beats = || fs::metadata(place.root.join("beat")).unwrap().len();
    let before = beats();
    assert!(before > 0);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(beats(), before, "it lives on");
}

async fn one_that_becomes_another_user_ends_too(kind: SandboxKind) {
    let Some(place) = open(kind, SandboxOptions::new()).await else { return };
    let marker = marker();
    place.run(&format!("setpriv --reuid 65534 --clear-groups setsid sleep {marker} >/dev/null 2>&1 & sleep 0.3")).await;
    assert!(!runs(&marker));
}
