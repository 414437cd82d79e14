//! Which mail servers are here, and how they are configured. Looks, and changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::dovecot::{self, Dovecot};
use super::exim::{Debian, Exim};
use super::plan::Server;
use super::postfix::{self, Postfix};
use super::program::{assignments, find, run};
use crate::cli::SetupArgs;

/// What is here.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) postfix: Option<Postfix>,
    pub(super) dovecot: Option<Dovecot>,
    pub(super) exim: Option<Exim>,
    /// Servers that are not set up, and why.
    pub(super) missing: Vec<(Server, String)>,
}

/// Looks for the servers.
pub(super) fn discover(args: &SetupArgs) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let is_wanted = |server| args.only.is_empty() || args.only.contains(&server);
    let mut missing = Vec::new();
    if is_wanted(Server::Postfix) {
        found.postfix = sort(Server::Postfix, postfix(args.postfix_dir.as_deref())?, &mut missing);
    }
    if is_wanted(Server::Dovecot) {
        found.dovecot = sort(Server::Dovecot, dovecot(args.dovecot_conf.as_deref())?, &mut missing);
    }
    if is_wanted(Server::Exim) {
        found.exim = sort(Server::Exim, exim(args.exim_conf.as_deref())?, &mut missing);
    }
    found.missing = missing;
    Ok(found)
}

fn sort<T>(server: Server, found: Result<T, String>, missing: &mut Vec<(Server, String)>) -> Option<T> {
    found.map_err(|why| missing.push((server, why))).ok()
}

/// A file's text; `None` if there is none.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(anyhow::anyhow!("no permission to read {}: run `fairban setup` as root", path.display()))
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()))
}

fn postfix(folder: Option<&Path>) -> anyhow::Result<Result<Postfix, String>> {
    let Some(postconf) = find(&["postconf"]) else { return Ok(Err("is not installed here".to_owned())) };
    let folder = match folder {
        Some(folder) => absolute(folder)?,
        None => PathBuf::from(run(&postconf, ["-d", "-h", "config_directory"]).out.trim()),
    };
    let (Some(main_cf), Some(master_cf)) = (read(&folder.join("main.cf"))?, read(&folder.join("master.cf"))?) else {
        return Ok(Err(format!("is installed, but not configured: {} has no main.cf and master.cf", folder.display())));
    };
    let conf = folder.display().to_string();
    let said = run(&postconf, ["-c", &conf, "-x"].into_iter().chain(postfix::PARAMETERS));
    if !said.is_good {
        anyhow::bail!("Postfix's configuration is not right already, mend it first: {}", said.complaint());
    }
    let version = run(&postconf, ["-d", "-h", "mail_version"]).out.trim().to_owned();
    Ok(Ok(Postfix { folder, version, main_cf, master_cf, values: assignments(&said.out).collect() }))
}

fn dovecot(conf: Option<&Path>) -> anyhow::Result<Result<Dovecot, String>> {
    let Some(doveconf) = find(&["doveconf"]) else { return Ok(Err("is not installed here".to_owned())) };
    let named = conf.map(absolute).transpose()?.map(|conf| conf.display().to_string());
    let which: Vec<&str> = named.as_deref().map_or(Vec::new(), |conf| vec!["-c", conf]);
    let said = run(&doveconf, which.iter().copied().chain(["-n"]));
    if !said.is_good {
        anyhow::bail!("Dovecot's configuration is not right already, mend it first: {}", said.complaint());
    }
    // Its first line: "# 2.3.19.1 (9b53102964): /etc/dovecot/dovecot.conf".
    let first = said.out.lines().next().unwrap_or_default();
    let version = first.trim_start_matches("# ").split(' ').next().unwrap_or_default().to_owned();
    let place = first.split_once(": ").map_or("", |(_, place)| place.trim());
    let conf = PathBuf::from(named.as_deref().unwrap_or(place));
    let Some(text) = read(&conf)? else { return Ok(Err(format!("has no {}", conf.display()))) };
    let own = read(&conf.with_file_name(dovecot::OWN))?;
    let mut found = Dovecot { conf, version, text, own, values: BTreeMap::new() };
    let of_2_3: &[&str] = if found.is_2_4() { &[] } else { &dovecot::SETTINGS_2_3 };
    let names = dovecot::SETTINGS.iter().chain(of_2_3).copied();
    let values = run(&doveconf, which.iter().copied().chain(["-P"]).chain(names));
    found.values = assignments(&values.out).collect();
    Ok(Ok(found))
}

fn exim(conf: Option<&Path>) -> anyhow::Result<Result<Exim, String>> {
    let Some(program) = find(&["exim4", "exim"]) else { return Ok(Err("is not installed here".to_owned())) };
    let named = conf.map(absolute).transpose()?.map(|conf| conf.display().to_string());
    let which: Vec<&str> = named.as_deref().map_or(Vec::new(), |conf| vec!["-C", conf]);
    let said = run(&program, which.iter().copied().chain(["-bV"]));
    if !said.is_good {
        anyhow::bail!("Exim's configuration is not right already, mend it first: {}", said.complaint());
    }
    let word_after = |begin: &str| said.out.lines().find_map(|line| line.strip_prefix(begin)).map(str::trim);
    let version = word_after("Exim version ").and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned();
    let place = named.as_deref().or_else(|| word_after("Configuration file is ")).unwrap_or_default();
    let Some(text) = read(Path::new(place))? else { return Ok(Err(format!("has no {place}"))) };
    let acl = run(&program, which.iter().copied().chain(["-bP", "acl_smtp_rcpt"]));
    let acl = assignments(&acl.out).next().map(|(_, acl)| acl).unwrap_or_default();
    let debian = debian(Path::new(place), Path::new("/etc/exim4"))?;
    Ok(Ok(Exim { conf: place.into(), version, acl, text, debian }))
}

/// Debian's places for macros, if this file was generated from them.
fn debian(conf: &Path, folder: &Path) -> anyhow::Result<Option<Debian>> {
    if !conf.ends_with("config.autogenerated") {
        return Ok(None);
    }
    let Some(settings) = read(&folder.join("update-exim4.conf.conf"))? else { return Ok(None) };
    let is_split = settings.lines().any(|line| line.replace(['\'', '"'], "") == "dc_use_split_config=true");
    let macros = folder.join(if is_split { "conf.d/main/000_fairban" } else { "exim4.conf.localmacros" });
    let mut debian = Debian { folder: folder.to_owned(), macros, macros_text: None, acl_text: None };
    debian.macros_text = read(&debian.macros)?;
    debian.acl_text = read(&debian.acl())?;
    Ok(Some(debian))
}
