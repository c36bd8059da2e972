//! What `compare` has measured.

use crate::rows::Row;
use crate::work::Slice;

/// What one proxy gave in one row: its slices, or why there are none.
pub(crate) type Cell = Result<Vec<Slice>, String>;

/// A row's results, in the order of the peers.
pub(crate) struct Results {
    pub(crate) row: Row,
    pub(crate) cells: Vec<Cell>,
}

impl Results {
    /// The median of the row's number for a peer.
    pub(crate) fn value(&self, peer: usize) -> Option<f64> {
        crate::stats::median(self.values(peer)?)
    }

    /// The row's number in each slice of a peer.
    pub(crate) fn values(&self, peer: usize) -> Option<Vec<f64>> {
        let slices = self.cells.get(peer)?.as_ref().ok()?;
        Some(
            slices
                .iter()
                .map(|slice| self.row.value(slice.cpu_nanos, slice.idle_kib))
                .collect(),
        )
    }

    /// The median over slices of one peer's number divided by another's in the same turn.
    pub(crate) fn ratio(&self, peer: usize, to: usize) -> Option<f64> {
        let (mine, theirs) = (self.values(peer)?, self.values(to)?);
        crate::stats::median(mine.iter().zip(&theirs).map(|(mine, theirs)| mine / theirs))
    }
}
