use serde::{Deserialize, Serialize};

/// Where to go on in a source: kept by the receiver as JSON, understood only here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cursor {
    /// In a file: the file itself last, before it rotated ones that may still be written to, oldest first.
    File(Vec<FilePosition>),
    /// In the journal: its own cursor.
    Journald(String),
}

/// A place in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePosition {
    /// The number of the file's device.
    pub device: u64,
    /// The number of its inode.
    pub inode: u64,
    /// Bytes before the next line to be read.
    pub offset: u64,
    /// Hash of the first and the last bytes (at most 256 each) before `offset`: tells the file from another one that got
    /// its inode, and finds it under another one.
    pub fingerprint: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_stable() {
        let place = FilePosition { device: 1, inode: 2, offset: 3, fingerprint: u64::MAX };
        for (cursor, json) in [
            (
                Cursor::File(vec![place]),
                r#"{"file":[{"device":1,"inode":2,"offset":3,"fingerprint":18446744073709551615}]}"#,
            ),
            (Cursor::Journald("s=0f;i=1".to_owned()), r#"{"journald":"s=0f;i=1"}"#),
        ] {
            assert_eq!(serde_json::to_string(&cursor).unwrap(), json);
            assert_eq!(serde_json::from_str::<Cursor>(json).unwrap(), cursor);
        }
    }
}
