//! Files that this process was given open by whoever started it.
//!
//! What a Rust program opens is closed in its children; what it was itself born with is not, and neither Landlock nor a
//! namespace takes an open file away. So these are marked to be closed, for all children of this process.
#![allow(unsafe_code, reason = "a descriptor that is only known by its number can be borrowed in no other way")]

use std::fs;
use std::os::fd::BorrowedFd;

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
