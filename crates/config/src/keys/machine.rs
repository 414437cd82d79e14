use super::Draft;
use crate::schema::{Absent, Section};
use crate::settings::{Control, Enforce, EnforceMode, Node, StoreConfig};
use crate::takes;

pub(super) fn add(section: Section<Draft>) -> Section<Draft> {
    section
        .table("node", node(), |draft| &mut draft.config.node)
        .table("store", store(), |draft| &mut draft.config.store)
        .table("control", control(), |draft| &mut draft.config.control)
        .table("enforce", enforce(), |draft| &mut draft.config.enforce)
}

fn node() -> Section<Node> {
    Section::new("[node]", "This machine.").key(
        "name",
        takes::name(64),
        Absent::Means("the host's name"),
        "\"mx1\"",
        "its name in the fleet, in receipts and in listings",
        |node: &mut Node, name| node.name = Some(name),
    )
}

fn store() -> Section<StoreConfig> {
    Section::new("[store]", "The embedded database.")
        .key(
            "path",
            takes::path(),
            Absent::Is("\"/var/lib/fairban\""),
            "\"/var/lib/fairban\"",
            "its folder",
            |store: &mut StoreConfig, path| store.path = path,
        )
        .key(
            "event_retention",
            takes::duration("1h", "3650d"),
            Absent::Is("\"30d\""),
            "\"30d\"",
            "how long events are kept",
            |store, time| store.event_retention = time,
        )
        .key(
            "block_retention",
            takes::duration("1d", "3650d"),
            Absent::Is("\"365d\""),
            "\"365d\"",
            "how long blocks that have ended, their receipts and the audit are kept",
            |store, time| store.block_retention = time,
        )
}

fn control() -> Section<Control> {
    Section::new("[control]", "The socket by which the other commands reach the daemon.")
        .key(
            "socket",
            takes::path(),
            Absent::Is("\"/run/fairban/control.sock\""),
            "\"/run/fairban/control.sock\"",
            "its path",
            |control: &mut Control, path| control.socket = path,
        )
        .key(
            "group",
            takes::name(32),
            Absent::Means("the daemon's own group"),
            "\"adm\"",
            "the group that owns it: its members may use every command",
            |control, group| control.group = Some(group),
        )
        .key("mode", takes::mode(), Absent::Is("\"0660\""), "\"0660\"", "its permissions", |control, mode| {
            control.mode = mode;
        })
}

fn enforce() -> Section<Enforce> {
    Section::new("[enforce]", "What is done with a block.")
        .key(
            "mode",
            takes::choice(&[("nftables", EnforceMode::Nftables), ("observe", EnforceMode::Observe)]),
            Absent::Is("\"nftables\""),
            "\"observe\"",
            "`\"nftables\"` drops blocked clients in the kernel; `\"observe\"` leaves the kernel alone (mail servers that ask \
             are answered all the same; `fairban run --observe` refuses nobody at all)",
            |enforce: &mut Enforce, mode| enforce.mode = mode,
        )
        .key(
            "ports",
            takes::ports(),
            Absent::Is("[25, 110, 143, 465, 587, 993, 995, 4190]"),
            "[25, 465, 587, 993]",
            "the TCP ports that are closed to a blocked client; keep web ports out, so that a blocked person can still \
             reach the portal",
            |enforce, ports| enforce.ports = ports,
        )
        .key(
            "table",
            takes::name(32),
            Absent::Is("\"fairban\""),
            "\"fairban\"",
            "the name of Fairban's own nftables table (family `inet`); no other table is touched",
            |enforce, table| enforce.table = table,
        )
        .key(
            "priority",
            takes::signed(-400..=400),
            Absent::Is("-10"),
            "-10",
            "the priority of its chain in the input hook; lower runs earlier, and 0 is where most firewalls filter",
            |enforce, priority| enforce.priority = priority,
        )
        .key(
            "reconcile_every",
            takes::duration("10s", "1d"),
            Absent::Is("\"1m\""),
            "\"5m\"",
            "how often the kernel is compared with what should be in it, and mended",
            |enforce, every| enforce.reconcile_every = every,
        )
}
