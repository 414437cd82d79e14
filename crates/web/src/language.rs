//! What is said, in the reader's language: catalogues of messages, and which one a browser asks for.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fairban_types::Time;
use jiff::tz::TimeZone;

use crate::WebError;

/// The catalogues that come with the program. The first is the one that every other is measured by.
const OWN: [(&str, &str); 2] =
    [("en", include_str!("../catalogues/en.toml")), ("de", include_str!("../catalogues/de.toml"))];

/// Catalogues are small files; a larger one is none.
const FILE_MAX: u64 = 1 << 20;

/// The messages of one language.
#[derive(Debug)]
pub struct Words {
    tag: String,
    messages: HashMap<String, String>,
    fallback: Option<Arc<Words>>,
}

impl Words {
    fn read(tag: &str, text: &str, fallback: Option<Arc<Words>>) -> Result<Self, String> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
        let mut messages = HashMap::new();
        flatten("", table, &mut messages)?;
        let words = Words { tag: tag.to_owned(), messages, fallback };
        words.check()?;
        Ok(words)
    }

    /// A message with a placeholder that nothing fills, or one that nobody asks for, is a mistake worth hearing of.
    fn check(&self) -> Result<(), String> {
        let Some(english) = &self.fallback else { return Ok(()) };
        for (key, message) in &self.messages {
            let Some(original) = english.messages.get(key) else {
                return Err(format!("there is no message '{key}'; the keys are those of en.toml"));
            };
            if let Some(name) = placeholders(message).find(|name| !placeholders(original).any(|other| other == *name)) {
                return Err(format!("message '{key}' has {{{name}}}, which the English one has not"));
            }
        }
        Ok(())
    }

    /// The language's tag (BCP 47), for the `lang` attribute.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// What the language calls itself.
    pub fn name(&self) -> &str {
        self.say("language")
    }

    /// The message. What a catalogue lacks is said in English.
    pub fn say<'w>(&'w self, key: &'w str) -> &'w str {
        match (self.messages.get(key), &self.fallback) {
            (Some(message), _) => message,
            (None, Some(english)) => english.say(key),
            (None, None) => key,
        }
    }

    /// The message with its placeholders filled: `{name}` by the value beside that name. Values are not read again.
    pub fn fill(&self, key: &str, values: &[(&str, &str)]) -> String {
        let mut rest = self.say(key);
        let mut whole = String::with_capacity(rest.len() + 32);
        while let Some((before, after)) = rest.split_once('{') {
            whole.push_str(before);
            let Some((name, behind)) = after.split_once('}') else {
                whole.push('{');
                rest = after;
                continue;
            };
            whole.push_str(values.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value));
            rest = behind;
        }
        whole.push_str(rest);
        whole
    }

    /// A message that depends on a number: `KEY.one` or `KEY.other`, with `{n}`.
    pub fn count(&self, key: &str, n: u64) -> String {
        let form = if n == 1 { "one" } else { "other" };
        self.fill(&format!("{key}.{form}"), &[("n", &n.to_string())])
    }

    /// A time span in its one or two largest units: "1 hour 30 minutes".
    pub fn span(&self, span: Duration) -> String {
        // Rounded up: who waits as long as was said has waited long enough.
        let mut secs = span.as_secs() + u64::from(span.subsec_nanos() > 0);
        if secs > 3600 {
            secs = secs.div_ceil(60) * 60;
        }
        let parts: Vec<String> = [("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)]
            .into_iter()
            .filter_map(|(unit, size)| {
                let n = secs / size;
                secs %= size;
                (n > 0).then(|| self.count(&format!("span.{unit}"), n))
            })
            .take(2)
            .collect();
        if parts.is_empty() { self.count("span.second", 0) } else { parts.join(" ") }
    }

    /// A time span between two tries, in the one unit that says it best: "60 seconds", "10 minutes".
    pub fn cadence(&self, span: Duration) -> String {
        let secs = span.as_secs_f64();
        let (unit, size) = [("day", 86_400.0), ("hour", 3600.0), ("minute", 60.0)]
            .into_iter()
            .find(|(_, size)| secs >= 2.0 * size)
            .unwrap_or(("second", 1.0));
        self.count(&format!("span.{unit}"), (secs / size).round() as u64)
    }

    /// A moment as people write it, in the zone, with the zone's name.
    pub fn moment(&self, at: Time, zone: &TimeZone) -> String {
        let Ok(stamp) = jiff::Timestamp::from_millisecond(at.millis()) else { return at.to_string() };
        let there = stamp.to_zoned(zone.clone());
        let month = self.say("months").split(' ').nth(usize::from(there.month().unsigned_abs()) - 1).unwrap_or("?");
        self.fill(
            "moment",
            &[
                ("day", &there.day().to_string()),
                ("month", month),
                ("year", &there.year().to_string()),
                ("time", &there.strftime("%H:%M:%S").to_string()),
                ("zone", &there.strftime("%Z").to_string()),
            ],
        )
    }
}

fn flatten(prefix: &str, table: toml::Table, into: &mut HashMap<String, String>) -> Result<(), String> {
    for (key, value) in table {
        let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::String(text) => {
                into.insert(key, text.trim().to_owned());
            }
            toml::Value::Table(table) => flatten(&key, table, into)?,
            _ => return Err(format!("'{key}' is not a text")),
        }
    }
    Ok(())
}

