//! The Debian package: built from `packaging/debian`, and tried by installing, upgrading, removing and purging it.

mod build;
mod trial;

use std::path::{Path, PathBuf};

use anyhow::Result;
use build::Compression;

use crate::process::{cargo, run, target};

/// What to build, and what with it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also install it, run it, upgrade, remove and purge it, without touching this machine; needs root.
    #[arg(long)]
    test: bool,
    /// Package this program instead of a release build.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Where packages are written to; `package` in the folder of builds if left out.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What `--test` runs, apart from the machine's own files and network.
    #[arg(long, num_args = 2, value_names = ["FIRST", "SECOND"], hide = true)]
    trial: Vec<PathBuf>,
    /// The version; the workspace's if left out.
    #[arg(long)]
    version: Option<String>,
}

/// The life of a package of this program. It is not compressed: that would take longer than all the rest.
pub(crate) fn try_program(program: &Path) -> Result<()> {
    let (out, version) = (tempfile::tempdir()?, env!("CARGO_PKG_VERSION"));
    let first = build::build(program, version, out.path(), Compression::None)?;
    let later = build::build(program, &format!("{version}+next"), out.path(), Compression::None)?;
    trial::apart(&first, &later)
}

pub(crate) fn package(args: &Args) -> Result<()> {
    if let [first, second] = args.trial.as_slice() {
        return trial::run(first, second);
    }
    let program = match &args.program {
        Some(program) => program.canonicalize()?,
        None => {
            run(cargo().args(["build", "--release", "--locked", "--package", "fairban"]))?;
            target().join("release/fairban")
        }
    };
    let out = args.out.clone().unwrap_or_else(|| target().join("package"));
    let version = args.version.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"));
    let built = build::build(&program, version, &out, Compression::Xz)?;
    println!("built {}", built.display());
    if args.test {
        // Later than any version that ends the same way.
        let later = build::build(&program, &format!("{version}+next"), &out, Compression::None)?;
        trial::apart(&built, &later)?;
    }
    Ok(())
}
