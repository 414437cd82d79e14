//! Mail servers that ask Fairban: what each must be told, as `fairban setup` and the documents tell it.

use std::path::Path;

use super::guard::{Asking, Setup};

/// Where Fairban answers Dovecot.
const AUTH_POLICY: &str = "127.0.0.1:4625";
/// Where Fairban answers Postfix and Exim, if not in a file.
pub(super) const POLICY: &str = "127.0.0.1:10625";
const API_KEY: &str = "key-of-the-lab";

fn policy_socket(dir: &Path) -> String {
    format!("unix:{}/policy.sock", dir.display())
}

/// Fairban's part.
pub(super) fn fairban_toml(dir: &Path, setup: &Setup) -> String {
    let listen = match setup.asking {
        Asking::Never => return String::new(),
        Asking::Tcp => POLICY.to_owned(),
        Asking::Unix => policy_socket(dir),
    };
    format!(
        "
[dovecot]
listen = \"{AUTH_POLICY}\"
api_key = \"{API_KEY}\"

[postfix]
listen = \"{listen}\"

[send]
local_domains = [\"example.test\"]
"
    )
}

/// Dovecot's part.
pub(super) fn dovecot_conf(setup: &Setup) -> String {
    if setup.asking == Asking::Never {
        return String::new();
    }
    format!(
        "auth_policy_server_url = http://{AUTH_POLICY}/
auth_policy_server_api_header = \"X-Api-Key: {API_KEY}\"
auth_policy_hash_nonce = nonce-of-the-lab
auth_policy_request_attributes = login=%{{requested_username}} pwhash=%{{hashed_password}} remote=%{{rip}} \
         device_id=%{{client_id}} protocol=%s session_id=%{{session}} lport=%{{lport}} mech=%{{mech}}
imap_id_retain = yes
"
    )
}

/// Postfix's part.
pub(super) fn postfix_cf(dir: &Path, setup: &Setup) -> String {
    let server = match setup.asking {
        Asking::Never => return String::new(),
        Asking::Tcp => format!("inet:{POLICY}"),
        Asking::Unix => policy_socket(dir),
    };
    format!(
        "fairban_policy = check_policy_service {{ {server}, timeout=3s, try_limit=2, default_action=DUNNO }}
smtpd_recipient_restrictions = $fairban_policy
smtpd_end_of_data_restrictions = $fairban_policy
"
    )
}
