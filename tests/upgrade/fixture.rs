//! Meshes of all released schemas: `schema-1.sql` and so on, each with rows in every table of its version.
//!
//! Real programs have written the rows, and the released migrations the tables. What belongs to a machine or to a time is a
//! placeholder, so that the sessions of a loaded mesh live and its questions are open: `$NOW` and `$MONOTONIC` are readings of
//! the clocks, `$HOME` is the home, `$HOST`, `$BOOT` and `$NAMESPACE` say where processes run, `$ADA` and `$BO` are the clients of
//! the two sessions, each as its process number and, with `_STARTED`, its start.
use std::collections::BTreeMap;
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use claude_mesh::platform::{Clock, SystemClock, process};
use rusqlite::{Connection, types::Value as Cell};

use super::RELEASED;
use crate::support::{Session, World};

/// Readings of the wall clock are greater; no other number is.
const WALL_MS_MIN: i64 = 1_500_000_000_000;
/// Tables whose content the others determine, or SQLite.
const DERIVED: [&str; 3] = ["memory_words", "memory_parts", "sqlite_"];
/// How a program of schema 3 and later adds the memories to the indexes.
const INDEX_MEMORIES: &str = "INSERT INTO memory_words (rowid, text, key, tags) SELECT number, text, key, tags FROM memory;
INSERT INTO memory_parts (rowid, text)
    SELECT number, coalesce(key, '') || char(10) || tags || char(10) || text || char(10, 10, 10) FROM memory;
";

/// The rows of a table, each with its columns by name.
pub(super) type Rows = BTreeMap<String, Vec<BTreeMap<String, String>>>;

fn path(version: usize) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade");
    folder.join(format!("schema-{version}.sql"))
}

/// Creates the mesh of a world from a fixture. Its sessions are these two, which no program has registered yet.
pub(super) fn load(world: &World, version: usize, sessions: [&Session; 2]) {
    let mut sql = std::fs::read_to_string(path(version)).unwrap();
    // The longest first: some names begin others.
    for (name, value) in placeholders(world, sessions).iter().rev() {
        sql = sql.replace(name, value);
    }
    let folder = world.database().parent().unwrap().to_owned();
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).unwrap();
    let file = world.rows();
    file.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;")
        .unwrap();
    file.execute_batch(&sql).unwrap();
    std::fs::set_permissions(world.database(), PermissionsExt::from_mode(0o600)).unwrap();
}

/// Writes the fixtures that are missing, from the mesh of a world at the present schema.
pub(super) fn write_missing(world: &World, sessions: [&Session; 2]) {
    let places = placeholders(world, sessions);
    for version in 1..=RELEASED.len() {
        if !path(version).exists() {
            std::fs::write(path(version), dump(&world.rows(), version, &places)).unwrap();
        }
    }
}

/// Returns the columns of `columns_of` in every row of a mesh.
pub(super) fn rows(mesh: &Connection, columns_of: &Rows) -> Rows {
    let mut found = Rows::new();
    for (table, columns) in tables(mesh) {
        let known = columns_of.get(&table).and_then(|rows| rows.first());
        let columns = columns
            .into_iter()
            .filter(|it| known.is_none_or(|row| row.contains_key(it)));
        let columns: Vec<String> = columns.collect();
        if columns_of.is_empty() || known.is_some() {
            let all = read(mesh, &table, &columns);
            let text = |row: Vec<Cell>| {
                let cells = row.into_iter().map(|cell| format!("{cell:?}"));
                columns.iter().cloned().zip(cells).collect()
            };
            found.insert(table, all.into_iter().map(text).collect());
        }
    }
    found
}

/// Returns the tables with rows of their own, each with its columns.
fn tables(mesh: &Connection) -> Vec<(String, Vec<String>)> {
    let names = texts(
        mesh,
        "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid",
    );
    let names = names
        .into_iter()
        .filter(|name| !DERIVED.iter().any(|it| name.starts_with(it)));
    let columns = |table: &str| {
        texts(
            mesh,
            &format!("SELECT name FROM pragma_table_info('{table}')"),
        )
    };
    names.map(|name| (name.clone(), columns(&name))).collect()
}

