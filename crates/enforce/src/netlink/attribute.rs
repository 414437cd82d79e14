//! Attributes: a length and a kind (16 bits each, host order), then data, padded to four bytes.

const HEADER: usize = 4;
const NESTED: u16 = 0x8000;
const KIND_MASK: u16 = 0x3fff;

/// The largest that the data of one attribute may be.
pub(crate) const DATA_MAX: usize = u16::MAX as usize - HEADER;

/// Appends an attribute.
pub(crate) fn put(buf: &mut Vec<u8>, kind: u16, data: &[u8]) {
    debug_assert!(data.len() <= DATA_MAX);
    buf.extend_from_slice(&((HEADER + data.len()) as u16).to_ne_bytes());
    buf.extend_from_slice(&kind.to_ne_bytes());
    buf.extend_from_slice(data);
    buf.resize(buf.len().next_multiple_of(4), 0);
}

/// Appends a number in network order, as nf_tables wants its numbers.
pub(crate) fn put_u32(buf: &mut Vec<u8>, kind: u16, value: u32) {
    put(buf, kind, &value.to_be_bytes());
}

/// Appends a long number in network order.
pub(crate) fn put_u64(buf: &mut Vec<u8>, kind: u16, value: u64) {
    put(buf, kind, &value.to_be_bytes());
}

/// Appends a text, which ends in a zero byte.
pub(crate) fn put_text(buf: &mut Vec<u8>, kind: u16, text: &str) {
    let mut data = text.as_bytes().to_vec();
    data.push(0);
    put(buf, kind, &data);
}

/// Appends an attribute that holds attributes.
pub(crate) fn nest(buf: &mut Vec<u8>, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = buf.len();
    buf.extend_from_slice(&[0; HEADER]);
    fill(buf);
    let len = buf.len() - start;
    debug_assert!(len <= u16::MAX as usize);
    buf[start..start + 2].copy_from_slice(&(len as u16).to_ne_bytes());
    buf[start + 2..start + 4].copy_from_slice(&(kind | NESTED).to_ne_bytes());
}

/// The attributes in a run of bytes; ends at the first that is cut short.
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let len = usize::from(u16::from_ne_bytes(*self.0.first_chunk()?));
        let kind = u16::from_ne_bytes(*self.0.get(2..)?.first_chunk()?) & KIND_MASK;
        let data = self.0.get(HEADER..len)?;
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, data))
    }
}

/// The data of the first attribute of a kind.
pub(crate) fn find(data: &[u8], kind: u16) -> Option<&[u8]> {
    Attributes(data).find(|(found, _)| *found == kind).map(|(_, data)| data)
}

/// The number in the first attribute of a kind.
pub(crate) fn find_u32(data: &[u8], kind: u16) -> Option<u32> {
    find(data, kind).and_then(|data| Some(u32::from_be_bytes(*data.first_chunk()?)))
}

/// The long number in the first attribute of a kind.
pub(crate) fn find_u64(data: &[u8], kind: u16) -> Option<u64> {
    find(data, kind).and_then(|data| Some(u64::from_be_bytes(*data.first_chunk()?)))
}

/// The text in the first attribute of a kind, without its zero byte.
pub(crate) fn find_text(data: &[u8], kind: u16) -> Option<&str> {
    let data = find(data, kind)?;
    std::str::from_utf8(data.strip_suffix(&[0]).unwrap_or(data)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let mut buf = Vec::new();
        put_text(&mut buf, 1, "abcd");
        nest(&mut buf, 2, |buf| put_u32(buf, 3, 7));
        put_u64(&mut buf, 4, 9);
        assert_eq!(buf.len() % 4, 0);
        assert_eq!(find_text(&buf, 1), Some("abcd"));
        assert_eq!(find_u32(find(&buf, 2).unwrap(), 3), Some(7));
        assert_eq!(find_u64(&buf, 4), Some(9));
        assert_eq!(find(&buf, 5), None);
    }

    #[test]
    fn broken_lengths_end_the_list() {
        for bytes in [&[0u8, 0][..], &[0, 0, 0, 0], &[3, 0, 1, 0], &[9, 0, 1, 0, 0], &[255, 255, 1, 0, 0, 0, 0, 0]] {
            assert_eq!(Attributes(bytes).count(), 0, "{bytes:?}");
        }
    }
}
