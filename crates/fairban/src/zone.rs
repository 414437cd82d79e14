//! The time zone of this machine.

use std::sync::OnceLock;

use jiff::tz::TimeZone;

/// The zone in which this machine's logs are written and its times are shown. Where `/etc/localtime` says all, the
/// database of zones is not searched for its name, which takes longer than reading many thousand lines.
pub(crate) fn of_machine() -> TimeZone {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    let file = || TimeZone::tzif("machine", &std::fs::read("/etc/localtime").ok()?).ok();
    let found = || {
        let zone = if std::env::var_os("TZ").is_none() { file() } else { None };
        zone.unwrap_or_else(TimeZone::system)
    };
    ZONE.get_or_init(found).clone()
}
