//! The one module that knows which backends there are.

use clap::ValueEnum;
use entropo_train::burn::tensor::{Device, DeviceType, FloatDType};
use serde::Serialize;

use crate::failure::Failure;

/// A backend that this program was built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Backend {
    /// An NVIDIA GPU.
    #[cfg(feature = "cuda")]
    Cuda,
    /// A GPU through Vulkan, Metal or DirectX 12, or a driver in software.
    #[cfg(feature = "wgpu")]
    Wgpu,
    /// The CPU.
    #[cfg(feature = "flex")]
    Flex,
}

/// Why there is no device.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeviceError {
    /// Nothing of this kind on the machine.
    #[error("no {kind} device: {wanted}")]
    Absent {
        /// What was looked for.
        kind: &'static str,
        /// What has to be there.
        wanted: &'static str,
    },
    /// The program was built without any backend.
    #[error("built without a backend; build with --features cuda, wgpu or flex")]
    NoBackend,
}

/// A device and what it is.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) device: Device,
    pub(crate) backend: Backend,
    pub(crate) report: DeviceReport,
}

/// What is said of a device.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DeviceReport {
    backend: Backend,
    pub(crate) name: String,
    /// What its kernels are compiled for, such as `ptx_sm90`.
    compiled_for: Option<String>,
    bf16: bool,
}

impl Backend {
    /// Whether this is the CPU itself.
    pub(crate) fn is_cpu(self) -> bool {
        match self {
            #[cfg(feature = "cuda")]
            Self::Cuda => false,
            #[cfg(feature = "wgpu")]
            Self::Wgpu => false,
            #[cfg(feature = "flex")]
            Self::Flex => true,
        }
    }

    /// How it is asked for.
    pub(crate) fn argument(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What burn calls it, what people call it, and what it needs.
    fn kind(self) -> (DeviceType, &'static str, &'static str) {
        match self {
            #[cfg(feature = "cuda")]
            Self::Cuda => (
                DeviceType::Cuda,
                "CUDA",
                "libcuda.so.1, a part of NVIDIA's driver, is not on this machine, or it sees no GPU; see what `nvidia-smi` \
                 says, and start a container with its GPUs",
            ),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => (
                DeviceType::Wgpu,
                "wgpu",
                "no graphics driver answers; install a Vulkan driver (Mesa's software driver: mesa-vulkan-drivers \
                 libvulkan1) and set XDG_RUNTIME_DIR",
            ),
            #[cfg(feature = "flex")]
            Self::Flex => (DeviceType::Flex, "CPU", "it is always there"),
        }
    }
}

/// Opens the first device of a backend, or of the first backend that this program was built for.
pub(crate) fn open(backend: Option<Backend>) -> Result<Opened, Failure> {
    let first = Backend::value_variants().first().copied();
    let backend = backend.or(first).ok_or(DeviceError::NoBackend)?;
    let (of_burn, kind, wanted) = backend.kind();
    let device = Device::enumerate(of_burn).into_vec().into_iter().next();
    let device = device.ok_or(DeviceError::Absent { kind, wanted })?;
    let (name, compiled_for) = identity(&device).unwrap_or_else(|| (cpu_name(), None));
    let bf16 = device.supports_dtype(FloatDType::BF16);
    Ok(Opened { device, backend, report: DeviceReport { backend, name, compiled_for, bf16 } })
}

/// Name and target of a device that has them.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn identity(device: &Device) -> Option<(String, Option<String>)> {
    device.identity().map(|identity| (identity.name, Some(identity.fingerprint)))
}

#[cfg(not(any(feature = "cuda", feature = "wgpu")))]
fn identity(_: &Device) -> Option<(String, Option<String>)> {
    None
}

/// The processor as Linux calls it.
fn cpu_name() -> String {
    let lines = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = lines.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| "CPU".to_owned(), |(_, name)| name.to_owned())
}
