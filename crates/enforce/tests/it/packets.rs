//! Real packets between namespaces.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use fairban_enforce::{Change, Dropped, Element, Enforcer, Felt, Layout, Nftables};

use crate::namespace::{Namespace, until};

/// A mail server and a client with several addresses.
struct Site {
    server: Namespace,
    client: Namespace,
    enforcer: Nftables,
    /// IMAP, on both families by one socket, as mail servers do.
    imap: TcpListener,
    /// The portal.
    web: TcpListener,
}

impl Site {
    fn new(layout: Layout) -> Self {
        let (server, client) = (Namespace::new(), Namespace::new());
        server.join(
            "cable",
            &["192.0.2.1/24", "2001:db8::1/64"],
            &client,
            &["192.0.2.7/24", "192.0.2.8/24", "192.0.2.200/24", "2001:db8::7/64", "2001:db8::8/64"],
        );
        let enforcer = server.enforcer(layout);
        let [imap, web] = ["[::]:143", "[::]:8080"].map(|at| server.run(move || TcpListener::bind(at).unwrap()));
        Site { server, client, enforcer, imap, web }
    }

    fn add(&mut self, nets: &[&str], timeout: Option<Duration>) {
        let add = |net: &&str| Change::Add(Element { net: net.parse().unwrap(), timeout, felt: Felt::Drop });
        self.enforcer.apply(&nets.iter().map(add).collect::<Vec<_>>()).unwrap();
    }

    fn remove(&mut self, net: &str) {
        self.enforcer.apply(&[Change::Remove(net.parse().unwrap())]).unwrap();
    }

    fn imap(&mut self, from: &str) -> bool {
        let to = if from.contains(':') { "[2001:db8::1]:143" } else { "192.0.2.1:143" };
        self.client.reaches(from, to, &mut self.enforcer)
    }

    fn web(&mut self, from: &str) -> bool {
        let to = if from.contains(':') { "[2001:db8::1]:8080" } else { "192.0.2.1:8080" };
        self.client.reaches(from, to, &mut self.enforcer)
    }

    /// A connection to IMAP that works, from both ends.
    fn session(&self, from: &str) -> (TcpStream, TcpStream) {
        let to = if from.contains(':') { "[2001:db8::1]:143" } else { "192.0.2.1:143" };
        let mut there = self.client.connect(from, to);
        let (mut here, _) = self.imap.accept().unwrap();
        assert!(works(&mut there, &mut here));
        (there, here)
    }
}

fn works(from: &mut TcpStream, to: &mut TcpStream) -> bool {
    let mut byte = [0];
    from.write_all(b"a").is_ok() && to.read_exact(&mut byte).is_ok()
}

#[test]
fn a_blocked_address_loses_the_mail_ports_only() {
    let mut site = Site::new(Layout::default());
    for (blocked, other, net) in
        [("192.0.2.7", "192.0.2.8", "192.0.2.7/32"), ("2001:db8::7", "2001:db8::8", "2001:db8::7/128")]
    {
        assert!(site.imap(blocked) && site.web(blocked));
        site.add(&[net], None);
        assert!(!site.imap(blocked) && site.imap(other));
        assert!(site.web(blocked) && site.web(other), "the portal stays within reach");
        site.remove(net);
        assert!(site.imap(blocked));
    }
    let Dropped { packets, bytes } = site.enforcer.dropped().unwrap();
    assert!(packets >= 2 && bytes >= packets * 40, "{packets} packets, {bytes} bytes");
}

#[test]
fn a_blocked_network_spares_the_never_block_list() {
    let mut site = Site::new(Layout::default());
    site.add(&["192.0.2.0/25", "192.0.2.8/32", "2001:db8::/64"], Some(Duration::from_secs(3600)));
    let spared = ["192.0.2.8/32", "2001:db8::8/128"].map(|net| Change::AddNever(net.parse().unwrap()));
    site.enforcer.apply(&spared).unwrap();
    for (from, passes) in [
        ("192.0.2.7", false),
        ("192.0.2.8", true),
        ("192.0.2.200", true),
        ("2001:db8::7", false),
        ("2001:db8::8", true),
    ] {
        assert_eq!(site.imap(from), passes, "{from}");
    }
}

#[test]
fn a_block_ends_by_itself() {
    let mut site = Site::new(Layout::default());
    let clients = ["192.0.2.7", "192.0.2.200", "2001:db8::7"];
    let sessions: Vec<_> = clients.iter().map(|from| site.session(from)).collect();
    site.add(&["192.0.2.7/32", "192.0.2.200/31", "2001:db8::7/128"], Some(Duration::from_secs(2)));
    for (mut there, _) in sessions {
        assert!(there.read(&mut [0]).is_err(), "it has begun");
    }
    for from in clients {
        until("the block ends", || site.imap(from));
    }
    assert!(site.enforcer.reconcile(&[], &[]).unwrap().is_none());
    site.add(&["192.0.2.200/31"], None);
    assert!(!site.imap("192.0.2.200"), "what has ended can begin again");
}

