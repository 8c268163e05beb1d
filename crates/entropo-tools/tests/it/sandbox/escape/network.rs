//! Connections. Which programs can make one differs from image to image, so each is tried that is there.

use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};

use entropo_tools::SandboxError;

use super::*;

for_each_kind! { nothing_is_reached_over_the_network }

/// A program and a script that connects by it.
type Client = (&'static str, String);

fn python(code: &str) -> Client {
    ("python3", format!("python3 -c '{code}'"))
}

fn tcp(host: IpAddr, port: u16) -> Vec<Client> {
    vec![
        python(&format!("import socket; socket.create_connection((\"{host}\", {port}), 2)")),
        ("nc", format!("nc -w 2 {host} {port} </dev/null")),
        ("wget", format!("timeout 3 wget -q -O /dev/null http://{host}:{port}/")),
        ("bash", format!("bash -c 'exec 3<>/dev/tcp/{host}/{port}'")),
    ]
}

fn unix(socket: &str) -> Vec<Client> {
    vec![
        python(&format!("import socket; socket.socket(socket.AF_UNIX).connect(\"{socket}\")")),
        ("perl", format!("perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(\"{socket}\") or die'")),
    ]
}

/// What says `out` where it gets through.
fn others() -> Vec<Client> {
    vec![
        python("import socket; socket.create_connection((\"192.0.2.1\", 80), 1); print(\"out\")"),
        python(
            "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b\"x\", (\"192.0.2.1\", 53)); print(\"out\")",
        ),
        python("import socket; socket.getaddrinfo(\"example.com\", 80); print(\"out\")"),
        python("import socket; socket.socket(40, socket.SOCK_STREAM); print(\"out\")"),
        python("import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW).bind((\"lo\", 0)); print(\"out\")"),
        ("nc", "nc -w 1 192.0.2.1 80 </dev/null && echo out".to_owned()),
        ("ping", "ping -c 1 -W 1 192.0.2.1 && echo out".to_owned()),
        ("nslookup", "timeout 2 nslookup example.com 192.0.2.1 && echo out".to_owned()),
    ]
}

async fn has(place: &Place, program: &str) -> bool {
    place.run(&format!("command -v {program}")).await.status.is_success()
}

/// An address of this machine that also a network of containers leads to.
fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let routed = socket.connect("198.51.100.1:9").and_then(|()| socket.local_addr());
    routed.map_or(Ipv4Addr::LOCALHOST.into(), |address| address.ip())
}

/// The same kind, where it lets commands through. An engine may have no networks to give.
async fn connected(kind: SandboxKind) -> Option<Place> {
    let directory = tempfile::tempdir().unwrap();
    match super::super::sandbox_around(directory.path(), kind, SandboxOptions::new().network()).await {
        Ok(sandbox) => {
            assert!(!sandbox.promises().contains(&Promise::Network));
            Some(Place { sandbox, root: directory.path().to_path_buf(), _directory: directory })
        }
        Err(error @ SandboxError::Engine { .. }) => {
            eprintln!("a sandbox with a network cannot be had, so commands connect to themselves instead: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Whether a program can connect at all, seen by a connection that does not leave the sandbox.
async fn connects_to_itself(place: &Place, program: &str) -> bool {
    let script = "nc -l -p 2345 </dev/null >/dev/null & sleep 0.5; nc -w 2 127.0.0.1 2345 </dev/null";
    program == "nc" && place.run(script).await.status.is_success()
}

async fn nothing_is_reached_over_the_network(kind: SandboxKind) {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let directory = outside();
    let socket = directory.path().join("service");
    let service = UnixListener::bind(&socket).unwrap();
    service.set_nonblocking(true).unwrap();
    let socket = socket.to_str().unwrap().to_owned();

    // One end of a pair that has no connection can be sent elsewhere.
    let datagrams = directory.path().join("datagrams");
    let receiver = UnixDatagram::bind(&datagrams).unwrap();
    receiver.set_nonblocking(true).unwrap();
    let pair = python(&format!(
        "import socket; socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b\"x\", \"{}\")",
        datagrams.display()
    ));

    let Some(place) = promising(kind, Promise::Network, SandboxOptions::new()).await else { return };
    let free = open_country().await;
    if has(&free, pair.0).await {
        free.run(&pair.1).await;
        assert!(receiver.recv(&mut [0]).is_ok(), "it works where nothing stops it");
    }
    place.run(&pair.1).await;
    assert!(receiver.recv(&mut [0]).is_err(), "{}", pair.1);
    for (program, script) in unix(&socket) {
        if has(&free, program).await {
            free.run(&script).await;
            assert!(service.accept().is_ok(), "it works where nothing stops it: {script}");
        }
    }
    let connected = connected(kind).await;
    let mut tried = 0;
    for host in [Ipv4Addr::LOCALHOST.into(), own_address()] {
        for (program, script) in tcp(host, port) {
            if !has(&place, program).await {
                continue;
            }
            match &connected {
                // A container's own network begins behind this machine's loopback device.
                Some(connected) if kind != SandboxKind::Container || !host.is_loopback() => {
                    let result = connected.run(&script).await;
                    let said = (result.status, result.output.head);
                    assert!(listener.accept().is_ok(), "it works where nothing stops it: {script}: {said:?}");
                    tried += 1;
                }
                Some(_) => {}
                None => tried += usize::from(connects_to_itself(&place, program).await),
            }
            let result = place.run(&script).await;
            assert!(!result.status.is_success() && listener.accept().is_err(), "{script}: {:?}", result.status);
        }
    }
    assert!(tried > 0, "there is no program by which to connect");
    for (_, script) in unix(&socket) {
        let result = place.run(&script).await;
        assert!(!result.status.is_success() && service.accept().is_err(), "{script}: {:?}", result.status);
    }
    for (_, script) in others() {
        assert!(!place.say(&script).await.lines().any(|line| line == "out"), "{script}");
    }
}
