//! The journal export format: <https://systemd.io/JOURNAL_EXPORT_FORMATS/>.

use memchr::memchr;

/// Names of fields are far shorter; a longer one is not from journald.
const NAME_BYTES_MAX: usize = 1024;

/// One entry of the journal, as far as it makes a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// `__CURSOR`: the place after this entry.
    pub cursor: Vec<u8>,
    /// `__REALTIME_TIMESTAMP`: microseconds since the epoch, when journald received it.
    pub realtime: Vec<u8>,
    /// `_HOSTNAME`
    pub hostname: Vec<u8>,
    /// `SYSLOG_IDENTIFIER`
    pub identifier: Vec<u8>,
    /// `_COMM`
    pub command: Vec<u8>,
    /// `SYSLOG_PID`
    pub syslog_pid: Vec<u8>,
    /// `_PID`
    pub pid: Vec<u8>,
    /// `MESSAGE`, as is.
    pub message: Vec<u8>,
    /// Bytes of `MESSAGE` beyond the limit.
    pub message_cut_bytes: u64,
}

/// The fields wanted, for `journalctl --output-fields`; cursor and time always come.
pub(crate) const FIELDS: &str = "_HOSTNAME,SYSLOG_IDENTIFIER,_COMM,SYSLOG_PID,_PID,MESSAGE";

