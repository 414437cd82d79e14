//! Real packets of blocked clients on their way to the explainer.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener, TcpStream};
use std::time::Duration;

use fairban_enforce::{Change, Element, Enforcer, Explain, Felt, Layout, MAIL_PORTS, Nftables};
use nix::sys::socket::{getsockopt, sockopt};

use crate::namespace::{Namespace, until};

const PORT: u16 = 4626;
const CLIENTS: [&str; 4] = ["192.0.2.7", "192.0.2.8", "2001:db8::7", "2001:db8::8"];

/// A mail server with an explainer, and a client with several addresses.
struct Site {
    server: Namespace,
    client: Namespace,
    enforcer: Nftables,
    imap: TcpListener,
    explainer: TcpListener,
}

fn explained(per_minute: u32) -> Layout {
    Layout { explain: Some(Explain { port: PORT, per_minute }), ..Layout::default() }
}

fn server_of(from: &str, port: u16) -> String {
    if from.contains(':') { format!("[2001:db8::1]:{port}") } else { format!("192.0.2.1:{port}") }
}

impl Site {
    fn new(layout: Layout) -> Self {
        let (server, client) = (Namespace::new(), Namespace::new());
        let others = ["192.0.2.7/24", "192.0.2.8/24", "2001:db8::7/64", "2001:db8::8/64", "2001:db8:0:1::9/64"];
        server.join("cable", &["192.0.2.1/24", "2001:db8::1/64", "2001:db8:0:1::1/64"], &client, &others);
        let enforcer = server.enforcer(layout);
        let [imap, explainer] = ["[::]:143".to_owned(), format!("[::]:{PORT}")].map(|at| {
            let listener = server.run(move || TcpListener::bind(at).unwrap());
            listener.set_nonblocking(true).unwrap();
            listener
        });
        Site { server, client, enforcer, imap, explainer }
    }

    fn add(&mut self, net: &str, felt: Felt) {
        let element = Element { net: net.parse().unwrap(), timeout: Some(Duration::from_secs(3600)), felt };
        self.enforcer.apply(&[Change::Add(element)]).unwrap();
    }

    /// Where a connection to IMAP ends; `None`: it is dropped.
    fn met_by(&mut self, from: &str, port: u16) -> Option<Met> {
        if !self.client.reaches(from, &server_of(from, port), &mut self.enforcer) {
            return None;
        }
        let mut met = None;
        until("somebody takes the connection", || {
            met = taken(&self.imap)
                .map(|_| Met::MailServer)
                .or(taken(&self.explainer).map(|here| Met::Explainer { asked_for: original_port(&here) }));
            met.is_some()
        });
        met
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    MailServer,
    Explainer { asked_for: u16 },
}

fn taken(listener: &TcpListener) -> Option<TcpStream> {
    match listener.accept() {
        Ok((stream, _)) => Some(stream),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error}"),
    }
}

fn original_port(stream: &TcpStream) -> u16 {
    let is_v4 = stream.peer_addr().unwrap().ip().to_canonical().is_ipv4();
    if is_v4 {
        let found = getsockopt(stream, sockopt::OriginalDst).unwrap();
        SocketAddrV4::new(u32::from_be(found.sin_addr.s_addr).into(), u16::from_be(found.sin_port)).port()
    } else {
        let found = getsockopt(stream, sockopt::Ip6tOriginalDst).unwrap();
        SocketAddrV6::new(found.sin6_addr.s6_addr.into(), u16::from_be(found.sin6_port), 0, 0).port()
    }
}

#[test]
fn explained_clients_reach_the_explainer_on_every_port_of_mail() {
    let mut site = Site::new(explained(100));
    for from in CLIENTS {
        assert_eq!(site.met_by(from, 143), Some(Met::MailServer));
    }
    site.add("192.0.2.7/32", Felt::Explain);
    site.add("2001:db8::/64", Felt::Explain);
    site.enforcer.apply(&[Change::AddNever("2001:db8::8/128".parse().unwrap())]).unwrap();
    for from in ["192.0.2.7", "2001:db8::7"] {
        for port in MAIL_PORTS {
            assert_eq!(site.met_by(from, *port), Some(Met::Explainer { asked_for: *port }), "{from}");
        }
    }
    for from in ["192.0.2.8", "2001:db8::8", "2001:db8:0:1::9"] {
        assert_eq!(site.met_by(from, 143), Some(Met::MailServer), "{from}");
    }
    assert_eq!(site.enforcer.dropped().unwrap().packets, 0, "being told is not being dropped");
    for net in ["192.0.2.7/32", "2001:db8::/64"] {
        site.enforcer.apply(&[Change::Remove(net.parse().unwrap())]).unwrap();
    }
    for from in CLIENTS {
        assert_eq!(site.met_by(from, 143), Some(Met::MailServer), "{from}");
    }
}

