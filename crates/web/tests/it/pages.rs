//! Each page, in both languages.

use std::time::Duration;

use fairban_types::{Diagnosis, Fact, Origin};
use fairban_web::portal::{Device, LiftPolicy, MayTry, Settings};

use crate::world::{OFFICE, PHONE, World, failures, receipt};

fn client() -> std::net::IpAddr {
    OFFICE.parse().unwrap()
}

#[tokio::test]
async fn a_blocked_office_is_let_out_and_told_why() {
    for (language, lines) in [
        (
            "en",
            [
                "There was a block. It is lifted.",
                "The block is lifted on: mx1, mx2.",
                "The device signs in to alice@example.test by IMAP, as “Thunderbird 115”, every 60 seconds.",
                "Enter the new password there",
                "If the same happens again, it will block again.",
                "21 November 2026, 19:00:00 UTC",
                "Wrong password, IMAP",
            ],
        ),
        (
            "de-AT",
            [
                "Es gab eine Sperre. Sie ist aufgehoben.",
                "Die Sperre ist aufgehoben auf: mx1, mx2.",
                "Das Gerät meldet sich an bei alice@example.test, über IMAP, als „Thunderbird 115“, alle 60 Sekunden.",
                "Geben Sie dort das neue Passwort ein",
                "Wenn dasselbe noch einmal geschieht, wird wieder gesperrt.",
                "21. November 2026, 19:00:00 UTC",
                "Falsches Passwort, IMAP",
            ],
        ),
    ] {
        let world = World::new();
        world.office_is_blocked();
        assert!(world.house.is_blocked("mx2", client()));
        let mut browser = world.browser(OFFICE);
        browser.language = language;
        let answer = browser.sign_in(" Alice@Example.test", "right-alice@example.test").await;
        answer.is(200);
        for line in lines {
            answer.says(line);
        }
        assert!(answer.html.contains(&format!("<html lang=\"{}\">", &language[..2])));
        assert!(!world.house.is_blocked("mx1", client()) && !world.house.is_blocked("mx2", client()));
        assert_eq!(world.house.released()[0].owner.account, "alice@example.test");
    }
}

#[tokio::test]
async fn what_the_house_knows_of_the_device_is_told() {
    let world = World::new();
    let code = world.office_is_blocked();
    let device = Device {
        account: Some("alice@example.test".into()),
        services: vec![fairban_types::Service::Pop3],
        program: Some("Scanner in the cellar".into()),
        cadence: Some(Duration::from_secs(600)),
        ..Device::default()
    };
    world.house.device(code, device.clone());
    let answer = world.browser(OFFICE).sign_in("alice@example.test", "right-alice@example.test").await;
    answer.says("by POP3, as “Scanner in the cellar”, every 10 minutes.");
    let since = world.hands.now();
    let facts = vec![Fact::SamePassword { times: 37 }, Fact::SignedInHere { since, until: since }];
    world.house.facts(code, facts);
    world.house.device(code, Device { account: Some("bob@example.test".into()), ..device });
    let mut phone = world.browser(PHONE);
    phone.sign_in("carol@example.test", "right-carol@example.test").await;
    let answer = phone.post("/code", &[("code", &code.to_string())]).await;
    answer.says("b•••@…").says_nothing_of("Scanner").says_nothing_of("alice").says_nothing_of("bob");
    // Where somebody else signs in is theirs to know.
    answer.says("The same wrong password came 37 times.").says_nothing_of("used from this connection");
    world.house.device(code, Device { account: Some("carol@example.test".into()), ..Device::default() });
    let answer = phone.post("/code", &[("code", &code.to_string())]).await;
    answer.says("Your mailbox has been used from this connection since 21 November 2026");
}

#[tokio::test]
async fn nothing_blocked_helps_to_find_the_device() {
    let world = World::new();
    let mut browser = world.browser(OFFICE);
    let answer = browser.sign_in("alice@example.test", "right-alice@example.test").await;
    answer.is(200).says("Nothing is blocked").says("In the last 7 days there was no failed sign-in");
    for evidence in failures(world.hands.now(), PHONE, "alice@example.test", 3)
        .into_iter()
        .chain(failures(world.hands.now(), OFFICE, "alice@example.test", 1))
        .chain(failures(world.hands.now(), "203.0.113.5", "bob@example.test", 9))
    {
        world.house.failed(evidence);
    }
    let answer = browser.get("/result").await;
    answer.says("Thunderbird 115, IMAP From where 198.51.100.0/24 Failed 3 times");
    answer.says("From where your present connection Failed once");
    answer.says_nothing_of("203.0.113.");
    browser.language = "de";
    browser
        .get("/result")
        .await
        .says("Nichts ist gesperrt")
        .says("Fehlgeschlagen 3-mal")
        .says("Ihr jetziger Anschluss");
}