impl Entry {
    fn field(&mut self, name: &[u8]) -> Option<&mut Vec<u8>> {
        Some(match name {
            b"__CURSOR" => &mut self.cursor,
            b"__REALTIME_TIMESTAMP" => &mut self.realtime,
            b"_HOSTNAME" => &mut self.hostname,
            b"SYSLOG_IDENTIFIER" => &mut self.identifier,
            b"_COMM" => &mut self.command,
            b"SYSLOG_PID" => &mut self.syslog_pid,
            b"_PID" => &mut self.pid,
            b"MESSAGE" => &mut self.message,
            _ => return None,
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// In a field's name.
    Name,
    /// In a value that ends with the line.
    Text,
    /// In the eight bytes that tell a value's length.
    Length,
    /// In a value of which so many bytes are to come.
    Binary(u64),
    /// Before the newline that follows such a value.
    AfterBinary,
}

/// Reads the export format from chunks of bytes, however they are cut, in bounded memory.
#[derive(Debug)]
pub struct ExportReader {
    value_bytes_max: usize,
    place: Place,
    name: Vec<u8>,
    length: Vec<u8>,
    entry: Entry,
    has_fields: bool,
}

impl ExportReader {
    /// A reader that cuts values at a length.
    pub fn new(value_bytes_max: usize) -> Self {
        ExportReader {
            value_bytes_max,
            place: Place::Name,
            name: Vec::new(),
            length: Vec::new(),
            entry: Entry::default(),
            has_fields: false,
        }
    }

    /// Takes bytes, and calls `sink` with every entry that is complete.
    pub fn feed(&mut self, mut bytes: &[u8], mut sink: impl FnMut(Entry)) {
        while !bytes.is_empty() {
            let taken = match self.place {
                Place::Name => self.name(bytes, &mut sink),
                Place::Text => self.text(bytes),
                Place::Length => self.length(bytes),
                Place::Binary(left) => self.binary(bytes, left),
                Place::AfterBinary => self.after_binary(bytes),
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    fn name(&mut self, bytes: &[u8], sink: &mut impl FnMut(Entry)) -> usize {
        let Some(end) = bytes.iter().position(|byte| matches!(byte, b'=' | b'\n')) else {
            self.add_to_name(bytes);
            return bytes.len();
        };
        self.add_to_name(&bytes[..end]);
        if bytes[end] == b'=' {
            self.begin_value(Place::Text);
        } else if !self.name.is_empty() {
            self.length.clear();
            self.begin_value(Place::Length);
        } else if std::mem::take(&mut self.has_fields) {
            sink(std::mem::take(&mut self.entry));
        }
        end + 1
    }

    fn add_to_name(&mut self, bytes: &[u8]) {
        let fits = NAME_BYTES_MAX.saturating_sub(self.name.len()).min(bytes.len());
        self.name.extend_from_slice(&bytes[..fits]);
    }

    fn begin_value(&mut self, place: Place) {
        self.place = place;
        self.has_fields = true;
        // A field may come more than once; the last one counts.
        if let Some(value) = self.entry.field(&self.name) {
            value.clear();
        }
    }

    fn add_to_value(&mut self, bytes: &[u8]) {
        let max = self.value_bytes_max;
        let Some(value) = self.entry.field(&self.name) else { return };
        let fits = max.saturating_sub(value.len()).min(bytes.len());
        value.extend_from_slice(&bytes[..fits]);
        if self.name == b"MESSAGE" {
            self.entry.message_cut_bytes += (bytes.len() - fits) as u64;
        }
    }

    fn end_value(&mut self) {
        self.name.clear();
        self.place = Place::Name;
    }

    fn text(&mut self, bytes: &[u8]) -> usize {
        let end = memchr(b'\n', bytes);
        self.add_to_value(&bytes[..end.unwrap_or(bytes.len())]);
        match end {
            Some(end) => {
                self.end_value();
                end + 1
            }
            None => bytes.len(),
        }
    }

    fn length(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(8 - self.length.len());
        self.length.extend_from_slice(&bytes[..taken]);
        if let Ok(length) = <[u8; 8]>::try_from(self.length.as_slice()) {
            let length = u64::from_le_bytes(length);
            self.place = if length == 0 { Place::AfterBinary } else { Place::Binary(length) };
        }
        taken
    }

    fn binary(&mut self, bytes: &[u8], left: u64) -> usize {
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        self.add_to_value(&bytes[..taken]);
        let left = left - taken as u64;
        self.place = if left == 0 { Place::AfterBinary } else { Place::Binary(left) };
        taken
    }

    fn after_binary(&mut self, bytes: &[u8]) -> usize {
        self.end_value();
        // Anything else than the newline is the next name already: the writer left it out.
        usize::from(bytes.first() == Some(&b'\n'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], step: usize) -> Vec<Entry> {
        let (mut reader, mut entries) = (ExportReader::new(16), Vec::new());
        for chunk in bytes.chunks(step) {
            reader.feed(chunk, |entry| entries.push(entry));
        }
        entries
    }

    #[test]
    fn reads_text_and_binary_fields_however_cut() {
        let mut bytes = b"\n__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=17\nOTHER=x\nMESSAGE=one=two\n_PID=7\n\n".to_vec();
        bytes.extend_from_slice(b"__CURSOR=b\nMESSAGE\n\x09\0\0\0\0\0\0\0a\nb\n\n__C=\nOTHER\n\0\0\0\0\0\0\0\0\n\n\n");
        bytes.extend_from_slice(b"__CURSOR=c\nMESSAGE=0123456789abcdefXYZ\n\n__CURSOR=never complete\n");
        for step in 1..bytes.len() {
            let entries = read(&bytes, step);
            assert_eq!(entries.len(), 3, "by {step}");
            assert_eq!(entries[0].cursor, b"s=1;i=2");
            assert_eq!((&entries[0].message[..], &entries[0].pid[..]), (&b"one=two"[..], &b"7"[..]));
            assert_eq!(entries[1].message, b"a\nb\n\n__C=");
            assert_eq!((&entries[2].message[..], entries[2].message_cut_bytes), (&b"0123456789abcdef"[..], 3));
        }
    }

    #[test]
    fn nonsense_takes_no_memory() {
        let mut reader = ExportReader::new(16);
        for _ in 0..1000 {
            reader.feed(&[b'x'; 4096], |_| panic!("no entry"));
        }
        assert!(reader.name.len() <= NAME_BYTES_MAX);
        reader.feed(b"\n\xff\xff\xff\xff\xff\xff\xff\xff", |_| panic!("no entry"));
        assert_eq!(reader.place, Place::Binary(u64::MAX));
    }
}
