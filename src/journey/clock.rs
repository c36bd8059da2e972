//! The clock of the policy.

use crate::decide::Moment;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The clock on the wall of the policy's time zone.
#[derive(Debug, Clone)]
pub struct Clock {
    zone: TimeZone,
}

impl Default for Clock {
    /// That of this machine.
    fn default() -> Self {
        Self {
            zone: TimeZone::system(),
        }
    }
}

impl Clock {
    /// That of a zone of the IANA database, such as `Europe/Berlin`.
    ///
    /// # Errors
    /// There is no such zone.
    pub fn of(zone: &str) -> Result<Self, String> {
        match TimeZone::get(zone) {
            Ok(zone) => Ok(Self { zone }),
            Err(_) => Err(format!(
                "there is no time zone {zone:?}; write one of the IANA database, such as \"Europe/Berlin\""
            )),
        }
    }

    /// What it shows now.
    pub fn moment(&self) -> Moment {
        self.at(Timestamp::now())
    }

    fn at(&self, now: Timestamp) -> Moment {
        let now = now.to_zoned_datetime(self.zone.clone());
        Moment {
            weekday: now.weekday().to_monday_zero_offset().unsigned_abs(),
            minute: u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_has_its_summer_time() {
        let berlin = Clock::of("Europe/Berlin").unwrap();
        for (at, shows) in [
            ("2026-01-04T23:30:00Z", "Mon 00:30"),
            ("2026-07-05T22:30:00Z", "Mon 00:30"),
            // The hour that summer begins with is left out.
            ("2026-03-29T00:59:00Z", "Sun 01:59"),
            ("2026-03-29T01:00:00Z", "Sun 03:00"),
        ] {
            assert_eq!(berlin.at(at.parse().unwrap()).to_string(), shows, "{at}");
        }
        assert!(Clock::of("Europe/Nowhere").is_err());
    }
}
