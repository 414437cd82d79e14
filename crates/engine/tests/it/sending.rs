//! Send blocks.

use std::net::IpAddr;

use crate::Lab;
use fairban_types::{
    Action, Diagnosis, Direction, Effect, Mailbox, Mailing, Refused, Sender, Sending, Service, SignIn, Subject,
    SubjectKind, Verdict, domain_ascii,
};
use proptest::prelude::*;

impl Lab {
    fn send_block(&mut self, subject: &str) {
        let subject: Subject = subject.parse().unwrap();
        self.engine.block(self.now, subject, None, "admin", "spam", &mut self.decisions).unwrap();
    }

    pub(crate) fn release(&mut self, subject: &str) -> usize {
        self.engine.unblock(self.now, &subject.parse().unwrap(), "admin", "", &mut self.decisions)
    }

    fn mail(&self, account: Option<&str>, helo: &str, return_path: &str) -> Option<Refused> {
        self.mail_from("192.0.2.7", account, helo, return_path)
    }

    fn mail_from(&self, client: &str, account: Option<&str>, helo: &str, return_path: &str) -> Option<Refused> {
        let return_path = (return_path != "-").then_some(return_path);
        let question = Mailing { client: client.parse().unwrap(), account, helo, return_path };
        refused(self.engine.may_send(self.now, &question))
    }

    pub(crate) fn sign_in(&self, account: &str, service: Service) -> Option<Refused> {
        let question = SignIn { client: [192, 0, 2, 7].into(), account: Some(account), service };
        refused(self.engine.verdict(self.now, &question))
    }
}

fn refused(verdict: Verdict) -> Option<Refused> {
    match verdict {
        Verdict::Allow => None,
        Verdict::Refuse(refused) => Some(refused),
    }
}

#[test]
fn return_paths_helo_names_and_accounts() {
    const NOBODY: Option<&str> = None;
    let alice = Some("alice@example.test");
    // the block; the account, HELO name and return-path; whether that is refused
    for (block, account, helo, return_path, is_refused) in [
        ("send:bob@example.test", NOBODY, "x", "bob@example.test", true),
        ("send:bob@example.test", NOBODY, "x", "<Bob@EXAMPLE.test>", true),
        ("send:bob@example.test", NOBODY, "x", "\"bob\"@example.test.", true),
        ("send:bob@example.test", NOBODY, "x", "@relay.test:bob@example.test", true),
        ("send:bob@example.test", NOBODY, "x", "bob+news@example.test", true),
        ("send:bob+news@example.test", NOBODY, "x", "bob@example.test", false),
        ("send:bob@example.test", NOBODY, "x", "bob@sub.example.test", false),
        ("send:bob@example.test", NOBODY, "x", "bobby@example.test", false),
        ("send:bob@example.test", NOBODY, "x", "", false),
        ("send:bob@example.test", NOBODY, "x", "-", false),
        ("send:bob@example.test", alice, "x", "bob@example.test", true),
        ("send-inbound:bob@example.test", alice, "x", "bob@example.test", false),
        ("send-inbound:bob@example.test", NOBODY, "x", "bob@example.test", true),
        ("send-inbound:bob@example.test", Some(""), "x", "bob@example.test", true),
        ("send-outbound:bob@example.test", NOBODY, "x", "bob@example.test", false),
        ("send-outbound:bob@example.test", alice, "x", "bob@example.test", true),
        ("send:@example.test", NOBODY, "x", "anyone@example.test", true),
        ("send:@example.test", NOBODY, "x", "anyone@sub.example.test", false),
        ("send:@.example.test", NOBODY, "x", "anyone@a.b.Example.test", true),
        ("send:@.example.test", NOBODY, "x", "anyone@example.test", true),
        ("send:@.example.test", NOBODY, "x", "anyone@badexample.test", false),
        ("send:@bücher.test", NOBODY, "x", "a@xn--bcher-kva.test", true),
        ("send:@xn--bcher-kva.test", NOBODY, "x", "a@BÜCHER.test", true),
        ("send:jos\u{e9}@example.test", NOBODY, "x", "JOSE\u{301}@example.test", true),
        ("send:helo=mail.example.test", NOBODY, "MAIL.example.test.", "a@other.test", true),
        ("send:helo=mail.example.test", NOBODY, "mail.example.test", "", true),
        ("send:helo=mail.example.test", NOBODY, "mail.example.test", "-", true),
        ("send:helo=mail.example.test", NOBODY, "x.mail.example.test", "", false),
        ("send-outbound:helo=laptop", alice, "laptop", "a@other.test", true),
        ("send:account=alice@example.test", alice, "x", "other@other.test", true),
        ("send:account=alice@example.test", Some("Alice@Example.test"), "x", "", true),
        ("send:account=alice@example.test", Some("alice+x@example.test"), "x", "", true),
        ("send-inbound:account=alice@example.test", alice, "x", "", false),
        ("send:account=alice@example.test", NOBODY, "x", "alice@example.test", false),
        ("send:account=alice@example.test", Some("alice"), "x", "", false),
    ] {
        let mut lab = Lab::new("fairban", true);
        lab.send_block(block);
        let answer = lab.mail(account, helo, return_path);
        assert_eq!(answer.is_some(), is_refused, "{block}: {account:?} {helo} {return_path}");
        assert!(lab.may("192.0.2.7", Some("alice@example.test")), "reading goes on");
        if let Some(refused) = answer {
            assert_eq!((refused.effect, refused.subject), (Effect::Soft, SubjectKind::Sending));
            assert_eq!((refused.diagnosis, refused.until), (Diagnosis::Manual, None));
        }
        lab.release(block);
        assert_eq!(lab.mail(account, helo, return_path), None, "{block}");
    }
}

