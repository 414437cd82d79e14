//! A package's whole life on this machine: installed, run as its unit says, upgraded, removed, purged. All of it in
//! namespaces of its own, so that no file and no packet of the machine is touched.

use std::fs;
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::{Group, Uid, User};

use crate::process::{Daemon, find, output, run as announced};

const UNIT: &str = "/lib/systemd/system/fairban.service";
const CONFIG: &str = "/etc/fairban/fairban.toml";
const PATIENCE: Duration = Duration::from_secs(60);
/// Of a unit's exposure from 0 to 100, as systemd counts it, the most that is let through.
const EXPOSURE_MAX: &str = "25";
const MARK: &str = "# kept over an upgrade\n";

/// What is installed is installed over the machine's folders, in memory, and goes with the mount namespace.
const SCRATCH: &str = r#"set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
for name in etc usr var; do
    mkdir "$1/$name" "$1/$name.work"
    mount -t overlay overlay -o "lowerdir=/$name,upperdir=$1/$name,workdir=$1/$name.work" "/$name"
    mountpoint --quiet "/$name"
done
mount -t tmpfs tmpfs /run
rm -rf /var/lib/fairban /etc/fairban
shift
exec "$@""#;

/// Runs the trial where nothing of this machine can be changed: in a mount and a network namespace of its own.
pub(super) fn apart(first: &Path, second: &Path) -> Result<()> {
    ensure!(Uid::effective().is_root(), "installing a package needs root");
    let scratch = tempfile::tempdir()?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "sh", "-c", SCRATCH, "sh"]).arg(scratch.path());
    command
        // By its number: the tests of crates may have put another build of this program in the place of its file.
        .arg(format!("/proc/{}/exe", std::process::id()))
        .args(["package", "--trial"])
        .arg(first.canonicalize()?)
        .arg(second.canonicalize()?);
    let status = command.env("DEBIAN_FRONTEND", "noninteractive").status().context("cannot start `unshare`")?;
    ensure!(status.success(), "the trial of the package failed; it needs overlayfs in the kernel, and util-linux");
    Ok(())
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn fairban(&self, arguments: &[&str]) -> Result<String> {
        output(Command::new("/usr/bin/fairban").args(arguments))
    }

    fn table(&self) -> Result<String> {
        output(Command::new("nft").args(["list", "ruleset"]))
    }

    /// Starts the daemon as the service manager would, and waits until it says that it is ready.
    fn start(&self) -> Result<Daemon> {
        let unit = Unit::read()?;
        let told = self.folder.path().join("notify");
        let _ = fs::remove_file(&told);
        let manager = UnixDatagram::bind(&told)?;
        fs::set_permissions(&told, fs::Permissions::from_mode(0o666))?;
        fs::set_permissions(self.folder.path(), fs::Permissions::from_mode(0o755))?;
        manager.set_read_timeout(Some(PATIENCE))?;
        let user = unit.one("User")?;
        output(
            Command::new("install")
                .args(["-d", "-m", unit.one("RuntimeDirectoryMode")?, "-o", user, "-g", user])
                .arg(Path::new("/run").join(unit.one("RuntimeDirectory")?)),
        )?;
        let capability = unit.one("AmbientCapabilities")?.trim_start_matches("CAP_").to_lowercase();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", user, "--regid", unit.one("Group")?, "--init-groups", "--no-new-privs"]);
        command.args(["--inh-caps", &format!("-all,+{capability}"), "--ambient-caps", &format!("-all,+{capability}")]);
        command.args(["--bounding-set", &format!("-all,+{capability}")]).args(unit.one("ExecStart")?.split(' '));
        command.env("NOTIFY_SOCKET", &told);
        let log = self.folder.path().join("log");
        let daemon = Daemon::start("fairban", &mut command, &log)?;
        let mut message = [0; 256];
        let read = manager.recv(&mut message);
        let said = || fs::read_to_string(&log).unwrap_or_default();
        let read = read.with_context(|| format!("the daemon does not become ready: {}", said()))?;
        let message = String::from_utf8_lossy(&message[..read]);
        ensure!(message.starts_with("READY=1"), "the service manager was told {message:?}: {}", said());
        manager.shutdown(Shutdown::Both)?;
        Ok(daemon)
    }
}

/// The installed unit.
struct Unit(String);

impl Unit {
    fn read() -> Result<Unit> {
        Ok(Unit(fs::read_to_string(UNIT)?))
    }

    fn one(&self, key: &str) -> Result<&str> {
        let value = self.0.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.with_context(|| format!("{UNIT} sets no {key}"))
    }
}

/// The trial itself; to be run [`apart`].
pub(super) fn run(first: &Path, second: &Path) -> Result<()> {
    for tool in ["setpriv", "nft", "adduser"] {
        ensure!(find(tool).is_some(), "there is no {tool}: install util-linux, nftables and adduser");
    }
    ensure!(
        output(Command::new("dpkg").args(["--status", "fairban"])).is_err(),
        "the package fairban is installed here"
    );
    ensure!(User::from_name("fairban")?.is_none(), "there is a user fairban on this machine already");
    let place = Place { folder: tempfile::tempdir()? };
    installed(first)?;
    unit()?;
    let mut daemon = guarding(&place)?;
    upgraded(&place, second, &mut daemon)?;
    let files = output(Command::new("dpkg").args(["--listfiles", "fairban"]))?;
    removed(&place, &mut daemon)?;
    purged(&files)?;
    println!("the package was installed, run, upgraded, removed and purged, and nothing is left");
    Ok(())
}

