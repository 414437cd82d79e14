//! Fairban's own configuration: what is missing is added, what is there stays, comments too.

use std::net::SocketAddr;

use fairban_config::Listen;
use toml_edit::{Array, DocumentMut, Item, Table, value};

use super::plan::Reason;

/// What Fairban's configuration should say.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) dovecot: Option<(SocketAddr, String)>,
    pub(super) postfix: Option<Listen>,
    pub(super) local_domains: Vec<String>,
}

/// The text with it, and what was added. Fails if the text is not TOML.
pub(super) fn with(text: &str, wanted: &Wanted) -> anyhow::Result<(String, Vec<Reason>)> {
    let mut document: DocumentMut = text.parse()?;
    let mut reasons = Vec::new();
    if let Some((listen, key)) = &wanted.dovecot {
        let (listen, why) = (value(listen.to_string()), "where Dovecot asks, before and after each sign-in");
        add(&mut document, "dovecot", "listen", listen, why, &mut reasons);
        let why = "what Dovecot sends with each question; others are refused";
        add(&mut document, "dovecot", "api_key", value(key.as_str()), why, &mut reasons);
    }
    if let Some(listen) = &wanted.postfix {
        let listen = match listen {
            Listen::Tcp(address) => address.to_string(),
            Listen::Unix(path) => format!("unix:{}", path.display()),
        };
        let why = "where Postfix and Exim ask, at each recipient";
        add(&mut document, "postfix", "listen", value(listen), why, &mut reasons);
    }
    if !wanted.local_domains.is_empty() {
        domains(&mut document, &wanted.local_domains, &mut reasons);
    }
    Ok((document.to_string(), reasons))
}

fn section<'a>(document: &'a mut DocumentMut, name: &str) -> Option<&'a mut dyn toml_edit::TableLike> {
    document.entry(name).or_insert_with(|| Item::Table(Table::new())).as_table_like_mut()
}

fn add(document: &mut DocumentMut, name: &str, key: &str, item: Item, why: &str, reasons: &mut Vec<Reason>) {
    let Some(table) = section(document, name) else { return };
    if table.contains_key(key) {
        return;
    }
    let line = format!("[{name}] {key} = {}", item.to_string().trim());
    table.insert(key, item);
    reasons.push(Reason { line, why: why.to_owned() });
}

/// Adds those domains that the list lacks.
fn domains(document: &mut DocumentMut, wanted: &[String], reasons: &mut Vec<Reason>) {
    let key = "local_domains";
    let Some(table) = section(document, "send") else { return };
    let empty = || value(Array::new());
    let Some(list) = table.entry(key).or_insert_with(empty).as_array_mut() else { return };
    let there: Vec<String> = list.iter().filter_map(|item| item.as_str()).map(fairban_types::domain_ascii).collect();
    let missing: Vec<&String> = wanted.iter().filter(|domain| !there.contains(domain)).collect();
    for domain in &missing {
        list.push(domain.as_str());
    }
    if !missing.is_empty() {
        let why = "accounts of these domains are those of the machine (mydestination): a send block of bob@… is one of bob too";
        reasons.push(Reason { line: format!("[send] {key} = {list}"), why: why.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use fairban_config::Config;

    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            dovecot: Some(("127.0.0.1:4625".parse().unwrap(), "0123456789abcdef".to_owned())),
            postfix: Some(Listen::Unix("/run/fairban/policy.sock".into())),
            local_domains: Vec::new(),
        }
    }

    #[test]
    fn what_is_there_stays() {
        for (before, after, count) in [
            (
                "",
                "[dovecot]\nlisten = \"127.0.0.1:4625\"\napi_key = \"0123456789abcdef\"\n\n[postfix]\nlisten = \
                 \"unix:/run/fairban/policy.sock\"\n",
                3,
            ),
            (
                "# mine\nprofile = \"fairban\" # this one\n\n[dovecot]\n# here\nlisten = \"127.0.0.1:9\"\n",
                "# mine\nprofile = \"fairban\" # this one\n\n[dovecot]\n# here\nlisten = \"127.0.0.1:9\"\napi_key = \
                 \"0123456789abcdef\"\n\n[postfix]\nlisten = \"unix:/run/fairban/policy.sock\"\n",
                2,
            ),
            (
                "dovecot = { listen = \"127.0.0.1:9\", api_key = \"abcdefgh\" }\npostfix.listen = \"127.0.0.1:8\"\n",
                "dovecot = { listen = \"127.0.0.1:9\", api_key = \"abcdefgh\" }\npostfix.listen = \"127.0.0.1:8\"\n",
                0,
            ),
        ] {
            let (text, reasons) = with(before, &wanted()).unwrap();
            assert_eq!((text.as_str(), reasons.len()), (after, count));
            Config::from_toml(&text, "test").unwrap();
            assert_eq!(with(&text, &wanted()).unwrap(), (text, Vec::new()), "a second time changes nothing");
        }
        assert!(with("a = [", &wanted()).is_err());
    }

    #[test]
    fn domains_are_added_to_those_that_are_there() {
        let mut document: DocumentMut = "[send]\nlocal_domains = [\"A.test\"] # mine\n".parse().unwrap();
        let mut reasons = Vec::new();
        domains(&mut document, &["a.test".to_owned(), "b.test".to_owned()], &mut reasons);
        assert_eq!(document.to_string(), "[send]\nlocal_domains = [\"A.test\", \"b.test\"] # mine\n");
        assert_eq!(reasons.len(), 1);
    }
}
