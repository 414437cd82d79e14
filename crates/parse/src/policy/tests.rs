use std::borrow::Cow;

use fairban_types::Service;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::dovecot::{self, Ending};
use super::postfix::{self, Scanner, State};
use super::{TEXT_LEN_MAX, bounded};

const ALLOW: &str = r#"{"device_id":"","login":"alice","protocol":"imap","pwhash":"00a0","remote":"192.0.2.7","session_id":"iTe3Ds5gBNIKYwAC","tls":false}"#;

#[test]
fn a_question_of_dovecot_2_3() {
    let read = dovecot::read(ALLOW.as_bytes()).unwrap();
    assert_eq!(read.client, Some("192.0.2.7".parse().unwrap()));
    assert_eq!(read.account.as_deref(), Some("alice"));
    assert_eq!(read.digest.as_deref(), Some("00a0"));
    assert_eq!(read.session.as_deref(), Some("iTe3Ds5gBNIKYwAC"));
    assert_eq!((read.device, read.method), (None, None));
    assert_eq!((read.service, read.tls, read.ending), (Service::Imap, Some(false), Ending::Open));
}

#[test]
fn how_a_sign_in_ended() {
    for (attributes, ending) in [
        (r#""success":true,"policy_reject":false"#, Ending::Succeeded),
        (r#""success":false,"policy_reject":false"#, Ending::WrongPassword),
        (r#""success":false,"policy_reject":true"#, Ending::Refused),
        (
            r#""success":false,"policy_reject":false,"fail_type":"UNSUPPORTED_VARIABLE_fail_type""#,
            Ending::WrongPassword,
        ),
        (r#""fail_type":"credentials","success":false,"policy_reject":false"#, Ending::WrongPassword),
        (r#""fail_type":"account","success":false,"policy_reject":false"#, Ending::UnknownAccount),
        (r#""fail_type":"expired","success":false,"policy_reject":false"#, Ending::Expired),
        (r#""fail_type":"disabled","success":false,"policy_reject":false"#, Ending::Disabled),
        (r#""fail_type":"internal","success":false,"policy_reject":false"#, Ending::NotChecked),
        (r#""fail_type":"policy","success":false"#, Ending::Refused),
        (r#""fail_type":"","success":true,"policy_reject":false"#, Ending::Succeeded),
        // An administrator's own attribute stands before Dovecot's.
        (r#""success":"yes","success":false,"policy_reject":false"#, Ending::WrongPassword),
        (r#""fail_type":"account""#, Ending::Open),
    ] {
        let body = format!(r#"{{"login":"alice","remote":"192.0.2.7",{attributes}}}"#);
        assert_eq!(dovecot::read(body.as_bytes()).unwrap().ending, ending, "{attributes}");
    }
}

#[test]
fn which_service_is_asked_for() {
    for (attributes, service) in [
        (r#""protocol":"imap""#, Service::Imap),
        (r#""protocol":"pop3""#, Service::Pop3),
        (r#""protocol":"sieve""#, Service::Sieve),
        (r#""protocol":"managesieve""#, Service::Sieve),
        (r#""protocol":"submission","lport":"1587""#, Service::Submission),
        (r#""protocol":"lmtp""#, Service::Lmtp),
        (r#""protocol":"smtp""#, Service::Submission),
        (r#""protocol":"smtp","lport":"0""#, Service::Submission),
        (r#""protocol":"smtp","lport":"25""#, Service::Smtp),
        (r#""protocol":"smtp","lport":587"#, Service::Submission),
        (r#""protocol":"doveadm""#, Service::Unknown),
        (r#""tls":"TLS""#, Service::Unknown),
    ] {
        let read = format!(r#"{{"remote":"2001:db8::1",{attributes}}}"#);
        assert_eq!(dovecot::read(read.as_bytes()).unwrap().service, service, "{attributes}");
    }
}

#[test]
fn odd_bodies_of_dovecot() {
    let strange =
        r#"{"attrs":{"cos":["x",{"y":1.5}]},"loc\u0061l":null,"login":"al\u0000\"ice","remote":"::ffff:192.0.2.7"}"#;
    let read = dovecot::read(strange.as_bytes()).unwrap();
    assert_eq!(read.account.as_deref(), Some("al\0\"ice"));
    assert_eq!(read.client, Some("192.0.2.7".parse().unwrap()), "mapped addresses are IPv4");
    assert_eq!(dovecot::read(b"{\"login\":\"a\xff\"}").unwrap().account.as_deref(), Some("a\u{fffd}"));
    assert_eq!(dovecot::read(br#"{"login":"alice","remote":""}"#).unwrap().client, None);
    assert_eq!(dovecot::read(br#"{"remote":"unknown"}"#), Err(dovecot::Defect::Client));
    let long = format!(r#"{{"login":"{}","device_id":"{}\n"}}"#, "é".repeat(5000), "x".repeat(5000));
    let read = dovecot::read(long.as_bytes()).unwrap();
    assert_eq!(read.account.unwrap().len(), TEXT_LEN_MAX);
    assert_eq!(read.device.unwrap().len(), TEXT_LEN_MAX);
    let deep = "[".repeat(100_000);
    for body in ["", "null", "[]", "{", "{}x", r#"{"login":{}}"#, r#"{"login":"\ud800"}"#, &format!(r#"{{"a":{deep}"#)]
    {
        assert_eq!(dovecot::read(body.as_bytes()), Err(dovecot::Defect::Json), "{}", &body[..body.len().min(20)]);
    }
}

const RCPT: &str = "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nclient_address=192.0.2.7\n\
    client_name=unknown\nclient_port=58402\nserver_address=192.0.2.1\nserver_port=587\nhelo_name=client.example.net\n\
    sender=alice@example.test\nrecipient=someone@remote.test\nrecipient_count=0\nqueue_id=\n\
    instance=5061.6b01ed05.403ee.0\nsize=0\netrn_domain=\nstress=\nsasl_method=LOGIN\nsasl_username=alice\n\
    sasl_sender=\nccert_subject=\nencryption_keysize=0\npolicy_context=\n\n";

#[test]
fn a_question_of_postfix() {
    let read = postfix::read(RCPT.as_bytes()).unwrap();
    assert_eq!((read.state, read.port, read.service()), (State::Rcpt, 587, Service::Submission));
    assert_eq!(read.client, "192.0.2.7".parse::<std::net::IpAddr>().unwrap());
    assert_eq!(read.account.as_deref(), Some("alice"));
    assert_eq!(read.method.as_deref(), Some("LOGIN"));
    assert_eq!(read.helo.as_deref(), Some("client.example.net"));
    assert_eq!(read.return_path.as_deref(), Some("alice@example.test"));
    assert_eq!(read.recipient.as_deref(), Some("someone@remote.test"));
    assert_eq!((read.recipient_count, read.queue_id.as_deref()), (0, None));
    assert_eq!(read.instance.as_deref(), Some("5061.6b01ed05.403ee.0"));
    assert_eq!(postfix::read(RCPT.replace('\n', "\r\n").as_bytes()).unwrap(), read);
}

#[test]
fn every_state_of_postfix() {
    for (name, state, return_path) in [
        ("CONNECT", State::Connect, None),
        ("EHLO", State::Helo, None),
        ("HELO", State::Helo, None),
        ("MAIL", State::Mail, Some("")),
        ("RCPT", State::Rcpt, Some("")),
        ("DATA", State::Data, Some("")),
        ("END-OF-MESSAGE", State::EndOfMessage, Some("")),
        ("VRFY", State::Vrfy, None),
        ("ETRN", State::Etrn, None),
        ("AUTH", State::Auth, None),
        ("BDAT", State::Other, None),
    ] {
        let text =
            format!("request=smtpd_access_policy\nprotocol_state={name}\nclient_address=2001:db8::1\nsender=\n\n");
        let read = postfix::read(text.as_bytes()).unwrap();
        assert_eq!((read.state, read.return_path.as_deref()), (state, return_path), "{name}");
        let service = if state == State::Auth { Service::Submission } else { Service::Smtp };
        assert_eq!(read.service(), service);
    }
}

#[test]
fn odd_requests_of_postfix() {
    let base = "request=smtpd_access_policy\nclient_address=192.0.2.7\n";
    let read =
        |more: &str| postfix::read(format!("{base}{more}\n\n").as_bytes()).map(|read| read.account.map(String::from));
    assert_eq!(read("sasl_username=alice\nsasl_username=bob"), Ok(Some("alice".to_owned())), "the first stands");
    assert_eq!(read("client_address=192.0.2.99\nsasl_username=a=b"), Ok(Some("a=b".to_owned())));
    assert_eq!(read("unheard_of=1\n=x\nsasl_username=\u{fffd}"), Ok(Some("\u{fffd}".to_owned())));
    // A client that gets a line end into its account's name must not make the question unreadable.
    assert_eq!(read("sasl_username=alice\nno attribute\nsender"), Ok(Some("alice".to_owned())));
    for same in ["sasl_usernames=bob", "sasl_user=bob", "Sasl_username=bob", "sasl_username", "xsasl_username=bob"] {
        assert_eq!(read(same), Ok(None), "{same}");
    }
    for (text, defect) in [
        ("client_address=192.0.2.7\n\n", postfix::Defect::UnknownRequest),
        ("request=junk\nclient_address=192.0.2.7\n\n", postfix::Defect::UnknownRequest),
        ("request=smtpd_access_policy\n\n", postfix::Defect::Client),
        ("request=smtpd_access_policy\nclient_address=unknown\n\n", postfix::Defect::Client),
        ("request=smtpd_access_policy\nclient_address=192.0.2.7\0\n\n", postfix::Defect::Client),
    ] {
        assert_eq!(postfix::read(text.as_bytes()), Err(defect), "{text}");
    }
    let invalid = [base.as_bytes(), b"helo_name=\xff\xfe\n\n"].concat();
    assert_eq!(postfix::read(&invalid).unwrap().helo.as_deref(), Some("\u{fffd}\u{fffd}"));
}

/// The length of the first request, byte by byte.
fn dribble(text: &[u8]) -> Result<Option<usize>, postfix::Defect> {
    let mut scanner = Scanner::default();
    for end in 0..=text.len() {
        match scanner.find_end(&text[..end]) {
            Ok(None) => {}
            other => return other,
        }
    }
    Ok(None)
}

#[test]
fn requests_end_where_they_should() {
    let long = |length: usize| format!("{}=x\n\n", "y".repeat(length - 2)).into_bytes();
    let many = |count: usize| format!("{}\n", "a=b\n".repeat(count)).into_bytes();
    let wide = |lines: usize| format!("{}\n", format!("a={}\n", "x".repeat(1021)).repeat(lines)).into_bytes();
    for (text, end) in [
        (RCPT.as_bytes().to_vec(), Ok(Some(RCPT.len()))),
        (b"a=b\r\n\r\nrest".to_vec(), Ok(Some(7))),
        (b"a=b\n".to_vec(), Ok(None)),
        (b"\n".to_vec(), Err(postfix::Defect::Empty)),
        (b"\r\n".to_vec(), Err(postfix::Defect::Empty)),
        (long(postfix::LINE_LEN_MAX), Ok(Some(postfix::LINE_LEN_MAX + 2))),
        (long(postfix::LINE_LEN_MAX + 1), Err(postfix::Defect::LineTooLong)),
        (vec![b'x'; 100_000], Err(postfix::Defect::LineTooLong)),
        (many(postfix::ATTRIBUTES_MAX), Ok(Some(4 * postfix::ATTRIBUTES_MAX + 1))),
        (many(postfix::ATTRIBUTES_MAX + 1), Err(postfix::Defect::TooLong)),
        (wide(31), Ok(Some(31 * 1024 + 1))),
        (wide(32), Err(postfix::Defect::TooLong)),
    ] {
        assert_eq!(Scanner::default().find_end(&text), end, "{:?}", &text[..text.len().min(40)]);
        assert_eq!(dribble(&text), end);
    }
}

#[test]
fn a_scanner_is_ready_for_the_next_request() {
    let other = RCPT.replace("sasl_username=alice\n", "");
    let text = format!("{RCPT}{other}");
    let (mut scanner, mut rest) = (Scanner::default(), text.as_bytes());
    for expected in [RCPT, &other] {
        assert_eq!(scanner.clone().find_end(rest), Ok(Some(expected.len())));
        let whole = scanner.take(rest).unwrap().unwrap();
        assert_eq!((whole.length, whole.request), (expected.len(), postfix::read(expected.as_bytes())));
        rest = &rest[expected.len()..];
    }
    assert_eq!(scanner.take(rest), Ok(None));
}

#[test]
fn text_is_cut_between_letters() {
    let text = "x".repeat(TEXT_LEN_MAX - 1) + "é";
    assert_eq!(bounded(Cow::Owned(text.clone())).len(), TEXT_LEN_MAX - 1);
    assert_eq!(bounded(Cow::Borrowed(&text)).len(), TEXT_LEN_MAX - 1);
}

proptest! {
    #[test]
    fn whatever_arrives_is_read_or_refused(text in "[a-c=_\\r\\n\\x{e9}]{0,60}", cut in 0usize..60) {
        let bytes = text.as_bytes();
        let mut scanner = Scanner::default();
        let at_once = Scanner::default().find_end(bytes);
        let first = scanner.find_end(&bytes[..cut.min(bytes.len())]);
        let in_two = if first == Ok(None) { scanner.find_end(bytes) } else { first };
        prop_assert_eq!(at_once, in_two);
        let _ = (postfix::read(bytes), dovecot::read(bytes));
    }

    #[test]
    fn a_request_says_the_same_however_it_arrives(
        lines in vec("(re|se)[a-z_=]{0,9}\r?|sasl_username=[aé]{0,3}|sender=.{0,3}|helo_name=x", 0..8),
        byte in any::<u8>(),
        place in any::<Index>(),
        cut in any::<Index>(),
    ) {
        let base = "request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=192.0.2.7";
        let mut bytes = format!("{base}\n{}\n\n", lines.join("\n")).into_bytes();
        let at = base.len() + place.index(bytes.len() - base.len());
        bytes[at] = byte;
        let mut scanner = Scanner::default();
        let whole = match scanner.take(&bytes[..cut.index(bytes.len())]) {
            Ok(None) => scanner.take(&bytes),
            other => other,
        };
        if let Ok(Some(whole)) = whole {
            prop_assert_eq!(whole.request, postfix::read(&bytes[..whole.length]));
        }
    }
}
