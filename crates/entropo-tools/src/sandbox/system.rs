//! The parts of this machine that commands need to read, and no more.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Directories of programs, libraries and their data.
const DIRECTORIES: [&str; 9] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store"];

/// Where the system's settings are.
const SETTINGS: &str = "/etc";

/// What there is to hide in them: keys, passwords, data of services. What the system itself shows to its owner only is hidden
/// without being named; root could read it.
const HIDDEN: [&str; 10] = [
    "/etc/NetworkManager",
    "/etc/kubernetes",
    "/etc/krb5.keytab",
    "/etc/pki/tls/private",
    "/etc/rancher",
    "/etc/security/opasswd",
    "/etc/ssh",
    "/etc/ssl/private",
    "/etc/sudoers.d",
    "/etc/wireguard",
];

/// In `/var/lib` only what programs look up, not what services keep.
const REGISTERS: [&str; 3] = ["/var/lib/dpkg", "/var/lib/alternatives", "/var/lib/rpm"];

/// Devices without content of their own.
pub(super) const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// All that commands may read and run, each without anything hidden below it. Symbolic links are named as links.
pub(super) fn readable() -> Vec<PathBuf> {
    let directories = DIRECTORIES.iter().chain(&REGISTERS).map(PathBuf::from);
    let mut all: Vec<PathBuf> = directories.filter(|path| path.symlink_metadata().is_ok()).collect();
    let device = fs::metadata(SETTINGS).ok().map(|settings| settings.dev());
    all.extend(entries(Path::new(SETTINGS)).filter(|path| is_public(path, device)));
    for hidden in HIDDEN.map(Path::new) {
        // What is beside it is needed, such as certificates beside their keys.
        while let Some(index) = all.iter().position(|path| hidden.starts_with(path)) {
            let above = all.remove(index);
            if above != hidden {
                all.extend(entries(&above));
            }
        }
    }
    all.sort();
    all
}

/// Whether everyone may read it, and it is no directory that was mounted there, as engines mount secrets.
fn is_public(path: &Path, device: Option<u64>) -> bool {
    let readable = |metadata: &Metadata| metadata.mode() & 0o004 != 0;
    path.metadata().is_ok_and(|it| readable(&it) && (!it.is_dir() || Some(it.dev()) == device))
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_settings_are_readable_and_secrets_are_not() {
        let all = readable();
        assert!(all.contains(&PathBuf::from("/usr")) && all.contains(&PathBuf::from("/etc/passwd")));
        for secret in [
            "/etc",
            "/etc/shadow",
            "/etc/gshadow-",
            "/etc/sudoers",
            "/etc/security/opasswd",
            "/etc/ssl",
            "/etc/ssl/private",
            "/root",
            "/home",
            "/var/lib",
            "/",
        ] {
            assert!(!all.contains(&PathBuf::from(secret)), "{secret}");
        }
    }
}
