//! An administrator with a browser: from the link of the first run to a block that is undone, on every page, on a desk and
//! on a phone, by day and by night, with scripts and without.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fairban_types::Time;
use totp_rs::{Algorithm, Secret, TOTP};

use super::witness::{events, until_recorded};
use super::{SOON, Test, until_blocked, until_dropped};
use crate::lab::Lab;
use crate::lab::browser::{Browser, Window};
use crate::lab::client::Way;
use crate::lab::guard::{Setup, WEB, WEB_HOST};
use crate::process::wait_for;

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("an_attack_appears_and_what_was_done_is_undone", journey)
            .with(|| Setup { history: a_day, ..Setup::web() }),
        Test::new("every_act_works_on_a_phone_in_the_dark_without_scripts", without_scripts)
            .with(|| Setup { history: a_day, ..Setup::web() }),
    ]
}

/// Where the administrator sits.
const HOME: &str = "198.51.100.200";
const ATTACKER: &str = "192.0.2.7";
const SECOND: &str = "192.0.2.66";
const THIRD: &str = "2001:db8:66::7";
const PASSWORD: &str = "blue tractor seven moons";
const NAME: &str = "alice.of.the.night.shift@operations.example.test";
const LONG: &str = "a.rather.long.name.of.somebody.in.the.department.of.long.names@customers.of.example.test";
const HOSTILE: &str = "<img src=x onerror=alert(1)>";

/// Every page that can be looked at, with what it has to show.
const PAGES: [(&str, &str, &str); 14] = [
    ("overview", "/", "What clients did"),
    ("overview-7d", "/?span=7d", "What clients did"),
    ("blocks", "/blocks", "Block somebody"),
    ("blocks-all", "/blocks?state=all", "released"),
    ("blocks-none", "/blocks?search=nobody", "No block is like that"),
    ("never", "/never", "Add an entry"),
    ("send-blocks", "/send-blocks", "New send block"),
    ("accounts", "/accounts", "Attacked or held"),
    ("account", "/accounts/alice", "Familiar networks"),
    ("events", "/events", "newest first"),
    ("rules", "/rules", "rule.login"),
    ("audit", "/audit", "Every entry is as it was written"),
    ("access", "/access", "Tokens of programs"),
    ("lost", "/nowhere", "There is no such page"),
];

/// A day of sign-ins and of guesses, as the log of mail has it.
fn a_day() -> String {
    let now = Time::from(std::time::SystemTime::now());
    let mut lines: Vec<(u64, String)> = Vec::new();
    let mut add = |ago: u64, words: &str, user: &str, from: &str| {
        let at = now.before(Duration::from_secs(ago));
        let fields = format!("user=<{user}>, method=PLAIN, rip={from}, lip=10.99.0.1, session=<d{:010}>", lines.len());
        lines.push((ago, format!("{at} mail dovecot: imap-login: {words}: {fields}\n")));
    };
    const FAILED: &str = "Disconnected: Connection closed (auth failed, 1 attempts in 2 secs)";
    let people = ["alice", "bob", "carol", "dave", "erin@customers.example.test", LONG];
    for hour in 1..24_u64 {
        let awake = if (8..18).contains(&hour) { 6 } else { 2 };
        for (place, user) in people.iter().cycle().enumerate().take(awake) {
            let from = format!("203.0.113.{}", 10 + place);
            add(hour * 3600 + 60 * place as u64, "Login", user, &from);
        }
    }
    for (attacker, hour, tries) in [("198.51.100.9", 3, 7), ("198.51.100.77", 9, 6), ("198.51.100.5", 15, 4)] {
        for number in 0..tries {
            add(hour * 3600 - 20 * number, FAILED, &format!("info{number}"), attacker);
        }
    }
    add(1200, FAILED, HOSTILE, "198.51.100.66");
    add(1100, FAILED, LONG, "203.0.113.15");
    lines.sort_by_key(|(ago, _)| std::cmp::Reverse(*ago));
    lines.into_iter().map(|(_, line)| line).collect()
}

