//! What an account usually sends: for each measure the most of one day, which fades.

use std::fmt;
use std::str::FromStr;

use fairban_types::Time;

/// A peak stands for so many days,
const STANDS_DAYS: u32 = 7;
/// and after so many more without the like it counts half.
const HALVING_DAYS: u32 = 28;

/// The number of a moment's day since 1970, UTC.
pub(crate) fn day_of(at: Time) -> i32 {
    i32::try_from(at.secs().div_euclid(86_400)).unwrap_or(if at.secs() < 0 { i32::MIN } else { i32::MAX })
}

/// The most there was on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Peak {
    /// How much.
    pub most: u32,
    /// On which day, in days since 1970.
    pub day: i32,
}

impl Peak {
    /// What is left of it.
    pub(crate) fn usual(self, today: i32) -> u32 {
        let days = today.saturating_sub(self.day).max(0).unsigned_abs().saturating_sub(STANDS_DAYS);
        let halved = self.most.checked_shr(days / HALVING_DAYS).unwrap_or(0);
        let fading = u64::from(halved) * u64::from(days % HALVING_DAYS) / u64::from(2 * HALVING_DAYS);
        halved - u32::try_from(fading).unwrap_or(halved)
    }

    /// Takes in what a day's most was.
    pub(crate) fn learn(&mut self, most: u32, day: i32) {
        let (taught, latest) = (Peak { most, day }, day.max(self.day));
        if taught.usual(latest) >= self.usual(latest) {
            *self = taught;
        }
    }
}

/// What an account usually sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habit {
    /// The first message known.
    pub first: Time,
    /// The latest.
    pub last: Time,
    /// The most recipients within the period.
    pub recipients: Peak,
    /// The most messages within the period.
    pub messages: Peak,
    /// The most recipients within a day.
    pub daily: Peak,
    /// The most recipients of one message.
    pub fan_out: Peak,
}

impl Habit {
    pub(crate) fn new(at: Time) -> Self {
        let none = Peak::default();
        Habit { first: at, last: at, recipients: none, messages: none, daily: none, fan_out: none }
    }

    /// Takes in what else is known of the same account.
    pub(crate) fn merge(&mut self, other: Habit) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.recipients.learn(other.recipients.most, other.recipients.day);
        self.messages.learn(other.messages.most, other.messages.day);
        self.daily.learn(other.daily.most, other.daily.day);
        self.fan_out.learn(other.fan_out.most, other.fan_out.day);
    }
}

/// A stored habit that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HabitError;

impl fmt::Display for HabitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a habit: ten numbers are expected")
    }
}

impl std::error::Error for HabitError {}

/// As it is stored: ten numbers.
impl fmt::Display for Habit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.first.millis(), self.last.millis())?;
        for peak in [self.recipients, self.messages, self.daily, self.fan_out] {
            write!(f, " {} {}", peak.most, peak.day)?;
        }
        Ok(())
    }
}

impl FromStr for Habit {
    type Err = HabitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers: Result<Vec<i64>, _> = text.split(' ').map(str::parse).collect();
        let numbers: [i64; 10] = numbers.ok().and_then(|numbers| numbers.try_into().ok()).ok_or(HabitError)?;
        let [first, last, peaks @ ..] = numbers;
        let mut read = [Peak::default(); 4];
        for (peak, numbers) in read.iter_mut().zip(peaks.chunks_exact(2)) {
            let (most, day) = (u32::try_from(numbers[0]), i32::try_from(numbers[1]));
            *peak = Peak { most: most.map_err(|_| HabitError)?, day: day.map_err(|_| HabitError)? };
        }
        let [recipients, messages, daily, fan_out] = read;
        let (first, last) = (Time::from_millis(first), Time::from_millis(last));
        Ok(Habit { first, last, recipients, messages, daily, fan_out })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_fade() {
        let peak = Peak { most: 1000, day: 100 };
        for (day, usual) in [(90, 1000), (107, 1000), (121, 750), (135, 500), (163, 250), (100_000, 0)] {
            assert_eq!(peak.usual(day), usual, "day {day}");
        }
        let mut peak = peak;
        peak.learn(400, 121);
        assert_eq!(peak, Peak { most: 1000, day: 100 });
        peak.learn(600, 135);
        assert_eq!(peak, Peak { most: 600, day: 135 });
        peak.learn(1000, 100);
        assert_eq!(peak, Peak { most: 600, day: 135 }, "what is older has faded more");
        peak.learn(1300, 100);
        assert_eq!(peak, Peak { most: 1300, day: 100 });
    }

    #[test]
    fn habits_are_read_as_they_are_stored() {
        let mut habit = Habit::new(Time::from_millis(-5));
        habit.daily = Peak { most: 7, day: -3 };
        assert_eq!(habit.to_string(), "-5 -5 0 0 0 0 7 -3 0 0");
        assert_eq!(habit.to_string().parse(), Ok(habit));
        for text in ["", "1 2", "-5 -5 0 0 0 0 -7 -3 0 0", "-5 -5 0 0 0 0 7 -3 0 0 1", "a b c d e f g h i j"] {
            assert_eq!(text.parse::<Habit>(), Err(HabitError), "{text}");
        }
    }
}
