//! The parts of this machine that commands need to read, and no more.

use std::fs;
use std::path::{Path, PathBuf};

/// Directories of programs, libraries and their data.
const DIRECTORIES: [&str; 9] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store"];

/// Where the system's settings are.
const SETTINGS: &str = "/etc";

/// What there is to hide in them: keys, passwords, data of services.
const HIDDEN: [&str; 12] = [
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/ssh",
    "/etc/NetworkManager",
    "/etc/wireguard",
    "/etc/kubernetes",
    "/etc/rancher",
    "/etc/krb5.keytab",
];

/// In `/var/lib` only what programs look up, not what services keep.
const REGISTERS: [&str; 3] = ["/var/lib/dpkg", "/var/lib/alternatives", "/var/lib/rpm"];

/// Devices without content of their own.
pub(super) const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// All that commands may read and run, each without anything hidden below it. Symbolic links are named as links.
pub(super) fn readable() -> Vec<PathBuf> {
    let directories = DIRECTORIES.iter().chain(&REGISTERS).map(PathBuf::from);
    let settings = fs::read_dir(SETTINGS).into_iter().flatten().flatten();
    let settings =
        settings.map(|entry| entry.path()).filter(|path| !HIDDEN.iter().any(|hidden| path == Path::new(hidden)));
    let mut all: Vec<PathBuf> = directories.chain(settings).filter(|path| path.symlink_metadata().is_ok()).collect();
    // Private keys, where the system keeps them; the certificates beside them are needed.
    if let Some(index) = all.iter().position(|path| path == Path::new("/etc/ssl")) {
        let keys = Path::new("/etc/ssl/private");
        all.remove(index);
        let entries = fs::read_dir("/etc/ssl").into_iter().flatten().flatten().map(|entry| entry.path());
        all.extend(entries.filter(|path| path != keys));
    }
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_settings_are_readable_and_secrets_are_not() {
        let all = readable();
        assert!(all.contains(&PathBuf::from("/usr")) && all.contains(&PathBuf::from("/etc/passwd")));
        for secret in ["/etc", "/etc/shadow", "/etc/ssl", "/etc/ssl/private", "/root", "/home", "/var/lib", "/"] {
            assert!(!all.contains(&PathBuf::from(secret)), "{secret}");
        }
    }
}
