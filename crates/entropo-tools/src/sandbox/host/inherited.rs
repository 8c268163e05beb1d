//! What this process was given by whoever started it, and commands must not be.
//!
//! What a Rust program opens is closed in its children; what it was itself born with is not, and neither Landlock nor a
//! namespace takes an open file away. So these are marked to be closed, for all children of this process. Signals that it
//! was born to ignore, as under `nohup`, its commands would ignore too, and could not even be told to listen.
#![allow(unsafe_code, reason = "a descriptor that is only known by its number can be borrowed in no other way")]

use std::ffi::OsString;
use std::fs;
use std::os::fd::BorrowedFd;

use nix::sys::signal::Signal;
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Keeps everything but input and output from children.
pub(super) fn close_in_children() {
    let open = fs::read_dir("/proc/self/fd").or_else(|_| fs::read_dir("/dev/fd")).into_iter().flatten().flatten();
    let numbers = open.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    for number in numbers.filter(|number| *number > 2).collect::<Vec<_>>() {
        // SAFETY: nothing but a flag is read and set, by calls that report a number which is not open any more.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        if let Ok(flags) = fcntl_getfd(descriptor)
            && !flags.contains(FdFlags::CLOEXEC)
        {
            // It may have been closed meanwhile, which is as well.
            let _ = fcntl_setfd(descriptor, flags | FdFlags::CLOEXEC);
        }
    }
}

/// Signals that end a program which is to be interrupted.
const INTERRUPTING: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// What to put before a program so that it listens to signals again; nothing where this process ignores none.
pub(super) fn listening() -> Vec<OsString> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    let is_ignored = |signal: &Signal| ignored.unwrap_or_default() >> (*signal as i32 - 1) & 1 == 1;
    if !INTERRUPTING.iter().any(is_ignored) {
        return Vec::new();
    }
    let listening = "--default-signal=HUP,INT,QUIT,TERM";
    let works = std::process::Command::new("/usr/bin/env").args([listening, "true"]).output();
    if works.is_ok_and(|output| output.status.success()) {
        return vec!["/usr/bin/env".into(), listening.into()];
    }
    tracing::warn!("this process ignores interrupts, and so will its commands: `env` cannot undo it here");
    Vec::new()
}
