//! The copy of a mesh: what is refused before, the copy and its comparison, and the mark that stays at the source.
use rusqlite::types::Value;

use super::super::database::Store;
use super::super::engine;
use super::super::memory_index::IndexedText;
use super::super::moved_mark::MovedMark;
use super::super::transaction::Tx;
use super::digest::TableDigest;
use super::host_names::HostNames;
use super::rows::Columns;
use super::table::{LEFT, MEMORY, META, TABLES, Table};
use crate::model::Result;
use crate::platform::{Fault, FaultKind, Moment};

/// How many rows are collected before they are inserted.
const PORTION_ROWS: usize = 200;
/// What replaces U+0000 in a text, which PostgreSQL cannot store.
const NUL_REPLACEMENT: &str = "\u{fffd}";
/// The schema from which on a mesh may have sessions of other hosts.
const OTHER_HOSTS_SCHEMA: u32 = 5;

/// What was copied.
#[derive(Debug, Clone, Default)]
pub struct MeshCopy {
    /// The tables, each compared after the copy.
    pub tables: Vec<CopiedTable>,
    /// Sessions that are registered at the source, which stay there.
    pub sessions_left: u64,
    /// Their claims, held or queued, which stay there.
    pub claims_left: u64,
    /// Texts in which U+0000 was replaced.
    pub replaced_nuls: u64,
}

/// A table that was copied.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the field names say it")]
pub struct CopiedTable {
    pub name: &'static str,
    pub rows: u64,
    /// The digest of the rows, which both sides have.
    pub digest: String,
}

impl Store {
    /// Copies the mesh of this file to an empty one on a server and marks this one as moved. Nobody writes to the file
    /// meanwhile. `host` is the host as which sessions of this machine will join; with it the paths of the file get that host.
    pub fn move_to(
        &mut self,
        target: &mut Self,
        mark: &MovedMark,
        host: Option<&str>,
    ) -> Result<MeshCopy> {
        let now = Moment {
            wall_ms: mark.at_ms,
            monotonic_ms: 0,
            boot: "".into(),
        };
        let names = host.map(HostNames::new);
        let mut copied = None;
        let marked = self.write(now.clone(), |source| {
            source.set_moved_mark(mark)?;
            let copy =
                target.write(now, |tx| MeshCopier::new(source, tx, names.as_ref()).copy())?;
            copied = Some(copy);
            Ok(())
        });
        match (marked, copied) {
            (Ok(()), Some(copy)) => Ok(copy),
            (Err(error), Some(_)) => Err(unmarked(&mark.to, &error.to_string()).into()),
            (outcome, None) => outcome.map(|()| MeshCopy::default()),
        }
    }

    /// Copies the mesh of this server into a new file. Others write to it meanwhile; the copy is of one state.
    pub fn copy_to_file(&mut self, file: &mut Self, now: Moment) -> Result<MeshCopy> {
        self.read(now.clone(), |source| {
            file.write(now, |tx| {
                let copy = MeshCopier::new(source, tx, None).copy()?;
                tx.require_reader(OTHER_HOSTS_SCHEMA)?;
                Ok(copy)
            })
        })
    }
}

fn unmarked(to: &str, problem: &str) -> Fault {
    Fault::new(
        FaultKind::Other,
        format!(
            "the mesh was copied to {to}, but its file could not be marked as moved: {problem}"
        ),
        "the copy is complete; use it, and close the sessions that still use the file",
    )
}

/// A copy in progress.
struct MeshCopier<'a> {
    source: &'a Tx<'a>,
    target: &'a Tx<'a>,
    names: Option<&'a HostNames>,
    copy: MeshCopy,
}

impl<'a> MeshCopier<'a> {
    fn new(source: &'a Tx<'a>, target: &'a Tx<'a>, names: Option<&'a HostNames>) -> Self {
        Self {
            source,
            target,
            names,
            copy: MeshCopy::default(),
        }
    }