fn placeholders(message: &str) -> impl Iterator<Item = &str> {
    message.split('{').skip(1).filter_map(|part| part.split_once('}').map(|(name, _)| name))
}

/// Every language there is.
#[derive(Clone, Debug)]
pub struct Languages {
    all: Vec<Arc<Words>>,
    default: usize,
}

impl Languages {
    /// The program's own catalogues, and those of a folder: a file `fr.toml` adds French, a file `de.toml` changes
    /// messages of the German one. The default is for browsers that ask for none of them.
    ///
    /// # Errors
    /// A catalogue that cannot be read, has keys that do not exist or placeholders that nothing fills; a default that
    /// is not among them.
    pub fn load(folder: Option<&Path>, default: &str) -> Result<Self, WebError> {
        let mut all: Vec<Arc<Words>> = Vec::new();
        for (tag, text) in OWN {
            let words = Words::read(tag, text, all.first().cloned())
                .map_err(|wrong| WebError::Catalogue { path: format!("{tag}.toml").into(), wrong })?;
            all.push(Arc::new(words));
        }
        if let Some(folder) = folder {
            add_folder(&mut all, folder)?;
        }
        let default = all.iter().position(|words| words.tag.eq_ignore_ascii_case(default)).ok_or_else(|| {
            let known: Vec<&str> = all.iter().map(|words| words.tag.as_str()).collect();
            WebError::Setting {
                key: "language",
                wrong: format!("there is no catalogue '{default}', only {}", known.join(", ")),
            }
        })?;
        Ok(Languages { all, default })
    }

    /// Every language, the program's own first.
    pub fn all(&self) -> impl Iterator<Item = &Words> {
        self.all.iter().map(AsRef::as_ref)
    }

    /// By tag.
    pub fn get(&self, tag: &str) -> Option<Arc<Words>> {
        self.all.iter().find(|words| words.tag.eq_ignore_ascii_case(tag)).cloned()
    }

    /// The language that an `Accept-Language` header asks for most (RFC 9110, 12.5.4): `de-AT` is served by `de`.
    pub fn accepted(&self, header: &str) -> Arc<Words> {
        let mut best: Option<(f32, Arc<Words>)> = None;
        for range in header.split(',').take(32) {
            let (tag, quality) = match range.split_once(';') {
                Some((tag, weight)) => {
                    (tag, weight.trim().strip_prefix("q=").and_then(|q| q.parse().ok()).unwrap_or(0.0))
                }
                None => (range, 1.0),
            };
            let tag = tag.trim();
            let found = self.get(tag).or_else(|| self.get(tag.split('-').next().unwrap_or(tag)));
            if let Some(words) = found
                && quality > best.as_ref().map_or(0.0, |(quality, _)| *quality)
            {
                best = Some((quality, words));
            }
        }
        best.map_or_else(|| self.all[self.default].clone(), |(_, words)| words)
    }
}

