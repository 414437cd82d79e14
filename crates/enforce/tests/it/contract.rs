//! What must hold for the kernel and for the twin alike.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use fairban_enforce::{Change, Difference, Element, EnforceError, Enforcer, Explain, Felt, Layout, Nftables, Recorder};
use ipnet::IpNet;

use crate::namespace::Namespace;

/// An enforcer with a way to ask it, independent of itself where it is real.
trait Tried {
    fn enforcer(&mut self) -> &mut dyn Enforcer;
    fn felt(&self, address: &str) -> Option<Felt>;

    fn blocks(&self, address: &str) -> bool {
        self.felt(address).is_some()
    }

    /// What remains of a time that began with the test.
    fn left(&self, timeout: Duration) -> Duration;

    fn element(&self, text: &str, minutes: Option<u64>) -> Element {
        let timeout = minutes.map(|minutes| self.left(Duration::from_secs(minutes * 60)));
        Element { net: net(text), timeout, felt: Felt::Drop }
    }
}

struct Twin(Recorder);

impl Tried for Twin {
    fn enforcer(&mut self) -> &mut dyn Enforcer {
        &mut self.0
    }

    fn felt(&self, address: &str) -> Option<Felt> {
        let felt = self.0.felt(address.parse().unwrap());
        assert_eq!(felt.is_some(), self.0.is_blocked(address.parse().unwrap()));
        felt
    }

    fn left(&self, timeout: Duration) -> Duration {
        timeout
    }
}

struct Kernel {
    namespace: Namespace,
    enforcer: Nftables,
    started: Instant,
}

impl Kernel {
    fn new() -> Self {
        let namespace = Namespace::new();
        let explain = Some(Explain { port: 4626, per_minute: 30 });
        let enforcer = namespace.enforcer(Layout { explain, ..Layout::default() });
        Kernel { namespace, enforcer, started: Instant::now() }
    }

    fn holds(&self, set: &str, address: &str) -> bool {
        self.namespace.try_sh(&format!("nft get element inet fairban {set} '{{ {address} }}'")).0
    }
}

impl Tried for Kernel {
    fn enforcer(&mut self) -> &mut dyn Enforcer {
        &mut self.enforcer
    }

    fn felt(&self, address: &str) -> Option<Felt> {
        let family = if address.parse::<IpAddr>().unwrap().is_ipv4() { 4 } else { 6 };
        let holds = |set: &str| self.holds(&format!("{set}{family}"), address);
        match () {
            () if holds("never") => None,
            () if holds("block") || holds("net") => Some(Felt::Drop),
            () if holds("explain") || holds("explain_net") => Some(Felt::Explain),
            () => None,
        }
    }

    fn left(&self, timeout: Duration) -> Duration {
        timeout - self.started.elapsed()
    }
}

/// The twin, the kernel, and the kernel as an older one must be spoken to.
fn each(check: impl Fn(&mut dyn Tried)) {
    check(&mut Twin(Recorder::new()));
    check(&mut Kernel::new());
    let mut old = Kernel::new();
    old.enforcer.forget_destroy();
    check(&mut old);
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap_or_else(|_| text.parse::<IpAddr>().unwrap().into())
}

fn add(text: &str, minutes: u64) -> Change {
    Change::Add(Element { net: net(text), timeout: Some(Duration::from_secs(minutes * 60)), felt: Felt::Drop })
}

fn permanent(text: &str) -> Change {
    Change::Add(Element { net: net(text), timeout: None, felt: Felt::Drop })
}

fn explain(text: &str, minutes: u64) -> Change {
    let timeout = Some(Duration::from_secs(minutes * 60));
    Change::Add(Element { net: net(text), timeout, felt: Felt::Explain })
}

fn remove(text: &str) -> Change {
    Change::Remove(net(text))
}

fn never(text: &str) -> Change {
    Change::AddNever(net(text))
}

fn not_never(text: &str) -> Change {
    Change::RemoveNever(net(text))
}

type Step = (Vec<Change>, &'static [&'static str], &'static [&'static str]);

