use expect_test::expect_file;
use fairban_config::{Config, reference};

/// To write the page anew: `UPDATE_EXPECT=1 cargo test -p fairban-config`.
#[test]
fn the_page_is_what_the_tables_say() {
    expect_file!["../../../../docs/configuration.md"].assert_eq(&reference());
}

#[test]
fn every_example_block_is_valid() {
    let page = reference();
    let blocks: Vec<&str> =
        page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    assert!(blocks.len() >= 3);
    for block in blocks {
        let config = Config::from_toml(block, "example").unwrap_or_else(|problems| panic!("{problems}\n{block}"));
        assert_eq!(config.warnings, [], "{block}");
    }
}

/// The examples of list sections stand in blocks; those of all others are tried here, each alone.
#[test]
fn every_example_of_a_key_is_valid() {
    let page = reference();
    let keys = page.split("\n## Profiles").next().unwrap();
    let mut tried = 0;
    for section in keys.split("\n### ").skip(1) {
        let title = section.lines().next().unwrap().trim_matches('`').replace("Top of the file", "");
        if title.starts_with("[[") {
            continue;
        }
        let header = title.replace("NAME", "login");
        for row in section.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = row.trim_matches(['|', ' ']).split(" | ").collect();
            let [key, .., example] = cells.as_slice() else { panic!("{row}") };
            let text = format!("{header}\n{} = {}\n", key.trim_matches('`'), example.trim_matches('`'));
            Config::from_toml(&text, "example").unwrap_or_else(|problems| panic!("{problems}\n{text}"));
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
}

#[test]
fn every_profile_and_every_event_kind_is_told() {
    let page = reference();
    for name in fairban_config::profile_names() {
        assert!(page.contains(&format!("### Profile `{name}`")), "{name}");
    }
    for kind in fairban_types::EventKind::ALL {
        assert!(page.contains(&format!("| `{kind}` | {} |", kind.meaning())), "{kind}");
    }
}
