//! `fairban check`: the configuration, and every part that it names, tried.

use std::path::Path;
use std::process::ExitCode;

use fairban_config::{Config, Control, EnforceMode};
use fairban_enforce::{Explain, Nftables};
use fairban_parse::Formats;
use fairban_sources::{SourceSpec, probe};

use crate::cli::CheckArgs;
use crate::show;
use crate::terminal::{self, Tone, tone};

#[derive(Default)]
struct Report {
    lines: Vec<(&'static str, String, Tone)>,
    problems: usize,
}

impl Report {
    fn good(&mut self, text: &str) {
        self.lines.push(("ok", show::safe_line(text), Tone::Good));
    }

    fn note(&mut self, text: &str) {
        self.lines.push(("note", show::safe_line(text), Tone::Quiet));
    }

    fn bad(&mut self, text: &str) {
        self.problems += 1;
        self.lines.push(("PROBLEM", show::safe_line(text), Tone::Alarm));
    }

    fn write(&self) -> std::io::Result<()> {
        for (mark, text, how) in &self.lines {
            terminal::line(&format!("  {}  {text}", tone(&format!("{mark:<7}"), *how)))?;
        }
        match self.problems {
            0 => terminal::line("Everything is in order."),
            count => terminal::line(&format!("{} to solve.", show::counted(count, "problem"))),
        }
    }
}

pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let mut config = match crate::lines::config(args.config.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            terminal::line(&show::safe(&show::error(&error)))?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut report = Report::default();
    let name = args.config.as_deref().map_or("built-in defaults".to_owned(), |path| path.display().to_string());
    let rules = show::counted(config.policy.rules.len(), "rule");
    report.good(&format!("{name}: profile {}, {rules}", config.policy.profile));
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
    control(&config.control, &mut report);
    explainer(&config, &mut report);
    kernel(&config, &mut report);
    report.write()?;
    Ok(if report.problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn control(control: &Control, report: &mut Report) {
    if let Some(parent) = control.socket.parent() {
        folder(parent, "[control] socket", report);
    }
    if let Some(name) = &control.group
        && !matches!(nix::unistd::Group::from_name(name), Ok(Some(_)))
    {
        report.bad(&format!("[control] group: there is no group '{name}' on this machine"));
    }
}

fn formats(config: &Config, report: &mut Report) {
    let formats = match Formats::compile(&config.formats) {
        Ok(formats) => formats,
        Err(error) => return report.bad(&error.to_string()),
    };
    for example in formats.run_examples() {
        let which = format!("format {}: its example {}", example.format, example.line);
        match example.found {
            Some(found) if found == example.expected => report.good(&format!("{which} is read as it should be")),
            Some(found) => report.bad(&format!("{which} gives {found}, not {}", example.expected)),
            None => report.bad(&format!("{which} does not match")),
        }
    }
}

fn sources(config: &Config, report: &mut Report) {
    if config.sources.is_empty() {
        report.bad("no mail log was found: name one with [[source]] file = \"/var/log/mail.log\"");
    }
    for source in &config.sources {
        let spec = crate::daemon::source_spec(source);
        if matches!(spec, SourceSpec::Syslog(_) | SourceSpec::Stdin) {
            continue;
        }
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

fn explainer(config: &Config, report: &mut Report) {
    let Some(certificate) = crate::daemon::explainer_certificate(config) else { return };
    match certificate.check() {
        Ok(()) => report.good("[explain] certificate and key can be read and belong together"),
        Err(error) => report.bad(&format!("[explain] certificate: {error}")),
    }
}

fn kernel(config: &Config, report: &mut Report) {
    if config.enforce.mode == EnforceMode::Observe {
        return report.note("[enforce] mode is observe: blocks are recorded, nothing is dropped");
    }
    let layout = crate::daemon::layout(&config.enforce);
    if config.explain.enabled {
        let (port, per_minute) = (config.explain.port, config.explain.connections_per_minute);
        match crate::daemon::open_explaining(layout.clone(), Explain { port, per_minute }) {
            Ok(_) => {
                report.good("the kernel can redirect blocked clients to the explainer");
                report.note(&format!("a firewall of your own must accept what was redirected to TCP port {port}"));
            }
            Err(error) => report.bad(&format!("[explain]: {error}; blocked clients would be dropped")),
        }
    }
    match Nftables::open(layout) {
        Ok(_) => report.good("the kernel can be told whom to block"),
        Err(error) => report.bad(&format!("[enforce] mode: {error}; the daemon would go on in observe")),
    }
}
