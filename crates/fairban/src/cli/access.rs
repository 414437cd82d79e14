//! Who may use the administrator's pages and the API: `fairban user`, `fairban token`.

use std::time::Duration;

use clap::Subcommand;
use fairban_types::parse_duration;

#[derive(Subcommand)]
pub(crate) enum UserCommand {
    /// Make a link by which somebody sets a password, once: a new user, or one who is locked out.
    #[command(
        after_help = "Examples:\n  fairban user link alice              alice gets a new password (and no second factor)\n  \
                            fairban user link --role support     a new user, who chooses a name\n  fairban user link \
                            --role domain-administrator --domain example.test"
    )]
    Link {
        /// The user; without one, a new user chooses a name.
        name: Option<String>,
        /// What a new user may do: administrator, support, domain-administrator or read-only.
        #[arg(long, default_value = "administrator")]
        role: String,
        /// A domain of a domain administrator; may be given again.
        #[arg(long = "domain", value_name = "DOMAIN")]
        domains: Vec<String>,
        /// How long the link is good; an hour, if left out.
        #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
        time: Option<Duration>,
    },
    /// Show who can sign in.
    List {
        /// As JSON: one object per user.
        #[arg(long)]
        json: bool,
    },
    /// Give a user another role. They have to sign in again.
    Role {
        /// The user.
        name: String,
        /// What they may do from now on: administrator, support, domain-administrator or read-only.
        role: String,
        /// A domain of a domain administrator; may be given again.
        #[arg(long = "domain", value_name = "DOMAIN")]
        domains: Vec<String>,
    },
    /// End all sessions of a user.
    SignOut {
        /// The user.
        name: String,
    },
    /// Take a user away, with their sessions and the tokens that they made.
    Remove {
        /// The user.
        name: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token, which is shown this once.
    #[command(
        after_help = "Examples:\n  fairban token create --scope admin\n  fairban token create --scope check --name webmail \
                            --expires 90d"
    )]
    Create {
        /// What it may do: admin, support, read, check, or domain-administrator with --domain.
        #[arg(long)]
        scope: String,
        /// What it is for.
        #[arg(long, default_value = "")]
        name: String,
        /// A domain of a domain administrator; may be given again.
        #[arg(long = "domain", value_name = "DOMAIN")]
        domains: Vec<String>,
        /// How long it is good, such as 90d; until it is revoked, if left out.
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        expires: Option<Duration>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the tokens, and when each was last used.
    List {
        /// As JSON: one object per token.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token.
    Revoke {
        /// Its id.
        id: String,
    },
}
