//! Postfix's `main.cf` and `master.cf` as text: a word put first into a list of restrictions, and taken out again.
//!
//! Both know logical lines: one that begins with white space goes on with the one before it, comments and empty lines
//! between them aside (postconf(5), master(5)).

/// What stands for the question to Fairban in lists of restrictions. It is defined between the marks in `main.cf`.
pub(super) const TOKEN: &str = "$fairban_policy";

/// The lists in which Fairban is asked, and what for.
pub(super) const LISTS: [(&str, &str); 2] = [
    (
        "smtpd_recipient_restrictions",
        "each recipient is asked about before anything else in the list could permit it; what follows holds as before",
    ),
    ("smtpd_end_of_data_restrictions", "tells that a message is through, and for how many recipients"),
];

/// The place after the `=` of a parameter's last assignment, which is the one that counts.
fn assigned(text: &str, name: &str) -> Option<usize> {
    let mut at = 0;
    let mut found = None;
    for line in text.split_inclusive('\n') {
        if let Some(rest) = line.strip_prefix(name)
            && rest.trim_start().starts_with('=')
        {
            found = Some(at + line.find('=').unwrap_or_default() + 1);
        }
        at += line.len();
    }
    found
}

/// The value that begins at this place, through all lines that go on with it.
fn value(text: &str, from: usize) -> String {
    let mut value = String::new();
    for (number, line) in text[from..].split_inclusive('\n').enumerate() {
        let is_comment = line.trim_start().starts_with('#') || line.trim().is_empty();
        if number > 0 && is_comment {
            continue;
        }
        if number > 0 && !line.starts_with([' ', '\t']) {
            break;
        }
        value.push_str(line);
    }
    value.trim().to_owned()
}

/// The value of a parameter as the text assigns it.
pub(super) fn parameter(text: &str, name: &str) -> Option<String> {
    assigned(text, name).map(|place| value(text, place))
}

/// The text with the word first in the list; `None`: the text does not assign it.
pub(super) fn with_first(text: &str, name: &str) -> Option<String> {
    let place = assigned(text, name)?;
    let value = value(text, place);
    if value.contains(TOKEN) {
        return Some(text.to_owned());
    }
    let line = text[place..].split('\n').next().unwrap_or_default();
    let (place, word) = match (value.is_empty(), line.trim().is_empty()) {
        (true, _) => (place, format!(" {TOKEN}")),
        (false, true) => (place, format!(" {TOKEN},")),
        (false, false) => (place + line.len() - line.trim_start().len(), format!("{TOKEN}, ")),
    };
    Some(format!("{}{word}{}", &text[..place], &text[place..]))
}

/// `master.cf` with the word first wherever a server of mail clients has a list of its own, and the names of those.
pub(super) fn master_with_first(text: &str) -> (String, Vec<String>) {
    let (mut changed, mut services) = (String::with_capacity(text.len()), Vec::new());
    let mut service = None;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with('#') || line.trim().is_empty() {
            changed.push_str(line);
            continue;
        }
        if !line.starts_with([' ', '\t']) {
            service = asking_service(line);
        }
        let Some(name) = service.filter(|_| LISTS.iter().any(|(list, _)| line.contains(list))) else {
            changed.push_str(line);
            continue;
        };
        let with = LISTS.iter().fold(line.to_owned(), |line, (list, _)| option_with_first(&line, list));
        if with != line {
            services.push(name.to_owned());
        }
        changed.push_str(&with);
    }
    services.dedup();
    (changed, services)
}

/// The name of the service if it is one that mail clients speak to. One at the loopback address takes mail back from a
/// content filter.
fn asking_service(line: &str) -> Option<&str> {
    let mut fields = line.split_whitespace();
    let name = fields.next()?;
    let is_smtpd = fields.nth(6) == Some("smtpd");
    let is_back_door = ["127.", "localhost:", "[::1]", "::1:"].iter().any(|begin| name.starts_with(begin));
    let is_submission = name.ends_with(":submission") || name.ends_with(":submissions") || name.ends_with(":587");
    (is_smtpd && (!is_back_door || is_submission)).then_some(name)
}

/// `-o name=value` or `-o { name = value }` with the word first in the value.
fn option_with_first(line: &str, list: &str) -> String {
    let Some(at) = line.find(list) else { return line.to_owned() };
    let after = &line[at + list.len()..];
    let Some(rest) = after.trim_start().strip_prefix('=') else { return line.to_owned() };
    let is_braced = line[..at].trim_end().ends_with('{');
    let place = line.len() - if is_braced { rest.trim_start() } else { rest }.len();
    let end = if is_braced { line[place..].find('}') } else { line[place..].find(char::is_whitespace) };
    let value = line[place..end.map_or(line.len(), |end| place + end)].trim();
    if value.contains(TOKEN) {
        return line.to_owned();
    }
    let word = match (value.is_empty(), is_braced) {
        (true, true) => format!("{TOKEN} "),
        (true, false) => TOKEN.to_owned(),
        (false, true) => format!("{TOKEN}, "),
        (false, false) => format!("{TOKEN},"),
    };
    format!("{}{word}{}", &line[..place], &line[place..])
}

