//! Parts of the week, as a policy names them.

use std::fmt;

/// A moment on the clock of the policy's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// 0 is Monday.
    pub weekday: u8,
    /// Minutes since midnight.
    pub minute: u16,
}

/// Some minutes of some days of each week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// A bit for each day, the lowest for Monday.
    days: u8,
    from: u16,
    /// The first minute behind it; below `from` it is on the next day.
    until: u16,
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const WEEK: u8 = 0b111_1111;
const MIDNIGHT: u16 = 24 * 60;

impl Hours {
    /// Reads `Mon-Fri 08:00-18:00`, `Sat,Sun`, `22:00-06:00`: days, hours or both. Hours that end before they begin end on
    /// the next day.
    ///
    /// # Errors
    /// What is wrong, and what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_ascii_whitespace();
        let (first, second) = (words.next().unwrap_or_default(), words.next());
        if words.next().is_some() || first.is_empty() {
            return Err(wrong(text));
        }
        let is_hours = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
        let (days, hours) = match second {
            None if is_hours(first) => (None, Some(first)),
            None => (Some(first), None),
            Some(hours) => (Some(first), Some(hours)),
        };
        let days = match days {
            Some(days) => parse_days(days).ok_or_else(|| wrong(text))?,
            None => WEEK,
        };
        let (from, until) = match hours {
            Some(hours) => {
                let (from, until) = hours.split_once('-').ok_or_else(|| wrong(text))?;
                let minute = |time| parse_time(time).ok_or_else(|| wrong(text));
                (minute(from)?, minute(until)?)
            }
            None => (0, MIDNIGHT),
        };
        if from == until {
            return Err(format!(
                "{text:?} begins and ends at once; leave the hours out for whole days"
            ));
        }
        Ok(Self { days, from, until })
    }

    /// Its minutes of the week, the first and the last of each part.
    pub(super) fn minutes(&self) -> impl Iterator<Item = (u16, u16)> {
        let Self { days, from, until } = *self;
        let days = (0..7_u16).filter(move |day| days & (1 << day) != 0);
        days.flat_map(move |day| {
            let (today, tomorrow) = (day * MIDNIGHT, (day + 1) % 7 * MIDNIGHT);
            let parts = match from < until {
                true => [Some((today + from, today + until - 1)), None],
                false => [
                    Some((today + from, today + MIDNIGHT - 1)),
                    (until > 0).then(|| (tomorrow, tomorrow + until - 1)),
                ],
            };
            parts.into_iter().flatten()
        })
    }

    /// Whether a moment is in it. What runs over midnight belongs to the day on which it begins.
    pub fn holds(&self, moment: Moment) -> bool {
        let has = |day: u8| self.days & (1 << day) != 0;
        let (today, yesterday) = (moment.weekday % 7, (moment.weekday + 6) % 7);
        let Moment { minute, .. } = moment;
        if self.from < self.until {
            return has(today) && (self.from..self.until).contains(&minute);
        }
        (has(today) && minute >= self.from) || (has(yesterday) && minute < self.until)
    }
}

impl Moment {
    /// Minutes since Monday began; nothing for what is no time of day.
    pub(super) fn of_week(self) -> Option<u16> {
        (self.minute < MIDNIGHT).then(|| u16::from(self.weekday % 7) * MIDNIGHT + self.minute)
    }
}

fn parse_days(text: &str) -> Option<u8> {
    let day = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name));
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut at, last) = (day(first)?, day(last)?);
        loop {
            days |= 1 << at;
            if at == last {
                break;
            }
            at = (at + 1) % 7;
        }
    }
    Some(days)
}

/// `08:00`; 24:00 is the end of the day.
fn parse_time(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let fits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let whole = hour * 60 + minute;
    (minute < 60 && whole <= MIDNIGHT).then_some(whole)
}

fn wrong(text: &str) -> String {
    format!(
        "{text:?} is no time; write days, hours or both: \"Mon-Fri 08:00-18:00\", \"Sat,Sun\", \"22:00-06:00\""
    )
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = DAYS[usize::from(self.weekday % 7)];
        write!(f, "{day} {:02}:{:02}", self.minute / 60, self.minute % 60)
    }
}

impl std::str::FromStr for Moment {
    type Err = String;

    /// Reads `Mon 09:30`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no moment of a week; write such as \"Mon 09:30\"");
        let (day, time) = text.split_once(' ').ok_or_else(wrong)?;
        let weekday = DAYS.iter().position(|name| name.eq_ignore_ascii_case(day));
        let minute = parse_time(time.trim()).filter(|minute| *minute < MIDNIGHT);
        Ok(Self {
            weekday: u8::try_from(weekday.ok_or_else(wrong)?).unwrap_or_default(),
            minute: minute.ok_or_else(wrong)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(hours: &str, moment: &str) -> bool {
        Hours::parse(hours).unwrap().holds(moment.parse().unwrap())
    }

    #[test]
    fn hours_of_days() {
        for (hours, moment, wanted) in [
            ("Mon-Fri 08:00-18:00", "Mon 08:00", true),
            ("Mon-Fri 08:00-18:00", "Mon 07:59", false),
            ("Mon-Fri 08:00-18:00", "Fri 17:59", true),
            ("Mon-Fri 08:00-18:00", "Fri 18:00", false),
            ("Mon-Fri 08:00-18:00", "Sat 12:00", false),
            ("sat,SUN", "Sun 23:59", true),
            ("Sat,Sun", "Mon 00:00", false),
            ("Sat-Mon,Wed", "Sun 00:00", true),
            ("Sat-Mon,Wed", "Wed 00:00", true),
            ("Sat-Mon,Wed", "Tue 12:00", false),
            ("00:00-24:00", "Thu 23:59", true),
            ("22:00-06:00", "Thu 05:59", true),
            ("22:00-06:00", "Thu 06:00", false),
            ("22:00-06:00", "Thu 22:00", true),
        ] {
            assert_eq!(holds(hours, moment), wanted, "{hours}: {moment}");
        }
    }

    #[test]
    fn what_runs_over_midnight_belongs_to_its_first_day() {
        for (moment, wanted) in [
            ("Fri 21:59", false),
            ("Fri 22:00", true),
            ("Sat 05:59", true),
            ("Sat 22:00", false),
            ("Fri 05:00", false),
            ("Mon 05:00", false),
        ] {
            assert_eq!(holds("Fri 22:00-06:00", moment), wanted, "{moment}");
        }
        assert!(holds("Sun 22:00-06:00", "Mon 01:00"));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "Mon-Fri 08:00",
            "8-18",
            "08:00-25:00",
            "08:60-09:00",
            "Mo 08:00-18:00",
            "Mon Tue 08:00-09:00",
            "08:00-08:00",
            "08:00-18:00 Mon",
        ] {
            assert!(Hours::parse(text).is_err(), "{text}");
        }
        for text in ["Mon", "Mon 24:00", "Moon 12:00", "12:00"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
        let moment: Moment = "tue 09:05".parse().unwrap();
        assert_eq!(moment.to_string(), "Tue 09:05");
    }
}
