//! Other programs that change the table.

use std::time::{Duration, Instant};

use fairban_enforce::{Change, Difference, Element, EnforceError, Enforcer, Explain, Felt, Layout};
use ipnet::IpNet;

use crate::namespace::Namespace;

/// What blocks for an hour from the start.
fn wanted(start: Instant) -> (Vec<Element>, Vec<IpNet>) {
    let hour = Some(Duration::from_secs(3600) - start.elapsed());
    let want = ["192.0.2.7/32", "198.51.100.0/24", "2001:db8::7/128", "2001:db8:1::/64"].map(|net| Element {
        net: net.parse().unwrap(),
        timeout: hour,
        felt: Felt::Drop,
    });
    (want.to_vec(), vec!["198.51.100.9/32".parse().unwrap()])
}

#[test]
fn what_others_change_is_counted_and_mended() {
    let all = Difference { missing: 5, rebuilt: true, ..Difference::default() };
    let one_missing = Difference { missing: 1, ..Difference::default() };
    let one_surplus = Difference { surplus: 1, ..Difference::default() };
    let table = "inet fairban";
    for (command, expected) in [
        ("true".to_owned(), Difference::default()),
        ("nft flush ruleset".to_owned(), all),
        (format!("nft delete table {table}"), all),
        (format!("nft flush chain {table} judge"), all),
        (format!("nft insert rule {table} judge accept"), all),
        (format!("nft flush table {table}"), all),
        (format!("nft delete chain {table} forward"), all),
        (format!("nft add chain {table} input '{{ policy drop; }}'"), all),
        (format!("nft add set {table} stray '{{ type ipv4_addr; }}'"), all),
        (format!("nft add table {table} '{{ flags dormant; }}'"), all),
        (format!("nft delete element {table} ports '{{ 143 }}'"), all),
        (format!("nft add element {table} ports '{{ 80 }}'"), all),
        (format!("nft delete element {table} block4 '{{ 192.0.2.7 }}'"), one_missing),
        (format!("nft delete element {table} net6 '{{ 2001:db8:1::/64 }}'"), one_missing),
        (format!("nft flush set {table} never4"), one_missing),
        (format!("nft add element {table} block6 '{{ 2001:db8::8 }}'"), one_surplus),
        (format!("nft add element {table} net4 '{{ 203.0.113.0/24 timeout 5m }}'"), one_surplus),
        (format!("nft add element {table} net4 '{{ 255.0.0.0/8 }}'"), one_surplus),
        (format!("nft add element {table} never4 '{{ 0.0.0.0/2 }}'"), one_surplus),
        (
            format!(
                "nft delete element {table} net4 '{{ 198.51.100.0/24 }}'; nft add element {table} net4 '{{ 198.51.100.0/23 }}'"
            ),
            Difference { missing: 1, surplus: 1, ..Difference::default() },
        ),
        (
            format!(
                "nft delete element {table} block4 '{{ 192.0.2.7 }}'; nft add element {table} block4 '{{ 192.0.2.7 timeout 9h }}'"
            ),
            Difference { changed: 1, ..Difference::default() },
        ),
    ] {
        let (namespace, start) = (Namespace::new(), Instant::now());
        let mut enforcer = namespace.enforcer(Layout::default());
        let (want, never) = wanted(start);
        enforcer.reconcile(&want, &never).unwrap();
        let before = listed(&namespace);
        namespace.sh(&command);
        let (want, never) = wanted(start);
        assert_eq!(enforcer.reconcile(&want, &never).unwrap(), expected, "{command}");
        let (want, never) = wanted(start);
        assert!(enforcer.reconcile(&want, &never).unwrap().is_none(), "{command}");
        assert_eq!(listed(&namespace), before, "{command}");
    }
}

#[test]
fn what_leads_to_the_explainer_is_mended_as_well() {
    let rebuilt = Difference { missing: 2, rebuilt: true, ..Difference::default() };
    for (command, expected) in [
        ("flush chain inet fairban prerouting", rebuilt),
        ("flush chain inet fairban explain", rebuilt),
        ("insert rule inet fairban prerouting tcp dport 143 accept", rebuilt),
        ("delete element inet fairban explained_ports { 143 }", rebuilt),
        ("add element inet fairban explain6 { 2001:db8::8 }", Difference { surplus: 1, ..Difference::default() }),
        ("flush set inet fairban explain_net4", Difference { missing: 1, ..Difference::default() }),
        // How often each came lately is nobody's to mend.
        ("add element inet fairban pace4 { 192.0.2.7 limit rate 5/minute }", Difference::default()),
    ] {
        let namespace = Namespace::new();
        let explain = Some(Explain { port: 4626, per_minute: 30 });
        let mut enforcer = namespace.enforcer(Layout { explain, ..Layout::default() });
        let want = ["192.0.2.7/32", "198.51.100.0/24"].map(|net| Element {
            net: net.parse().unwrap(),
            timeout: None,
            felt: Felt::Explain,
        });
        enforcer.reconcile(&want, &[]).unwrap();
        namespace.sh(&format!("nft '{command}'"));
        assert_eq!(enforcer.reconcile(&want, &[]).unwrap(), expected, "{command}");
        assert!(enforcer.reconcile(&want, &[]).unwrap().is_none(), "{command}");
    }
}

