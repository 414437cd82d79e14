//! Every message that a page asks for is in the catalogue, and none is there for nobody.

use std::collections::BTreeSet;
use std::path::Path;

fn sources(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else {
            into.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn messages_and_pages_agree() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    sources(&root.join("src"), &mut text);
    sources(&root.join("templates"), &mut text);
    let english: toml::Table = std::fs::read_to_string(root.join("catalogues/en.toml")).unwrap().parse().unwrap();
    let mut keys = BTreeSet::new();
    collect("", &english, &mut keys);
    // Keys that are put together from a word of the glossary.
    let composed = ["diagnosis.", "service.", "kept.", "fact.", "rests.", "span.", "notice."];
    for key in &keys {
        let whole = key.strip_suffix(".one").or(key.strip_suffix(".other")).unwrap_or(key);
        let used = text.contains(&format!("\"{whole}\"")) || composed.iter().any(|prefix| key.starts_with(prefix));
        assert!(used, "nobody asks for '{key}'");
    }
    let asked = regex::Regex::new(r#"(?:say|fill|count)\(\s*"([a-z_.]+)""#).unwrap();
    for found in asked.captures_iter(&text) {
        let key = &found[1];
        let known =
            keys.contains(key) || keys.contains(&format!("{key}.other")) || matches!(key, "a" | "b" | "nothing");
        assert!(known, "'{key}' is in no catalogue");
    }
}

fn collect(prefix: &str, table: &toml::Table, keys: &mut BTreeSet<String>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(table) => collect(&key, table, keys),
            _ => {
                keys.insert(key);
            }
        }
    }
}