#[test]
fn a_longer_block_takes_the_place_of_a_shorter_one() {
    let mut site = Site::new(Layout::default());
    let nets = ["192.0.2.7/32", "192.0.2.200/31"];
    site.add(&nets, Some(Duration::from_secs(1)));
    site.add(&nets, Some(Duration::from_secs(3600)));
    site.add(&["192.0.2.8/32"], Some(Duration::from_secs(1)));
    until("the short block ends", || site.imap("192.0.2.8"));
    assert!(!site.imap("192.0.2.7") && !site.imap("192.0.2.200"));
    site.add(&["192.0.2.8/32"], None);
    site.add(&["192.0.2.8/32"], Some(Duration::from_secs(1)));
    until("what was permanent ends", || site.imap("192.0.2.8"));
}

#[test]
fn established_connections_are_closed_on_both_sides() {
    let mut site = Site::new(Layout::default());
    let mut spared = site.session("192.0.2.8");
    let mut on_web = site.client.connect("192.0.2.7", "192.0.2.1:8080");
    for (from, net) in
        [("192.0.2.7", "192.0.2.7/32"), ("2001:db8::7", "2001:db8::7/128"), ("192.0.2.200", "192.0.2.192/26")]
    {
        let (mut there, mut here) = site.session(from);
        site.add(&[net], None);
        assert!(here.read(&mut [0]).is_err(), "the server hears of it at once");
        assert!(there.read(&mut [0]).is_err(), "and the client");
    }
    assert!(works(&mut spared.0, &mut spared.1));
    let (mut web_here, _) = site.web.accept().unwrap();
    assert!(works(&mut on_web, &mut web_here));
    let everyone = Element { net: "0.0.0.0/0".parse().unwrap(), timeout: None, felt: Felt::Drop };
    site.enforcer.reconcile(&[everyone], &["192.0.2.8/32".parse().unwrap()]).unwrap();
    assert!(works(&mut spared.0, &mut spared.1), "the never-block list keeps its connections");
}

#[test]
fn packets_of_established_connections_are_dropped() {
    let mut site = Site::new(Layout { cut_connections: false, ..Layout::default() });
    // As most firewalls do; it must not matter.
    site.server.sh("nft add table inet filter");
    site.server.sh("nft add chain inet filter input '{ type filter hook input priority filter - 100; }'");
    site.server.sh("nft add rule inet filter input ct state established,related accept");
    let (mut there, here) = site.session("192.0.2.7");
    site.add(&["192.0.2.7/32"], None);
    there.write_all(b"x").unwrap();
    until("the packet is dropped", || site.enforcer.dropped().unwrap().packets > 0);
    here.set_nonblocking(true).unwrap();
    assert!((&here).read(&mut [0]).is_err());
}

#[test]
fn loopback_passes() {
    let mut site = Site::new(Layout { ports: vec![], ..Layout::default() });
    site.add(&["0.0.0.0/0", "::/0"], None);
    for (from, to) in [("127.0.0.1", "127.0.0.1:143"), ("::1", "[::1]:143"), ("192.0.2.1", "192.0.2.1:143")] {
        drop(site.server.connect(from, to));
    }
    assert!(!site.imap("192.0.2.7") && !site.web("192.0.2.7"), "no ports means all");
}

#[test]
fn what_is_forwarded_is_guarded() {
    let (client, router, server) = (Namespace::new(), Namespace::new(), Namespace::new());
    router.join("outside", &["192.0.2.1/24"], &client, &["192.0.2.7/24", "192.0.2.8/24"]);
    router.join("inside", &["198.51.100.1/24"], &server, &["198.51.100.2/24"]);
    router.sh("sysctl -w net.ipv4.ip_forward=1");
    client.sh("ip route add default via 192.0.2.1");
    server.sh("ip route add default via 198.51.100.1");
    let _imap = server.run(|| TcpListener::bind("198.51.100.2:143").unwrap());
    let mut enforcer = router.enforcer(Layout::default());
    enforcer
        .apply(&[Change::Add(Element { net: "192.0.2.7/32".parse().unwrap(), timeout: None, felt: Felt::Drop })])
        .unwrap();
    assert!(!client.reaches("192.0.2.7", "198.51.100.2:143", &mut enforcer));
    assert!(client.reaches("192.0.2.8", "198.51.100.2:143", &mut enforcer));
}
