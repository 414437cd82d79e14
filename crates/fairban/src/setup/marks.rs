//! Lines of `fairban setup` in a file of somebody else's: always between two comments, so that they are found again.
//!
//! Postfix, Dovecot and Exim take a line that begins with `#` for a comment.

const BEGIN: &str = "# fairban setup: begin (`fairban setup --undo` takes these lines away)";
const BEGINS: &str = "# fairban setup: begin";
const END: &str = "# fairban setup: end";

/// The text with these lines between the marks: where the marks are, else at its end.
pub(super) fn with(text: &str, lines: &[String]) -> String {
    let block: String = [BEGIN].into_iter().chain(lines.iter().map(String::as_str)).chain([END]).fold(
        String::new(),
        |mut block, line| {
            block.push_str(line);
            block.push('\n');
            block
        },
    );
    if let Some((before, _, after)) = parts(text) {
        return format!("{before}{block}{after}");
    }
    let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let gap = if text.is_empty() { "" } else { "\n" };
    format!("{text}{newline}{gap}{block}")
}

/// The text without the marks and what is between them.
pub(super) fn without(text: &str) -> String {
    let Some((before, _, after)) = parts(text) else { return text.to_owned() };
    // The empty line that stands before the marks came with them.
    let before = if before.ends_with("\n\n") && after.is_empty() { &before[..before.len() - 1] } else { before };
    format!("{before}{after}")
}

/// What stands between the marks.
pub(super) fn inside(text: &str) -> Option<&str> {
    parts(text).map(|(_, inside, _)| inside)
}

/// Before the first mark, between the marks, after the last one.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let line_at = |from: usize, begins: &str| {
        let mut at = from;
        text[from..].split_inclusive('\n').find_map(|line| {
            let (start, end) = (at, at + line.len());
            at = end;
            line.starts_with(begins).then_some((start, end))
        })
    };
    let (begin, inside) = line_at(0, BEGINS)?;
    let (end, after) = line_at(inside, END)?;
    Some((&text[..begin], &text[inside..end], &text[after..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_can_be_taken_out() {
        let lines = vec!["one = 1".to_owned(), "two = 2".to_owned()];
        for text in ["", "a = b\n", "a = b\n\n# last\n"] {
            let marked = with(text, &lines);
            assert!(marked.starts_with(text) && marked.ends_with("two = 2\n# fairban setup: end\n"), "{marked}");
            assert_eq!(with(&marked, &lines), marked, "a second time changes nothing");
            assert_eq!(inside(&marked), Some("one = 1\ntwo = 2\n"));
            assert_eq!(without(&marked), text);
            let later = format!("{marked}c = d\n");
            let other = with(&later, &["three = 3".to_owned()]);
            assert!(other.contains("three = 3\n# fairban setup: end\nc = d\n") && !other.contains("one"), "{other}");
            assert!(without(&later).ends_with("c = d\n") && !without(&later).contains("fairban"));
        }
        assert_eq!(without("a = b"), "a = b");
        assert_eq!(with("a = b", &[]), format!("a = b\n\n{BEGIN}\n{END}\n"), "a missing end of line is mended");
        assert_eq!(
            without(&format!("{BEGIN}\nno end\n")),
            format!("{BEGIN}\nno end\n"),
            "without an end it is not ours"
        );
    }
}
