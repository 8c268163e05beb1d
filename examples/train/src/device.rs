//! The one module that knows which backends there are.

use entropo_train::burn::tensor::{Device, DeviceType};

use crate::failure::Failure;

/// Names and kinds of the backends that this program was built for, the fastest first.
const BACKENDS: &[(&str, DeviceType)] = &[
    #[cfg(feature = "cuda")]
    ("cuda", DeviceType::Cuda),
    #[cfg(feature = "wgpu")]
    ("wgpu", DeviceType::Wgpu),
    #[cfg(feature = "flex")]
    ("cpu", DeviceType::Flex),
];

/// Opens the device of a name such as `cuda:1`; without a name, the first of the first backend.
///
/// # Errors
/// [`Failure::Device`] for a name of no backend that this program was built for, and for a device that is not there.
pub fn open(name: Option<&str>) -> Result<Device, Failure> {
    let asked = name.unwrap_or_else(|| BACKENDS.first().map_or("cpu", |(name, _)| name));
    let refused = |reason: String| Failure::Device { name: asked.to_owned(), reason };
    let (backend, number) = asked.split_once(':').unwrap_or((asked, "0"));
    let number: usize = number.parse().map_err(|_| refused("what follows `:` is no number".to_owned()))?;
    let known: Vec<&str> = BACKENDS.iter().map(|(name, _)| *name).collect();
    let kind = BACKENDS.iter().find(|(name, _)| *name == backend).map(|(_, kind)| kind.clone());
    let kind = kind.ok_or_else(|| {
        let known = known.join(", ");
        refused(format!("this program was built for {known}; build it with `--features {backend}` for others"))
    })?;
    let devices = Device::enumerate(kind).into_vec();
    let count = devices.len();
    devices.into_iter().nth(number).ok_or_else(|| match count {
        0 => refused("there is none on this machine, or its driver does not answer".to_owned()),
        _ => refused(format!("there are {count}, counted from 0")),
    })
}