fn texts(mesh: &Connection, sql: &str) -> Vec<String> {
    let mut statement = mesh.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn read(mesh: &Connection, table: &str, columns: &[String]) -> Vec<Vec<Cell>> {
    let sql = format!("SELECT {} FROM {table}", columns.join(", "));
    let mut statement = mesh.prepare(&sql).unwrap();
    let cells = |row: &rusqlite::Row<'_>| (0..columns.len()).map(|at| row.get(at)).collect();
    let rows = statement.query_map([], cells).unwrap();
    rows.map(Result::unwrap).collect()
}

fn dump(mesh: &Connection, version: usize, places: &BTreeMap<String, String>) -> String {
    let historic = Connection::open_in_memory().unwrap();
    for migration in &RELEASED[..version] {
        historic.execute_batch(migration.sql).unwrap();
    }
    let mut sql = format!(
        "PRAGMA application_id = {};\nPRAGMA user_version = {version};\n",
        application_id(mesh)
    );
    let objects = |kinds: &str| {
        let shadow = "name NOT GLOB 'memory_words_*' AND name NOT GLOB 'memory_parts_*' AND name NOT GLOB 'sqlite_*'";
        let sql = format!(
            "SELECT sql || ';' FROM sqlite_schema WHERE type IN ({kinds}) AND {shadow} ORDER BY rowid"
        );
        texts(&historic, &sql).join("\n") + "\n"
    };
    sql += &objects("'table'");
    for (table, columns) in tables(&historic) {
        for row in read(mesh, &table, &columns) {
            let is_later = table == "meta" && version == 1 && row[0] == Cell::Text("schema".into());
            if !is_later {
                let cells = literals(&columns, &row, places).join(", ");
                let columns = columns.join(", ");
                writeln!(sql, "INSERT INTO {table} ({columns}) VALUES ({cells});").unwrap();
            }
        }
    }
    if version > 1 {
        writeln!(
            sql,
            "UPDATE meta SET value = '{version}' WHERE key = 'schema';"
        )
        .unwrap();
    }
    if version >= 3 {
        sql += "INSERT INTO memory_words (memory_words, rank) VALUES ('secure-delete', 1);\n";
        sql += "INSERT INTO memory_parts (memory_parts, rank) VALUES ('secure-delete', 1);\n";
        sql += INDEX_MEMORIES;
    }
    sql += "DELETE FROM sqlite_sequence;\n";
    for row in read(mesh, "sqlite_sequence", &["name".into(), "seq".into()]) {
        let (name, seq) = (
            literal("name", &row[0], places),
            literal("seq", &row[1], places),
        );
        let since = match name.as_str() {
            "'tally.peer'" | "'tally.memory'" => 8,
            name if name.starts_with("'tally.") => 2,
            _ => 1,
        };
        if version >= since {
            writeln!(
                sql,
                "INSERT INTO sqlite_sequence (name, seq) VALUES ({name}, {seq});"
            )
            .unwrap();
        }
    }
    sql + &objects("'index', 'trigger'")
}

fn application_id(mesh: &Connection) -> i64 {
    mesh.pragma_query_value(None, "application_id", |row| row.get(0))
        .unwrap()
}

/// Returns the values of a row as SQL.
fn literals(columns: &[String], row: &[Cell], places: &BTreeMap<String, String>) -> Vec<String> {
    let cells = || columns.iter().map(String::as_str).zip(row);
    let is_client = |name: &&str| {
        cells().any(|it| it == ("pid", &Cell::Integer(places[*name].parse().unwrap())))
    };
    let client = ["$ADA", "$BO"].into_iter().find(is_client);
    let sql = |(column, cell)| match (column, client) {
        ("pid", Some(client)) => client.to_owned(),
        ("started", Some(client)) => format!("{client}_STARTED"),
        ("host" | "boot" | "pid_namespace", _) => format!("'${}'", place_of(column)),
        _ => literal(column, cell, places),
    };
    cells().map(sql).collect()
}

/// Returns the placeholder of a column that says where a process runs.
fn place_of(column: &str) -> String {
    column.trim_start_matches("pid_").to_uppercase()
}

/// Returns a value as SQL.
fn literal(column: &str, cell: &Cell, places: &BTreeMap<String, String>) -> String {
    let since = |place: &str, value: i64| {
        format!(
            "({place}{:+})",
            value - places[place].parse::<i64>().unwrap()
        )
    };
    match cell {
        Cell::Null => "NULL".into(),
        Cell::Integer(value) if *value > WALL_MS_MIN => since("$NOW", *value),
        Cell::Integer(value) if column.ends_with("_monotonic_ms") => since("$MONOTONIC", *value),
        Cell::Integer(value) => value.to_string(),
        Cell::Real(value) => format!("{value:?}"),
        Cell::Text(text) => match text.parse() {
            Ok(value) if value > WALL_MS_MIN => format!("CAST({} AS TEXT)", since("$NOW", value)),
            _ => {
                let text = text.replace(&places["$HOME"], "$HOME");
                format!("'{}'", text.replace('\'', "''"))
            }
        },
        Cell::Blob(bytes) => {
            let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("x'{}'", digits.concat())
        }
    }
}

fn placeholders(world: &World, sessions: [&Session; 2]) -> BTreeMap<String, String> {
    let now = SystemClock::new().now();
    let mut places = BTreeMap::from([
        ("$NOW".to_owned(), now.wall_ms.to_string()),
        ("$MONOTONIC".to_owned(), now.monotonic_ms.to_string()),
        ("$HOME".to_owned(), world.home().display().to_string()),
        ("$HOST".to_owned(), process::host()),
        ("$BOOT".to_owned(), process::boot_id()),
        ("$NAMESPACE".to_owned(), process::pid_namespace()),
    ]);
    for (name, session) in ["$ADA", "$BO"].iter().zip(sessions) {
        let pid = i32::try_from(session.pid()).unwrap();
        let key = process::stat(pid).unwrap().key;
        places.insert((*name).to_owned(), key.pid.to_string());
        places.insert(format!("{name}_STARTED"), key.started.to_string());
    }
    places
}
