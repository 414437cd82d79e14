use std::fs;
use std::path::Path;

use crate::show::read;

/// Every file of the corpus: lines as servers write them, and below, indented, what must come out of the line above.
/// Lines without an expectation of their own are read before the one that has it. Other than `#` comments, nothing else
/// stands there. With `UPDATE_CORPUS=1` the expectations are written anew, to be reviewed.
#[test]
fn lines_are_read_as_the_corpus_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut cases = 0;
    for name in ["prefixes", "postfix", "dovecot", "exim"] {
        let path = folder.join(name).with_extension("txt");
        let text = fs::read_to_string(&path).expect("the corpus can be read");
        let (anew, count, wrong) = run(&text);
        cases += count;
        if std::env::var_os("UPDATE_CORPUS").is_some() {
            fs::write(&path, anew).expect("the corpus can be written");
        } else {
            assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
        }
    }
    assert!(cases >= 150, "{cases} cases");
}

fn run(text: &str) -> (String, usize, Vec<String>) {
    let mut anew = String::new();
    let mut before: Vec<&[u8]> = Vec::new();
    let (mut count, mut wrong) = (0, Vec::new());
    for line in text.lines() {
        if let Some(expected) = line.strip_prefix("    ") {
            let got = read(&before);
            if got != expected {
                let last = before.last().map(|line| String::from_utf8_lossy(line)).unwrap_or_default();
                wrong.push(format!("{last}\n  expected {expected}\n  got      {got}"));
            }
            anew.push_str(&format!("    {got}\n"));
            before.clear();
            count += 1;
            continue;
        }
        anew.push_str(line);
        anew.push('\n');
        if !line.is_empty() && !line.starts_with('#') {
            before.push(line.as_bytes());
        }
    }
    (anew, count, wrong)
}
