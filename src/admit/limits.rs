//! How long verdicts are remembered, and how often a directory is asked.

use std::time::Duration;

/// How long verdicts are remembered, and how often a directory is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordLimits {
    /// How many verdicts of each kind are remembered.
    pub entries: usize,
    /// How long it is remembered that a password was right.
    pub accepted: Duration,
    /// How long it is remembered that one was wrong.
    pub refused: Duration,
    /// How long a right one is remembered while the directory cannot be asked, counted from when it was; `None` for no
    /// longer than otherwise.
    pub stale: Option<Duration>,
    /// After so many wrong passwords of a name, the directory is not asked for it; 0 for never.
    pub lockout_attempts: u32,
    /// Until no wrong one has come for so long.
    pub lockout_window: Duration,
    /// After so many wrong passwords of a name from one client, that client has to wait; 0 for never.
    pub throttle_attempts: u32,
    /// At first for so long, and twice as long each time.
    pub throttle_pause: Duration,
    /// How long a directory may take to answer.
    pub timeout: Duration,
    /// How many requests may wait for directories at once.
    pub waiting: usize,
}

impl PasswordLimits {
    /// Where nothing else is configured. AD's own baseline locks an account after 10 wrong passwords, and CIS's after 5.
    pub const DEFAULT: Self = Self {
        entries: 10_000,
        accepted: Duration::from_secs(5 * 60),
        refused: Duration::from_secs(5 * 60),
        stale: None,
        lockout_attempts: 4,
        lockout_window: Duration::from_secs(30 * 60),
        throttle_attempts: 2,
        throttle_pause: Duration::from_secs(2),
        timeout: Duration::from_secs(10),
        waiting: 1000,
    };
}
