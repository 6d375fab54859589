//! The mark of a file whose mesh was moved to a server: programs that open it afterwards can say where the mesh is.
use super::engine;
use super::transaction::Tx;

/// The keys of its rows in `meta`. A copy does not have them.
const MOVED_TO_KEY: &str = "moved_to";
const MOVED_AT_KEY: &str = "moved_at_ms";

/// Where a mesh was moved, as its source says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedMark {
    /// The location, without user and password.
    pub to: String,
    /// When, in wall milliseconds.
    pub at_ms: i64,
}

impl Tx<'_> {
    /// Returns where the mesh was moved, if it was.
    pub(crate) fn moved_mark(&self) -> engine::Result<Option<MovedMark>> {
        let Some(to) = self.meta(MOVED_TO_KEY)? else {
            return Ok(None);
        };
        let at_ms = self.meta(MOVED_AT_KEY)?;
        let at_ms = at_ms.and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(Some(MovedMark { to, at_ms }))
    }

    /// Marks the mesh as moved.
    #[cfg(feature = "postgres")]
    pub(super) fn set_moved_mark(&self, mark: &MovedMark) -> engine::Result<()> {
        self.set_meta(MOVED_TO_KEY, &mark.to)?;
        self.set_meta(MOVED_AT_KEY, &mark.at_ms.to_string())
    }
}