#[test]
fn who_is_to_be_dropped_is_dropped_though_a_wider_block_explains() {
    let mut site = Site::new(explained(100));
    site.add("192.0.2.0/24", Felt::Explain);
    site.add("192.0.2.7/32", Felt::Drop);
    assert_eq!(site.met_by("192.0.2.7", 143), None);
    assert_eq!(site.met_by("192.0.2.8", 143), Some(Met::Explainer { asked_for: 143 }));
}

#[test]
fn too_many_connections_are_dropped_each_address_for_itself() {
    let mut site = Site::new(explained(5));
    for net in ["192.0.2.7/32", "192.0.2.8/32", "2001:db8::/64", "2001:db8:0:1::/64"] {
        site.add(net, Felt::Explain);
    }
    for from in ["192.0.2.7", "2001:db8::7", "2001:db8:0:1::9", "192.0.2.8"] {
        let told = (0..).take_while(|_| site.met_by(from, 143).is_some()).count();
        // One or two more where the machine is so slow that the seconds pass.
        assert!((5..8).contains(&told), "{from}: {told}");
    }
    // The second address of a /64 has no number of its own.
    assert_eq!(site.met_by("2001:db8::8", 143), None);
}

#[test]
fn only_redirects_lead_to_the_explainer() {
    for ports in [MAIL_PORTS.to_vec(), vec![]] {
        let mut site = Site::new(Layout { ports, ..explained(100) });
        site.add("192.0.2.8/32", Felt::Explain);
        assert_eq!(site.met_by("192.0.2.8", 143), Some(Met::Explainer { asked_for: 143 }));
        for from in ["192.0.2.7", "2001:db8::7"] {
            let stream = site.client.begin_to_connect(from, &server_of(from, PORT));
            assert_eq!(site.met_by(from, 143), Some(Met::MailServer));
            // What came before has been dropped, or it would stand by now.
            assert!(stream.peer_addr().is_err() && taken(&site.explainer).is_none(), "{from}");
        }
        drop(site.server.connect("127.0.0.1", &format!("127.0.0.1:{PORT}")));
    }
}

#[test]
fn connections_from_before_are_closed_and_explanations_are_heard_to_the_end() {
    let mut site = Site::new(explained(100));
    for from in ["192.0.2.7", "2001:db8::7"] {
        let mut there = site.client.connect(from, &server_of(from, 143));
        let mut here = accept(&site.imap);
        let net = format!("{from}/{}", if from.contains(':') { 128 } else { 32 });
        site.add(&net, Felt::Explain);
        assert!(here.read(&mut [0]).is_err() && there.read(&mut [0]).is_err(), "cut on both sides");
        let mut there = site.client.connect(from, &server_of(from, 143));
        let mut here = accept(&site.explainer);
        site.add(&net, Felt::Explain);
        assert!(here.write_all(b"x").is_ok() && there.read(&mut [0]).unwrap() == 1);
        site.add(&net, Felt::Drop);
        assert!(here.read(&mut [0]).is_err(), "who is to hear nothing any more hears nothing");
    }
}

fn accept(listener: &TcpListener) -> TcpStream {
    let mut stream = None;
    until("a connection comes", || {
        stream = taken(listener);
        stream.is_some()
    });
    let stream = stream.unwrap();
    stream.set_nonblocking(false).unwrap();
    stream
}

#[test]
fn without_an_explainer_everything_is_dropped() {
    let mut site = Site::new(Layout::default());
    site.add("192.0.2.7/32", Felt::Explain);
    site.add("2001:db8::/64", Felt::Explain);
    assert_eq!((site.met_by("192.0.2.7", 143), site.met_by("2001:db8::7", 143)), (None, None));
}

#[test]
fn what_goes_through_is_explained_where_it_is_guarded() {
    for forward in [true, false] {
        let (client, router, server) = (Namespace::new(), Namespace::new(), Namespace::new());
        router.join("outside", &["192.0.2.1/24"], &client, &["192.0.2.7/24"]);
        router.join("inside", &["198.51.100.1/24"], &server, &["198.51.100.2/24"]);
        router.sh("sysctl -w net.ipv4.ip_forward=1");
        client.sh("ip route add default via 192.0.2.1");
        server.sh("ip route add default via 198.51.100.1");
        let imap = server.run(|| TcpListener::bind("198.51.100.2:143").unwrap());
        let explainer = router.run(|| TcpListener::bind(("0.0.0.0", PORT)).unwrap());
        for listener in [&imap, &explainer] {
            listener.set_nonblocking(true).unwrap();
        }
        let mut enforcer = router.enforcer(Layout { forward, ..explained(100) });
        let element = Element { net: "192.0.2.7/32".parse().unwrap(), timeout: None, felt: Felt::Explain };
        enforcer.apply(&[Change::Add(element)]).unwrap();
        drop(client.connect("192.0.2.7", "198.51.100.2:143"));
        let peer: SocketAddr = accept(if forward { &explainer } else { &imap }).peer_addr().unwrap();
        assert_eq!(peer.ip().to_string(), "192.0.2.7");
    }
}
