//! Forms: bounded, and wiped after use, since one of their fields is a password.

use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use http_body_util::BodyExt as _;
use zeroize::Zeroizing;

/// Our forms are much shorter.
const LENGTH_MAX: usize = 16 * 1024;
const FIELDS_MAX: usize = 16;

/// It is no form of ours: too long, too many fields, or something else than a form.
#[derive(Debug)]
pub(crate) struct NotOurs;

/// The fields of a form.
pub(crate) struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    /// Reads a form from a request's body (`application/x-www-form-urlencoded`).
    pub(crate) async fn read(request: Request) -> Result<Form, NotOurs> {
        Form::read_up_to(request, LENGTH_MAX, FIELDS_MAX).await
    }

    /// The same for a form that may have so many bytes and fields.
    pub(crate) async fn read_up_to(request: Request, length_max: usize, fields_max: usize) -> Result<Form, NotOurs> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(NotOurs);
        }
        let mut body = request.into_body();
        // Never grows, so that no copy of its beginning is left behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(length_max));
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| NotOurs)?.into_data() else { continue };
            if bytes.len() + data.len() > length_max {
                return Err(NotOurs);
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Form::parse(&bytes, fields_max))
    }

    fn parse(bytes: &[u8], fields_max: usize) -> Form {
        let fields = form_urlencoded::parse(bytes).take(fields_max);
        Form(fields.map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned()))).collect())
    }

    /// A field's value; empty if there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// All values of a field.
    pub(crate) fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All fields.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Takes a field's value out.
    pub(crate) fn take(&mut self, name: &str) -> Zeroizing<String> {
        let found = self.0.iter_mut().find(|(key, _)| key == name);
        found.map_or_else(Zeroizing::default, |(_, value)| std::mem::take(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded() {
        let mut form = Form::parse(b"account=a%40b&password=p+%C3%A4%26&account=second", 16);
        assert_eq!((form.get("account"), form.get("nothing")), ("a@b", ""));
        assert_eq!(form.take("password").as_str(), "p ä&");
        assert_eq!(form.get("password"), "");
    }
}
