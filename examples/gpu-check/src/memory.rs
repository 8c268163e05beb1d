//! How much memory is taken, by whatever can tell.

use std::process::Command;

use entropo_train::burn::tensor::Device;
use serde::{Deserialize, Serialize};

/// Bytes at one moment; absent where nothing tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// What burn's allocator has taken on the device: tensors that are alive and pages kept for later ones.
    pub(crate) device_reserved: Option<u64>,
    /// Of that, tensors that are alive.
    pub(crate) device_in_use: Option<u64>,
    /// What is taken on the whole card, by `nvidia-smi`: also kernels, and other programs.
    pub(crate) card: Option<u64>,
    /// The process on the host: its resident set.
    pub(crate) resident: Option<u64>,
}

impl Memory {
    /// Measures after everything asked of the device is done.
    pub(crate) fn now(device: &Device) -> Self {
        let usage = device.sync().ok().and_then(|()| device.memory_pool_usage());
        Self {
            device_reserved: usage.as_ref().map(|usage| usage.bytes_reserved),
            device_in_use: usage.as_ref().map(|usage| usage.bytes_in_use),
            card: usage.and_then(|_| card()),
            resident: status("VmRSS"),
        }
    }

    /// The largest of each.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            device_reserved: self.device_reserved.max(other.device_reserved),
            device_in_use: self.device_in_use.max(other.device_in_use),
            card: self.card.max(other.card),
            resident: self.resident.max(other.resident),
        }
    }

    /// What decides: the device's memory, or the process's where the device has none of its own.
    pub(crate) fn decisive(self) -> Option<u64> {
        self.device_reserved.or(self.resident)
    }
}

/// The largest resident set that the process ever had, in bytes.
pub(crate) fn peak_resident() -> Option<u64> {
    status("VmHWM")
}

/// A line of `/proc/self/status`, in bytes.
fn status(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The first card's memory that is taken, in bytes.
fn card() -> Option<u64> {
    let query = ["--query-gpu=memory.used", "--format=csv,noheader,nounits"];
    let output = Command::new("nvidia-smi").args(query).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.lines().next()?.trim().parse::<u64>().ok()? << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_takes_memory_and_the_peak_is_no_less() {
        let before = status("VmRSS").unwrap();
        let pages = vec![1_u8; 64 << 20];
        let with = status("VmRSS").unwrap();
        assert!(with >= before + (32 << 20), "{before} then {with} with {} more", pages.len());
        assert!(peak_resident().unwrap() >= with);
        assert_eq!(status("VmNothing"), None);
    }

    #[test]
    fn the_device_decides_where_it_has_memory() {
        let host = Memory { resident: Some(7), ..Memory::default() };
        let card = Memory { device_reserved: Some(5), ..Memory::default() };
        assert_eq!(host.decisive(), Some(7));
        assert_eq!(host.max(card).decisive(), Some(5));
        assert_eq!(host.max(card).resident, Some(7));
    }
}
