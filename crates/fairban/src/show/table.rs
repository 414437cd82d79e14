//! Tables for a terminal.

use super::safe_line;

/// Rows under a head, columns as wide as their widest cell.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| safe_line(cell)).collect()).collect();
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
}