#[tokio::test]
async fn what_owners_may_not_lift_is_explained() {
    for (diagnosis, english, german) in [
        (Diagnosis::Manual, "An administrator has made this block.", "Diese Sperre hat ein Administrator gesetzt."),
        (Diagnosis::SpamRun, "after a look at the cause", "nach einem Blick auf die Ursache"),
        (Diagnosis::RelayProbing, "after a look at the cause", "nach einem Blick auf die Ursache"),
        (Diagnosis::Unknown, "This block is permanent.", "Diese Sperre gilt dauerhaft."),
    ] {
        let world = World::with(Settings { contact: Some("support@example.test".into()), ..Settings::default() });
        let mut block = receipt(3, OFFICE, diagnosis, world.hands.now(), Vec::new());
        if diagnosis == Diagnosis::Manual {
            block.origin = Origin::Manual("root".into());
        }
        if diagnosis == Diagnosis::Unknown {
            block.until = None;
        }
        let code = block.code;
        world.house.block(block);
        let mut browser = world.browser(OFFICE);
        let answer = browser.sign_in("alice@example.test", "right-alice@example.test").await;
        answer.is(200).says("Your mail access is blocked").says(english);
        answer.says(&format!("Please turn to support and name the reference {code}."));
        answer.says("Support: support@example.test").says_nothing_of("action=\"/release\"");
        browser.language = "de";
        browser.get("/result").await.says("Ihr E-Mail-Zugang ist gesperrt").says(german);
        browser.post("/release", &[("code", &code.to_string())]).await.says("Ihr E-Mail-Zugang ist gesperrt");
        assert!(world.house.is_blocked("mx1", client()) && world.house.released().is_empty());
    }
}

#[tokio::test]
async fn a_node_that_cannot_be_reached_is_named() {
    let world = World::new();
    world.office_is_blocked();
    world.house.reachable("mx2", false);
    let mut browser = world.browser(OFFICE);
    let answer = browser.sign_in("alice@example.test", "right-alice@example.test").await;
    answer.says("lifted on: mx1.").says("Not reached yet: mx2.");
    world.house.reachable("mx2", true);
    assert!(!world.house.is_blocked("mx2", client()));
    world.house.silent(true);
    browser.get("/result").await.is(503).says("The answer is not complete").says("did not answer in time");
}

#[tokio::test]
async fn another_connection_is_checked_and_lifted_by_its_code() {
    let world = World::new();
    let code = world.office_is_blocked();
    let mut phone = world.browser(PHONE);
    phone.sign_in("alice@example.test", "right-alice@example.test").await.says("Nothing is blocked");
    phone.post("/code", &[("code", "?")]).await.is(422).says("There is no block with this reference.");
    phone.post("/code", &[("code", "0000-0000")]).await.is(404).says("There is no block with this reference.");
    let spoken = code.to_string().to_lowercase().replace('-', " ");
    let answer = phone.post("/code", &[("code", &spoken)]).await;
    answer.is(200).says("Connection 192.0.2.7").says("alice@example.test").says("You can lift this block now.");
    assert!(world.house.is_blocked("mx1", client()), "looking lifts nothing");
    phone.language = "de";
    phone.post("/code", &[("code", &spoken)]).await.says("Anschluss 192.0.2.7").says("Sie können diese Sperre jetzt");
    phone.language = "en";
    let answer = phone.post("/release", &[("code", &code.to_string())]).await;
    answer.says("There was a block. It is lifted.").says("lifted on: mx1, mx2");
    assert!(!world.house.is_blocked("mx1", client()));
}

#[tokio::test]
async fn one_address_is_let_out_of_a_wider_block() {
    let world = World::new();
    world.block(4, "192.0.2.0/24", Diagnosis::PasswordSpraying, Vec::new());
    world.browser(OFFICE).sign_in("alice@example.test", "right-alice@example.test").await.says("Network 192.0.2.0/24");
    assert!(!world.house.is_blocked("mx1", client()));
    assert!(world.house.is_blocked("mx1", "192.0.2.8".parse().unwrap()));
    assert_eq!(world.house.released()[0].subject.to_string(), OFFICE);
}

#[tokio::test]
async fn locks_are_lifted_for_their_own_account_only() {
    let world = World::new();
    world.block(5, "alice@example.test from 192.0.2.7", Diagnosis::PasswordGuessing, Vec::new());
    world.block(6, "bob@example.test from 192.0.2.7", Diagnosis::PasswordGuessing, Vec::new());
    world.block(7, "carol@example.test", Diagnosis::PasswordGuessing, Vec::new());
    world.block(8, "send-outbound:account=alice@example.test", Diagnosis::SpamRun, Vec::new());
    let answer = world.browser(OFFICE).sign_in("alice@example.test", "right-alice@example.test").await;
    answer.says("One block is lifted, another one remains").says("Sending mail").says_nothing_of("bob");
    let released: Vec<String> = world.house.released().iter().map(|release| release.subject.to_string()).collect();
    assert_eq!(released, ["alice@example.test from 192.0.2.7"]);
    let answer = world.browser(OFFICE).sign_in("carol@example.test", "right-carol@example.test").await;
    answer.says("This concerns your mailbox and not your connection.").says_nothing_of("alice");
}

