//! The tables of a mesh in an order in which each is copied after those that it refers to.

/// A table that is copied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The columns of its primary key.
    pub(super) key: &'static [&'static str],
    /// Which rows are copied, as a condition that holds for the copy too.
    pub(super) condition: &'static str,
}

const fn whole(name: &'static str, key: &'static [&'static str]) -> Table {
    Table {
        name,
        key,
        condition: "true",
    }
}

/// Memories; their full-text index is rebuilt.
pub(super) const MEMORY: Table = whole("memory", &["number"]);

/// What of `meta` is about the mesh, and not about the file or the schema that it is in.
pub(super) const META: Table = Table {
    name: "meta",
    key: &["key"],
    condition: "key NOT IN ('application', 'min_reader', 'schema', 'traces', 'moved_to', 'moved_at_ms')",
};

/// All tables that are copied.
pub(super) const TABLES: [Table; 17] = [
    META,
    whole("peer", &["id"]),
    whole("alias", &["name"]),
    Table {
        name: "session",
        key: &["id"],
        condition: "ended_at_ms IS NOT NULL",
    },
    whole("question", &["id"]),
    Table {
        name: "showing",
        key: &["question_id", "session_id"],
        condition: "session_id IN (SELECT id FROM session WHERE ended_at_ms IS NOT NULL)",
    },
    whole("fork", &["question_id"]),
    whole("event", &["seq"]),
    whole("message", &["id"]),
    whole("subscription", &["peer_id", "topic"]),
    whole("fence", &["resource"]),
    whole("state", &["namespace", "key"]),
    MEMORY,
    whole("task", &["id"]),
    whole("access_key", &["id"]),
    whole("board_link", &["hash"]),
    whole("idempotency", &["key_id", "idempotency_key"]),
];

/// Tables of registered sessions, which stay behind.
pub(super) const LEFT: [&str; 3] = ["wait", "wait_question", "claim"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Moment;
    use crate::store::{Options, Store};

    /// Tables that triggers fill from the others.
    const DERIVED: [&str; 1] = ["task_count"];

    #[test]
    fn every_table_of_a_mesh_is_copied_or_left_on_purpose() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(
            folder.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o700),
        )
        .unwrap();
        let mut store = Store::open(&folder.path().join("mesh.db"), Options::default()).unwrap();
        let now = Moment {
            wall_ms: 1,
            monotonic_ms: 1,
            boot: "boot".into(),
        };
        let found: Vec<String> = store
            .read(now, |tx| {
                let mut names = tx.sql.prepare_cached(
                    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'memory_%'",
                )?;
                Ok(names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
            })
            .unwrap();
        let known: Vec<&str> = TABLES
            .iter()
            .map(|table| table.name)
            .chain(LEFT)
            .chain(DERIVED)
            .collect();
        for name in &found {
            assert!(known.contains(&&**name), "{name} would be lost");
        }
        assert_eq!(found.len(), known.len());
    }
}
