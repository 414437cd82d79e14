//! The real Exim, in place of Postfix. Its package cannot be installed beside Postfix's, so it is only unpacked, and
//! finds its user and its library through files that it alone sees: ours come first, if the machine has such a user, too.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::asking::POLICY;
use super::guard::{Asking, Setup};
use super::net::{Net, SERVER_V4, SERVER_V6};
use super::servers::ACCOUNTS;
use crate::debian::unpack;
use crate::process::Daemon;

/// The id of the user that Debian's Exim insists on, which need not exist on this machine.
const OWNER: u32 = 5001;

/// In a mount namespace of its own: users, groups and libraries of the machine, and Exim's beside them.
const RUN: &str = r#"set -e
cd "$1"
for kind in passwd group; do
    { cat "$kind" "/etc/$kind"; } > "etc-$kind"
    mount --bind "etc-$kind" "/etc/$kind"
done
{ echo "$3"; cat /etc/ld.so.conf; } > etc-ld.so.conf
ldconfig -X -C etc-ld.so.cache -f etc-ld.so.conf
mount --bind etc-ld.so.cache /etc/ld.so.cache
exec "$2" -bdf -C "$1/exim.conf"
"#;

/// Writes Exim's configuration into the folder and starts it.
pub(crate) fn start_exim(net: &Net, dir: &Path, setup: &Setup) -> Result<Daemon> {
    let base = dir.join("exim");
    for folder in ["", "spool", "log"] {
        let folder = base.join(folder);
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
        chown(&folder, Some(OWNER), Some(OWNER))?;
    }
    // Exim trusts only a folder and a file that are root's.
    chown(&base, Some(0), Some(0))?;
    fs::set_permissions(dir.join("key.pem"), Permissions::from_mode(0o644))?;
    let program = unpack("exim4-daemon-light")?.join("usr/sbin/exim4").canonicalize()?;
    let libraries = unpack("libidn12")?.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH)).canonicalize()?;
    let users: String = ACCOUNTS.map(|name| format!("{name}: right-{name}\n")).concat();
    fs::write(base.join("users"), users)?;
    fs::write(base.join("passwd"), format!("Debian-exim:x:{OWNER}:{OWNER}::/nonexistent:/usr/sbin/nologin\n"))?;
    fs::write(base.join("group"), format!("Debian-exim:x:{OWNER}:\n"))?;
    fs::write(base.join("exim.conf"), exim_conf(dir, &program, setup))?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", RUN, "exim"]).arg(&base).arg(&program).arg(libraries);
    net.on_server(|| Daemon::start("exim", &mut command, &dir.join("exim.out")))
}

/// The file that Exim logs to, below the lab's folder.
pub(super) const LOG: &str = "exim/log/mainlog";

fn exim_conf(dir: &Path, program: &Path, setup: &Setup) -> String {
    let (dir, program) = (dir.display(), program.display());
    let ports = "25 : 587 : 465";
    let asking = if setup.asking == Asking::Never { NOT_ASKING } else { ASKING };
    format!(
        r"primary_hostname = mail.example.test
exim_path = {program}
spool_directory = {dir}/exim/spool
log_file_path = {dir}/exim/log/%slog
pid_file_path = {dir}/exim/exim.pid
local_interfaces = <; {SERVER_V4} ; {SERVER_V6}
daemon_smtp_ports = {ports}
tls_on_connect_ports = 465
tls_certificate = {dir}/cert.pem
tls_privatekey = {dir}/key.pem
# There is no name server in the lab.
host_lookup =
rfc1413_hosts =
keep_environment =
smtp_accept_max = 0
# Mail that was taken has arrived.
queue_only = true
# Tests begin many messages and end few.
smtp_accept_max_nonmail_hosts =
domainlist local_domains = example.test
acl_smtp_rcpt = recipient
FAIRBAN = inet:{POLICY}
USERS = {dir}/exim/users
{asking}
{REST}"
    )
}

/// The macros that do ask. What a client chose must not begin a line of the question.
const ASKING: &str = r"ABOUT_CLIENT = client_address=$sender_host_address\nserver_port=$received_port\nhelo_name=${tr{$sender_helo_name}{\n\r}{??}}\n
ASK_SENDING = ${readsocket{FAIRBAN}{request=smtpd_access_policy\nprotocol_state=RCPT\nABOUT_CLIENT\
  sender=${tr{$sender_address}{\n\r}{??}}\nrecipient=${tr{$local_part@$domain}{\n\r}{??}}\n\
  sasl_username=${tr{$authenticated_id}{\n\r}{??}}\n\n}{3s}{\n}{action=DUNNO}}
MAY_SIGN_IN = match{${readsocket{FAIRBAN}{request=smtpd_access_policy\nprotocol_state=AUTH\nABOUT_CLIENT\
  sasl_method=PLAIN\nsasl_username=${tr{$auth2}{\n\r}{??}}\n\n}{3s}{\n}{action=DUNNO}}}{\N^action=DUNNO\N}
MAY_LOGIN = match{${readsocket{FAIRBAN}{request=smtpd_access_policy\nprotocol_state=AUTH\nABOUT_CLIENT\
  sasl_method=LOGIN\nsasl_username=${tr{$auth1}{\n\r}{??}}\n\n}{3s}{\n}{action=DUNNO}}}{\N^action=DUNNO\N}";

const NOT_ASKING: &str = r"ASK_SENDING = action=DUNNO
MAY_SIGN_IN = bool{true}
MAY_LOGIN = bool{true}";

const REST: &str = r"
begin acl

recipient:
  warn
    set acl_m_fairban = ASK_SENDING
  defer
    condition = ${if match{$acl_m_fairban}{\N^action=4\d\d \N}}
    message = ${sg{$acl_m_fairban}{\N^action=|\s+$\N}{}}
  deny
    condition = ${if match{$acl_m_fairban}{\N^action=5\d\d \N}}
    message = ${sg{$acl_m_fairban}{\N^action=|\s+$\N}{}}
  deny
    condition = ${if match{$acl_m_fairban}{\N^action=REJECT\N}}
  accept
    authenticated = *
  require
    message = relay not permitted
    domains = +local_domains
  require
    message = Unknown user
    condition = ${lookup{$local_part}lsearch{USERS}{yes}{no}}
  accept

begin routers

gone:
  driver = redirect
  data = :blackhole:

begin authenticators

plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{ {MAY_SIGN_IN} {eq{$auth3}{${lookup{$auth2}lsearch{USERS}{$value}fail}}} }}
  server_set_id = $auth2

login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${if and{ {MAY_LOGIN} {eq{$auth2}{${lookup{$auth1}lsearch{USERS}{$value}fail}}} }}
  server_set_id = $auth1
";