#[test]
fn blocks_what_it_was_told_to() {
    let steps: Vec<Step> = vec![
        (vec![], &[], &["192.0.2.7", "2001:db8::7"]),
        (vec![add("192.0.2.7", 30), permanent("2001:db8::7")], &["192.0.2.7", "2001:db8::7"], &["192.0.2.8"]),
        (vec![add("192.0.2.7", 60), add("2001:db8::7", 5)], &["192.0.2.7", "2001:db8::7"], &["2001:db8::8"]),
        (vec![remove("192.0.2.7"), remove("192.0.2.8")], &["2001:db8::7"], &["192.0.2.7", "192.0.2.8"]),
        (vec![remove("2001:db8::7"), remove("2001:db8::7")], &[], &["2001:db8::7"]),
        // The last word on one network counts.
        (vec![add("192.0.2.7", 1), remove("192.0.2.7"), add("192.0.2.7", 2)], &["192.0.2.7"], &[]),
        (vec![add("192.0.2.7", 1), remove("192.0.2.7")], &[], &["192.0.2.7"]),
        (vec![add("192.0.2.9", 1), add("192.0.2.9", 0)], &[], &["192.0.2.9"]),
        // IPv4 mapped into IPv6 is what the kernel sees as IPv4; host bits say nothing.
        (vec![add("::ffff:198.51.100.7", 9), add("203.0.113.9/24", 9)], &["198.51.100.7", "203.0.113.77"], &[]),
        // Forever, in words of a Duration.
        (
            vec![Change::Add(Element { net: net("192.0.2.7"), timeout: Some(Duration::MAX), felt: Felt::Drop })],
            &["192.0.2.7"],
            &[],
        ),
    ];
    each(|tried| walk(tried, &steps));
}

#[test]
fn overlapping_networks_stand_each_for_itself() {
    let steps: Vec<Step> = vec![
        (vec![add("192.0.2.0/24", 60)], &["192.0.2.0", "192.0.2.255"], &["192.0.1.255", "192.0.3.0"]),
        (vec![add("192.0.0.0/16", 30)], &["192.0.0.0", "192.0.2.7", "192.0.255.255"], &["192.1.0.0"]),
        (vec![add("192.0.2.128/25", 10), add("192.0.2.7", 10), permanent("192.0.9.0/24")], &["192.0.2.200"], &[]),
        (vec![remove("192.0.0.0/16")], &["192.0.2.7", "192.0.9.1"], &["192.0.3.1", "192.0.0.0"]),
        (vec![remove("192.0.2.0/24")], &["192.0.2.7", "192.0.2.128", "192.0.9.1"], &["192.0.2.8"]),
        (vec![permanent("0.0.0.0/0")], &["0.0.0.0", "127.0.0.1", "255.255.255.255"], &["2001:db8::1"]),
        (vec![add("255.255.255.0/24", 5), add("0.0.0.0/0", 7)], &["192.0.2.7", "255.255.255.255"], &[]),
        (vec![remove("0.0.0.0/0")], &["255.255.255.255", "192.0.9.1", "192.0.2.7"], &["8.8.8.8"]),
        (vec![add("::/0", 7), add("2001:db8::/64", 70)], &["::", "2001:db8::1", "ffff::1"], &["8.8.8.8"]),
        (vec![remove("::/0")], &["2001:db8::1"], &["2001:db8:0:1::1"]),
        (vec![add("198.51.100.0/25", 5), add("198.51.100.128/25", 5)], &["198.51.100.127", "198.51.100.128"], &[]),
        (vec![remove("198.51.100.0/25")], &["198.51.100.128"], &["198.51.100.127"]),
    ];
    each(|tried| walk(tried, &steps));
}

#[test]
fn never_wins() {
    let steps: Vec<Step> = vec![
        (vec![add("192.0.2.7", 30), never("192.0.2.7")], &[], &["192.0.2.7"]),
        (vec![add("192.0.2.0/24", 30), add("192.0.2.7", 99)], &["192.0.2.8"], &["192.0.2.7"]),
        (vec![never("192.0.2.0/28"), never("192.0.2.0/28")], &["192.0.2.16"], &["192.0.2.7", "192.0.2.8"]),
        (vec![not_never("192.0.2.0/28")], &["192.0.2.8"], &["192.0.2.7"]),
        (vec![permanent("0.0.0.0/0"), permanent("::/0"), never("2001:db8::/32")], &["::1"], &["2001:db8::1"]),
        (vec![not_never("192.0.2.7"), not_never("192.0.2.99")], &["192.0.2.7", "192.0.2.8"], &["2001:db8::1"]),
    ];
    each(|tried| walk(tried, &steps));
}

fn walk(tried: &mut dyn Tried, steps: &[Step]) {
    for (changes, blocked, free) in steps {
        tried.enforcer().apply(changes).unwrap();
        for address in *blocked {
            assert!(tried.blocks(address), "{address} is not blocked after {changes:?}");
        }
        for address in *free {
            assert!(!tried.blocks(address), "{address} is blocked after {changes:?}");
        }
    }
}

