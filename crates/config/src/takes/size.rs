use super::Takes;
use crate::tree::Value;

const UNITS: [(&str, u64); 6] =
    [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000)];
const MEMORY_MIN: u64 = 16 << 20;
const MEMORY_MAX: u64 = 1 << 40;

/// An amount of memory, in bytes.
pub(crate) fn memory() -> Takes<usize> {
    Takes::scalar("an amount of memory from \"16MiB\" to \"1024GiB\"", |value| match value {
        Value::Text(text) => bytes(text)
            .filter(|bytes| (MEMORY_MIN..=MEMORY_MAX).contains(bytes))
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or_else(String::new),
        Value::Whole(_) => Err("; write the unit, as in \"512MiB\"".to_owned()),
        _ => Err(String::new()),
    })
}

fn bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let size = UNITS.iter().find(|(name, _)| *name == unit.trim()).map(|(_, size)| *size)?;
    number.parse::<u64>().ok()?.checked_mul(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_needed_and_exact() {
        assert_eq!(bytes("512MiB"), Some(536_870_912));
        assert_eq!(bytes("1 GB"), Some(1_000_000_000));
        for wrong in ["", "512", "MiB", "512mib", "-1MiB", "99999999999999999999GiB", "18446744073709551615GiB"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
