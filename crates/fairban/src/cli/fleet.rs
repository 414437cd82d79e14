//! `fairban fleet`.

use std::path::PathBuf;

use clap::Subcommand;

use super::usual_config;

#[derive(Subcommand)]
pub(crate) enum FleetCommand {
    /// Show the fleet as this node sees it. The exit status is 1 if this node is alone.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write the server's address into the configuration file; a restart of the daemon joins the fleet.
    #[command(
        after_help = "Examples:\n  fairban fleet join rediss://valkey.example.test:6379 --config /etc/fairban.toml\n  fairban \
                      fleet join redis+cluster://10.0.0.1:6379,10.0.0.2:6379 --config /etc/fairban.toml"
    )]
    Join {
        /// The Valkey or Redis server.
        url: String,
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value_os_t = usual_config())]
        config: PathBuf,
    },
    /// Take the fleet out of the configuration file; after a restart of the daemon this node is alone, with all blocks
    /// that it has.
    Leave {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value_os_t = usual_config())]
        config: PathBuf,
    },
    /// Let blocks of a node through that were held back because there were too many at once.
    Accept {
        /// The node.
        node: String,
    },
}
