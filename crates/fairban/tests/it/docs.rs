//! What the documents say is tried: configurations are read, commands exist, links lead somewhere, and the page on
//! the architecture names modules and tests that there are.

// Clippy knows tests by their attribute, and not what they share.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use fairban_config::Config;
use fairban_parse::Formats;

const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents that people wrote, as paths from the root.
fn documents() -> Vec<String> {
    let mut found: Vec<String> = ["README.md", "CHANGELOG.md"].map(str::to_owned).to_vec();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            found.push(format!("docs/{name}"));
        }
    }
    found.sort();
    found
}

/// A fenced block: what it says it is, and its lines.
struct Block {
    language: String,
    text: String,
}

/// The fenced blocks of a document, and the document without them.
fn blocks(document: &str) -> (Vec<Block>, String) {
    let (mut found, mut prose) = (Vec::new(), String::new());
    let mut open: Option<Block> = None;
    for line in document.lines() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(block), None) => block.text.push_str(&format!("{line}\n")),
            (None, Some(language)) => open = Some(Block { language: language.trim().to_owned(), text: String::new() }),
            (None, None) => prose.push_str(&format!("{line}\n")),
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    (found, prose)
}

/// The spans between single backticks.
fn spans(prose: &str) -> Vec<&str> {
    prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_configuration_is_valid_and_acts() {
    let mut tried = 0;
    for document in documents() {
        let (blocks, _) = blocks(&read(&document));
        for Block { text, .. } in blocks.iter().filter(|block| block.language == "toml") {
            let config = Config::from_toml(text, &document).unwrap_or_else(|wrong| panic!("{wrong}\n{text}"));
            assert_eq!(config.warnings, [], "{document}:\n{text}");
            let formats = Arc::new(Formats::compile(&config.formats).unwrap());
            for example in formats.run_examples() {
                assert_eq!(example.found, Some(example.expected), "{document}: {}", example.line);
            }
            tried += 1;
        }
    }
    assert!(tried > 8, "{tried}");
}

/// Words as a shell would split them; enough for what documents contain.
fn words(command: &str) -> Vec<String> {
    let (mut found, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in command.chars() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ') => found.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    found.extend(word);
    found
}

/// The arguments of every call of the program in a line for a shell.
fn calls(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" # ").next().unwrap_or_default();
    let parts = line.split(['|', ';', '&', '>', '(', ')']);
    let own = |part: &str| {
        let words = words(part);
        let rest: &[String] = match words.as_slice() {
            [sudo, rest @ ..] if sudo == "sudo" => rest,
            all => all,
        };
        match rest {
            [program, arguments @ ..] if program.rsplit('/').next() == Some("fairban") => Some(arguments.to_vec()),
            [cargo, run, ..] if cargo == "cargo" && run == "run" => {
                rest.iter().position(|word| word == "--").map(|at| rest[at + 1..].to_vec())
            }
            _ => None,
        }
    };
    parts.filter_map(own).collect()
}

fn help(path: &[String]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_fairban")).args(path).arg("--help").output().unwrap();
    assert!(output.status.success(), "fairban {path:?} is no command");
    String::from_utf8(output.stdout).unwrap()
}

/// Fails unless the command and its flags exist.
fn check_call(arguments: &[String], place: &str) {
    // Flags of the whole program may stand in front.
    let mut rest = arguments;
    while let [flag, tail @ ..] = rest
        && flag.starts_with("--")
    {
        assert!(help(&[]).contains(flag.as_str()), "{place}: there is no {flag}");
        rest = if flag == "--control" { tail.get(1..).unwrap_or_default() } else { tail };
    }
    if let [help, tail @ ..] = rest
        && help == "help"
    {
        rest = tail;
    }
    let mut path: Vec<String> = rest.iter().take(1).cloned().collect();
    let mut text = help(&path);
    if text.contains("\nCommands:\n")
        && let Some(second) = rest.get(1).filter(|word| !path.is_empty() && !word.starts_with('-'))
    {
        path.push(second.clone());
        text = help(&path);
    }
    let known: BTreeSet<&str> = text.split(|letter: char| letter.is_whitespace() || letter == ',').collect();
    for flag in rest.iter().filter(|word| word.starts_with('-') && *word != "-") {
        let name = flag.split('=').next().unwrap_or_default();
        assert!(known.contains(name), "{place}: fairban {} has no {name}", path.join(" "));
    }
}

#[test]
fn every_command_exists() {
    let mut tried = 0;
    for document in documents() {
        let (blocks, prose) = blocks(&read(&document));
        let mut lines: Vec<&str> = Vec::new();
        for block in &blocks {
            match block.language.as_str() {
                "sh" => lines.extend(block.text.lines()),
                "console" => lines.extend(
                    block.text.lines().filter_map(|line| line.strip_prefix("$ ").or_else(|| line.strip_prefix("# "))),
                ),
                _ => {}
            }
        }
        lines.extend(spans(&prose).into_iter().filter(|span| span.starts_with("fairban ")));
        for line in lines {
            for arguments in calls(line) {
                check_call(&arguments, &format!("{document}: {line}"));
                tried += 1;
            }
        }
    }
    assert!(tried > 25, "{tried}");
}

#[test]
fn the_readme_has_two_commands_to_set_up() {
    let readme = read("README.md");
    let (blocks, _) = blocks(&readme);
    for command in ["cargo run --release -- run --demo", "cargo xtask test"] {
        let found = blocks.iter().any(|block| block.language == "sh" && block.text.lines().any(|line| line == command));
        assert!(found, "the README lacks a line '{command}'");
    }
    let lines = readme.lines().filter(|line| !line.starts_with('|')).count();
    assert!(lines <= 150, "the README is to be short, tables aside");
}

/// An anchor as the title of a section becomes one.
fn anchor(title: &str) -> String {
    let kept = title.trim().chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn every_link_leads_somewhere() {
    for document in documents() {
        let text = read(&document);
        let (_, prose) = blocks(&text);
        let folder = root().join(&document).parent().unwrap().to_owned();
        for part in prose.split("](").skip(1) {
            let target = part.split([')', ' ']).next().unwrap_or_default();
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, section) = target.split_once('#').unwrap_or((target, ""));
            let there = if file.is_empty() { root().join(&document) } else { folder.join(file) };
            assert!(there.exists(), "{document}: {target} leads nowhere");
            if !section.is_empty() {
                let page = fs::read_to_string(&there).unwrap();
                let titles = page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#'));
                assert!(titles.map(anchor).any(|title| title == section), "{document}: {target} has no such section");
            }
        }
    }
}

/// All files below a folder with the ending.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_code_map_names_every_crate_and_module() {
    let text = read(ARCHITECTURE);
    let named: BTreeSet<&str> = spans(&text).into_iter().collect();
    let mut missing = Vec::new();
    let crates = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    for path in crates.chain([root().join("xtask")]) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let title = if name == "xtask" { "### `xtask`".to_owned() } else { format!("### `crates/{name}`") };
        let Some(section) = text.split(&format!("{title}\n")).nth(1) else {
            missing.push(title);
            continue;
        };
        let section = section.split("\n### ").next().unwrap_or_default();
        let here: BTreeSet<&str> = spans(section).into_iter().collect();
        for entry in fs::read_dir(path.join("src")).unwrap() {
            let entry = entry.unwrap();
            let module = entry.file_name().to_string_lossy().trim_end_matches(".rs").to_owned();
            let is_module = entry.path().is_dir() || entry.path().extension().is_some_and(|ending| ending == "rs");
            if is_module && !["lib", "main", "tests"].contains(&module.as_str()) && !here.contains(module.as_str()) {
                missing.push(format!("{title}: {module}"));
            }
        }
    }
    assert!(missing.is_empty(), "give each a line in {ARCHITECTURE}:\n{}", missing.join("\n"));
    for path in named.iter().filter(|span| span.starts_with("crates/") || span.starts_with("xtask/")) {
        assert!(root().join(path).exists(), "{ARCHITECTURE}: {path} is not there");
    }
}

#[test]
fn every_promise_names_tests_that_exist() {
    let text = read(ARCHITECTURE);
    let table = text.split("\n## Promises").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| **")).collect();
    assert_eq!(rows.len(), 10, "ten promises");
    let mut sources = String::new();
    for folder in ["crates", "xtask"] {
        for file in files(&root().join(folder), ".rs") {
            sources.push_str(&fs::read_to_string(file).unwrap());
        }
    }
    for row in rows {
        let held_by = row.split(" | ").nth(1).unwrap_or_else(|| panic!("{row}"));
        let tests = spans(held_by);
        assert!(!tests.is_empty() || held_by.contains("not yet"), "{row}");
        for test in tests {
            let is_there = sources.contains(&format!("fn {test}(")) || sources.contains(&format!("\"{test}\""));
            assert!(is_there, "{ARCHITECTURE}: there is no test {test}");
        }
    }
}