    fn copy(mut self) -> Result<MeshCopy> {
        self.check_target()?;
        if let Some(names) = self.names {
            self.reserve_scopes(names)?;
        }
        let to_server = self.target.sql.file().is_none();
        // Each insert would change the same row of a counter, whose versions one transaction keeps.
        let triggers = "ALTER TABLE message DISABLE TRIGGER message_tally; ALTER TABLE peer DISABLE TRIGGER peer_tally;
            ALTER TABLE memory DISABLE TRIGGER memory_tally; ALTER TABLE task DISABLE TRIGGER task_counted";
        if to_server {
            self.target.sql.execute_batch(triggers)?;
        }
        let sql = format!("DELETE FROM meta WHERE {}", META.condition);
        self.target.sql.run(&sql, [])?;
        for table in TABLES {
            self.copy_table(table)?;
        }
        self.index_memories()?;
        self.copy_counters()?;
        if to_server {
            self.count_tasks()?;
            let sql = triggers.replace("DISABLE", "ENABLE");
            self.target.sql.execute_batch(&sql)?;
        }
        self.copy.sessions_left = count(self.source, "session WHERE ended_at_ms IS NULL")?;
        self.copy.claims_left = count(self.source, "claim")?;
        Ok(self.copy)
    }

    /// Refuses a target in which anything is stored, or ever was.
    fn check_target(&self) -> Result<()> {
        let mut found = Vec::new();
        let tables = TABLES.iter().filter(|table| table.name != META.name);
        for name in tables.map(|table| table.name).chain(LEFT) {
            let rows = count(self.target, name)?;
            if rows > 0 {
                found.push(format!("{rows} in {name}"));
            }
        }
        if found.is_empty()
            && counters(self.target)?
                .iter()
                .all(|(_, number)| *number == 0)
        {
            return Ok(());
        }
        let found = match found.as_slice() {
            [] => "its event log has begun".to_owned(),
            found => found.join(", "),
        };
        Err(Fault::new(
            FaultKind::Other,
            format!("the target has a mesh with content: {found}"),
            "name a new schema in the URL, as in ?schema=team; nothing was changed",
        )
        .into())
    }

    /// Keeps what sessions of other hosts have named already.
    fn reserve_scopes(&self, names: &HostNames) -> Result<()> {
        let taken = format!("peer WHERE project LIKE '{}%'", names.prefix());
        if count(self.source, &taken)? > 0 {
            return Err(Fault::new(
                FaultKind::Other,
                format!("the mesh has sessions of the host {} already", names.host()),
                "name another host, or none if this machine has always joined by a hub; nothing was changed",
            )
            .into());
        }
        let scopes = [
            (
                "memory",
                "SELECT DISTINCT scope FROM memory WHERE scope LIKE 'git:%'",
            ),
            (
                "task",
                "SELECT DISTINCT project FROM task WHERE project LIKE 'git:%'",
            ),
            (
                "state",
                "SELECT DISTINCT namespace FROM state WHERE namespace LIKE '[\"git:%'",
            ),
        ];
        for (table, sql) in scopes {
            let mut statement = self.source.sql.prepare_cached(sql)?;
            for scope in statement.query_map([], |row| row.get::<_, String>(0))? {
                names.reserve(table, &scope?);
            }
        }
        Ok(())
    }

