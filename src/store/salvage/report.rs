//! What was saved of a damaged file, and what was lost.

/// What was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvaged {
    /// The size of the new file in bytes.
    pub bytes: u64,
    /// All tables of a mesh.
    pub tables: Vec<SalvagedTable>,
    /// Peers whose row was lost and of which name and project are known from elsewhere.
    pub restored_peers: u64,
}

/// What was saved of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SalvagedTable {
    /// Its name.
    pub name: String,
    /// How many of its rows are in the new file.
    pub rows: u64,
    /// How many rows are known to be lost.
    pub lost: u64,
    /// How many damaged pages had rows of it.
    pub lost_pages: u64,
}

impl Salvaged {
    /// Returns whether no row was lost.
    pub fn is_complete(&self) -> bool {
        let mut tables = self.tables.iter();
        tables.all(|table| table.lost == 0 && table.lost_pages == 0)
    }
}