/// The table as `nft` shows it, without the times.
fn listed(namespace: &Namespace) -> String {
    let text = namespace.sh("nft -s list table inet fairban");
    let mut pieces = text.split(" timeout ");
    let mut listed = pieces.next().unwrap().to_owned();
    for piece in pieces {
        listed.push_str(piece.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric()));
    }
    listed
}

#[test]
fn a_change_to_a_table_that_is_gone_asks_for_a_reconciliation() {
    let (namespace, start) = (Namespace::new(), Instant::now());
    let mut enforcer = namespace.enforcer(Layout::default());
    let (want, never) = wanted(start);
    enforcer.reconcile(&want, &never).unwrap();
    namespace.sh("nft flush ruleset");
    let change = [Change::Add(want[0])];
    assert!(matches!(enforcer.apply(&change), Err(EnforceError::Diverged(_))));
    assert!(matches!(enforcer.apply(&change), Err(EnforceError::Diverged(_))));
    assert!(enforcer.reconcile(&want, &never).unwrap().rebuilt);
    enforcer.apply(&change).unwrap();
}

#[test]
fn a_stray_range_does_not_stand_in_the_way() {
    let namespace = Namespace::new();
    let mut enforcer = namespace.enforcer(Layout::default());
    namespace.sh("nft add element inet fairban net4 '{ 192.0.0.0/20 }'");
    let element = Element { net: "192.0.0.0/16".parse().unwrap(), timeout: None, felt: Felt::Drop };
    enforcer.apply(&[Change::Add(element)]).unwrap();
    assert!(enforcer.reconcile(&[element], &[]).unwrap().is_none());
}

#[test]
fn a_table_outlives_its_maker_and_no_other_is_touched() {
    let (namespace, start) = (Namespace::new(), Instant::now());
    namespace.sh("nft add table inet filter; nft add chain inet filter mine '{ type filter hook input priority 0; }'");
    let (want, never) = wanted(start);
    namespace.enforcer(Layout::default()).reconcile(&want, &never).unwrap();
    let mut enforcer = namespace.enforcer(Layout::default());
    assert!(matches!(enforcer.apply(&[]), Err(EnforceError::Diverged(_))), "what is wanted is not known yet");
    let (want, never) = wanted(start);
    assert!(enforcer.reconcile(&want, &never).unwrap().is_none());
    assert_eq!(
        enforcer.describe(),
        "nftables table inet fairban, input and forward at priority -10, TCP ports 25, 110, 143, 465, 587, 993, 995, 2525, 4190"
    );
    enforcer.flush().unwrap();
    let left = namespace.sh("nft list ruleset");
    assert!(left.contains("filter") && !left.contains("fairban"), "{left}");
}

#[test]
fn another_layout_makes_the_table_anew() {
    let (namespace, start) = (Namespace::new(), Instant::now());
    let (want, never) = wanted(start);
    namespace.enforcer(Layout::default()).reconcile(&want, &never).unwrap();
    for layout in [
        Layout { ports: vec![143], ..Layout::default() },
        Layout { ports: vec![], ..Layout::default() },
        Layout { priority: -300, ..Layout::default() },
        Layout { forward: false, ..Layout::default() },
        Layout { explain: Some(Explain { port: 4626, per_minute: 30 }), ..Layout::default() },
        Layout { explain: Some(Explain { port: 4626, per_minute: 20 }), ..Layout::default() },
        Layout { explain: Some(Explain { port: 4627, per_minute: 20 }), ..Layout::default() },
        Layout { explain: Some(Explain { port: 4627, per_minute: 20 }), ports: vec![80], ..Layout::default() },
        Layout { explain: Some(Explain { port: 4627, per_minute: 20 }), ports: vec![], ..Layout::default() },
        Layout { explain: Some(Explain { port: 4627, per_minute: 20 }), forward: false, ..Layout::default() },
    ] {
        let mut enforcer = namespace.enforcer(layout);
        let (want, never) = wanted(start);
        assert!(enforcer.reconcile(&want, &never).unwrap().rebuilt);
        let (want, never) = wanted(start);
        assert!(enforcer.reconcile(&want, &never).unwrap().is_none());
    }
}
