//! What the other tests run on.

use burn::tensor::Device;

/// Without this, a build whose default device is the CPU would pass everything else too.
#[test]
fn the_default_device_is_one_of_wgpu() {
    let device = Device::default();
    let identity = device.identity().expect("the CPU backend reports none");
    println!("on {} ({})", identity.name, identity.fingerprint);
    assert!(identity.fingerprint.contains("wgpu"), "{}", identity.fingerprint);
}
