use std::time::Duration;

use bytes::Bytes;
use fairban_types::{Effect, Verdict};

use crate::Wording;

const GO_ON: &[u8] = br#"{"status":0}"#;
/// Without `msg` this is what a wrong password looks like.
const SILENT: &[u8] = br#"{"status":-1}"#;

/// The answer to `report`, whatever was reported.
pub(super) fn go_on() -> Bytes {
    Bytes::from_static(GO_ON)
}

/// The answer to `allow`, and whether it refuses or delays.
pub(super) fn to_allow(verdict: Verdict, wording: &Wording, tarpit: Duration) -> (Bytes, bool) {
    let Verdict::Refuse(refused) = verdict else { return (go_on(), false) };
    match refused.effect {
        Effect::Observe => (go_on(), false),
        Effect::Soft => (Bytes::from_static(SILENT), true),
        Effect::Tarpit => (format!(r#"{{"status":{}}}"#, whole_seconds(tarpit)).into(), true),
        // A kernel that drops too late lets a client come this far; it may as well be told.
        Effect::Explain | Effect::Drop => {
            let text = serde_json::Value::from(wording.render(&refused));
            (format!(r#"{{"status":-1,"msg":{text}}}"#).into(), true)
        }
    }
}

/// At least one, since zero would be no delay.
fn whole_seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).clamp(1, 3600)
}

#[cfg(test)]
mod tests {
    use fairban_types::{Code, Diagnosis, Refused, SubjectKind};

    use super::*;

    #[test]
    fn verdicts_in_words_of_dovecot() {
        let told = r#"{"status":-1,"msg":"Say \"please\" (too many wrong passwords; reference 0000-0001)"}"#;
        for (effect, answer, refuses) in [
            (None, r#"{"status":0}"#, false),
            (Some(Effect::Observe), r#"{"status":0}"#, false),
            (Some(Effect::Soft), r#"{"status":-1}"#, true),
            (Some(Effect::Tarpit), r#"{"status":3}"#, true),
            (Some(Effect::Explain), told, true),
            (Some(Effect::Drop), told, true),
        ] {
            let refused = |effect| Refused {
                code: Code::new(1),
                until: None,
                effect,
                diagnosis: Diagnosis::PasswordGuessing,
                subject: SubjectKind::Address,
            };
            let verdict = effect.map_or(Verdict::Allow, |effect| Verdict::Refuse(refused(effect)));
            let wording = Wording { text: Some("Say \"please\"".to_owned()), portal: None };
            let (bytes, is_refusal) = to_allow(verdict, &wording, Duration::from_millis(2500));
            assert_eq!((std::str::from_utf8(&bytes).unwrap(), is_refusal), (answer, refuses));
        }
        assert_eq!(whole_seconds(Duration::ZERO), 1);
    }
}
