//! The entries of a list as they are written, for the log.

/// Texts and their lines, one after another: a list of a million names is one piece of memory.
#[derive(Debug, Default)]
pub(super) struct Entries {
    texts: String,
    /// Where each text ends, and the line that it stands in.
    ends: Vec<(u32, u32)>,
}

impl Entries {
    /// Adds an entry; the first is number 0. False if there is no room for more than 4 GiB of them.
    #[must_use]
    pub(super) fn add(&mut self, line: usize, text: &str) -> bool {
        let end = u32::try_from(self.texts.len() + text.len());
        let (Ok(end), Ok(line)) = (end, u32::try_from(line)) else {
            return false;
        };
        self.texts.push_str(text);
        self.ends.push((end, line));
        true
    }

    /// Room that is not used goes.
    pub(super) fn finish(&mut self) {
        self.texts.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// What an entry says; nothing for one that does not exist.
    pub(super) fn text(&self, id: u32) -> &str {
        let end_of = |at: usize| self.ends.get(at).map_or(0, |(end, _)| *end as usize);
        let at = id as usize;
        let start = at.checked_sub(1).map_or(0, end_of);
        self.texts.get(start..end_of(at)).unwrap_or_default()
    }

    /// The line of the file, from 1.
    pub(super) fn line(&self, id: u32) -> usize {
        self.ends.get(id as usize).map_or(0, |(_, line)| *line as usize)
    }
}