#[test]
fn what_is_explained_and_dropped_is_dropped() {
    const TOLD: Option<Felt> = Some(Felt::Explain);
    const DROPPED: Option<Felt> = Some(Felt::Drop);
    type Expected = &'static [(&'static str, Option<Felt>)];
    let steps: Vec<(Vec<Change>, Expected)> = vec![
        (vec![explain("192.0.2.7", 5), explain("2001:db8::/64", 5)], &[("192.0.2.7", TOLD), ("2001:db8::9", TOLD)]),
        // One network is felt as was said last.
        (vec![add("192.0.2.7", 5), add("2001:db8::/64", 5)], &[("192.0.2.7", DROPPED), ("2001:db8::9", DROPPED)]),
        (vec![explain("192.0.2.7", 5), explain("2001:db8::/64", 5)], &[("192.0.2.7", TOLD), ("2001:db8::9", TOLD)]),
        (vec![add("192.0.2.8", 5), explain("192.0.2.8", 5)], &[("192.0.2.8", TOLD)]),
        (vec![explain("192.0.2.9", 5), add("192.0.2.9", 5)], &[("192.0.2.9", DROPPED)]),
        // Several that overlap each stand for themselves.
        (vec![add("192.0.2.0/24", 5)], &[("192.0.2.7", DROPPED), ("192.0.2.1", DROPPED)]),
        (vec![explain("192.0.0.0/16", 5), remove("192.0.2.0/24")], &[("192.0.2.7", TOLD), ("192.0.2.9", DROPPED)]),
        (vec![add("2001:db8::5", 5)], &[("2001:db8::5", DROPPED), ("2001:db8::6", TOLD)]),
        (vec![never("192.0.2.7"), never("2001:db8::/65")], &[("192.0.2.7", None), ("2001:db8::5", None)]),
        (vec![remove("192.0.2.7"), not_never("192.0.2.7")], &[("192.0.2.7", TOLD)]),
        (vec![remove("192.0.0.0/16")], &[("192.0.2.7", None), ("192.0.2.9", DROPPED)]),
    ];
    each(|tried| {
        for (changes, expected) in &steps {
            tried.enforcer().apply(changes).unwrap();
            for (address, felt) in *expected {
                assert_eq!(tried.felt(address), *felt, "{address} after {changes:?}");
            }
        }
    });
}

#[test]
fn reconciling_mends_how_blocks_are_felt() {
    each(|tried| {
        let wants = |tried: &dyn Tried, felt: Felt| {
            ["192.0.2.7", "198.51.100.0/24", "2001:db8::7"].map(|text| Element { felt, ..tried.element(text, Some(5)) })
        };
        let want = wants(tried, Felt::Explain);
        assert_eq!(tried.enforcer().reconcile(&want, &[]).unwrap().missing, 3);
        let want = wants(tried, Felt::Explain);
        assert!(tried.enforcer().reconcile(&want, &[]).unwrap().is_none());
        let want = wants(tried, Felt::Drop);
        let difference = tried.enforcer().reconcile(&want, &[]).unwrap();
        assert_eq!(difference, Difference { missing: 3, surplus: 3, ..Difference::default() });
        assert!(["192.0.2.7", "198.51.100.9", "2001:db8::7"].iter().all(|from| tried.felt(from) == Some(Felt::Drop)));
    });
}

#[test]
fn reconciling_tells_and_mends_the_difference() {
    each(|tried| {
        let wants = |tried: &dyn Tried| {
            [("192.0.2.7", Some(5)), ("192.0.0.0/16", None), ("2001:db8::7", None)]
                .map(|(text, minutes)| tried.element(text, minutes))
        };
        let (want, spared) = (wants(tried), [net("192.0.2.8")]);
        let difference = tried.enforcer().reconcile(&want, &spared).unwrap();
        assert_eq!(difference, Difference { missing: 4, ..Difference::default() });
        assert!(tried.blocks("192.0.2.7") && tried.blocks("2001:db8::7") && !tried.blocks("192.0.2.8"));
        let want = wants(tried);
        assert!(tried.enforcer().reconcile(&want, &spared).unwrap().is_none());

        let wants = |tried: &dyn Tried| {
            [("192.0.2.7", Some(50)), ("192.0.0.0/16", Some(5))].map(|(text, minutes)| tried.element(text, minutes))
        };
        let want = wants(tried);
        let difference = tried.enforcer().reconcile(&want, &[]).unwrap();
        assert_eq!(difference, Difference { missing: 0, surplus: 2, changed: 2, rebuilt: false });
        assert!(!tried.blocks("2001:db8::7") && tried.blocks("192.0.2.8"));
        let want = wants(tried);
        assert!(tried.enforcer().reconcile(&want, &[]).unwrap().is_none());
    });
}