/// The text without the word.
pub(super) fn without_token(text: &str) -> String {
    let mut text = text.to_owned();
    for form in [format!("{TOKEN}, "), format!(" {TOKEN},"), format!("{TOKEN},"), format!(" {TOKEN}\n")] {
        let instead = if form.ends_with('\n') { "\n" } else { "" };
        text = text.replace(&form, instead);
    }
    text.replace(TOKEN, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "smtpd_recipient_restrictions";

    #[test]
    fn a_word_goes_first_and_comes_out_again() {
        for (before, after) in [
            (
                "smtpd_recipient_restrictions = permit_mynetworks, reject\n",
                "smtpd_recipient_restrictions = $fairban_policy, permit_mynetworks, reject\n",
            ),
            (
                "smtpd_recipient_restrictions=permit_mynetworks\n  # note\n  reject\n",
                "smtpd_recipient_restrictions=$fairban_policy, permit_mynetworks\n  # note\n  reject\n",
            ),
            (
                "smtpd_recipient_restrictions =\n\tpermit_mynetworks,\n\treject\n",
                "smtpd_recipient_restrictions = $fairban_policy,\n\tpermit_mynetworks,\n\treject\n",
            ),
            ("smtpd_recipient_restrictions =\nx = y\n", "smtpd_recipient_restrictions = $fairban_policy\nx = y\n"),
            (
                "smtpd_recipient_restrictions = a\nsmtpd_recipient_restrictions = b\n",
                "smtpd_recipient_restrictions = a\nsmtpd_recipient_restrictions = $fairban_policy, b\n",
            ),
            ("smtpd_recipient_restrictions = reject", "smtpd_recipient_restrictions = $fairban_policy, reject"),
        ] {
            let with = with_first(before, LIST).unwrap();
            assert_eq!(with, after);
            assert_eq!(with_first(&with, LIST).as_deref(), Some(after), "a second time changes nothing");
            assert_eq!(without_token(&with), before);
        }
        for none in ["", "# smtpd_recipient_restrictions = x\n", "smtpd_recipient_restrictions_x = y\n"] {
            assert_eq!(with_first(none, LIST), None, "{none}");
        }
    }

    #[test]
    fn values_go_over_lines() {
        let text = "a = b\nc =\n  d,\n# comment\n\n  e\nf = g\n";
        assert_eq!(parameter(text, "c").as_deref(), Some("d,\n  e"));
        assert_eq!(parameter(text, "f").as_deref(), Some("g"));
        assert_eq!(parameter(text, "d"), None);
    }

    #[test]
    fn services_with_lists_of_their_own_ask_too() {
        for (before, after, services) in [
            (
                "smtp inet n - y - - smtpd\nsubmission inet n - y - - smtpd\n  -o smtpd_recipient_restrictions=\n",
                "smtp inet n - y - - smtpd\nsubmission inet n - y - - smtpd\n  -o smtpd_recipient_restrictions=$fairban_policy\n",
                &["submission"][..],
            ),
            (
                "465 inet n - y - - smtpd -o x=y -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject\n",
                "465 inet n - y - - smtpd -o x=y -o smtpd_recipient_restrictions=$fairban_policy,permit_sasl_authenticated,reject\n",
                &["465"],
            ),
            (
                "587 inet n - y - - smtpd\n# between\n  -o { smtpd_recipient_restrictions = permit_mynetworks, reject }\n",
                "587 inet n - y - - smtpd\n# between\n  -o { smtpd_recipient_restrictions = $fairban_policy, permit_mynetworks, reject }\n",
                &["587"],
            ),
            (
                "127.0.0.1:10025 inet n - n - - smtpd\n  -o smtpd_recipient_restrictions=permit_mynetworks,reject\n",
                "127.0.0.1:10025 inet n - n - - smtpd\n  -o smtpd_recipient_restrictions=permit_mynetworks,reject\n",
                &[],
            ),
            (
                "x unix - - n - - smtp\n  -o smtpd_recipient_restrictions=\n#587 inet n - y - - smtpd\n#  -o smtpd_recipient_restrictions=\n",
                "x unix - - n - - smtp\n  -o smtpd_recipient_restrictions=\n#587 inet n - y - - smtpd\n#  -o smtpd_recipient_restrictions=\n",
                &[],
            ),
        ] {
            let (with, names) = master_with_first(before);
            assert_eq!(with, after);
            assert_eq!(names, services);
            assert_eq!(master_with_first(&with), (with.clone(), Vec::new()), "a second time changes nothing");
            assert_eq!(without_token(&with), before);
        }
    }
}
