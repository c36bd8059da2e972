//! Whether a program can find anything at all, in any subject that there can be.

use super::{Instruction, Programs, holds_between};
use crate::decide::subject::Searched;
use crate::wire::byte_set::ByteSet;

/// How far a subject has come. From each of these it can be brought to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SubjectPlace {
    Start,
    Label,
    AfterDot,
    Brackets,
    Closed,
    AfterColon,
    Port,
}

impl SubjectPlace {
    const COUNT: usize = 7;

    /// Where `byte` leads to; `None` where no subject has it.
    fn after(self, byte: u8, searched: Searched) -> Option<Self> {
        let in_label = byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        match (self, byte) {
            (Self::Start | Self::Label | Self::AfterDot, _) if in_label => Some(Self::Label),
            (Self::Label, b'.') => Some(Self::AfterDot),
            (Self::Start, b'[') => Some(Self::Brackets),
            (Self::Brackets, b'0'..=b'9' | b'a'..=b'f' | b':' | b'.') => Some(Self::Brackets),
            (Self::Brackets, b']') => Some(Self::Closed),
            (Self::Label | Self::Closed, b':') if searched == Searched::HostAndPort => Some(Self::AfterColon),
            (Self::AfterColon, b'1'..=b'9') | (Self::Port, b'0'..=b'9') => Some(Self::Port),
            _ => None,
        }
    }

    fn can_end(self, searched: Searched) -> bool {
        match searched {
            Searched::HostAndPort => self == Self::Port,
            Searched::Host => matches!(self, Self::Label | Self::Closed),
        }
    }
}

/// What stands on one side of a place, as far as places tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    Word,
    Other,
}

impl Beside {
    const COUNT: usize = 3;

    fn of(byte: u8) -> Self {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            Self::Word
        } else {
            Self::Other
        }
    }
}

/// A step under way, or that the search has not begun.
#[derive(Debug, Clone, Copy)]
struct State {
    step: Option<u16>,
    place: SubjectPlace,
    before: Beside,
}

/// Every state is looked at once: that bounds the time by the length of the program.
struct Search<'a> {
    steps: &'a [Instruction],
    sets: &'a [ByteSet],
    searched: Searched,
    seen: Vec<bool>,
    open: Vec<State>,
}

impl Programs {
    /// Whether there is a subject in which the program finds a match.
    pub(in crate::decide) fn can_match(&self, number: u32, searched: Searched) -> bool {
        let steps = self.steps_of(number);
        let mut search = Search {
            steps,
            sets: &self.sets,
            searched,
            seen: vec![false; (steps.len() + 1) * SubjectPlace::COUNT * Beside::COUNT],
            open: Vec::new(),
        };
        search.reach(State {
            step: None,
            place: SubjectPlace::Start,
            before: Beside::Nothing,
        });
        while let Some(state) = search.open.pop() {
            if search.follow(state) {
                return true;
            }
        }
        false
    }
}