fn browser(lab: &Lab, window: Window) -> Result<Browser> {
    lab.net.speak_as(HOME)?;
    wait_for("the history to be read", SOON * 3, || {
        Ok((!events(lab, "203.0.113.15", "login_failed")?.is_empty()).then_some(()))
    })?;
    let certificate: PathBuf = lab.dir().join("cert.pem");
    Browser::start_trusting(&lab.net, window, WEB_HOST, &certificate)
}

/// The link that the first run says.
fn first_link(lab: &Lab) -> Result<String> {
    wait_for("the link of the first run", SOON, || {
        Ok(lab.fairban.log().lines().map(str::trim).find(|line| line.starts_with(WEB)).map(str::to_owned))
    })
}

/// An authenticator app.
struct App(TOTP);

impl App {
    fn new(secret: &str) -> Result<App> {
        let bytes = Secret::Encoded(secret.replace(' ', "")).to_bytes();
        let bytes = bytes.ok().with_context(|| format!("'{secret}' is no secret"))?;
        Ok(App(TOTP::new(Algorithm::SHA1, 6, 1, 30, bytes).ok().context("the secret is too short")?))
    }

    /// The code of so many steps from now. The server takes that of the step before and after, each once.
    fn code(&self, steps: i64) -> String {
        let now = Time::from(std::time::SystemTime::now()).secs() + 30 * steps;
        self.0.generate(now.max(0).unsigned_abs())
    }
}

fn set_up(lab: &Lab, browser: &mut Browser, pictures: &str) -> Result<()> {
    browser.open(&first_link(lab)?)?;
    see(browser, &format!("{pictures}-01-set-up"), &["Welcome", "there is none by default"])?;
    browser.fill("Name", NAME)?;
    browser.fill("Password at least 12 characters; four words are good", PASSWORD)?;
    browser.fill("The same again", PASSWORD)?;
    browser.click("Set up")
}

/// Looks at the page; where no scripts run, without those who look by script.
fn see(browser: &mut Browser, picture: &str, words: &[&str]) -> Result<String> {
    if picture.contains("plain") { browser.expect_plainly(picture, words) } else { browser.expect(picture, words) }
}

fn turn_second_factor_on(browser: &mut Browser, secret: &str) -> Result<App> {
    let app = App::new(secret)?;
    browser.fill("Six digits", &app.code(-1))?;
    browser.click("Turn it on")?;
    Ok(app)
}

fn sign_in(browser: &mut Browser, code: &str, pictures: &str) -> Result<()> {
    browser.open(WEB)?;
    see(browser, &format!("{pictures}-04-sign-in"), &["Sign in", "Locked out?"])?;
    browser.fill("Name", NAME)?;
    browser.fill("Password", PASSWORD)?;
    browser.click("Sign in")?;
    see(browser, &format!("{pictures}-05-code"), &["The code, please"])?;
    browser.fill("Six digits from your authenticator app", code)?;
    browser.click("Go on")
}

/// Five wrong passwords, different ones.
fn attack(lab: &Lab, from: &str) -> Result<()> {
    for number in 1..=5 {
        lab.attempt(from, Way::Imap, "bob", &format!("guess-{number}"))?;
    }
    Ok(())
}

/// The page shows it, and is still the page that was marked.
fn appears(browser: &mut Browser, text: &str) -> Result<()> {
    browser.wait(text)?;
    ensure!(browser.run("window.mark === 'here'")? == true, "the page was loaded anew before it showed {text}");
    Ok(())
}

