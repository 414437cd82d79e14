//! A blocked person with a phone: what the portal's pages say in a real browser, and that it is so.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fairban_types::Time;

use super::outbound::until_written_to;
use super::{SOON, Test, until_blocked};
use crate::lab::Lab;
use crate::lab::browser::{Browser, Window};
use crate::lab::client::{self, Answer, Way};
use crate::lab::guard::{PORTAL, Setup};
use crate::process::wait_for;

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("a_phone_is_told_which_laptop_and_let_out", let_out)
            .with(|| Setup { history: office_days, ..Setup::portal() }),
        Test::new("the_portal_needs_neither_scripts_nor_light_nor_english", plain_pages).with(Setup::portal),
    ]
}

const OFFICE: &str = "203.0.113.10";
const ALICE: &str = "alice@example.test";
const PASSWORD: &str = "right-alice@example.test";
/// The laptop's mail program, as it names itself to IMAP, and as pages name it.
const LAPTOP_ID: &str = r#"("name" "Thunderbird" "version" "115.3.1")"#;
const LAPTOP: &str = "Thunderbird 115.3.1";

/// Days in which alice signed in from the office, and the last minutes, in which her laptop began to fail.
fn office_days() -> String {
    let now = Time::from(std::time::SystemTime::now());
    let line = |seconds: u64, words: &str, session: u64| {
        let at = now.before(Duration::from_secs(seconds));
        let fields = format!("user=<alice>, method=PLAIN, rip={OFFICE}, lip=10.99.0.1, session=<old{session:08}>");
        format!("{at} mail dovecot: imap-login: {words}: {fields}\n")
    };
    let days = (2..30u64).rev().map(|day| line(day * 3 * 3600, "Login", day));
    let laptop = (1..=4u64).rev().map(|minute| {
        let id = format!("ID sent: name=Thunderbird, version=115.3.1: user=<>, rip={OFFICE}, lip=10.99.0.1");
        let at = now.before(Duration::from_secs(minute * 60));
        let failed =
            line(minute * 60, "Disconnected: Connection closed (auth failed, 1 attempts in 2 secs)", 90 + minute);
        format!("{at} mail dovecot: imap-login: {id}, session=<old{:08}>\n{failed}", 90 + minute)
    });
    days.chain(laptop).collect()
}

/// The laptop's next try.
fn laptop_tries(lab: &Lab) {
    let says = format!("a ID {LAPTOP_ID}\r\nb LOGIN alice old-password\r\nc LOGOUT\r\n");
    // The connection of the one that blocks may be cut.
    let _ = client::exchange(&lab.net, OFFICE, 143, &says);
}

/// The laptop goes on until the office is blocked.
fn laptop_offends(lab: &Lab) -> Result<()> {
    for _ in 0..5 {
        if lab.fairban.blocked()?.contains(OFFICE) {
            break;
        }
        laptop_tries(lab);
    }
    until_blocked(lab, OFFICE)
}

fn sign_in(browser: &mut Browser) -> Result<()> {
    browser.open(PORTAL)?;
    browser.fill("Mail address", ALICE)?;
    browser.fill("Password of the mailbox", PASSWORD)?;
    browser.click("Sign in and check")
}

fn gets_in(lab: &Lab) -> Result<()> {
    wait_for("alice to get in after the release", Duration::from_secs(1), || {
        Ok(lab.sign_in(OFFICE, Way::Imap, "alice")?.is_yes().then_some(()))
    })
}