impl Search<'_> {
    fn reach(&mut self, state: State) {
        let step = state.step.map_or(0, |step| usize::from(step) + 1);
        let at = (step * SubjectPlace::COUNT + state.place as usize) * Beside::COUNT + state.before as usize;
        if !std::mem::replace(&mut self.seen[at], true) {
            self.open.push(state);
        }
    }

    /// Follows a state by every byte that may come next, and by the end; true when that leads to a match.
    fn follow(&mut self, state: State) -> bool {
        let State { place, before, .. } = state;
        let next = |after| {
            (0..=127_u8)
                .filter(move |&byte| Beside::of(byte) == after)
                .filter_map(|byte| Some((byte, place.after(byte, self.searched)?)))
                .collect::<Vec<_>>()
        };
        for (after, bytes) in [
            (Beside::Word, next(Beside::Word)),
            (Beside::Other, next(Beside::Other)),
        ] {
            if bytes.is_empty() {
                continue;
            }
            let Some(waiting) = self.waiting(state.step, before, after) else {
                return true;
            };
            for (byte, place) in bytes {
                if state.step.is_none() {
                    self.reach(State {
                        step: None,
                        place,
                        before: after,
                    });
                }
                for &step in &waiting {
                    let takes = match self.steps[usize::from(step)] {
                        Instruction::Byte(wanted) => wanted == byte,
                        Instruction::Set(set) => self.sets[usize::from(set)].contains(byte),
                        _ => false,
                    };
                    if takes {
                        self.reach(State {
                            step: Some(step + 1),
                            place,
                            before: after,
                        });
                    }
                }
            }
        }
        place.can_end(self.searched) && self.waiting(state.step, before, Beside::Nothing).is_none()
    }

    /// The steps that wait for a byte, once all is followed that needs none; `None` for a match.
    fn waiting(&self, step: Option<u16>, before: Beside, after: Beside) -> Option<Vec<u16>> {
        let mut seen = vec![false; self.steps.len()];
        let mut open = vec![step.unwrap_or(0)];
        let mut waiting = Vec::new();
        while let Some(step) = open.pop() {
            let Some(known) = seen.get_mut(usize::from(step)) else {
                continue;
            };
            if std::mem::replace(known, true) {
                continue;
            }
            match self.steps[usize::from(step)] {
                Instruction::Match => return None,
                Instruction::Byte(_) | Instruction::Set(_) => waiting.push(step),
                Instruction::At(anchor) => {
                    let (is_start, is_end) = (before == Beside::Nothing, after == Beside::Nothing);
                    let (before, after) = (before == Beside::Word, after == Beside::Word);
                    if holds_between(anchor, (is_start, before), (is_end, after)) {
                        open.push(step + 1);
                    }
                }
                Instruction::Jump(to) => open.push(to),
                Instruction::Fork(to) => open.extend([step + 1, to]),
            }
        }
        Some(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::ere;
    use crate::decide::program::{Assembler, Scratch};
    use proptest::prelude::*;

    fn can_match(pattern: &str, ignore_case: bool, searched: Searched) -> bool {
        let mut assembler = Assembler::default();
        let number = assembler.add(&ere::parse(pattern, ignore_case).unwrap()).unwrap();
        assembler.finish().can_match(number, searched)
    }

    #[test]
    fn what_no_host_and_port_has_is_told() {
        use Searched::HostAndPort as All;
        for (pattern, expected) in [
            (r"^a\.example:443$", true),
            (r"^a\.example$", false),
            (r"\.example$", false),
            ("^a", true),
            ("", true),
            ("^$", false),
            ("^https?://a", false),
            ("a/b", false),
            ("A", false),
            (r"^a\.\.b", false),
            (":443$", true),
            (":0", true),
            (r"^[^[]*:0", false),
            (r"^\[2001:db8::1]:443$", true),
            (r"^2001:db8::1", false),
            (r"a$b", false),
            (r"a^", false),
            (r"443\>$", true),
            (r"3\<", false),
            (r"\.\<a", true),
            (r"a\<b", false),
            (r"^\W", true),
            (r"^-\B", true),
            (r"^-\b:", false),
            ("(a|/)x{2}:", true),
            ("(b/|/)x{2}:", false),
            ("[^a-z0-9.:_-]", true),
            (r"[^][a-z0-9.:_-]", false),
            ("^a:443:", false),
            ("a b", false),
            ("e$|^b", true),
            ("e$|^B", false),
        ] {
            assert_eq!(can_match(pattern, false, All), expected, "{pattern}");
        }
        assert!(can_match("A", true, All) && !can_match(r"\d", true, All));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn what_matches_a_subject_can_match(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "a", "b", "\\.", "-", ":", "1", "[", "]", "^", "$", "\\<", "\\>", "\\b", "\\B", "(a|)", "(-|1)*", "[^a]", ".+", "[ab]?",
                "(^|\\.)", "x{0}",
            ]), 0..6),
            host in "[ab1-]{1,3}(\\.[ab-]{1,2}){0,2}|\\[[1a:.]{2,4}\\]",
            port in "[1][0-9]{0,2}",
        ) {
            let pattern = pieces.concat().replace("[]", "\\[]");
            let mut assembler = Assembler::default();
            let Ok(node) = ere::parse(&pattern, false) else {
                return Ok(());
            };
            let number = assembler.add(&node).unwrap();
            let programs = assembler.finish();
            let mut scratch = Scratch::default();
            let whole = format!("{host}:{port}");
            for (subject, searched) in [(&whole, Searched::HostAndPort), (&host, Searched::Host)] {
                if programs.is_match(number, subject.as_bytes(), &mut scratch) {
                    prop_assert!(programs.can_match(number, searched), "{} on {}", pattern, subject);
                }
            }
        }
    }

    #[test]
    fn a_host_alone_has_no_port() {
        use Searched::Host;
        for (pattern, expected) in [
            (r"\.bank\.example$", true),
            (r"\.bank\.example:443$", false),
            (":443", true),
            (":443$", false),
            (r"^\[::1]$", true),
            (r"\.$", false),
        ] {
            assert_eq!(can_match(pattern, false, Host), expected, "{pattern}");
        }
    }
}