fn journey(lab: &mut Lab) -> Result<()> {
    let lab = &*lab;
    let mut browser = browser(lab, Window::DESK)?;
    let browser = &mut browser;
    set_up(lab, browser, "admin")?;
    browser.expect("admin-02-welcome", &["Welcome", NAME, "Scan this"])?;
    let secret = browser.run("document.querySelector('.steps code').textContent")?;
    let app = turn_second_factor_on(browser, secret.as_str().context("no secret")?)?;
    browser.expect("admin-03-second-factor", &["From now on a code is asked for"])?;
    browser.click("Sign out")?;
    sign_in(browser, &app.code(0), "admin")?;

    // A page that is open shows what happens without being loaded again.
    browser.wait("Live: this page follows what happens.")?;
    browser.run("window.mark = 'here'")?;
    attack(lab, ATTACKER)?;
    until_dropped(lab, ATTACKER)?;
    appears(browser, ATTACKER)?;
    browser.expect("admin-06-overview", &[ATTACKER, "How everything is"])?;
    browser.open(&format!("{WEB}/blocks"))?;
    browser.wait("Live: this page follows what happens.")?;
    browser.run("window.mark = 'here'")?;
    attack(lab, SECOND)?;
    appears(browser, SECOND)?;
    browser.expect("admin-07-blocks", &[ATTACKER, SECOND])?;

    receipt_and_release(lab, browser)?;
    never_block(lab, browser)?;
    rules(browser)?;
    make_something_of_everything(browser)?;
    // By day on a desk most of them were seen on the way.
    for (look, window) in [("phone", Window::PHONE), ("night", Window { dark: true, ..Window::DESK })] {
        browser.move_to(window)?;
        tour(browser, look)?;
    }
    passkey(browser)
}

/// A passkey is made, and enough to come in again.
fn passkey(browser: &mut Browser) -> Result<()> {
    browser.have_passkeys()?;
    browser.open(&format!("{WEB}/me"))?;
    browser.fill("Name of a new one such as “phone”", "the phone")?;
    browser.fill("Your present password", PASSWORD)?;
    browser.click("Make a passkey")?;
    browser.wait("From now on “the phone” signs you in")?;
    browser.expect("admin-19-passkey", &["the phone", "not used yet"])?;
    browser.run("document.querySelector('form[action=\"/sign-out\"]').submit()")?;
    browser.wait("Locked out?")?;
    browser.expect("admin-20-sign-in", &["Use a passkey"])?;
    browser.click("Use a passkey")?;
    browser.wait("What clients did")?;
    browser.open(&format!("{WEB}/me"))?;
    browser.expect("admin-21-used", &["the phone", "last used just now"]).map(drop)
}

fn receipt_and_release(lab: &Lab, browser: &mut Browser) -> Result<()> {
    // A double click on a row does what the link does.
    browser.click(SECOND)?;
    browser.expect("admin-08-receipt", &[SECOND, "is blocked", "bob", "250 points"])?;
    let by_link = browser.see()?.url;
    browser.open(&format!("{WEB}/blocks?search={SECOND}"))?;
    browser.double_click("password guessing")?;
    browser.wait("What was decided")?;
    let by_row = browser.see()?.url;
    ensure!(by_link == by_row, "a double click leads to {by_row}, not {by_link}");
    browser.fill("Reason kept with the release", "the customer called")?;
    browser.click("Release")?;
    browser.expect("admin-09-released", &["was blocked", "Undo"])?;
    wait_for("the release", Duration::from_secs(1), || Ok((!lab.is_dropped(SECOND, 143)?).then_some(())))?;
    browser.click("Undo")?;
    browser.wait("Taken back.")?;
    until_blocked(lab, SECOND)?;
    browser.open(&format!("{WEB}/blocks"))?;
    browser.tick(&format!("Choose {SECOND}"))?;
    browser.click("Release")?;
    browser.expect("admin-10-released-again", &["1 released.", "Undo"])?;
    Ok(())
}

fn never_block(lab: &Lab, browser: &mut Browser) -> Result<()> {
    browser.click(ATTACKER)?;
    browser.click(&format!("Never block {ATTACKER}"))?;
    browser.expect("admin-11-never", &["never-block list", "Undo"])?;
    wait_for("the block to be lifted", Duration::from_secs(1), || Ok((!lab.is_dropped(ATTACKER, 143)?).then_some(())))?;
    let before = super::witness::bad_sign_ins(lab, ATTACKER)?.len();
    attack(lab, ATTACKER)?;
    until_recorded(lab, ATTACKER, before + 5)?;
    ensure!(!lab.fairban.blocked()?.contains(ATTACKER), "it is blocked although it is on the never-block list");
    Ok(())
}

