//! What a person most probably meant.

/// Longer words are not compared: nobody mistypes them into a key.
const WORD_CHARS_MAX: usize = 60;

/// Words that other tools use for what is called otherwise here.
const ELSEWHERE: [(&str, &str); 14] = [
    ("allowlist", "never"),
    ("bantime", "ladder"),
    ("ban_time", "ladder"),
    ("duration", "ladder"),
    ("findtime", "period"),
    ("hostname", "name"),
    ("ignoreip", "never"),
    ("kinds", "points"),
    ("maxretry", "threshold"),
    ("max_attempts", "threshold"),
    ("retention", "event_retention"),
    ("score", "points"),
    ("whitelist", "never"),
    ("window", "period"),
];

/// The word that other tools' word is called here.
pub(crate) fn translated(word: &str) -> Option<&'static str> {
    let word = normal(word);
    ELSEWHERE.iter().find(|(other, _)| *other == word).map(|(_, ours)| *ours)
}

/// The right word that is nearest to a wrong one, if any is near enough to be meant.
pub(crate) fn nearest<'a>(wrong: &str, right: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let chars = wrong.chars().count();
    if chars == 0 || chars > WORD_CHARS_MAX {
        return None;
    }
    let wrong = normal(wrong);
    let limit = (chars / 3).max(1);
    right
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&wrong, &normal(word)), word))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

fn normal(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_suggested() {
        let words = ["period", "points", "threshold", "login_failed"];
        for (wrong, right) in [
            ("perod", Some("period")),
            ("Threshold", Some("threshold")),
            ("login-failed", Some("login_failed")),
            ("point", Some("points")),
            ("x", None),
            ("", None),
            ("socket", None),
        ] {
            assert_eq!(nearest(wrong, words), right, "{wrong}");
        }
        assert_eq!(translated("MaxRetry"), Some("threshold"));
    }
}
