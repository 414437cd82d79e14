//! Tables for a terminal.

use super::safe_line;

/// The most letters of a cell that are shown; the last column is shown whole. Names that clients choose may be long.
const CELL_MAX: usize = 64;

/// Rows under a head, columns as wide as their widest cell.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let last = head.len().saturating_sub(1);
    let cell = |(column, text): (usize, &String)| if column < last { clipped(text) } else { safe_line(text) };
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().enumerate().map(cell).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.max().unwrap_or(0).max(head[column].chars().count())
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = line(&widths, head.iter().copied());
    for row in &rows {
        text.push_str(&line(&widths, row.iter().map(String::as_str)));
    }
    text
}

/// A text in one line, of bounded length.
pub(super) fn clipped(text: &str) -> String {
    let shown = safe_line(text);
    match shown.char_indices().nth(CELL_MAX) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown,
    }
}

fn line<'a>(widths: &[usize], cells: impl Iterator<Item = &'a str>) -> String {
    let padded: Vec<String> = widths.iter().zip(cells).map(|(width, cell)| format!("{cell:<width$}")).collect();
    format!("{}\n", padded.join("  ").trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![vec!["192.0.2.7".to_owned(), "1h".to_owned()], vec!["é".to_owned(), "x".to_owned()]];
        assert_eq!(table(&["subject", "left"], &rows), "subject    left\n192.0.2.7  1h\né          x\n");
    }

    #[test]
    fn a_long_name_does_not_push_the_rest_away() {
        let shown = table(&["subject", "left"], &[vec!["é".repeat(300), "1h".to_owned()]]);
        assert!(shown.lines().all(|line| line.chars().count() < 80), "{shown}");
    }
}
