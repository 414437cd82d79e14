//! Files of others, written whole or not at all, with owner and mode kept.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, Uid, access};

/// The folder that a file is in, and its own place behind symbolic links.
fn place(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What would keep the file from being written.
pub(super) fn obstacle(path: &Path) -> Option<String> {
    let path = place(path);
    let folder = folder(&path);
    if let Err(error) = access(folder, AccessFlags::W_OK | AccessFlags::X_OK) {
        return Some(format!("cannot write {}: its folder: {}", path.display(), error.desc()));
    }
    let owner = fs::metadata(&path).ok().map(|metadata| metadata.uid())?;
    let me = Uid::effective();
    let is_mine = me.is_root() || me.as_raw() == owner;
    (!is_mine).then(|| format!("cannot write {}: it belongs to somebody else", path.display()))
}

/// The number of a group.
pub(super) fn group(name: &str) -> Option<u32> {
    nix::unistd::Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw())
}

/// Whether anybody on this machine may read it.
pub(super) fn is_for_everybody(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
}

/// Writes a file. A new one gets the mode and the group; one that is there keeps its own.
pub(super) fn write(path: &Path, text: &str, mode: u32, group_name: Option<&str>) -> io::Result<()> {
    let path = place(path);
    let mut new = tempfile::Builder::new().prefix(".fairban-setup-").tempfile_in(folder(&path))?;
    new.write_all(text.as_bytes())?;
    match fs::metadata(&path) {
        Ok(old) => {
            keep_owner(new.as_file(), &old)?;
            new.as_file().set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
        }
        Err(_) => {
            if let Some(gid) = group_name.and_then(group) {
                fchown(new.as_file(), None, Some(gid))?;
            }
            new.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        }
    }
    new.as_file().sync_all()?;
    new.persist(&path).map_err(|error| error.error)?;
    sync(folder(&path))
}

fn keep_owner(new: &File, old: &fs::Metadata) -> io::Result<()> {
    let made = new.metadata()?;
    if (made.uid(), made.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    fchown(new, Some(old.uid()), Some(old.gid()))
}

/// Takes a file away.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    sync(folder(path))
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_and_links_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        write(&file, "one", 0o640, None).unwrap();
        assert_eq!(mode(&file), 0o640);
        std::os::unix::fs::symlink(&file, &link).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();
        write(&link, "two", 0o600, None).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((fs::read_to_string(&file).unwrap().as_str(), mode(&file)), ("two", 0o604));
        assert!(is_for_everybody(&file));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left behind");
        assert_eq!(obstacle(&file), None);
        assert!(obstacle(&folder.path().join("no/file")).is_some_and(|why| why.contains("no/file")));
    }
}
