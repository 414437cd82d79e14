//! The architecture, held by what cargo says about dependencies.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

fn cargo(arguments: &[&str]) -> String {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output =
        Command::new(program).current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().expect("cargo starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {complaint}");
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// Every crate that ends up in the build of `package`, itself left out.
fn everything_in(package: &str) -> BTreeSet<String> {
    let tree = cargo(&["tree", "--package", package, "--edges", "normal,build", "--prefix", "none", "--format", "{p}"]);
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != package).map(str::to_owned).collect()
}

/// The crates of this workspace, each with those of this workspace that it depends on outside of tests.
fn rooms() -> BTreeMap<String, BTreeSet<String>> {
    let text = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&text).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    let name = |value: &Value| value["name"].as_str().expect("it has a name").to_owned();
    let all: BTreeSet<String> = packages.iter().map(name).collect();
    let uses = |package: &Value| {
        let dependencies = package["dependencies"].as_array().expect("it has dependencies").iter();
        dependencies.filter(|one| one["kind"].is_null()).map(name).filter(|name| all.contains(name)).collect()
    };
    packages.iter().map(|package| (name(package), uses(package))).collect()
}

#[test]
fn pure_crates_have_no_runtime_no_storage_and_no_randomness() {
    const BANNED: [&str; 16] = [
        "async-std",
        "axum",
        "crossbeam-channel",
        "futures",
        "getrandom",
        "hyper",
        "inotify",
        "mio",
        "netlink-sys",
        "rand",
        "redis",
        "rusqlite",
        "signal-hook",
        "smol",
        "socket2",
        "tokio",
    ];
    for package in ["fairban-types", "fairban-parse", "fairban-engine"] {
        let inside = everything_in(package);
        assert!(!inside.is_empty(), "{package} depends on nothing at all: the question was wrong");
        for banned in BANNED {
            assert!(!inside.contains(banned), "{package} pulls in {banned}");
        }
    }
    assert!(everything_in("fairban").contains("rusqlite"), "what is banned above is found where it is used");
}

#[test]
fn each_room_knows_only_what_it_may() {
    const MAY_KNOW: [(&str, &[&str]); 9] = [
        ("fairban-types", &[]),
        ("fairban-parse", &["fairban-types"]),
        ("fairban-engine", &["fairban-types"]),
        ("fairban-config", &["fairban-types"]),
        ("fairban-store", &["fairban-types"]),
        ("fairban-sources", &["fairban-types"]),
        ("fairban-enforce", &["fairban-types"]),
        ("fairban-fleet", &["fairban-types"]),
        ("fairban-simulator", &["fairban-types"]),
    ];
    let rooms = rooms();
    for (room, may_know) in MAY_KNOW {
        for known in rooms.get(room).into_iter().flatten() {
            assert!(may_know.contains(&known.as_str()), "{room} must not know {known}");
        }
    }
    let limited: BTreeSet<&str> = MAY_KNOW.iter().map(|(room, _)| *room).collect();
    let composing = ["fairban", "fairban-protocols", "fairban-web", "xtask"];
    for room in rooms.keys() {
        assert!(
            limited.contains(room.as_str()) || composing.contains(&room.as_str()),
            "{room} is new: say here what it may know"
        );
    }
    for (room, known) in &rooms {
        assert!(!known.contains("fairban") && !known.contains("xtask"), "{room} must not know the program");
    }
}

#[test]
fn unsafe_code_is_forbidden_everywhere() {
    for folder in std::fs::read_dir("../crates").expect("there are crates") {
        let folder = folder.expect("a folder").path();
        let root = ["src/lib.rs", "src/main.rs"].iter().map(|name| folder.join(name)).find(|file| file.exists());
        let root = root.expect("a crate has a root");
        let text = std::fs::read_to_string(&root).expect("source is text");
        assert!(text.contains("#![forbid(unsafe_code)]"), "{} does not forbid unsafe code", root.display());
    }
}