#[tokio::test]
async fn after_the_limit_the_page_says_what_is_left() {
    let lift = LiftPolicy { per_account_max: 2, ..LiftPolicy::default() };
    let world = World::with(Settings { lift, ..Settings::default() });
    let mut browser = world.browser(OFFICE);
    for number in 1..=2 {
        let events = failures(world.hands.now(), OFFICE, "alice@example.test", 5);
        world.block(number, OFFICE, Diagnosis::StalePassword, events);
        browser.post("/sign-out", &[]).await;
        let answer = browser.sign_in("alice@example.test", "right-alice@example.test").await;
        answer.says("It is lifted.");
        world.hands.forward(Duration::from_secs(600));
    }
    let code =
        world.block(3, OFFICE, Diagnosis::StalePassword, failures(world.hands.now(), OFFICE, "alice@example.test", 5));
    let answer = browser.post("/release", &[("code", &code.to_string())]).await;
    answer.says("You have lifted as many blocks as is possible in a day.").says("Find the device or program");
    answer.says(&format!("name the reference {code}"));
    browser.language = "de";
    browser.get("/result").await.says("Sie haben so viele Sperren aufgehoben, wie an einem Tag möglich ist.");
    assert!(world.house.is_blocked("mx1", client()));
    browser.language = "en";
    world.hands.forward(Duration::from_secs(86_400));
    world.block(4, OFFICE, Diagnosis::StalePassword, Vec::new());
    let answer = browser.sign_in("alice@example.test", "right-alice@example.test").await;
    answer.says("It is lifted.");
}

#[tokio::test]
async fn am_i_blocked_has_no_names() {
    let world = World::new();
    world.browser(OFFICE).get("/blocked").await.is(200).says("Your connection is not blocked").says(OFFICE);
    let code = world.office_is_blocked();
    world.block(5, "bob@example.test from 192.0.2.7", Diagnosis::PasswordGuessing, Vec::new());
    let mut browser = world.browser(OFFICE);
    let answer = browser.get("/blocked").await;
    answer.says("Your connection is blocked").says("A device uses an old password").says(&code.to_string());
    for name in ["alice", "bob", "example.test", "mx1", "Thunderbird"] {
        answer.says_nothing_of(name);
    }
    browser.get("/blocked?lang=de").await.says("Ihr Anschluss ist gesperrt");
    browser.get("/blocked").await.says("Ihr Anschluss ist gesperrt");
    let mut other = world.browser(PHONE);
    other.get("/blocked?address=192.0.2.7").await.says("Your connection is not blocked").says_nothing_of(OFFICE);
}

#[tokio::test]
async fn the_form_says_what_is_wrong() {
    let world =
        World::with(Settings { password_url: Some("https://panel.example.test/pw".into()), ..Settings::default() });
    let mut browser = world.browser(OFFICE);
    let answer = browser.get("/").await;
    answer.says("Has your mail stopped?").says("I do not know my password");
    assert!(
        answer.html.contains("<label for=\"account\">") && answer.html.contains("autocomplete=\"current-password\"")
    );
    browser.sign_in("", "x").await.is(422).says("Please enter mail address and password.");
    let answer = browser.sign_in("alice@example.test", "last year's").await;
    answer.is(403).says("is not right").says_nothing_of("last year");
    assert!(answer.html.contains("value=\"alice@example.test\""), "the address need not be typed again");
    browser.language = "de";
    browser.sign_in("alice@example.test", "letztes Jahr").await.is(403).says("stimmt nicht");
    *world.passwords.down.lock().unwrap() = true;
    browser.sign_in("alice@example.test", "x").await.is(503).says("kann gerade nicht geprüft werden");
    *world.passwords.down.lock().unwrap() = false;
    world.house.say(MayTry::NotFor(Duration::from_secs(90)));
    let answer = browser.sign_in("alice@example.test", "x").await;
    answer.is(429).says("Bitte warten Sie 1 Minute 30 Sekunden");
    assert_eq!(answer.headers["retry-after"], "90");
    assert_eq!(world.passwords.asked.load(std::sync::atomic::Ordering::Relaxed), 3);
    browser.get("/nowhere").await.is(404).says("Diese Seite gibt es nicht.");
    browser.get("/style.css").await.is(200);
    assert_eq!(browser.get("/icon.svg").await.headers["content-type"], "image/svg+xml");
}

#[tokio::test]
async fn accounts_without_a_domain_are_the_same() {
    let world = World::with(Settings { default_domain: Some("example.test".into()), ..Settings::default() });
    let code = world.block(1, OFFICE, Diagnosis::StalePassword, failures(world.hands.now(), OFFICE, "alice", 5));
    let services = vec![fairban_types::Service::Imap];
    world.house.device(code, Device { account: Some("alice".into()), services, ..Device::default() });
    let answer = world.browser(OFFICE).sign_in("alice@example.test", "right-alice@example.test").await;
    answer.says("signs in to alice by IMAP");
}