fn let_out(lab: &mut Lab) -> Result<()> {
    let lab = &*lab;
    lab.net.speak_as(OFFICE)?;
    wait_for("the history to be read", Duration::from_secs(60), || {
        Ok((super::witness::events(lab, OFFICE, "login_failed")?.len() >= 4).then_some(()))
    })?;
    laptop_offends(lab)?;
    // The whole office is told so, whoever it is.
    let heard = wait_for("the office to be told", SOON, || match lab.sign_in(OFFICE, Way::Imap, "alice")? {
        Answer::No(text) => Ok(Some(text)),
        Answer::Yes(_) | Answer::Silence => Ok(None),
    })?;
    ensure!(heard.contains("blocked temporarily") && heard.contains(PORTAL), "the office hears {heard}");

    let mut browser = Browser::start(&lab.net, Window::PHONE)?;
    browser.open(&format!("{PORTAL}/blocked"))?;
    let open = browser.expect("portal-1-blocked", &["is blocked", OFFICE])?;
    ensure!(!open.contains("alice"), "who has not signed in is told a name: {open}");
    browser.open(PORTAL)?;
    browser.expect("portal-2-sign-in", &["Mail address", "Password"])?;
    sign_in(&mut browser)?;
    let words = [
        "There was a block. It is lifted.",
        ALICE,
        "IMAP",
        LAPTOP,
        "old password",
        "every 60 seconds",
        "it will block again",
    ];
    browser.expect("portal-3-lifted", &words)?;
    gets_in(lab)?;
    for reader in ["alice", "dave"] {
        until_written_to(lab, reader)?;
    }

    // Three times a day, as long as the laptop is not mended.
    for round in 2..=3 {
        laptop_offends(lab)?;
        browser.open(&format!("{PORTAL}/result"))?;
        browser.click("Lift the block")?;
        browser.expect(&format!("portal-4-again-{round}"), &["There was a block. It is lifted.", LAPTOP])?;
        gets_in(lab)?;
    }
    laptop_offends(lab)?;
    browser.open(&format!("{PORTAL}/result"))?;
    let last = browser.expect("portal-5-limit", &["support@example.test", LAPTOP])?;
    let code = lab.fairban.list(&["blocks"])?;
    let code = code.first().and_then(|block| block["code"].as_str()).context("no block")?.to_owned();
    ensure!(last.contains(&code), "the page does not name {code} for support: {last}");
    ensure!(!lab.sign_in(OFFICE, Way::Imap, "alice")?.is_yes(), "the limit does not hold");
    lab.fairban.tell(&["unblock", OFFICE])?;
    gets_in(lab)?;
    browser.open(&format!("{PORTAL}/result"))?;
    browser.expect("portal-6-free", &["It is lifted", LAPTOP])?;
    browser.click("Sign out")?;
    browser.expect("portal-7-signed-out", &["signed out"])?;
    browser.open(&format!("{PORTAL}/result"))?;
    let after = browser.see()?;
    ensure!(!after.text.contains(LAPTOP), "still signed in after the end: {}", after.text);
    Ok(())
}

fn plain_pages(lab: &mut Lab) -> Result<()> {
    let lab = &*lab;
    lab.net.speak_as(OFFICE)?;
    laptop_offends(lab)?;
    let dark = Window { dark: true, language: "de", ..Window::PHONE };
    let mut browser = Browser::start(&lab.net, dark)?;
    browser.open(&format!("{PORTAL}/blocked"))?;
    browser.expect("portal-dark-1-blocked", &["gesperrt"])?;
    browser.open(PORTAL)?;
    browser.expect("portal-dark-2-sign-in", &["Passwort"])?;
    browser.fresh(Window { scripts: false, ..Window::PHONE })?;
    sign_in(&mut browser)?;
    let page = browser.see()?;
    ensure!(page.text.contains("It is lifted"), "without scripts: {}", page.text);
    gets_in(lab)?;
    browser.fresh(Window { width: 1280, ..dark })?;
    browser.open(PORTAL)?;
    browser.fill("E-Mail-Adresse", ALICE)?;
    browser.fill("Passwort des Postfachs", PASSWORD)?;
    browser.click("Anmelden und prüfen")?;
    browser.expect("portal-dark-3-free", &["Nichts ist gesperrt"]).map(drop)
}
