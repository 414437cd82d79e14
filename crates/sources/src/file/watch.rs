use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use inotify::{Inotify, WatchDescriptor, WatchMask, Watches};
use nix::sys::statfs::{self, FsType};
use tokio::io::unix::AsyncFd;
use tracing::warn;

use super::siblings::folder;

/// Changes of a folder younger than this may share their time with later ones.
const QUIET: Duration = Duration::from_millis(100);

/// Notices of changes, waited for by the driver.
#[derive(Debug)]
pub(crate) struct Notices {
    inotify: AsyncFd<Inotify>,
    buffer: Vec<u8>,
}

impl Notices {
    /// Waits for a change of anything watched. What changed is not told: a look is cheap.
    pub(crate) async fn changed(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.inotify.readable_mut().await?;
            let mut changes = 0;
            loop {
                match ready.get_inner_mut().read_events(&mut self.buffer) {
                    Ok(events) => changes += events.count(),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            ready.clear_ready();
            if changes > 0 {
                return Ok(());
            }
        }
    }
}

/// Says what is to be watched.
pub(crate) struct Watcher {
    watches: Option<Watches>,
    folders: Vec<(PathBuf, WatchDescriptor)>,
    is_reliable: bool,
}

/// Begins to watch; without notices where the system gives none.
pub(crate) fn begin(poll_only: bool) -> (Watcher, Option<Notices>) {
    let inotify = if poll_only { None } else { inotify() };
    let watches = inotify.as_ref().map(|notices| notices.inotify.get_ref().watches());
    let is_reliable = watches.is_some();
    (Watcher { watches, folders: Vec::new(), is_reliable }, inotify)
}

fn inotify() -> Option<Notices> {
    #[expect(
        deprecated,
        reason = "its successor is unsafe for descriptors that change under it, which inotify's never does"
    )]
    match Inotify::init().and_then(AsyncFd::new) {
        Ok(inotify) => Some(Notices { inotify, buffer: vec![0; 16 * 1024] }),
        Err(error) => {
            warn!(%error, "no inotify, looking at logs at intervals instead; raise fs.inotify.max_user_instances");
            None
        }
    }
}

impl Watcher {
    /// Whether a change of the log will be noticed without looking.
    pub(crate) fn is_reliable(&self) -> bool {
        self.is_reliable && !self.folders.is_empty()
    }

    /// Watches an open file, whatever its name becomes.
    pub(crate) fn watch_file(&mut self, file: &File) -> Option<WatchDescriptor> {
        let watches = self.watches.as_mut()?;
        if is_remote(file) {
            self.distrust("the log is on a network or user-space file system");
            return None;
        }
        match watches.add(format!("/proc/self/fd/{}", file.as_raw_fd()), WatchMask::MODIFY | WatchMask::CLOSE_WRITE) {
            Ok(watch) => Some(watch),
            Err(error) => {
                self.distrust(&error.to_string());
                None
            }
        }
    }

    /// Ends watching a file.
    pub(crate) fn unwatch(&mut self, watch: Option<WatchDescriptor>) {
        if let (Some(watches), Some(watch)) = (&mut self.watches, watch) {
            // The kernel ends it by itself when the file is gone.
            let _ = watches.remove(watch);
        }
    }

    /// Watches the folder of the path, and if the path is a symbolic link, the folder that it leads to.
    pub(crate) fn watch_folders(&mut self, path: &Path) {
        let Some(watches) = &mut self.watches else { return };
        let mut wanted = vec![folder(path).to_owned()];
        wanted.extend(std::fs::canonicalize(path).ok().map(|real| folder(&real).to_owned()));
        let mask = WatchMask::CREATE
            | WatchMask::MOVED_TO
            | WatchMask::MOVED_FROM
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR;
        let mut now = Vec::with_capacity(2);
        for folder in wanted {
            // Added again each time: the folder may be another one under the same name; the same one costs little.
            if let Ok(watch) = watches.add(&folder, mask) {
                now.push((folder, watch));
            }
        }
        for (_, watch) in std::mem::take(&mut self.folders) {
            if !now.iter().any(|(_, kept)| *kept == watch) {
                let _ = watches.remove(watch);
            }
        }
        self.folders = now;
    }

    /// Whether the folder has not changed for a moment.
    pub(crate) fn is_folder_quiet(&self, path: &Path) -> bool {
        let changed = std::fs::metadata(folder(path)).and_then(|meta| meta.modified());
        changed.is_ok_and(|changed| SystemTime::now().duration_since(changed).is_ok_and(|since| since > QUIET))
    }

    fn distrust(&mut self, reason: &str) {
        if self.is_reliable {
            warn!(
                reason,
                "changes are not reported, looking at the log at intervals instead; fs.inotify.max_user_watches may be too low"
            );
        }
        self.is_reliable = false;
    }
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("folders", &self.folders).field("is_reliable", &self.is_reliable).finish()
    }
}

/// Whether others may change the file without this kernel knowing.
fn is_remote(file: &File) -> bool {
    // From Linux's magic.h and the file systems' own sources, for those that `nix` does not name: SMB 1, SMB 2, 9P, Ceph.
    const OTHERS: [FsType; 4] = [FsType(0xff53_4d42), FsType(0xfe53_4d42), FsType(0x0102_1997), FsType(0x00c3_6400)];
    let Ok(found) = statfs::fstatfs(file) else { return false };
    let found = found.filesystem_type();
    found == statfs::NFS_SUPER_MAGIC
        || found == statfs::SMB_SUPER_MAGIC
        || found == statfs::FUSE_SUPER_MAGIC
        || OTHERS.contains(&found)
}
