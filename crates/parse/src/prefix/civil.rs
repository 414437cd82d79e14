//! Written dates and times into moments.

use fairban_types::Time;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::Context;

const DAY_MILLIS: i64 = 86_400_000;
/// Between two 29ths of February lie at most eight years.
const YEARS_BACK_MAX: i16 = 8;

/// A minute as it is written, without year or zone where the stamp has none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Minute {
    pub(super) year: Option<i16>,
    pub(super) month: i8,
    pub(super) day: i8,
    pub(super) hour: i8,
    pub(super) minute: i8,
}

impl Minute {
    /// The minute's beginning in the zone of the context, in milliseconds since the epoch.
    pub(super) fn millis(self, context: &Context) -> Option<i64> {
        match self.year.or(context.year) {
            Some(year) => self.in_year(year, &context.zone),
            None => self.latest(context),
        }
    }

    /// The latest such minute that is not more than a day after the reference.
    fn latest(self, context: &Context) -> Option<i64> {
        let reference = context.reference.millis();
        let year = year_of(context.reference, &context.zone)?;
        let limit = reference.saturating_add(DAY_MILLIS);
        (year - YEARS_BACK_MAX..=year + 1)
            .rev()
            .filter_map(|year| self.in_year(year, &context.zone))
            .find(|millis| *millis <= limit)
    }

    fn in_year(self, year: i16, zone: &TimeZone) -> Option<i64> {
        let civil = DateTime::new(year, self.month, self.day, self.hour, self.minute, 0, 0).ok()?;
        Some(zone.to_ambiguous_timestamp(civil).compatible().ok()?.as_millisecond())
    }

    /// The same as if the zone were UTC.
    pub(super) fn millis_utc(self) -> Option<i64> {
        let days = days_from_civil(self.year?, self.month, self.day)?;
        if !(0..24).contains(&self.hour) || !(0..60).contains(&self.minute) {
            return None;
        }
        Some(days * DAY_MILLIS + i64::from(self.hour) * 3_600_000 + i64::from(self.minute) * 60_000)
    }
}

fn year_of(reference: Time, zone: &TimeZone) -> Option<i16> {
    let stamp = jiff::Timestamp::from_millisecond(reference.millis()).ok()?;
    Some(zone.to_datetime(stamp).year())
}

/// Days since the epoch in the proleptic Gregorian calendar, counting years from March so that the leap day is last.
fn days_from_civil(year: i16, month: i8, day: i8) -> Option<i64> {
    const LENGTHS: [i8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *LENGTHS.get(usize::try_from(month - 1).ok()?)?;
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if day < 1 || day > length || (month == 2 && day == 29 && !leap) {
        return None;
    }
    let (year, month, day) = (i64::from(year), i64::from(month), i64::from(day));
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_agree_with_the_calendar() {
        for (year, month, day) in [(1970, 1, 1), (2000, 2, 29), (2026, 11, 21), (1999, 12, 31), (2100, 3, 1)] {
            let civil = DateTime::new(year, month, day, 0, 0, 0, 0).unwrap();
            let millis = TimeZone::UTC.to_timestamp(civil).unwrap().as_millisecond();
            assert_eq!(days_from_civil(year, month, day), Some(millis / DAY_MILLIS), "{year}-{month}-{day}");
        }
        for (year, month, day) in [(2026, 2, 29), (2026, 0, 1), (2026, 13, 1), (2026, 11, 31), (2026, 1, 0)] {
            assert_eq!(days_from_civil(year, month, day), None);
        }
    }
}
