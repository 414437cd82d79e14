//! Files into a package.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process::{find, output, root, run};

/// Where shells look for completions.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/fairban"),
    ("zsh", "usr/share/zsh/vendor-completions/_fairban"),
    ("fish", "usr/share/fish/vendor_completions.d/fairban.fish"),
];

/// How a package's files are packed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Compression {
    /// Small, for people.
    Xz,
    /// At once, for tests.
    None,
}

/// Builds the package of a program, and returns the file.
pub(super) fn build(program: &Path, version: &str, out: &Path, compression: Compression) -> Result<PathBuf> {
    for tool in ["dpkg-deb", "dpkg-shlibdeps", "strip", "gzip"] {
        ensure!(find(tool).is_some(), "there is no {tool}: install dpkg-dev and binutils");
    }
    let folder = tempfile::tempdir()?;
    let tree = folder.path().join("tree");
    let sources = root().join("packaging/debian");
    put(program, &tree.join("usr/bin/fairban"), 0o755)?;
    run(Command::new("strip").arg(tree.join("usr/bin/fairban")))?;
    put(&sources.join("fairban.service"), &tree.join("lib/systemd/system/fairban.service"), 0o644)?;
    put(&sources.join("fairban.toml"), &tree.join("etc/fairban/fairban.toml"), 0o644)?;
    documents(&tree, &sources)?;
    generated(program, &tree)?;
    control(&tree, &sources, folder.path(), version)?;
    let architecture = architecture()?;
    let compression = match compression {
        Compression::Xz => "-Zxz",
        Compression::None => "-Znone",
    };
    fs::create_dir_all(out)?;
    let file = out.join(format!("fairban_{version}_{architecture}.deb"));
    run(Command::new("dpkg-deb").args(["--root-owner-group", compression, "--build"]).arg(&tree).arg(&file))?;
    Ok(file)
}

fn architecture() -> Result<String> {
    Ok(output(Command::new("dpkg").arg("--print-architecture"))?.trim().to_owned())
}

/// Copies a file, making its folders.
fn put(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let text = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    write(to, &text, mode)
}

fn write(to: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let folder = to.parent().context("a file is in a folder")?;
    fs::create_dir_all(folder)?;
    fs::write(to, bytes).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(mode))?)
}

fn documents(tree: &Path, sources: &Path) -> Result<()> {
    let folder = tree.join("usr/share/doc/fairban");
    put(&sources.join("copyright"), &folder.join("copyright"), 0o644)?;
    for name in ["README.md", "LICENSE-MIT"] {
        put(&root().join(name), &folder.join(name), 0o644)?;
    }
    for name in ["configuration.md", "operating.md", "coming-from.md", "packaging.md"] {
        put(&root().join("docs").join(name), &folder.join(name), 0o644)?;
    }
    put(&root().join("CHANGELOG.md"), &folder.join("changelog"), 0o644)?;
    compress(&folder.join("changelog"))
}

/// What the program writes about itself.
fn generated(program: &Path, tree: &Path) -> Result<()> {
    let folder = tree.join("usr/share/man/man1");
    output(Command::new(program).arg("man").arg(&folder))?;
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
        compress(&path)?;
    }
    for (shell, place) in COMPLETIONS {
        let script = output(Command::new(program).args(["completions", shell]))?;
        write(&tree.join(place), script.as_bytes(), 0o644)?;
    }
    Ok(())
}

/// Without name and time, so that the same contents give the same file.
fn compress(path: &Path) -> Result<()> {
    output(Command::new("gzip").args(["-9", "-n"]).arg(path)).map(drop)
}

fn control(tree: &Path, sources: &Path, scratch: &Path, version: &str) -> Result<()> {
    // Umasks differ from one developer to the next.
    let folders = output(Command::new("find").arg(tree).args(["-type", "d"]))?;
    for folder in folders.lines() {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    }
    let folder = tree.join("DEBIAN");
    let sums = "find . -type f ! -path './DEBIAN/*' -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 md5sum";
    let sums = output(Command::new("sh").args(["-c", sums]).current_dir(tree))?;
    let size = output(Command::new("du").args(["-sk", "--apparent-size"]).arg(tree))?;
    let size = size.split_whitespace().next().context("du says a size")?;
    let text = fs::read_to_string(sources.join("control"))?
        .replace("@VERSION@", version)
        .replace("@ARCHITECTURE@", &architecture()?)
        .replace("@SIZE@", size)
        .replace("@DEPENDS@", &libraries(&tree.join("usr/bin/fairban"), scratch)?);
    write(&folder.join("control"), text.as_bytes(), 0o644)?;
    write(&folder.join("md5sums"), sums.as_bytes(), 0o644)?;
    put(&sources.join("conffiles"), &folder.join("conffiles"), 0o644)?;
    for script in ["postinst", "prerm", "postrm"] {
        put(&sources.join(script), &folder.join(script), 0o755)?;
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).map_err(Into::into)
}

/// The packages of the libraries that the program loads, in the versions that it needs.
fn libraries(program: &Path, scratch: &Path) -> Result<String> {
    fs::create_dir_all(scratch.join("debian"))?;
    fs::write(scratch.join("debian/control"), "Source: fairban\n\nPackage: fairban\nArchitecture: any\n")?;
    let said = output(Command::new("dpkg-shlibdeps").arg("-O").arg(program).current_dir(scratch))?;
    let depends = said.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    Ok(depends.context("dpkg-shlibdeps names no packages")?.to_owned())
}
