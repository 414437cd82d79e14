//! Tables for spreadsheets (RFC 4180), in which text of clients is text and never a formula.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::access::DeskError;

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

/// The head of a table, or one of its lines.
pub(crate) fn line<T: AsRef<str>>(fields: &[T]) -> String {
    let fields: Vec<String> = fields.iter().map(|text| field(text.as_ref())).collect();
    fields.join(",") + "\r\n"
}

/// A file to save, written piece by piece as its rows are read. What goes wrong on the way breaks the file off, so that
/// half of it is not taken for all.
pub(crate) fn file<F>(name: &str, kind: &'static str, write: impl FnOnce(Pieces) -> F) -> Response
where
    F: Future<Output = Result<(), DeskError>> + Send + 'static,
{
    let (pieces, body) = channel(2);
    let writing = write(Pieces(pieces.clone()));
    tokio::spawn(async move {
        if let Err(error) = writing.await {
            tracing::error!(%error, "a file could not be written to its end");
            let _ = pieces.send(Err(std::io::Error::other("it broke off"))).await;
        }
    });
    let mut response = ([(CONTENT_TYPE, HeaderValue::from_static(kind))], Body::new(Written(body))).into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    response
}

/// Where a file's text goes.
#[derive(Clone)]
pub(crate) struct Pieces(Sender<Result<Bytes, std::io::Error>>);

impl Pieces {
    /// Adds text. `false`: nobody reads on.
    pub(crate) async fn add(&self, text: String) -> bool {
        self.0.send(Ok(Bytes::from(text))).await.is_ok()
    }
}

/// The text, as a body.
struct Written(Receiver<Result<Bytes, std::io::Error>>);

impl hyper::body::Body for Written {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
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