#[test]
fn a_webmail_host_sends_for_others() {
    let mut lab = Lab::new("fairban", true);
    lab.engine.never_add(lab.now, "198.51.100.1/32".parse().unwrap(), "admin", &mut lab.decisions);
    lab.send_block("send-outbound:bob@example.test");
    lab.send_block("send-inbound:@evil.test");
    assert!(lab.mail_from("198.51.100.1", None, "x", "bob@example.test").is_some());
    assert!(lab.mail_from("198.51.100.1", None, "x", "a@evil.test").is_some());
    assert!(lab.mail_from("198.51.100.1", Some("carol"), "x", "a@evil.test").is_none());
    assert!(lab.mail_from("198.51.100.2", None, "x", "bob@example.test").is_none());
}

#[test]
fn who_may_not_send_cannot_sign_in_to_send() {
    // the block, the local domains, the account, whether it is refused
    for (block, local, account, is_refused) in [
        ("send:bob@example.test", "", "bob@example.test", true),
        ("send:bob@example.test", "", "Bob@Example.Test", true),
        ("send:bob@example.test", "", "bob+x@example.test", true),
        ("send-outbound:bob@example.test", "", "bob@example.test", true),
        ("send-inbound:bob@example.test", "", "bob@example.test", false),
        ("send:bob@example.test", "example.test", "bob", true),
        ("send:bob@example.test", "example.test", "bob+x", true),
        ("send:bob@example.test", "other.test example.test", "bob", true),
        ("send:bob@example.test", "other.test", "bob", false),
        ("send:bob@example.test", "", "Bob", true),
        ("send-outbound:bob@example.test", "", "bob+x", true),
        ("send-inbound:bob@example.test", "", "bob", false),
        ("send:bob@example.test", "", "bo", false),
        ("send:@example.test", "", "bob", false),
        ("send:@example.test", "", "bob@example.test", true),
        ("send:@example.test", "", "bob@sub.example.test", false),
        ("send:@.example.test", "", "bob@sub.example.test", true),
        ("send:@example.test", "example.test", "bob", true),
        ("send:@example.test", "example.test other.test", "bob", false),
        ("send:account=bob", "", "Bob ", true),
        ("send:account=bob", "", "bob+x", true),
        ("send:account=bob", "", "bob@example.test", false),
        ("send:account=bob", "example.test", "bob@example.test", true),
        ("send:account=bob@example.test", "example.test", "bob", true),
        ("send:account=bob@example.test", "", "bob", false),
        ("send-inbound:account=bob", "", "bob", false),
        ("send:helo=bob", "", "bob", false),
    ] {
        let mut lab = Lab::new("fairban", true);
        let mut policy = lab.engine.policy().clone();
        policy.send.local_domains = local.split_whitespace().map(str::to_owned).collect();
        lab.engine.reconfigure(lab.now, policy, &mut lab.decisions);
        lab.send_block(block);
        for service in [Service::Smtp, Service::Submission] {
            let answer = lab.sign_in(account, service);
            assert_eq!(answer.is_some(), is_refused, "{block}, local '{local}': {account}");
            assert!(answer.is_none_or(|refused| refused.effect == Effect::Soft));
        }
        for service in [Service::Imap, Service::Pop3, Service::Sieve, Service::Webmail] {
            assert_eq!(lab.sign_in(account, service), None, "{block}: {account} on {service}");
        }
    }
}

