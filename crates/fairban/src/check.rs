//! `fairban check`: the configuration, and every part that it names, tried.

use std::path::Path;
use std::process::ExitCode;

use fairban_config::{Config, EnforceMode, SourceConfig};
use fairban_enforce::{Layout, Nftables};
use fairban_parse::Formats;
use fairban_sources::{SourceSpec, probe};

use crate::cli::CheckArgs;
use crate::show;

struct Report {
    problems: u32,
}

impl Report {
    fn good(&self, text: &str) {
        println!("  ok       {}", show::safe_line(text));
    }

    fn note(&self, text: &str) {
        println!("  note     {}", show::safe_line(text));
    }

    fn bad(&mut self, text: &str) {
        self.problems += 1;
        println!("  PROBLEM  {}", show::safe_line(text));
    }
}

pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let mut config = match crate::lines::config(args.config.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            println!("{}", show::safe(&format!("{error:#}")));
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut report = Report { problems: 0 };
    let name = args.config.as_deref().map_or("built-in defaults".to_owned(), |path| path.display().to_string());
    report.good(&format!("{name}: profile {}, {} rules", config.policy.profile, config.policy.rules.len()));
    for warning in &config.warnings {
        report.note(&warning.to_string());
    }
    for rule in &config.policy.rules {
        report.good(&format!("rule {}: {}", rule.name, rule.in_words()));
    }
    formats(&config, &mut report);
    if config.sources.is_empty() {
        config.sources = crate::daemon::machine_logs();
        report.note("no [[source]] is named: this machine's own mail logs are read");
    }
    sources(&config, &mut report);
    folder(&config.store.path, "[store] path", &mut report);
    if let Some(folder_of_socket) = config.control.socket.parent() {
        folder(folder_of_socket, "[control] socket", &mut report);
    }
    kernel(&config, &mut report);
    println!("{}", if report.problems == 0 { "everything is in order" } else { "not everything is in order" });
    Ok(if report.problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn formats(config: &Config, report: &mut Report) {
    let formats = match Formats::compile(&config.formats) {
        Ok(formats) => formats,
        Err(error) => return report.bad(&error.to_string()),
    };
    for example in formats.run_examples() {
        match example.found {
            Some(found) if found == example.expected => report.good(&format!("format {}: its example {} is read as it should be", example.format, example.line)),
            Some(found) => report.bad(&format!(
                "format {}: its example {} gives {found}, not {}",
                example.format, example.line, example.expected
            )),
            None => report.bad(&format!("format {}: its example {} does not match", example.format, example.line)),
        }
    }
}

fn sources(config: &Config, report: &mut Report) {
    if config.sources.is_empty() {
        report.bad("no mail log was found: name one with [[source]] file = \"/var/log/mail.log\"");
    }
    for source in &config.sources {
        let spec = match source {
            SourceConfig::File { path } => SourceSpec::File(path.clone()),
            SourceConfig::Journald { units } => SourceSpec::Journald { units: units.clone() },
            SourceConfig::Syslog { .. } | SourceConfig::Stdin => continue,
        };
        match probe(&spec) {
            Ok(()) => report.good(&format!("source {spec} can be read")),
            Err(error) => report.bad(&format!("source {spec}: {error}")),
        }
    }
}

/// Whether a folder is there and can be written, or can be made.
fn folder(path: &Path, key: &str, report: &mut Report) {
    let mut nearest = path;
    while !nearest.exists() {
        match nearest.parent() {
            Some(parent) => nearest = parent,
            None => break,
        }
    }
    match nix::unistd::access(nearest, nix::unistd::AccessFlags::W_OK) {
        Ok(()) if nearest == path => report.good(&format!("{key}: {} can be written", path.display())),
        Ok(()) => report.good(&format!("{key}: {} will be made", path.display())),
        Err(error) => report.bad(&format!("{key}: {} cannot be written: {error}", nearest.display())),
    }
}

fn kernel(config: &Config, report: &mut Report) {
    if config.enforce.mode == EnforceMode::Observe {
        return report.note("[enforce] mode is observe: blocks are recorded, nothing is dropped");
    }
    let layout = Layout {
        table: config.enforce.table.clone(),
        ports: config.enforce.ports.clone(),
        priority: config.enforce.priority,
        ..Layout::default()
    };
    match Nftables::open(layout) {
        Ok(_) => report.good("the kernel can be told whom to block"),
        Err(error) => report.bad(&format!("[enforce] mode: {error}; the daemon would go on in observe")),
    }
}
