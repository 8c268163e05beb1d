//! System calls that commands have no business with.
//!
//! The kernel's own checks keep a user's process from most of them; root's they do not. Some are refused in a way that
//! programs know how to do without (as if the kernel were too old), the rest as not permitted.

use std::collections::BTreeMap;
use std::io;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// Which sockets may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sockets {
    /// None: only pairs.
    Pairs,
    /// All that stay in the network namespace.
    Namespaced,
    /// All.
    All,
}

/// Calls of the kernel's administration, of namespaces and file systems, and those that reach around other checks.
const FORBIDDEN: &[i64] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// Calls for which every program has another way. `clone3` hides its flags from filters, `io_uring` its calls.
const TOO_NEW: &[i64] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// The calls that set a file's mode, and which argument that is.
const MODES: &[(i64, u8)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (FCHMODAT2, 2),
];

/// The same number on every processor, as of all calls since Linux 5.1.
const FCHMODAT2: i64 = 452;

/// The bits by which a program runs as its owner or its group: what root marks so can be used by everyone.
const SPECIAL: [u64; 2] = [0o4000, 0o2000];

/// Writes to a terminal as if a person had typed.
const TERMINAL_INPUT: [u64; 2] = [0x5412, 0x541C];

/// The filters, to be put in place one after the other.
pub(super) fn filters(sockets: Sockets) -> Result<Vec<BpfProgram>, String> {
    let mut forbidden: BTreeMap<i64, Vec<SeccompRule>> = FORBIDDEN.iter().map(|call| (*call, Vec::new())).collect();
    let namespaces = NAMESPACES.iter().map(|flag| {
        let flag = u64::from(flag.unsigned_abs());
        when(&[(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag)])
    });
    forbidden.insert(libc::SYS_clone, namespaces.collect::<Result<_, _>>()?);
    let terminal = TERMINAL_INPUT.map(|request| when(&[(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, request)]));
    forbidden.insert(libc::SYS_ioctl, terminal.into_iter().collect::<Result<_, _>>()?);
    // The mark by which a family is known: see `host::family`.
    let mark = |argument| (argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(libc::RLIMIT_RSS));
    let sets = (2, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0);
    forbidden.insert(libc::SYS_setrlimit, vec![when(&[mark(0)])?]);
    forbidden.insert(libc::SYS_prlimit64, vec![when(&[mark(1), sets])?]);
    for (call, mode) in MODES {
        let special = SPECIAL.map(|bit| when(&[(*mode, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bit), bit)]));
        forbidden.insert(*call, special.into_iter().collect::<Result<_, _>>()?);
    }
    match sockets {
        Sockets::Pairs => {
            forbidden.insert(libc::SYS_socket, Vec::new());
            forbidden.insert(libc::SYS_socketpair, loose_pairs()?);
        }
        Sockets::Namespaced => {
            let virtual_machines = u64::from(libc::AF_VSOCK.unsigned_abs());
            let rule = when(&[(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, virtual_machines)])?;
            forbidden.insert(libc::SYS_socket, vec![rule]);
        }
        Sockets::All => {}
    }
    let too_new = TOO_NEW.iter().map(|call| (*call, Vec::new())).collect();
    Ok(vec![filter(too_new, libc::ENOSYS)?, filter(forbidden, libc::EPERM)?])
}

/// Pairs that are not of this machine's kind, and those without a connection: one end of such can be sent elsewhere. To
/// this kind `SOCK_RAW` is the same as `SOCK_DGRAM`.
fn loose_pairs() -> Result<Vec<SeccompRule>, String> {
    let own = u64::from(libc::AF_UNIX.unsigned_abs());
    let foreign = when(&[(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, own)]);
    let loose = [libc::SOCK_DGRAM, libc::SOCK_RAW].map(|kind| {
        let kind = u64::from(kind.unsigned_abs());
        when(&[(1, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(0xf), kind)])
    });
    std::iter::once(foreign).chain(loose).collect()
}

/// A rule that matches where all of `(argument, its length, comparison, value)` do.
fn when(conditions: &[(u8, SeccompCmpArgLen, SeccompCmpOp, u64)]) -> Result<SeccompRule, String> {
    let conditions = conditions.iter().cloned();
    let conditions = conditions.map(|(argument, length, operator, value)| {
        SeccompCondition::new(argument, length, operator, value).map_err(|error| error.to_string())
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?).map_err(|error| error.to_string())
}

/// A filter that refuses these calls with an error number; calls of another architecture kill the process.
fn filter(rules: BTreeMap<i64, Vec<SeccompRule>>, error: i32) -> Result<BpfProgram, String> {
    let arch: TargetArch = std::env::consts::ARCH.try_into().map_err(|_| "no filter for this processor".to_owned())?;
    // x86-64 has a second set of numbers for the same calls.
    let second = rules.clone().into_iter().map(|(call, rules)| (call | 0x4000_0000, rules));
    let rules = if cfg!(target_arch = "x86_64") { second.chain(rules.clone()).collect() } else { rules };
    let refused = SeccompAction::Errno(error.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch).map_err(|error| error.to_string())?;
    filter.try_into().map_err(|error: seccompiler::BackendError| error.to_string())
}

/// Confines the calling thread and all that it starts.
pub(super) fn apply(filters: &[BpfProgram]) -> io::Result<()> {
    filters.iter().try_for_each(|filter| seccompiler::apply_filter(filter).map_err(io::Error::other))
}

/// A filter as `bwrap` reads it: the kernel's own form.
pub(super) fn as_bytes(filter: &BpfProgram) -> Vec<u8> {
    let instruction = |one: &seccompiler::sock_filter| {
        let [low, high] = one.code.to_ne_bytes();
        let [a, b, c, d] = one.k.to_ne_bytes();
        [low, high, one.jt, one.jf, a, b, c, d]
    };
    filter.iter().flat_map(instruction).collect()
}