fn installed(package: &Path) -> Result<()> {
    announced(Command::new("dpkg").arg("--install").arg(package))?;
    ensure!(User::from_name("fairban")?.is_some(), "the package makes no user");
    let groups = output(Command::new("id").args(["-nG", "fairban"]))?;
    ensure!(groups.split_whitespace().any(|group| group == "adm"), "the user cannot read logs: {groups}");
    let mode = fs::metadata(CONFIG)?.permissions().mode() & 0o777;
    ensure!(mode == 0o640, "{CONFIG} has the mode {mode:o}");
    let conffiles = output(Command::new("dpkg-query").args(["--showformat=${Conffiles}", "--show", "fairban"]))?;
    ensure!(conffiles.contains(CONFIG), "{CONFIG} is no conffile");
    ensure!(output(Command::new("dpkg").args(["--verify", "fairban"]))?.trim().is_empty(), "files are not as packaged");
    println!("installed: user, groups, conffile, files");
    Ok(())
}

/// What systemd thinks of the unit, where there is a systemd.
fn unit() -> Result<()> {
    if find("systemd-analyze").is_none() {
        println!("no systemd-analyze here: the unit was not looked at");
        return Ok(());
    }
    announced(Command::new("systemd-analyze").args(["verify", "--man=no", UNIT]))?;
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let said =
        output(Command::new("systemd-analyze").args(["security", "--no-pager", "--offline=true", &threshold, UNIT]))?;
    println!("{}", said.lines().rev().find(|line| line.contains("exposure")).unwrap_or_default());
    Ok(())
}

/// A running daemon with a permanent block in the kernel.
fn guarding(place: &Place) -> Result<Daemon> {
    // Only the kernel's part of the packaged configuration is changed, as an administrator would.
    let text = fs::read_to_string(CONFIG)?.replace("mode = \"observe\"", "mode = \"nftables\"");
    fs::write(CONFIG, format!("{text}{MARK}"))?;
    let daemon = place.start()?;
    println!("{}", place.fairban(&["block", "192.0.2.7", "--permanent", "--reason", "trial"])?.trim());
    ensure!(place.table()?.contains("192.0.2.7"), "the kernel does not know the block");
    Ok(daemon)
}

fn upgraded(place: &Place, package: &Path, daemon: &mut Daemon) -> Result<()> {
    announced(Command::new("dpkg").arg("--install").arg(package))?;
    ensure!(place.table()?.contains("192.0.2.7"), "the upgrade took the block out of the kernel");
    ensure!(fs::read_to_string(CONFIG)?.ends_with(MARK), "the upgrade changed the configuration");
    // Where systemd runs, postinst restarts it.
    daemon.stop()?;
    *daemon = place.start()?;
    let blocks = place.fairban(&["blocks", "--json"])?;
    ensure!(blocks.contains("\"192.0.2.7\""), "the upgrade lost the block: {blocks}");
    ensure!(place.table()?.contains("192.0.2.7"), "the block is not in the kernel after the upgrade");
    let version = output(Command::new("dpkg-query").args(["--showformat=${Version}", "--show", "fairban"]))?;
    println!("upgraded to {version}: the block stands");
    Ok(())
}

fn removed(place: &Place, daemon: &mut Daemon) -> Result<()> {
    // Where systemd runs, prerm stops it.
    daemon.stop()?;
    ensure!(place.table()?.contains("192.0.2.7"), "a stop is no release");
    announced(Command::new("dpkg").args(["--remove", "fairban"]))?;
    ensure!(!place.table()?.contains("fairban"), "the kernel table is left after the removal");
    for path in [CONFIG, "/var/lib/fairban"] {
        ensure!(Path::new(path).exists(), "a removal keeps {path}");
    }
    println!("removed: the kernel table is gone, configuration and state are kept");
    Ok(())
}

fn purged(files: &str) -> Result<()> {
    announced(Command::new("dpkg").args(["--purge", "fairban"]))?;
    let own = files.lines().filter(|path| path.contains("fairban")).map(PathBuf::from);
    let also = ["/etc/fairban", "/var/lib/fairban", "/run/fairban", "/etc/systemd/system/fairban.service"];
    let also = also.into_iter().map(PathBuf::from);
    let left: Vec<PathBuf> = own.chain(also).filter(|path| fs::symlink_metadata(path).is_ok()).collect();
    if !left.is_empty() {
        bail!("a purge leaves {left:?}");
    }
    ensure!(User::from_name("fairban")?.is_none(), "a purge leaves the user");
    ensure!(Group::from_name("fairban")?.is_none(), "a purge leaves the group");
    ensure!(output(Command::new("dpkg").args(["--status", "fairban"])).is_err(), "dpkg still knows the package");
    Ok(())
}
