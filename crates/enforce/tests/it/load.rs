//! Many blocks at once. Times are told (`--nocapture`), not judged: the machine may be busy.

use std::time::{Duration, Instant};

use fairban_enforce::{Change, Element, Enforcer, Felt, Layout};

use crate::namespace::Namespace;

const MANY: u32 = 100_000;

/// What blocks for an hour from the start.
fn many(start: Instant) -> Vec<Element> {
    let timeout = Some(Duration::from_secs(3600) - start.elapsed());
    let address = |number: u32| std::net::IpAddr::from((0x0a00_0000 + number * 3).to_be_bytes());
    (0..MANY).map(|number| Element { net: address(number).into(), timeout, felt: Felt::Drop }).collect()
}

#[test]
fn a_hundred_thousand_at_once() {
    let namespace = Namespace::new();
    let mut enforcer = namespace.enforcer(Layout::default());
    let start = Instant::now();
    let want = many(start);
    let time = |what: &str, job: &mut dyn FnMut()| {
        let started = Instant::now();
        job();
        println!("{what}: {:?}", started.elapsed());
    };
    time("100,000 addresses by reconciling", &mut || {
        assert_eq!(enforcer.reconcile(&want, &[]).unwrap().missing, want.len());
    });
    let want = many(start);
    time("the same again, nothing to do", &mut || {
        let difference = enforcer.reconcile(&want, &[]).unwrap();
        assert_eq!((difference.missing, difference.surplus), (0, 0));
    });
    let changes: Vec<Change> = want.iter().copied().map(Change::Add).collect();
    time("100,000 addresses by changes, all there already", &mut || enforcer.apply(&changes).unwrap());
    tell_one_by_one("closing connections", &mut enforcer);
    let mut plain = namespace.enforcer(Layout { cut_connections: false, ..Layout::default() });
    plain.reconcile(&want, &[]).unwrap();
    tell_one_by_one("leaving connections alone", &mut plain);
    let gone: Vec<Change> = want.iter().map(|element| Change::Remove(element.net)).collect();
    time("100,000 removed", &mut || enforcer.apply(&gone).unwrap());
    assert_eq!(enforcer.reconcile(&[], &[]).unwrap().surplus, 200);
}

fn tell_one_by_one(how: &str, enforcer: &mut impl Enforcer) {
    let mut times: Vec<Duration> = (0..200u8)
        .map(|low| {
            let one = Change::Add(Element {
                net: std::net::IpAddr::from([192, 0, 2, low]).into(),
                timeout: None,
                felt: Felt::Drop,
            });
            let began = Instant::now();
            enforcer.apply(&[one]).unwrap();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("one more address with 100,000 standing, {how}: median {:?}, worst {:?}", times[100], times[199]);
}

#[test]
fn ten_thousand_networks() {
    let namespace = Namespace::new();
    let mut enforcer = namespace.enforcer(Layout::default());
    let net = |number: u32| {
        ipnet::IpNet::new(std::net::IpAddr::from((0x0a00_0000 + number * 512).to_be_bytes()), 24).unwrap()
    };
    let want: Vec<Element> =
        (0..10_000).map(|number| Element { net: net(number), timeout: None, felt: Felt::Drop }).collect();
    let started = Instant::now();
    enforcer.reconcile(&want, &[]).unwrap();
    println!("10,000 networks: {:?}", started.elapsed());
    let started = Instant::now();
    enforcer
        .apply(&[Change::Add(Element { net: "192.0.2.0/24".parse().unwrap(), timeout: None, felt: Felt::Drop })])
        .unwrap();
    println!("one more network: {:?}", started.elapsed());
    let started = Instant::now();
    let all = Element { net: "0.0.0.0/0".parse().unwrap(), timeout: None, felt: Felt::Drop };
    enforcer.apply(&[Change::Add(all)]).unwrap();
    enforcer.apply(&[Change::Remove(all.net)]).unwrap();
    println!("everything over them and away again: {:?}", started.elapsed());
    assert_eq!(enforcer.reconcile(&want, &[]).unwrap().surplus, 1);
}