#[test]
fn send_blocks_end_are_released_and_come_back() {
    let mut lab = Lab::new("fairban", false);
    let subject: Subject = "send:bob@example.test".parse().unwrap();
    let until = Some(lab.now.after(std::time::Duration::from_secs(60)));
    lab.engine.block(lab.now, subject, until, "admin", "spam to customers", &mut lab.decisions).unwrap();
    let block = lab.decisions[0].clone();
    assert_eq!((block.effect, block.in_kernel, block.reason.as_str()), (Effect::Soft, false, "spam to customers"));
    assert_eq!((block.origin.by(), lab.engine.standing_len()), (Some("admin"), 1));
    assert!(lab.mail(None, "x", "bob@example.test").is_some());

    let mut other = Lab::new("fairban", false);
    other.engine.restore_standing(&block);
    assert_eq!(other.mail(None, "x", "bob@example.test").map(|refused| refused.code), Some(block.code));

    lab.wait(60);
    assert!(lab.mail(None, "x", "bob@example.test").is_none());
    assert_eq!(lab.decisions.last().map(|decision| decision.action), Some(Action::Expire));

    for direction in ["send-inbound:", "send-outbound:", "send:"] {
        lab.send_block(&format!("{direction}bob@example.test"));
    }
    assert_eq!(lab.release("send-inbound:bob@example.test"), 1);
    assert_eq!(lab.release("send:bob@example.test"), 2, "either way is every way");
    assert_eq!(lab.engine.standing_len(), 0);
}

/// What a send block means, said again without any table.
fn matches(block: &Sending, question: &Mailing<'_>, is_exempt: bool) -> bool {
    let account = question.account.filter(|account| !account.is_empty());
    let is_outbound = account.is_some() || is_exempt;
    let is_right_way = match block.direction {
        Direction::Both => true,
        Direction::Inbound => account.is_none(),
        Direction::Outbound => is_outbound,
    };
    let mailbox = question.return_path.and_then(Mailbox::parse);
    let plain = |text: &str| {
        text.split_once('+').map(|(local, rest)| match rest.split_once('@') {
            Some((_, domain)) => format!("{local}@{domain}"),
            None => local.to_owned(),
        })
    };
    is_right_way
        && match &block.sender {
            Sender::Address(address) => mailbox.is_some_and(|mailbox| {
                mailbox.as_str() == address || plain(mailbox.as_str()).as_ref() == Some(address)
            }),
            Sender::Domain { name, subdomains } => mailbox.is_some_and(|mailbox| {
                mailbox.domain() == name || *subdomains && mailbox.domain().ends_with(&format!(".{name}"))
            }),
            Sender::Account(name) => account.is_some_and(|account| {
                let account = account.to_lowercase();
                account == *name || plain(&account).as_ref() == Some(name)
            }),
            Sender::Helo(name) => !question.helo.is_empty() && domain_ascii(question.helo) == *name,
        }
}

const LOCALS: [&str; 5] = ["a", "A", "b", "a+x", "\"a\""];
const DOMAINS: [&str; 6] = ["x.test", "X.test.", "y.x.test", "z.y.x.test", "xx.test", "test"];

fn mailbox() -> impl Strategy<Value = String> {
    (0..LOCALS.len(), 0..DOMAINS.len()).prop_map(|(local, domain)| format!("{}@{}", LOCALS[local], DOMAINS[domain]))
}

fn sending() -> impl Strategy<Value = String> {
    let sender = prop_oneof![
        mailbox(),
        (0..DOMAINS.len()).prop_map(|domain| format!("@{}", DOMAINS[domain])),
        (0..DOMAINS.len()).prop_map(|domain| format!("@.{}", DOMAINS[domain])),
        (0..LOCALS.len()).prop_map(|local| format!("account={}", LOCALS[local])),
        (0..DOMAINS.len()).prop_map(|domain| format!("helo={}", DOMAINS[domain])),
    ];
    (0usize..3, sender)
        .prop_map(|(way, sender)| format!("{}{sender}", ["send:", "send-inbound:", "send-outbound:"][way]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn answers_are_those_of_a_naive_model(
        blocks in prop::collection::vec(sending(), 0..4),
        account in prop::option::of(prop::sample::select(LOCALS.as_slice())),
        helo in prop::sample::select(DOMAINS.as_slice()),
        return_path in prop_oneof![3 => mailbox().prop_map(Some), 1 => Just(Some(String::new())), 1 => Just(None)],
        is_exempt in any::<bool>(),
    ) {
        let mut lab = Lab::new("fairban", true);
        let client: IpAddr = [198, 51, 100, 1].into();
        if is_exempt {
            lab.engine.never_add(lab.now, client.into(), "test", &mut lab.decisions);
        }
        let mut standing = Vec::new();
        for block in &blocks {
            lab.send_block(block);
            match block.parse() {
                Ok(Subject::Sending(sending)) => standing.push(sending),
                other => prop_assert!(false, "{other:?}"),
            }
        }
        let question = Mailing { client, account, helo, return_path: return_path.as_deref() };
        let expected = standing.iter().any(|block| matches(block, &question, is_exempt));
        let answer = lab.engine.may_send(lab.now, &question);
        prop_assert_eq!(answer != Verdict::Allow, expected, "{:?} {:?}", blocks, question);
    }
}