fn rules(browser: &mut Browser) -> Result<()> {
    browser.open(&format!("{WEB}/rules/rule.login-slow"))?;
    browser.expect("admin-12-rule", &["threshold", "Profile:"])?;
    browser.fill("threshold", "150")?;
    browser.click("What if?")?;
    browser.expect("admin-13-what-if", &["What this would have changed", "198.51.100.5", "Newly blocked"])?;
    browser.fill("Reason", "they come back with four tries")?;
    browser.click("Save")?;
    browser.expect("admin-14-saved", &["rule.login-slow.threshold is in force as set", "set here"])?;
    browser.open(&format!("{WEB}/rules"))?;
    browser.expect("admin-15-history", &["they come back with four tries", "1 set here"])?;
    browser.click("Revert change")?;
    let text = browser.expect("admin-16-reverted", &["takes back change"])?;
    ensure!(!text.contains("set here"), "it is not as the profile has it: {text}");
    browser.open(&format!("{WEB}/rules/rule.login-slow"))?;
    let value = browser.run("document.getElementById('v-threshold').value")?;
    ensure!(value == "250", "the threshold is {value} after the change was reverted");
    Ok(())
}

/// So that no page is empty.
fn make_something_of_everything(browser: &mut Browser) -> Result<()> {
    browser.open(&format!("{WEB}/send-blocks"))?;
    browser.click("New send block")?;
    browser.fill("Sender bob@example.test, @example.test, @.example.test, account=bob, helo=NAME", LONG)?;
    browser.fill("Reason", "sends what nobody asked for")?;
    browser.click("Stop them")?;
    browser.wait("sends what nobody asked for")?;
    browser.open(&format!("{WEB}/blocks"))?;
    browser.click("Block somebody")?;
    browser.fill("Address, network (CIDR) or account", "2001:db8:5555::/48")?;
    browser.fill("Reason", "a network that sends nothing but trouble")?;
    browser.click("Block")?;
    browser.wait("2001:db8:5555::/48")?;
    browser.open(&format!("{WEB}/access"))?;
    browser.click("Make a token")?;
    browser.fill("For", "the webmail server in the second rack")?;
    browser.click("Make it")?;
    browser.expect("admin-17-token", &["This is the token. It is shown this once"])?;
    browser.click("Invite somebody")?;
    browser.click("Make a link")?;
    browser.expect("admin-18-invited", &["This link sets a password, once"]).map(drop)
}

/// Looks at every page.
fn tour(browser: &mut Browser, look: &str) -> Result<()> {
    for (name, path, words) in PAGES {
        browser.open(&format!("{WEB}{path}"))?;
        browser.expect(&format!("admin-{look}-{name}"), &[words])?;
    }
    browser.open(&format!("{WEB}/blocks?state=all&search={SECOND}"))?;
    browser.click(SECOND)?;
    browser.expect(&format!("admin-{look}-receipt"), &["The events behind it"])?;
    browser.open(&format!("{WEB}/rules/rule.login"))?;
    browser.expect(&format!("admin-{look}-rule"), &["threshold"])?;
    browser.open(&format!("{WEB}/me"))?;
    browser.expect(&format!("admin-{look}-me"), &["Where you are signed in"]).map(drop)
}