    fn copy_table(&mut self, table: Table) -> Result<()> {
        let file = self.file();
        let columns = Columns::of(file, table)?;
        let to_server = self.target.sql.file().is_none();
        let (mut expected, mut portion) = (TableDigest::default(), Vec::new());
        let (source, target, names) = (self.source, self.target, self.names);
        let replaced_nuls = &mut self.copy.replaced_nuls;
        columns.for_each_row(source, |row| {
            let values = row.into_iter().zip(&columns.names).map(|(value, column)| {
                let value = match names {
                    Some(names) => names.rename(table.name, column, value),
                    None => value,
                };
                match value {
                    Value::Text(text) if to_server && text.contains('\0') => {
                        *replaced_nuls += 1;
                        Value::Text(text.replace('\0', NUL_REPLACEMENT))
                    }
                    value => value,
                }
            });
            let row: Vec<Value> = values.collect();
            expected.add(&row);
            portion.push(row);
            if portion.len() >= PORTION_ROWS {
                columns.insert(target, &portion)?;
                portion.clear();
            }
            Ok(())
        })?;
        columns.insert(target, &portion)?;
        let mut copied = TableDigest::default();
        columns.for_each_row(target, |row| {
            copied.add(&row);
            Ok(())
        })?;
        if copied != expected {
            return Err(differing(table.name, expected.rows, copied.rows).into());
        }
        self.copy.tables.push(CopiedTable {
            name: table.name,
            rows: copied.rows,
            digest: copied.text(),
        });
        Ok(())
    }

    /// Returns the side that is a file; one always is.
    fn file(&self) -> &'a Tx<'a> {
        match self.source.sql.file() {
            Some(_) => self.source,
            None => self.target,
        }
    }

    fn index_memories(&self) -> Result<()> {
        let columns = Columns {
            table: Table {
                condition: "superseded_at_ms IS NULL",
                ..MEMORY
            },
            names: ["number", "key", "tags", "text"]
                .map(str::to_owned)
                .to_vec(),
        };
        let target = self.target;
        columns.for_each_row(target, |row| {
            let [
                Value::Integer(number),
                key,
                Value::Text(tags),
                Value::Text(text),
            ] = &row[..]
            else {
                return Ok(());
            };
            let key = match key {
                Value::Text(key) => Some(&**key),
                _ => None,
            };
            let tags: Vec<String> = serde_json::from_str(tags).unwrap_or_default();
            target.add_to_index(IndexedText {
                number: *number,
                key,
                tags: &tags,
                text,
            })
        })?;
        Ok(())
    }

    fn count_tasks(&self) -> engine::Result<()> {
        self.target.sql.run(
            "INSERT INTO task_count (project, status, tasks) SELECT project, status, count(*) FROM task GROUP BY project, status",
            [],
        )
    }

    fn copy_counters(&mut self) -> Result<()> {
        let expected = counters(self.source)?;
        for (name, number) in &expected {
            self.target
                .sql
                .prepare_cached("DELETE FROM sqlite_sequence WHERE name = ?1")?
                .run([name])?;
            self.target
                .sql
                .prepare_cached("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)")?
                .run(rusqlite::params![name, number])?;
        }
        let copied = counters(self.target)?;
        if expected.iter().any(|counter| !copied.contains(counter)) {
            let rows = |counters: &[(String, i64)]| counters.len() as u64;
            return Err(differing("counter", rows(&expected), rows(&copied)).into());
        }
        let mut digest = TableDigest::default();
        for (name, number) in expected {
            digest.add(&[Value::Text(name), Value::Integer(number)]);
        }
        self.copy.tables.push(CopiedTable {
            name: "counter",
            rows: digest.rows,
            digest: digest.text(),
        });
        Ok(())
    }
}

/// Returns the number of the last event and the tallies.
fn counters(tx: &Tx) -> engine::Result<Vec<(String, i64)>> {
    tx.sql
        .prepare_cached(
            "SELECT name, seq FROM sqlite_sequence WHERE name = 'event' OR name LIKE 'tally.%' ORDER BY name",
        )?
        .query_map([], |row| Ok((row.get("name")?, row.get("seq")?)))?
        .collect()
}

fn count(tx: &Tx, from: &str) -> engine::Result<u64> {
    let sql = format!("SELECT count(*) FROM {from}");
    let count: i64 = tx.sql.query_row(&sql, [], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn differing(table: &str, expected: u64, copied: u64) -> Fault {
    Fault::new(
        FaultKind::Other,
        format!(
            "the copy of {table} differs: {expected} rows were read and {copied} are in the copy"
        ),
        "nothing was changed; try again, and report it if it happens again",
    )
}
