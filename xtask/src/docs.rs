//! Documents whose links lead nowhere are found here.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::process::root;

/// Fails if a relative link in a document of the project leads to no file.
pub(crate) fn check() -> Result<()> {
    let mut broken = Vec::new();
    let documents = documents(root())?;
    for document in &documents {
        let text = fs::read_to_string(document)?;
        let folder = document.parent().unwrap_or(root());
        for link in links(&text) {
            if !folder.join(link).exists() {
                broken.push(format!("{}: {link}", document.strip_prefix(root()).unwrap_or(document).display()));
            }
        }
    }
    ensure!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
    println!("{} documents, all links lead somewhere", documents.len());
    Ok(())
}

fn documents(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The targets of a document's links that are files here, without anchors. Code is left out.
fn links(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for part in line.split("](").skip(1) {
            let target = part.split([')', ' ', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                found.push(target);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::links;

    #[test]
    fn finds_links_to_files_only() {
        let text = "[a](docs/A.md#there) and [b](https://b.test/) [c](#here)\n```\n[d](no.md)\n```\n[e](e.md \"E\")";
        assert_eq!(links(text), ["docs/A.md", "e.md"]);
    }
}