fn without_scripts(lab: &mut Lab) -> Result<()> {
    let lab = &*lab;
    let window = Window { dark: true, scripts: false, ..Window::PHONE };
    let mut browser = browser(lab, window)?;
    let browser = &mut browser;
    set_up(lab, browser, "plain")?;
    browser.click("Or type it")?;
    let welcome = see(browser, "plain-02-welcome", &["Welcome", "Scan this"])?;
    let secret: Vec<&str> = welcome.split_whitespace().filter(|word| is_part_of_secret(word)).collect();
    let app = turn_second_factor_on(browser, &secret.join(""))?;
    see(browser, "plain-03-second-factor", &["From now on a code is asked for"])?;
    browser.click("Menu")?;
    see(browser, "plain-03-menu", &["Send blocks", "Sign out"])?;
    browser.click("Sign out")?;
    sign_in(browser, &app.code(0), "plain")?;
    attack(lab, THIRD)?;
    until_blocked(lab, "2001:db8:66::/64")?;
    browser.open(WEB)?;
    see(browser, "plain-06-overview", &["Reload the page to see what is new.", "2001:db8:66::/64"])?;
    browser.open(&format!("{WEB}/blocks"))?;
    browser.click("2001:db8:66::/64")?;
    see(browser, "plain-07-receipt", &["is blocked", "bob"])?;
    browser.click("Extend")?;
    browser.click("Make permanent")?;
    see(browser, "plain-08-permanent", &["permanent", "Undo"])?;
    browser.click("Release")?;
    see(browser, "plain-09-released", &["was blocked", "Undo"])?;
    browser.click("Undo")?;
    browser.open(&format!("{WEB}/blocks"))?;
    browser.tick("Choose 2001:db8:66::/64")?;
    browser.click("Never block")?;
    see(browser, "plain-10-never", &["put on the never-block list"])?;
    ensure!(!lab.fairban.blocked()?.contains("2001:db8:66::/64"), "the block was not lifted");
    browser.open(&format!("{WEB}/never"))?;
    browser.click("Remove 2001:db8:66::/64")?;
    browser.fill("Address or network (CIDR)", "192.0.2.0/28")?;
    browser.fill("Reason", "the office")?;
    browser.click("Add")?;
    let list = see(browser, "plain-11-never", &["192.0.2.0/28", "the office"])?;
    ensure!(!list.contains("2001:db8:66::/64"), "it was not removed: {list}");
    rules_without_scripts(browser)?;
    browser.open(&format!("{WEB}/events"))?;
    browser.choose("What", "wrong password")?;
    browser.fill("Address or network", "198.51.100.66")?;
    browser.click("Show")?;
    see(browser, "plain-15-events", &[HOSTILE])?;
    make_something_of_everything_plainly(browser)?;
    // And with scripts, so that axe can look.
    browser.move_to(Window { dark: true, ..Window::PHONE })?;
    tour_in_the_dark(browser)?;
    fs::metadata(crate::lab::browser::pictures()?.join("plain-01-set-up.png")).context("no pictures").map(drop)
}

fn is_part_of_secret(word: &str) -> bool {
    word.len() == 4 && word.bytes().all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b))
}

fn rules_without_scripts(browser: &mut Browser) -> Result<()> {
    browser.open(&format!("{WEB}/rules/rule.login-slow"))?;
    browser.fill("threshold", "150")?;
    browser.click("What if?")?;
    see(browser, "plain-12-what-if", &["What this would have changed", "198.51.100.5"])?;
    browser.click("Save")?;
    see(browser, "plain-13-saved", &["rule.login-slow.threshold is in force as set"])?;
    browser.open(&format!("{WEB}/rules"))?;
    browser.click("Revert change")?;
    see(browser, "plain-14-reverted", &["takes back change"]).map(drop)
}

fn make_something_of_everything_plainly(browser: &mut Browser) -> Result<()> {
    browser.open(&format!("{WEB}/send-blocks"))?;
    browser.click("New send block")?;
    browser.fill("Sender bob@example.test, @example.test, @.example.test, account=bob, helo=NAME", "@example.net")?;
    browser.click("Stop them")?;
    browser.click("Edit")?;
    browser.fill("Reason", "sends what nobody asked for")?;
    browser.click("Save")?;
    see(browser, "plain-16-send-blocks", &["sends what nobody asked for"])?;
    browser.click("Remove")?;
    browser.open(&format!("{WEB}/access"))?;
    browser.click("Invite somebody")?;
    browser.click("Make a link")?;
    see(browser, "plain-17-invited", &["This link sets a password, once"]).map(drop)
}

fn tour_in_the_dark(browser: &mut Browser) -> Result<()> {
    for (name, path, words) in PAGES {
        if matches!(name, "blocks-all" | "overview-7d") {
            continue;
        }
        browser.open(&format!("{WEB}{path}"))?;
        browser.expect(&format!("admin-dark-{name}"), &[words])?;
    }
    Ok(())
}
