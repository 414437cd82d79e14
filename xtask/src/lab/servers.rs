//! The real Dovecot and the real Postfix, configured into a folder of the lab.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use nix::unistd::{Group, User};

use super::asking;
use super::guard::Setup;
use super::net::{Net, SERVER_V4, SERVER_V6};
use crate::process::{Daemon, find, output};

/// The accounts that exist; each one's password is `right-` and its name.
pub(crate) const ACCOUNTS: [&str; 17] = [
    "alice",
    "alice@example.test",
    "bob",
    "carol",
    "dave",
    "user01",
    "user02",
    "user03",
    "user04",
    "user05",
    "user06",
    "user07",
    "user08",
    "user09",
    "user10",
    "lists",
    "erin@other.test",
];

/// Whom the certificate is for.
const SUBJECT: &str = "subjectAltName=DNS:mail.example.test,IP:10.99.0.1";
/// Nobody's user id: mail belongs to it, so it needs no entry anywhere.
const MAIL_OWNER: u32 = 5000;

/// Writes Dovecot's configuration into the folder and starts it.
pub(crate) fn start_dovecot(net: &Net, dir: &Path, setup: &Setup) -> Result<Daemon> {
    let program = find("dovecot").context("dovecot is not installed: run `cargo xtask test`, which installs it")?;
    fs::create_dir_all(dir.join("dovecot"))?;
    let mail = dir.join("mail");
    fs::create_dir_all(&mail)?;
    chown(&mail, Some(MAIL_OWNER), Some(MAIL_OWNER))?;
    let users: String = ACCOUNTS.map(|name| format!("{name}:{{PLAIN}}right-{name}\n")).concat();
    fs::write(dir.join("dovecot/users"), users)?;
    certificate(dir)?;
    let config = dir.join("dovecot/dovecot.conf");
    fs::write(&config, dovecot_conf(dir, setup))?;
    net.on_server(|| {
        Daemon::start("dovecot", Command::new(program).arg("-F").arg("-c").arg(&config), &dir.join("dovecot.out"))
    })
}

fn certificate(dir: &Path) -> Result<()> {
    output(
        Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", "/CN=mail.example.test", "-addext", SUBJECT])
            // Who trusts it trusts it as it is, and not what it could sign.
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(dir.join("key.pem"))
            .arg("-out")
            .arg(dir.join("cert.pem")),
    )?;
    Ok(())
}

fn dovecot_conf(dir: &Path, setup: &Setup) -> String {
    let asking = asking::dovecot_conf(setup);
    let digests = if setup.digests { "sha1:6" } else { "no" };
    let dir = dir.display();
    format!(
        "base_dir = {dir}/dovecot/run
state_dir = {dir}/dovecot/state
instance_name = fairban-lab
log_path = {dir}/dovecot.log
info_log_path = {dir}/dovecot.log
auth_verbose = yes
auth_verbose_passwords = {digests}
imap_id_log = *
# Tests make hundreds of failures: neither delay belongs to what is tested.
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
protocols = imap pop3 sieve
listen = {SERVER_V4}, {SERVER_V6}
disable_plaintext_auth = no
auth_mechanisms = plain login
ssl = yes
ssl_cert = <{dir}/cert.pem
ssl_key = <{dir}/key.pem
mail_location = maildir:{dir}/mail/%u
mail_max_userip_connections = 1000
first_valid_uid = {MAIL_OWNER}
service imap-login {{
  service_count = 0
  process_min_avail = 1
}}
service pop3-login {{
  service_count = 0
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {dir}/dovecot/users
}}
userdb {{
  driver = static
  args = uid={MAIL_OWNER} gid={MAIL_OWNER} home={dir}/mail/%u
}}
service auth {{
  unix_listener {dir}/postfix/queue/private/auth {{
    mode = 0666
  }}
}}
{asking}"
    )
}

/// Writes Postfix's configuration and queue into the folder and starts it.
pub(crate) fn start_postfix(net: &Net, dir: &Path, setup: &Setup) -> Result<Daemon> {
    let master = Path::new("/usr/lib/postfix/sbin/master");
    anyhow::ensure!(master.exists(), "postfix is not installed: run `cargo xtask test`, which installs it");
    let etc = dir.join("postfix/etc");
    let recipients: String = ACCOUNTS.map(|name| format!("{name} 1\n")).concat();
    fs::write(etc.join("recipients"), recipients)?;
    fs::write(etc.join("main.cf"), main_cf(dir) + &asking::postfix_cf(dir, setup))?;
    fs::write(etc.join("master.cf"), MASTER_CF)?;
    net.on_server(|| {
        // On its end the master signals its whole process group, which must be its own.
        let mut command = Command::new(master);
        command.arg("-c").arg(&etc).arg("-d").process_group(0);
        Daemon::start("postfix", &mut command, &dir.join("postfix.out"))
    })
}

/// The folders that Postfix wants, with the owners that it wants. Dovecot puts its socket there, whoever serves SMTP.
pub(super) fn queue(base: &Path) -> Result<()> {
    let user = User::from_name("postfix")?.context("there is no user 'postfix': is Postfix installed?")?;
    let drop = Group::from_name("postdrop")?.context("there is no group 'postdrop': is Postfix installed?")?;
    let make = |name: &str, mode: u32, owned: bool, group: Option<u32>| -> Result<()> {
        let dir = base.join(name);
        fs::create_dir_all(&dir)?;
        if owned {
            chown(&dir, Some(user.uid.as_raw()), group)?;
        }
        fs::set_permissions(&dir, Permissions::from_mode(mode))?;
        Ok(())
    };
    make("etc", 0o755, false, None)?;
    make("queue", 0o755, false, None)?;
    make("queue/pid", 0o755, false, None)?;
    make("data", 0o700, true, None)?;
    for name in
        ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"]
    {
        make(&format!("queue/{name}"), 0o700, true, None)?;
    }
    make("queue/maildrop", 0o1730, true, Some(drop.gid.as_raw()))?;
    make("queue/public", 0o2710, true, Some(drop.gid.as_raw()))
}

fn main_cf(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "compatibility_level = 3.6
myhostname = mail.example.test
mydomain = example.test
mydestination = example.test
inet_interfaces = {SERVER_V4}, {SERVER_V6}
inet_protocols = all
mynetworks = 127.0.0.0/8
queue_directory = {dir}/postfix/queue
data_directory = {dir}/postfix/data
maillog_file_prefixes = /var, /dev/stdout, {dir}
maillog_file = {dir}/mail.log
local_recipient_maps = texthash:{dir}/postfix/etc/recipients
local_transport = discard:
default_transport = discard:
alias_maps =
alias_database =
# There is no name server in the lab.
smtpd_peername_lookup = no
# Tests make hundreds of failures: the delay does not belong to what is tested.
smtpd_error_sleep_time = 0
smtpd_client_auth_rate_limit = 0
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_sasl_auth_enable = yes
smtpd_sasl_security_options = noanonymous
smtpd_tls_security_level = may
smtpd_tls_cert_file = {dir}/cert.pem
smtpd_tls_key_file = {dir}/key.pem
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
"
    )
}

const MASTER_CF: &str = "smtp inet n - n - - smtpd
submission inet n - n - - smtpd
  -o syslog_name=postfix/submission
submissions inet n - n - - smtpd
  -o syslog_name=postfix/submissions
  -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
";
