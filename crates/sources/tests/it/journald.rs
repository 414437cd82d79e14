//! The journal: through a stand-in for `journalctl` that replays the export format, and through the real one where it
//! and `systemd-journal-remote` are installed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fairban_sources::{Cursor, SourceError, SourceSpec, Start, Tuning};

use crate::receiver::{Receiver, brisk};

fn entry(number: u64, message: &[u8]) -> Vec<u8> {
    let mut entry = format!(
        "__CURSOR=s=0123456789abcdef0123456789abcdef;i={number:x}\n__REALTIME_TIMESTAMP={}\n_HOSTNAME=mx1\n\
         SYSLOG_IDENTIFIER=postfix/smtpd\n_PID=77\nMESSAGE",
        1_795_288_325_123_456 + number
    )
    .into_bytes();
    if message.contains(&b'\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(message.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(message);
    entry.extend_from_slice(b"\n\n");
    entry
}

/// A program in place of `journalctl`.
fn program(folder: &Path, script: &str) -> PathBuf {
    let path = folder.join("journalctl");
    fs::write(&path, format!("#!/bin/sh\ncd '{}'\n{script}\n", folder.display())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn journal(journalctl: PathBuf, start: Start) -> Receiver {
    let tuning = Tuning { journalctl, ..brisk() };
    Receiver::start(SourceSpec::Journald { units: vec!["postfix@-.service".to_owned()] }, start, tuning, 4)
}

#[tokio::test]
async fn entries_become_lines_and_a_dead_child_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("first"), [entry(1, b"one"), entry(2, b"two\nforged")].concat()).unwrap();
    fs::write(dir.path().join("second"), entry(3, b"three")).unwrap();
    // Dies after the first entries, and in the middle of one; when asked for what comes after, gives the rest.
    let script = "echo \"$@\" >>asked\ncase \"$*\" in\n*i=2*) cat second; exec sleep 600 ;;\n*) cat first; printf \
                  '__CURSOR=x\\nMESS'; echo 'out of luck' >&2; exit 1 ;;\nesac";
    let mut receiver = journal(program(dir.path(), script), Start::End);
    assert_eq!(
        receiver.lines(3).await,
        [
            "2026-11-21T19:12:05.123457+00:00 mx1 postfix/smtpd[77]: one",
            "2026-11-21T19:12:05.123458+00:00 mx1 postfix/smtpd[77]: two forged",
            "2026-11-21T19:12:05.123459+00:00 mx1 postfix/smtpd[77]: three",
        ]
    );
    assert_eq!(receiver.cursor, Some(Cursor::Journald("s=0123456789abcdef0123456789abcdef;i=3".to_owned())));
    receiver.stop().await;
    let asked = fs::read_to_string(dir.path().join("asked")).unwrap();
    let asked: Vec<&str> = asked.lines().collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(
        asked[0].contains("--follow")
            && asked[0].contains("--lines=0")
            && asked[0].contains("--unit=postfix@-.service")
    );
    assert!(asked[1].contains("--after-cursor=s=0123456789abcdef0123456789abcdef;i=2"));
}

#[tokio::test]
async fn without_journalctl_the_error_says_what_to_do() {
    let receiver = journal("/nonexistent/journalctl".into(), Start::End);
    let error = receiver.task.await.unwrap().unwrap_err();
    assert!(matches!(error, SourceError::NoJournalctl { .. }));
    assert!(error.to_string().contains("name log files as sources instead"), "{error}");
}

const REMOTE: &str = "/lib/systemd/systemd-journal-remote";

/// Writes a real journal file; `None` where the programs for it are not installed.
fn real_journal(folder: &Path, entries: &[u8]) -> Option<PathBuf> {
    let file = folder.join("real.journal");
    Command::new("journalctl").arg("--version").stdout(Stdio::null()).status().ok()?;
    let mut writer = Command::new(REMOTE)
        .arg(format!("--output={}", file.display()))
        .args(["--split-mode=none", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    std::io::Write::write_all(&mut writer.stdin.take()?, entries).unwrap();
    assert!(writer.wait().unwrap().success());
    Some(file)
}

fn real_entry(number: u64, message: &[u8]) -> Vec<u8> {
    let boot = "_BOOT_ID=0123456789abcdef0123456789abcdef\n";
    let cursor_end = entry(number, message).iter().position(|byte| *byte == b'\n').unwrap() + 1;
    [format!("{boot}__MONOTONIC_TIMESTAMP={number}\n").as_bytes(), &entry(number, message)[cursor_end..]].concat()
}

#[tokio::test]
async fn the_real_journalctl_is_understood() {
    let dir = tempfile::tempdir().unwrap();
    let entries: Vec<u8> =
        [(1, &b"one"[..]), (2, b"two\nforged"), (3, b"three")].iter().flat_map(|(n, m)| real_entry(*n, m)).collect();
    let Some(file) = real_journal(dir.path(), &entries) else {
        println!("skipped: journalctl or {REMOTE} is not installed");
        return;
    };
    // The real program on that file; no unit wrote it.
    let script = format!(
        "for word; do shift; case \"$word\" in --unit=*) ;; *) set -- \"$@\" \"$word\" ;; esac; done\n\
         exec /usr/bin/journalctl --file '{}' \"$@\"",
        file.display()
    );
    let program = program(dir.path(), &script);
    let mut receiver = journal(program.clone(), Start::Beginning);
    let lines = receiver.lines(3).await;
    assert_eq!(lines[1], "2026-11-21T19:12:05.123458+00:00 mx1 postfix/smtpd[77]: two forged");
    assert!(matches!(receiver.stop().await, Some(Cursor::Journald(_))));
    // Go on after the first.
    let output = Command::new("/usr/bin/journalctl")
        .args(["--quiet", "--output=export", "--lines=1", "--reverse", "--file"])
        .arg(&file)
        .arg("--until=@1795288325.123457")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let cursor = text.lines().find_map(|line| line.strip_prefix("__CURSOR=")).unwrap().to_owned();
    let mut receiver = journal(program, Start::Cursor(Cursor::Journald(cursor)));
    assert_eq!(receiver.lines(2).await, lines[1..]);
    receiver.stop().await;
}
