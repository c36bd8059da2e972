//! Many tunnels at rest.

use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::tunnel;
use crate::harness::recorder::{accept, tcp};
use crate::harness::until;

const TUNNELS: usize = 1000;
/// What a thread of the proxy may keep for the next tunnel that has much to carry.
const PIPES_KEPT: usize = 8;

/// The proxy's descriptors of one kind, by how their links begin.
fn descriptors(proxy: &Proxy, kind: &str) -> usize {
    let folder = format!("/proc/{}/fd", proxy.process().pid());
    let links = std::fs::read_dir(folder).unwrap().flatten();
    links
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .filter(|link| link.to_string_lossy().starts_with(kind))
        .count()
}

fn raise_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[test]
fn a_tunnel_at_rest_holds_its_two_sockets_and_no_pipe() {
    raise_limit();
    let proxy = Setup::new()
        .config("policy = { unknown_protocol = 'tunnel' }")
        .start();
    let (listener, port) = tcp();
    // Enough for a pipe, both ways.
    let much = b"\x00\x01 nothing that anyone knows \xff\xfe".repeat(2000);
    let open = || {
        let mut client = tunnel(&proxy, &format!("origin.test:{port}"));
        client.send(&much);
        let mut origin = accept(&listener);
        assert!(origin.exactly(much.len()) == much);
        origin.send(&much);
        assert!(client.exactly(much.len()) == much);
        (client, origin)
    };
    let first = open();
    let before = descriptors(&proxy, "socket:");
    let more: Vec<_> = (0..TUNNELS).map(|_| open()).collect();
    until("two sockets for each tunnel", || {
        (descriptors(&proxy, "socket:") == before + 2 * TUNNELS).then_some(())
    });
    // The threads that carry tunnels are as many as processors, at most the program's own come to them.
    let threads = 2 * std::thread::available_parallelism().unwrap().get();
    until("no pipe but those kept for the next tunnel", || {
        (descriptors(&proxy, "pipe:") <= 2 * PIPES_KEPT * threads + 4).then_some(())
    });
    drop((first, more));
    proxy.metric("wsbump_connections_open", &[], 0.0);
}
