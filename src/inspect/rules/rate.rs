//! How many items came within a time.

use super::super::Rate;
use std::collections::VecDeque;
use std::time::Duration;

/// Items in a sliding window.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// When items came, and how many at that moment: those of one read share it.
    moments: VecDeque<(Duration, u32)>,
    total: u32,
}

impl Window {
    /// Counts one more, and says whether there are more than the rate allows.
    pub(super) fn add(&mut self, now: Duration, rate: Rate) -> bool {
        match self.moments.back_mut() {
            Some((at, count)) if *at == now => *count += 1,
            _ => self.moments.push_back((now, 1)),
        }
        self.total += 1;
        while let Some((at, count)) = self.moments.front_mut() {
            if now.saturating_sub(*at) >= rate.per {
                self.total -= *count;
                self.moments.pop_front();
            } else if self.total > rate.count.saturating_add(1) {
                // More than these say nothing more.
                self.total -= 1;
                *count -= 1;
                if *count == 0 {
                    self.moments.pop_front();
                }
            } else {
                break;
            }
        }
        self.total > rate.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_as_a_list_of_all_moments_does(
            steps in prop::collection::vec(0..4_u64, 1..200),
            count in 0..6_u32,
            per in 1..8_u64,
        ) {
            let rate = Rate { count, per: Duration::from_secs(per) };
            let (mut window, mut all, mut now) = (Window::default(), Vec::new(), Duration::ZERO);
            for step in steps {
                now += Duration::from_secs(step);
                all.push(now);
                let recent = all.iter().filter(|at| now - **at < rate.per).count();
                prop_assert_eq!(window.add(now, rate), recent > count as usize);
                prop_assert!(window.moments.len() <= count as usize + 1);
            }
        }
    }
}
