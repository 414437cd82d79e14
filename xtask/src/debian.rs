//! Debian packages that tests need.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::unistd::Uid;

use crate::process::{find, output, run, target};

/// What the lab is made of.
pub(crate) const LAB: [&str; 16] = [
    "chromium",
    "curl",
    "dovecot-imapd",
    "dovecot-managesieved",
    "dovecot-pop3d",
    "iproute2",
    "libcap2-bin",
    "libfaketime",
    "libnet-ssleay-perl",
    "nftables",
    "openssl",
    "postfix",
    "python3",
    "redis-server",
    "swaks",
    "util-linux",
];

/// Installs those that are missing. Starts none of their services.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let mut missing = missing(packages)?;
    // Those who have Node.js seldom have Debian's.
    missing.extend(["nodejs", "npm"].into_iter().filter(|_| find("node").is_none() || find("npm").is_none()));
    if missing.is_empty() {
        return Ok(());
    }
    ensure!(
        Uid::effective().is_root(),
        "these Debian packages are missing: {0}\ninstall them with: sudo apt-get install --no-install-recommends {0}",
        missing.iter().copied().collect::<Vec<_>>().join(" ")
    );
    if missing.contains("postfix") {
        // Without this the package asks questions, and begins to serve.
        preseed("postfix postfix/main_mailer_type select No configuration\n")?;
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["--yes", "--quiet=2", "-o", "DPkg::Lock::Timeout=120"]).args(arguments);
        command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(Stdio::null());
        command
    };
    run(&mut apt(&["update"]))?;
    run(apt(&["install", "--no-install-recommends"]).args(&missing))
}

fn missing<'a>(packages: &[&'a str]) -> Result<BTreeSet<&'a str>> {
    ensure!(find("dpkg-query").is_some(), "the tests' servers come as Debian packages, and this is no Debian system");
    let listed = Command::new("dpkg-query")
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\n"])
        .args(packages)
        .stderr(Stdio::null())
        .output()?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let installed: BTreeSet<&str> = listed.lines().filter_map(|line| line.strip_suffix(" installed")).collect();
    Ok(packages.iter().copied().filter(|package| !installed.contains(package)).collect())
}

fn preseed(answers: &str) -> Result<()> {
    let mut child = Command::new("debconf-set-selections").stdin(Stdio::piped()).spawn()?;
    child.stdin.take().context("no standard input")?.write_all(answers.as_bytes())?;
    ensure!(child.wait()?.success(), "debconf-set-selections failed");
    Ok(())
}

/// Unpacks a package that cannot be installed beside the others, and returns the folder that it is in.
pub(crate) fn unpack(package: &str) -> Result<PathBuf> {
    let dir = target().join("unpacked").join(package);
    if dir.exists() {
        return Ok(dir);
    }
    let download = tempfile::tempdir()?;
    output(Command::new("apt-get").args(["download", package]).current_dir(download.path()))?;
    let file = fs::read_dir(download.path())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .with_context(|| format!("apt-get has not downloaded {package}"))?;
    fs::create_dir_all(&dir)?;
    output(Command::new("dpkg").arg("--extract").arg(file).arg(&dir))?;
    Ok(dir)
}
