//! The fleet.

use crate::schema::{Absent, Section};
use crate::settings::Fleet;
use crate::takes;

pub(super) fn section() -> Section<Fleet> {
    let section = Section::new(
        "[fleet]",
        "Sharing of scores, blocks and releases with other mail servers: see [fleet.md](fleet.md). Changes wait for a \
         restart.",
    );
    trust(server(section))
}

fn server(section: Section<Fleet>) -> Section<Fleet> {
    section
        .key(
            "url",
            takes::redis_url(),
            Absent::Means("this node is alone"),
            "\"redis://127.0.0.1:6379\"",
            "the Valkey or Redis server that all nodes share; `rediss://` is TLS, `redis+cluster://` and \
             `redis+sentinel://` take several hosts",
            |fleet: &mut Fleet, url| fleet.url = Some(url),
        )
        .key(
            "password_file",
            takes::path(),
            Absent::Means("the password in `url`, if there is one"),
            "\"/etc/fairban/valkey.password\"",
            "a file with the password",
            |fleet, path| fleet.password_file = Some(path),
        )
        .key(
            "authority",
            takes::path(),
            Absent::Means("those that the system knows"),
            "\"/etc/ssl/valkey-ca.pem\"",
            "a PEM file of the authorities that may have signed the server's certificate",
            |fleet, path| fleet.authority = Some(path),
        )
        .key(
            "name",
            takes::name(32),
            Absent::Is("\"fairban\""),
            "\"fairban\"",
            "what the names of all keys at the server begin with: several fleets may share a server",
            |fleet, name| fleet.name = name,
        )
}

fn trust(section: Section<Fleet>) -> Section<Fleet> {
    section
        .key(
            "limited",
            takes::list(takes::name(64), 0..=1000),
            Absent::Is("[]"),
            "[\"mx9\"]",
            "nodes whose decisions apply to themselves only",
            |fleet, nodes| fleet.limited = nodes,
        )
        .key(
            "blocks_per_minute",
            takes::count(1..=100_000),
            Absent::Is("600"),
            "600",
            "so many blocks that one node began within a minute are taken from it; the rest is held back until \
             `fairban fleet accept`. The same on all nodes",
            |fleet, count| fleet.blocks_per_minute = count,
        )
        .key(
            "local_rules",
            takes::list(takes::name(64), 0..=1000),
            Absent::Is("[]"),
            "[\"login-slow\"]",
            "rules whose blocks stay on this node; all others are the fleet's",
            |fleet, rules| fleet.local_rules = rules,
        )
        .key(
            "share_rules",
            takes::flag(),
            Absent::Is("true"),
            "false",
            "whether values of rules that are set in the browser or by the API are those of all nodes: told, and taken \
             over. Configuration files never are",
            |fleet, on| fleet.share_rules = on,
        )
}
