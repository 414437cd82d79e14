use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use subtle::ConstantTimeEq;

const API_KEY: &str = "x-api-key";

/// Whether the headers hold the key. How long this takes does not tell how much of a wrong key is right.
pub(super) fn is_held(headers: &HeaderMap, key: &str) -> bool {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    let plain = headers.get(API_KEY).map(|value| value.as_bytes().trim_ascii());
    [plain, bearer].into_iter().flatten().any(|given| given.ct_eq(key.as_bytes()).into())
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, given) = value.trim_ascii().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| given.trim_ascii())
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn keys_are_taken_as_dovecot_sends_them() {
        for (name, value, held) in [
            ("x-api-key", "sesame", true),
            ("x-api-key", " sesame ", true),
            ("authorization", "Bearer sesame", true),
            ("authorization", "bearer  sesame", true),
            ("authorization", "sesame", false),
            ("authorization", "Basic sesame", false),
            ("authorization", "é", false),
            ("x-api-key", "sesamf", false),
            ("x-api-key", "sesam", false),
            ("x-api-key", "", false),
            ("x-key", "sesame", false),
        ] {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value)]);
            assert_eq!(is_held(&headers, "sesame"), held, "{name}");
        }
        assert!(!is_held(&HeaderMap::new(), ""));
    }
}
