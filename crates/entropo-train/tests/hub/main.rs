//! Models by name, against a hub on this machine (`server`).

#[cfg(test)]
mod broken;
#[cfg(test)]
mod cached;
#[cfg(test)]
mod download;
#[cfg(test)]
mod place;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod server;