#[test]
fn flushing_leaves_nothing_and_asks_for_a_reconciliation() {
    each(|tried| {
        tried.enforcer().apply(&[add("192.0.2.7", 5), add("198.51.100.0/24", 5)]).unwrap();
        tried.enforcer().flush().unwrap();
        tried.enforcer().flush().unwrap();
        assert!(!tried.blocks("192.0.2.7") && !tried.blocks("198.51.100.1"));
        let refused = tried.enforcer().apply(&[add("192.0.2.7", 5)]);
        assert!(matches!(refused, Err(EnforceError::Diverged(_))), "{refused:?}");
        let want = [tried.element("192.0.2.8", None)];
        let difference = tried.enforcer().reconcile(&want, &[]).unwrap();
        assert_eq!(difference, Difference { missing: 1, rebuilt: true, ..Difference::default() });
        assert!(tried.blocks("192.0.2.8") && !tried.blocks("192.0.2.7"));
    });
}

#[test]
fn a_failure_is_recorded_by_the_twin_as_by_the_kernel() {
    let mut twin = Recorder::new();
    twin.fail_next(EnforceError::Busy("testing".to_owned()));
    assert!(matches!(twin.apply(&[add("192.0.2.7", 5)]), Err(EnforceError::Busy(_))));
    assert!(matches!(twin.apply(&[add("192.0.2.7", 5)]), Err(EnforceError::Diverged(_))));
    twin.reconcile(&[], &[]).unwrap();
    twin.apply(&[add("192.0.2.7", 5)]).unwrap();
    assert_eq!(twin.applied(), [add("192.0.2.7", 5)]);
    twin.advance(Duration::from_secs(301));
    assert!(!twin.is_blocked("192.0.2.7".parse().unwrap()));
}

/// Hundreds of changes to networks that cut across each other: the kernel must take each, and agree with the twin.
#[test]
fn kernel_and_twin_agree_on_chance_changes() {
    for seed in 1..=3 {
        let mut chance = Chance(seed);
        let mut kernel = Kernel::new();
        let twin = Recorder::new();
        let mut wanted: HashMap<IpNet, (Option<Duration>, Felt)> = HashMap::new();
        for _ in 0..150 {
            let changes: Vec<Change> = (0..1 + chance.below(4)).map(|_| chance.change()).collect();
            kernel.enforcer.apply(&changes).unwrap();
            twin.clone().apply(&changes).unwrap();
            let now = kernel.started.elapsed();
            for change in &changes {
                match change {
                    Change::Add(Element { net, timeout, felt }) => {
                        wanted.insert(*net, (timeout.map(|timeout| now + timeout), *felt));
                    }
                    Change::Remove(net) => drop(wanted.remove(net)),
                    _ => {}
                }
            }
        }
        let want: Vec<Element> = wanted
            .into_iter()
            .map(|(net, (end, felt))| Element { net, timeout: end.map(|end| kernel.left(end)), felt })
            .collect();
        let difference = kernel.enforcer.reconcile(&want, &[]).unwrap();
        assert!(difference.is_none(), "seed {seed}: {difference:?}");
        for low in (0..=255).step_by(5) {
            let address = format!("192.0.2.{low}");
            assert_eq!(kernel.felt(&address), twin.felt(address.parse().unwrap()), "seed {seed}: {address}");
        }
    }
}

/// Numbers that are the same for the same seed (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn change(&mut self) -> Change {
        let text = format!("192.0.2.{}/{}", self.below(256), 22 + self.below(11));
        let net: IpNet = text.parse().unwrap();
        let felt = if self.below(2) == 0 { Felt::Drop } else { Felt::Explain };
        match self.below(3) {
            0 => Change::Remove(net.trunc()),
            1 => Change::Add(Element { net: net.trunc(), timeout: None, felt }),
            _ => {
                let timeout = Some(Duration::from_secs(600 * (1 + self.below(4))));
                Change::Add(Element { net: net.trunc(), timeout, felt })
            }
        }
    }
}
