//! Tables for spreadsheets (RFC 4180), in which text of clients is text and never a formula.

use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};

/// One field. What a spreadsheet would run begins with a quote; what would break the table is quoted.
pub(crate) fn field(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let first = text.trim_start().chars().next();
    let is_formula = first.is_some_and(|c| "=+-@|%\u{ff1d}\u{ff0b}\u{ff0d}\u{ff20}".contains(c));
    let text = if is_formula { format!("'{text}") } else { text };
    if text.contains(['"', ',', ';', '\'']) || text != text.trim() {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// A table with its head.
pub(crate) fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut page = head.join(",");
    page.push_str("\r\n");
    for row in rows {
        let fields: Vec<String> = row.iter().map(|text| field(text)).collect();
        page.push_str(&fields.join(","));
        page.push_str("\r\n");
    }
    page
}

/// A file to save.
pub(crate) fn file(name: &str, kind: &'static str, body: String) -> Response {
    let mut response = ([(CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_is_a_formula_or_breaks_the_table() {
        for (text, written) in [
            ("alice", "alice"),
            ("192.0.2.7", "192.0.2.7"),
            ("=1+1", "\"'=1+1\""),
            ("+49 30", "\"'+49 30\""),
            ("-2", "\"'-2\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("  =1", "\"'  =1\""),
            ("\t=1", "\"' =1\""),
            ("\u{ff1d}1", "\"'\u{ff1d}1\""),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("a\r\n=b", "a  =b"),
            ("", ""),
        ] {
            assert_eq!(field(text), written, "{text:?}");
        }
    }
}
