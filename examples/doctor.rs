//! What works on this machine, and why the rest does not: `cargo run --example doctor`.
#![allow(clippy::print_stdout)]

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("{}", entropo::doctor().await);
}
