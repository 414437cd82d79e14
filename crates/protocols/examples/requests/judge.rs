use std::net::{IpAddr, Ipv4Addr};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use fairban_config::Config;
use fairban_engine::Engine;
use fairban_protocols::Judge;
use fairban_types::{Event, Mailing, SignIn, Subject, Time, Verdict, single};

/// An engine that answers, and hears nothing.
pub(crate) struct Held(RwLock<Engine>);

/// The `n`th blocked address; beyond the blocks there are those that nobody blocked.
pub(crate) fn address(n: u64) -> IpAddr {
    let bits = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    // Of the first half of all, so that none is loopback or special.
    Ipv4Addr::from_bits(0x1000_0000 | (bits as u32 & 0x5fff_ffff)).into()
}

pub(crate) fn filled(blocks: u64) -> Held {
    let mut policy = Config::builtin().policy;
    policy.mail_servers_ask = true;
    policy.memory_bytes_max = 4 << 30;
    let mut engine = Engine::new(policy);
    let now = Time::from(SystemTime::now());
    let until = Some(now.after(Duration::from_secs(86_400)));
    let mut out = Vec::new();
    for n in 0..blocks {
        let _ = engine.block(now, Subject::Network(single(address(n))), until, "bench", "", &mut out);
        out.clear();
    }
    Held(RwLock::new(engine))
}

impl Judge for Held {
    fn may_sign_in(&self, question: &SignIn<'_>) -> Verdict {
        let now = Time::from(SystemTime::now());
        self.0.read().unwrap_or_else(PoisonError::into_inner).verdict(now, question)
    }

    fn may_send(&self, question: &Mailing<'_>) -> Verdict {
        let now = Time::from(SystemTime::now());
        self.0.read().unwrap_or_else(PoisonError::into_inner).may_send(now, question)
    }

    fn hear(&self, _: Event<'static>) -> bool {
        true
    }
}
