//! Checking passwords: against a real Dovecot, and against servers that misbehave.

use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fairban_web::portal::{CheckPassword as _, Checked, ImapCheck, MailSecurity, MailServer, Password};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use zeroize::Zeroizing;

use crate::listening::certificate;

const USERS: [(&str, &str); 5] = [
    ("alice@example.test", "right-alice"),
    ("bob@example.test", "a \"quoted\\ one\" {5}"),
    ("jörg@example.test", "Straße ü 漢字"),
    (
        "long@example.test",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ),
    ("odd.user+tag@example.test", "* OK b LOGIN"),
];

/// A Dovecot in a folder of its own; it ends with this.
struct Dovecot {
    child: Child,
    imap: u16,
    imaps: u16,
    authorities: PathBuf,
    _folder: tempfile::TempDir,
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // Its master ends its children when asked, not when killed.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}

async fn dovecot() -> Option<Dovecot> {
    let program =
        ["/usr/sbin/dovecot", "/usr/local/sbin/dovecot"].into_iter().map(Path::new).find(|path| path.exists());
    let (Some(program), true) = (program, is_root()) else {
        eprintln!("skipped: needs dovecot and root");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let made = certificate(dir)?;
    let (imap, imaps) = (free_port(), free_port());
    let users: String = USERS.map(|(name, password)| format!("{name}:{{PLAIN}}{password}\n")).concat();
    std::fs::write(dir.join("users"), users).unwrap();
    let shown = dir.display();
    let config = format!(
        "base_dir = {shown}/run
state_dir = {shown}/state
instance_name = fairban-web-test
log_path = {shown}/dovecot.log
protocols = imap
listen = 127.0.0.1
auth_failure_delay = 0
auth_username_chars =
disable_plaintext_auth = yes
ssl = required
ssl_cert = <{shown}/cert.pem
ssl_key = <{shown}/key.pem
mail_location = maildir:{shown}/mail/%u
first_valid_uid = 5000
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {shown}/users
}}
userdb {{
  driver = static
  args = uid=5000 gid=5000 home={shown}/mail/%u
}}
"
    );
    std::fs::create_dir(dir.join("mail")).unwrap();
    std::os::unix::fs::chown(dir.join("mail"), Some(5000), Some(5000)).unwrap();
    std::fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(dir.join("dovecot.conf"), config).unwrap();
    let mut command = Command::new(program);
    command.arg("-F").arg("-c").arg(dir.join("dovecot.conf")).stdin(Stdio::null());
    let mut dovecot =
        Dovecot { child: command.spawn().unwrap(), imap, imaps, authorities: made.chain, _folder: folder };
    while TcpStream::connect((Ipv4Addr::LOCALHOST, imaps)).await.is_err() {
        assert!(dovecot.child.try_wait().unwrap().is_none(), "dovecot ended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Some(dovecot)
}

async fn check(server: &MailServer, account: &str, password: &str) -> Checked {
    let check = ImapCheck::new(server).unwrap();
    check.check(account, &Password::new(Zeroizing::new(password.into()))).await
}

#[tokio::test]
async fn a_real_dovecot_knows_its_passwords() {
    let Some(dovecot) = dovecot().await else { return };
    let server = |port, security| MailServer {
        host: "127.0.0.1".into(),
        port,
        security,
        name: Some("localhost".into()),
        authorities: Some(dovecot.authorities.clone()),
    };
    for server in [server(dovecot.imaps, MailSecurity::Tls), server(dovecot.imap, MailSecurity::StartTls)] {
        for (account, password) in USERS {
            assert_eq!(check(&server, account, password).await, Checked::Right, "{account}");
            assert_eq!(check(&server, account, &password[1..]).await, Checked::Wrong, "{account}");
        }
        assert_eq!(check(&server, "nobody@example.test", "x").await, Checked::Wrong);
        assert_eq!(check(&server, "alice@example.test", "").await, Checked::Wrong);
    }
    let unavailable = |checked: Checked| matches!(checked, Checked::Unavailable(_));
    let wrong_name = MailServer { name: None, ..server(dovecot.imaps, MailSecurity::Tls) };
    assert!(unavailable(check(&wrong_name, "alice@example.test", "right-alice").await), "another's certificate");
    let strangers = MailServer { authorities: None, ..server(dovecot.imaps, MailSecurity::Tls) };
    if let Ok(check) = ImapCheck::new(&strangers) {
        let password = Password::new(Zeroizing::new("right-alice".into()));
        assert!(unavailable(check.check("alice@example.test", &password).await), "signed by nobody known");
    }
    // Dovecot takes a connection from its own address for safe.
    let plain = server(dovecot.imap, MailSecurity::Plain);
    assert_eq!(check(&plain, "alice@example.test", "right-alice").await, Checked::Right);
    assert_eq!(check(&plain, "alice@example.test", "wrong").await, Checked::Wrong);
}

/// Says these words, the first at once and each other after a line of the client's, and keeps what it heard.
async fn says(words: &'static [&'static str]) -> (MailServer, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut heard = String::new();
        for (place, word) in words.iter().enumerate() {
            if place > 0 && stream.read_line(&mut heard).await.unwrap_or(0) == 0 {
                break;
            }
            let _ = stream.write_all(word.as_bytes()).await;
        }
        heard
    });
    let server =
        MailServer { host: "127.0.0.1".into(), port, security: MailSecurity::Plain, name: None, authorities: None };
    (server, heard)
}

