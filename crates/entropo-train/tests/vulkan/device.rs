//! What the other tests run on.

use burn::tensor::Device;

/// Without this, a build whose default device is the CPU would pass everything else too.
#[test]
fn the_default_device_is_no_cpu_backend() {
    let identity = Device::default().identity().expect("a device of the CPU backend has none");
    println!("on {}", identity.name);
}