fn add_folder(all: &mut Vec<Arc<Words>>, folder: &Path) -> Result<(), WebError> {
    let unreadable = |source| WebError::File { path: folder.to_owned(), source };
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .map_err(unreadable)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    for path in paths {
        let wrong = |wrong: String| WebError::Catalogue { path: path.clone(), wrong };
        let tag = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        if !tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') || tag.is_empty() {
            return Err(wrong("name the file after the language's tag, such as fr.toml".into()));
        }
        let facts = std::fs::metadata(&path).map_err(|source| WebError::File { path: path.clone(), source })?;
        if facts.len() > FILE_MAX {
            return Err(wrong("it is larger than 1 MiB".into()));
        }
        let text = std::fs::read_to_string(&path).map_err(|source| WebError::File { path: path.clone(), source })?;
        let english = all.first().cloned();
        let place = all.iter().position(|words| words.tag.eq_ignore_ascii_case(&tag));
        let mut words = Words::read(&tag, &text, english).map_err(wrong)?;
        match place {
            Some(place) => {
                for (key, message) in &all[place].messages {
                    words.messages.entry(key.clone()).or_insert_with(|| message.clone());
                }
                words.fallback.clone_from(&all[place].fallback);
                all[place] = Arc::new(words);
            }
            None if words.messages.contains_key("language") => all.push(Arc::new(words)),
            None => return Err(wrong("it needs a message 'language': what the language calls itself".into())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Languages {
        Languages::load(None, "en").unwrap()
    }

    #[test]
    fn every_catalogue_says_everything() {
        let languages = own();
        let english = &languages.all[0].messages;
        for words in languages.all() {
            let missing: Vec<_> = english.keys().filter(|key| !words.messages.contains_key(*key)).collect();
            assert!(missing.is_empty(), "{}: {missing:?}", words.tag);
            for (key, message) in &words.messages {
                let (mut ours, mut theirs): (Vec<_>, Vec<_>) =
                    (placeholders(message).collect(), placeholders(&english[key]).collect());
                ours.sort_unstable();
                theirs.sort_unstable();
                assert_eq!(ours, theirs, "{}: {key}", words.tag);
            }
            assert_eq!(words.say("months").split(' ').count(), 12);
        }
    }

    #[test]
    fn browsers_get_what_they_ask_for() {
        for (header, tag) in [
            ("", "en"),
            ("de", "de"),
            ("de-AT,de;q=0.9,en;q=0.8", "de"),
            ("fr,en;q=0.5,de;q=0.7", "de"),
            ("fr", "en"),
            ("de;q=0,en;q=0.1", "en"),
            ("DE", "de"),
            (";;;,q=,de;q=x", "en"),
        ] {
            assert_eq!(own().accepted(header).tag(), tag, "{header}");
        }
    }

    #[test]
    fn values_are_filled_in_and_not_read_again() {
        let english =
            Words::read("en", "a = 'x {one} y {two} {'\nb.one = '{n} time'\nb.other = '{n} times'", None).unwrap();
        assert_eq!(english.fill("a", &[("one", "{two}"), ("two", "2")]), "x {two} y 2 {");
        assert_eq!((english.count("b", 1), english.count("b", 0)), ("1 time".into(), "0 times".into()));
        assert_eq!(english.say("nothing"), "nothing");
    }

    #[test]
    fn times_are_written_as_people_do() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let at: Time = "2026-11-21T19:12:05Z".parse().unwrap();
        let (english, german) = (own().get("en").unwrap(), own().get("de").unwrap());
        assert_eq!(english.moment(at, &zone), "21 November 2026, 20:12:05 CET");
        assert_eq!(german.moment(at, &zone), "21. November 2026, 20:12:05 CET");
        for (secs, shown) in
            [(0, "0 seconds"), (1, "1 second"), (60, "1 minute"), (5401, "1 hour 31 minutes"), (90_000, "1 day 1 hour")]
        {
            assert_eq!(english.span(Duration::from_secs(secs)), shown);
        }
        for (secs, shown) in [(1, "1 Sekunde"), (60, "60 Sekunden"), (600, "10 Minuten"), (7250, "2 Stunden")] {
            assert_eq!(german.cadence(Duration::from_secs(secs)), shown);
        }
    }

    #[test]
    fn others_can_add_languages_and_are_told_their_mistakes() {
        let folder = tempfile::tempdir().unwrap();
        let load = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            let loaded = Languages::load(Some(folder.path()), "en");
            std::fs::remove_file(folder.path().join(name)).unwrap();
            loaded.map_err(|error| error.to_string())
        };
        let french = load("fr.toml", "language = 'Français'\n[sign_in]\ntitle = 'Se connecter'").unwrap();
        assert_eq!(french.accepted("fr-CA").say("sign_in.title"), "Se connecter");
        assert_eq!(french.accepted("fr").say("months"), own().get("en").unwrap().say("months"));
        let german = load("de.toml", "[sign_in]\ntitle = 'Servus'").unwrap();
        assert_eq!((german.accepted("de").say("sign_in.title"), german.accepted("de").name()), ("Servus", "Deutsch"));
        for (name, text, wrong) in [
            ("fr.toml", "language = 'x'\nnonsense = 'x'", "no message 'nonsense'"),
            ("fr.toml", "language = 'x {hack}'", "{hack}"),
            ("fr.toml", "language = ", "fr.toml"),
            ("fr.toml", "months = 'x'", "needs a message 'language'"),
            ("f r.toml", "language = 'x'", "name the file"),
        ] {
            let error = load(name, text).unwrap_err();
            assert!(error.contains(wrong), "{error}");
        }
        assert!(Languages::load(None, "xx").unwrap_err().to_string().contains("only en, de"));
    }
}
