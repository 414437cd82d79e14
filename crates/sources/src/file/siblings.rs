use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::anchor;

/// More rotated files than this in a folder are not looked at.
const SIBLINGS_MAX: usize = 1024;

/// A file that bears a rotated name of a log.
#[derive(Debug)]
pub(crate) struct Sibling {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) meta: Metadata,
    pub(crate) head: Vec<u8>,
}

/// The folder of a path.
pub(crate) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Opens the rotated files of a log: plain, not compressed, not empty.
pub(crate) fn siblings(path: &Path) -> Vec<Sibling> {
    let Some(name) = path.file_name() else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir(folder(path)) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| is_rotated(name, &entry.file_name()))
        .take(SIBLINGS_MAX)
        .filter_map(|entry| open(entry.path()))
        .collect()
}

fn open(path: PathBuf) -> Option<Sibling> {
    let file = open_log(&path).ok()?;
    let meta = file.metadata().ok()?;
    let head = if meta.is_file() { anchor::head(&file).ok()? } else { return None };
    let usable = !head.is_empty() && !is_compressed(&head);
    usable.then_some(Sibling { path, file, meta, head })
}

/// Opens for reading, without getting stuck where a pipe bears the name.
pub(crate) fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC).open(path)
}

/// Whether `other` is how a rotated `name` is called: `mail.log.1`, `mail.log-20261121`, `mail.log.old`, or with the
/// number before the ending, `mail-20261121.log`.
fn is_rotated(name: &OsStr, other: &OsStr) -> bool {
    let (name, other) = (name.as_bytes(), other.as_bytes());
    let is_number = |rest: &[u8]| match rest {
        [b'.' | b'-' | b'_', rest @ ..] => {
            rest.iter().any(u8::is_ascii_digit)
                && rest.iter().all(|byte| byte.is_ascii_digit() || b"-_.:T".contains(byte))
        }
        _ => false,
    };
    if let Some(rest) = other.strip_prefix(name) {
        return is_number(rest) || rest == b".old";
    }
    let Some(dot) = memchr::memrchr(b'.', name).filter(|dot| *dot > 0) else { return false };
    let (stem, ending) = name.split_at(dot);
    other.strip_prefix(stem).and_then(|rest| rest.strip_suffix(ending)).is_some_and(is_number)
}

fn is_compressed(head: &[u8]) -> bool {
    const MAGIC: [&[u8]; 6] =
        [b"\x1f\x8b", b"\x1f\x9d", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"];
    MAGIC.iter().any(|magic| head.starts_with(magic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names() {
        for (name, other, expected) in [
            ("mail.log", "mail.log.1", true),
            ("mail.log", "mail.log.0", true),
            ("mail.log", "mail.log-20261121", true),
            ("mail.log", "mail.log.2026-11-21T10:00:00", true),
            ("mail.log", "mail.log.old", true),
            ("mail.log", "mail-20261121.log", true),
            ("mail.log", "mail.1.log", true),
            ("mail.log", "mail.log", false),
            ("mail.log", "mail.log.1.gz", false),
            ("mail.log", "mail.log.bak", false),
            ("mail.log", "mail.log1", false),
            ("mail.log", "mail.log.", false),
            ("mail.log", "mail-errors.log", false),
            ("maillog", "maillog-20261121", true),
            (".log", "1.log", false),
        ] {
            assert_eq!(is_rotated(OsStr::new(name), OsStr::new(other)), expected, "{name} {other}");
        }
    }
}
