//! Plans, as tables of texts: what is found, and what it becomes.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use fairban_config::Listen;

use super::dovecot::{self, Dovecot, Secrets};
use super::plan::Part;
use super::postfix::{self, Postfix};

fn values(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn postfix(main_cf: &str, master_cf: &str) -> Postfix {
    Postfix {
        folder: "/etc/postfix".into(),
        version: "3.7.11".to_owned(),
        main_cf: main_cf.to_owned(),
        master_cf: master_cf.to_owned(),
        values: values(&[
            ("mydestination", "example.test, localhost.example.test, localhost, Bücher.test hash:/etc/postfix/domains"),
            ("queue_directory", "/var/spool/postfix"),
        ]),
    }
}

fn tcp() -> Listen {
    Listen::Tcp("127.0.0.1:10625".parse().unwrap())
}

const SMTPD: &str = "smtp inet n - y - - smtpd\n";

/// What the plan makes of the files, one after the other.
fn files(part: &Part) -> String {
    part.changes.iter().map(|change| format!("== {}\n{}", change.path.display(), change.after)).collect()
}

fn check_postfix(main_cf: &str, master_cf: &str, expected: &Expect) {
    let before = postfix(main_cf, master_cf);
    let part = postfix::plan(&before, &tcp());
    expected.assert_eq(&files(&part));
    let mut after = before.clone();
    for change in &part.changes {
        let text = if change.path.ends_with("main.cf") { &mut after.main_cf } else { &mut after.master_cf };
        text.clone_from(&change.after);
    }
    assert_eq!(postfix::plan(&after, &tcp()).changes, [], "a second time changes nothing");
}

#[test]
fn postfix_with_nothing_of_its_own() {
    check_postfix(
        "mydomain = example.test\n",
        SMTPD,
        &expect![[r#"
            == /etc/postfix/main.cf
            mydomain = example.test

            # fairban setup: begin (`fairban setup --undo` takes these lines away)
            fairban_policy = check_policy_service { inet:127.0.0.1:10625, timeout=3s, try_limit=2, default_action=DUNNO }
            smtpd_recipient_restrictions = $fairban_policy
            smtpd_end_of_data_restrictions = $fairban_policy
            # fairban setup: end
        "#]],
    );
}

#[test]
fn postfix_with_lists_of_its_own() {
    check_postfix(
        "smtpd_recipient_restrictions =\n  permit_mynetworks,\n  # ours\n  reject_unauth_destination\nmydomain = example.test\n",
        "smtp inet n - y - - smtpd\n587 inet n - y - - smtpd\n  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject\n",
        &expect![[r#"
            == /etc/postfix/main.cf
            smtpd_recipient_restrictions = $fairban_policy,
              permit_mynetworks,
              # ours
              reject_unauth_destination
            mydomain = example.test

            # fairban setup: begin (`fairban setup --undo` takes these lines away)
            fairban_policy = check_policy_service { inet:127.0.0.1:10625, timeout=3s, try_limit=2, default_action=DUNNO }
            smtpd_end_of_data_restrictions = $fairban_policy
            # fairban setup: end
            == /etc/postfix/master.cf
            smtp inet n - y - - smtpd
            587 inet n - y - - smtpd
              -o smtpd_recipient_restrictions=$fairban_policy,permit_sasl_authenticated,reject
        "#]],
    );
}

#[test]
fn a_built_in_list_is_kept_too() {
    let mut found = postfix("", SMTPD);
    found.values.insert("smtpd_recipient_restrictions".to_owned(), "permit_mynetworks".to_owned());
    let part = postfix::plan(&found, &tcp());
    assert!(part.changes[0].after.contains("\nsmtpd_recipient_restrictions = $fairban_policy, permit_mynetworks\n"));
}

#[test]
fn a_postfix_that_would_refuse_mail_is_left_alone() {
    for (version, is_left) in [("2.11.3", true), ("3.0.0", false), ("3.11-20260101", false)] {
        let mut old = postfix("", SMTPD);
        old.version = version.to_owned();
        let part = postfix::plan(&old, &tcp());
        assert_eq!((part.obstacle.is_some(), part.changes.is_empty()), (is_left, is_left), "{version}");
    }
}

#[test]
fn a_socket_outside_a_chroot_is_told() {
    let socket = |path: &str| Listen::Unix(path.into());
    for (listen, master_cf, count) in [
        (socket("/run/fairban/policy.sock"), SMTPD, 1),
        (socket("/run/fairban/policy.sock"), "smtp inet n - n - - smtpd\n", 0),
        (socket("/var/spool/postfix/fairban/policy.sock"), SMTPD, 0),
        (tcp(), SMTPD, 0),
    ] {
        assert_eq!(postfix::plan(&postfix("", master_cf), &listen).notes.len(), count, "{listen:?} {master_cf}");
    }
}

#[test]
fn domains_and_tables_are_told_apart() {
    let (domains, tables) = postfix::local_domains(&postfix("", ""));
    assert_eq!(domains, ["example.test", "xn--bcher-kva.test"]);
    assert_eq!(tables, ["mydestination = hash:/etc/postfix/domains"]);
}

const ATTRIBUTES: &str = "login=%{requested_username} pwhash=%{hashed_password} remote=%{rip} device_id=%{client_id} \
                          protocol=%s session_id=%{session}";

fn dovecot(version: &str, more: &[(&str, &str)]) -> Dovecot {
    let mut all = values(&[
        ("auth_policy_server_url", ""),
        ("auth_policy_hash_nonce", ""),
        ("auth_policy_server_api_header", ""),
        ("auth_policy_check_before_auth", "yes"),
        ("auth_policy_check_after_auth", "yes"),
        ("auth_policy_report_after_auth", "yes"),
        ("auth_policy_log_only", "no"),
        ("auth_policy_reject_on_fail", "no"),
        ("auth_policy_request_attributes", ATTRIBUTES),
        ("auth_policy_server_timeout_msecs", "2000"),
        ("auth_verbose", "no"),
        ("auth_verbose_passwords", "no"),
        ("imap_id_retain", "no"),
    ]);
    all.extend(values(more));
    Dovecot {
        conf: "/etc/dovecot/dovecot.conf".into(),
        version: version.to_owned(),
        text: "protocols = imap\n".to_owned(),
        own: None,
        values: all,
    }
}

fn plan_dovecot(dovecot: &Dovecot) -> Part {
    let secrets = Secrets { nonce: "NONCE".to_owned(), api_key: "unused".to_owned() };
    dovecot::plan(dovecot, "0.0.0.0:4625".parse().unwrap(), "0123456789abcdef", &secrets)
}

fn check_dovecot(before: &Dovecot, expected: &Expect) {
    let part = plan_dovecot(before);
    expected.assert_eq(&files(&part));
    let mut after = before.clone();
    after.own = Some(part.changes[0].after.clone());
    after.text.clone_from(&part.changes[1].after);
    // What Dovecot would say then.
    let unquoted = |value: &str| value.trim_matches('"').to_owned();
    for (name, value) in super::program::assignments(after.own.as_deref().unwrap_or_default()) {
        after.values.insert(name, unquoted(&value));
    }
    let secrets = Secrets { nonce: "OTHER".to_owned(), api_key: "unused".to_owned() };
    let again = dovecot::plan(&after, "0.0.0.0:4625".parse().unwrap(), "0123456789abcdef", &secrets);
    assert_eq!(again.changes, [], "a second time changes nothing");
    assert_eq!(after.api_key(), Some("0123456789abcdef"));
}

#[test]
fn dovecot_2_3() {
    check_dovecot(
        &dovecot("2.3.19.1", &[]),
        &expect![[r#"
            == /etc/dovecot/fairban.conf
            # Written by `fairban setup`; `fairban setup --undo` takes it away. It holds secrets.
            auth_policy_server_url = http://127.0.0.1:4625/
            auth_policy_hash_nonce = NONCE
            auth_policy_server_api_header = "X-Api-Key: 0123456789abcdef"
            auth_verbose = yes
            imap_id_retain = yes
            auth_verbose_passwords = sha1:6
            auth_policy_request_attributes = login=%{requested_username} pwhash=%{hashed_password} remote=%{rip} device_id=%{client_id} protocol=%s session_id=%{session} lport=%{lport} mech=%{mech}
            == /etc/dovecot/dovecot.conf
            protocols = imap

            # fairban setup: begin (`fairban setup --undo` takes these lines away)
            !include_try fairban.conf
            # fairban setup: end
        "#]],
    );
}

#[test]
fn dovecot_2_4_which_sends_all_by_default() {
    check_dovecot(
        &dovecot("2.4.1-4", &[("auth_verbose", "yes"), ("auth_policy_log_only", "yes")]),
        &expect![[r#"
            == /etc/dovecot/fairban.conf
            # Written by `fairban setup`; `fairban setup --undo` takes it away. It holds secrets.
            auth_policy_server_url = http://127.0.0.1:4625/
            auth_policy_hash_nonce = NONCE
            auth_policy_server_api_header = "X-Api-Key: 0123456789abcdef"
            auth_policy_log_only = no
            imap_id_retain = yes
            auth_verbose_passwords = sha1:6
            == /etc/dovecot/dovecot.conf
            protocols = imap

            # fairban setup: begin (`fairban setup --undo` takes these lines away)
            !include_try fairban.conf
            # fairban setup: end
        "#]],
    );
}

#[test]
fn what_dovecot_has_of_its_own_is_kept() {
    for (more, has, has_not) in [
        (&[("auth_policy_hash_nonce", "mine")][..], "imap_id_retain", "nonce"),
        (&[("auth_verbose_passwords", "sha1")], "imap_id_retain", "auth_verbose_passwords"),
        (&[("auth_policy_server_timeout_msecs", "60000")], "auth_policy_server_timeout_msecs = 2000\n", "%u"),
        (
            &[("auth_policy_request_attributes", "login=%u x=y")],
            "attributes = login=%u x=y pwhash=",
            "requested_username",
        ),
    ] {
        let text = files(&plan_dovecot(&dovecot("2.3.21", more)));
        assert!(text.contains(has) && !text.contains(has_not), "{more:?}: {text}");
    }
    let notes = plan_dovecot(&dovecot("2.3.21", &[("auth_verbose_passwords", "plain")])).notes;
    assert!(notes.len() == 1 && notes[0].contains("sha1:6"), "{notes:?}");
}

#[test]
fn another_policy_server_is_not_replaced() {
    let part = plan_dovecot(&dovecot("2.3.21", &[("auth_policy_server_url", "http://127.0.0.1:8084/")]));
    assert!(part.changes.is_empty() && part.obstacle.is_some_and(|why| why.contains("http://127.0.0.1:8084/")));
}