#[tokio::test]
async fn servers_that_misbehave_judge_nothing() {
    const LONG: &str = include_str!("imap.rs");
    let flood: &'static str = Box::leak("* OK\r\n".repeat(1000).into_boxed_str());
    let endless: &'static str = Box::leak(LONG.replace('\n', " ").repeat(3).into_boxed_str());
    for words in [
        &["* BYE too busy\r\n"] as &'static [&'static str],
        &["* PREAUTH welcome\r\n"],
        &["220 smtp.example.test ESMTP\r\n"],
        &["\r\n"],
        &[""],
        &["* OK ready\r\n", "b NO [UNAVAILABLE] later\r\n"],
        &["* OK ready\r\n", "b NO [ALERT] Your connection has been blocked\r\n"],
        &["* OK ready\r\n", "b BAD what\r\n"],
        &["* OK ready\r\n", "+ go on\r\n+ go on\r\n"],
        &["* OK ready\r\n", "x OK wrong tag\r\n"],
        &["* OK ready\r\n", "b MAYBE\r\n"],
        Box::leak(Box::new([flood])),
        Box::leak(Box::new([endless])),
    ] {
        let (server, _heard) = says(words).await;
        let checked = check(&server, "alice", "secret").await;
        assert!(matches!(checked, Checked::Unavailable(_)), "{words:.40?}: {checked:?}");
    }
}

#[tokio::test]
async fn a_password_goes_nowhere_without_tls() {
    // A server that does not offer STARTTLS, and one that says more than its answer before TLS.
    for words in [
        &["* OK ready\r\n", "a BAD unknown command\r\n"] as &'static [&'static str],
        &["* OK ready\r\n", "a OK begin\r\nb OK signed in\r\n"],
    ] {
        let (server, heard) = says(words).await;
        let folder = tempfile::tempdir().unwrap();
        let Some(made) = certificate(folder.path()) else { return };
        let server = MailServer { security: MailSecurity::StartTls, authorities: Some(made.chain), ..server };
        assert!(matches!(check(&server, "alice", "secret").await, Checked::Unavailable(_)));
        assert_eq!(heard.await.unwrap(), "a STARTTLS\r\n");
    }
    for host in ["192.0.2.1", "localhost", "mail.example.test"] {
        let server =
            MailServer { host: host.into(), port: 143, security: MailSecurity::Plain, name: None, authorities: None };
        assert!(ImapCheck::new(&server).is_err(), "{host} may be elsewhere");
    }
}

#[tokio::test]
async fn what_a_person_types_is_never_a_command() {
    let (server, heard) = says(&["* OK ready\r\n", "+ go on\r\n", "b OK\r\n", ""]).await;
    let checked = check(&server, "a\"b\\c", "pä\"ss").await;
    assert_eq!(checked, Checked::Right);
    let heard = heard.await.unwrap();
    assert_eq!(heard, "b LOGIN \"a\\\"b\\\\c\" {6}\r\npä\"ss\r\nc LOGOUT\r\n");
}
