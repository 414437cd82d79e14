//! The portal with a house in memory, to look at: `cargo run -p fairban-web --example portal`.
//!
//! Every account's password is `right-` and its name. With `alice@example.test` there is a block to be lifted, with
//! `bob@example.test` one that is left to the administrator, with any other none. `LISTEN` says where it listens.

use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fairban_types::{
    Action, Code, Decision, Diagnosis, Effect, Event, EventKind, Evidence, Origin, Service, Subject, Time,
};
use fairban_web::Clock;
use fairban_web::portal::{self, CheckPassword, Checked, MemoryHouse, Password, Portal, Settings};

struct ByName;

impl CheckPassword for ByName {
    fn check<'a>(
        &'a self,
        account: &'a str,
        password: &'a Password,
    ) -> Pin<Box<dyn Future<Output = Checked> + Send + 'a>> {
        let right = password.reveal() == format!("right-{account}");
        Box::pin(async move { if right { Checked::Right } else { Checked::Wrong } })
    }
}

fn failures(now: Time, client: [u8; 4], account: &str, program: &str) -> Vec<Evidence> {
    let one = |n: u64| {
        let mut event = Event::new(
            EventKind::LoginFailed,
            now.before(Duration::from_secs(5 + 60 * n)),
            client.into(),
            Service::Imap,
        )
        .account(account.to_owned());
        event.program = Some(program.to_owned().into());
        Evidence { points: 50, seen: 1, first: None, event }
    };
    (0..5).rev().map(one).collect()
}

fn block(code: u64, subject: Subject, diagnosis: Diagnosis, now: Time, events: Vec<Evidence>) -> Decision {
    Decision {
        code: Code::new(code),
        time: now,
        action: Action::Block,
        subject,
        origin: Origin::Rule("login".into()),
        reason: "5 failures in 20m".into(),
        score: 250,
        threshold: 250,
        until: Some(now.after(Duration::from_secs(1800))),
        effect: Effect::Explain,
        diagnosis,
        offence: 1,
        spares_familiar: false,
        in_kernel: true,
        holes: Vec::new(),
        events,
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listen: SocketAddr = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8626".into()).parse()?;
    let clock = Clock::system();
    let now = clock.now();
    let house = Arc::new(MemoryHouse::new(clock.clone(), &["mx1", "mx2"]));
    let home = [127, 0, 0, 1];
    let address = Subject::address(home.into());
    let mut events = failures(now, home, "alice@example.test", "Thunderbird 115.3 on the old laptop");
    events.extend(failures(now, home, "carol@example.test", "secret"));
    house.block(block(0x9b_1c3e_5f21, address, Diagnosis::StalePassword, now, events));
    let spam = "send-outbound:account=bob@example.test".parse()?;
    house.block(block(0x4d_77aa_0b12, spam, Diagnosis::SpamRun, now, Vec::new()));
    for evidence in failures(now, [198, 51, 100, 4], "dave@example.test", "iPhone Mail") {
        house.failed(evidence);
    }
    let settings = Settings {
        listen,
        brand: Some("Example Mail".into()),
        contact: Some("support@example.test".into()),
        password_url: Some("https://panel.example.test/password".into()),
        ..Settings::default()
    };
    let portal = Portal::with_check(settings, house, clock, Some(Arc::new(ByName)), None)?;
    let running = portal::serve(&portal).await?;
    tracing_subscriber::fmt().init();
    tracing::info!("open http://{}/", running.local_addr());
    std::future::pending::<()>().await;
    Ok(())
}
