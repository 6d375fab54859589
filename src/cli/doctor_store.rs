//! The part of `doctor` for a mesh on a PostgreSQL server, named by `--store`: it looks and changes nothing.
use crate::cli::finding::{finding_from_fault, note, ok, problem};
use crate::platform::text;
use crate::setup::Finding;
use crate::store::{
    self, ExtensionState, PostgresLocation, SchemaReport, ServedMeshReport, ServerReport,
};

/// Checks the server, what the role may do there, and the mesh in the schema.
pub(super) fn check(location: &PostgresLocation) -> Vec<Finding> {
    let report = match ServerReport::of(location) {
        Ok(report) => report,
        Err(fault) => return vec![finding_from_fault(&fault)],
    };
    let mut findings = vec![check_version(location, &report)];
    findings.extend(check_mode(&report));
    findings.push(check_trigrams(&report));
    findings.extend(check_schema(location, &report));
    findings.extend(check_durability(&report));
    findings
}

fn check_version(location: &PostgresLocation, report: &ServerReport) -> Finding {
    let (version, role) = (&report.server_version, &report.role);
    if report.is_supported {
        return ok(format!("{location}: PostgreSQL {version}, as role {role}"));
    }
    problem(
        format!("{location}: PostgreSQL {version} is older than 15"),
        "update the server",
    )
}

fn check_mode(report: &ServerReport) -> Option<Finding> {
    report.is_read_only.then(|| {
        problem(
            "the server is read-only: it is a standby, or default_transaction_read_only is on",
            "use the URL of the primary server; several hosts can be named, separated by commas",
        )
    })
}

fn check_trigrams(report: &ServerReport) -> Finding {
    match report.trigrams {
        ExtensionState::Installed => ok("pg_trgm is installed"),
        ExtensionState::Available if report.may_create_schema => {
            note("pg_trgm is not installed; the first hub installs it", "")
        }
        ExtensionState::Available => problem(
            "pg_trgm is not installed, and the role cannot install it",
            "an owner of the database runs CREATE EXTENSION pg_trgm",
        ),
        ExtensionState::Missing => problem(
            "the server has no extension pg_trgm",
            "install it: Debian has it in postgresql-contrib",
        ),
    }
}

fn check_schema(location: &PostgresLocation, report: &ServerReport) -> Vec<Finding> {
    let (schema, role) = (location.schema(), &report.role);
    let finding = match &report.schema {
        SchemaReport::Mesh(mesh) => return check_mesh(schema, role, mesh),
        SchemaReport::Missing if report.may_create_schema => note(
            format!(
                "the schema {schema} has no mesh yet: the first hub or `claude-mesh move` creates it"
            ),
            "",
        ),
        SchemaReport::Missing => problem(
            format!("the schema {schema} has no mesh, and the role {role} may not create one"),
            "an owner of the database runs GRANT CREATE ON DATABASE, or CREATE SCHEMA with AUTHORIZATION for this role",
        ),
        SchemaReport::Foreign => problem(
            format!("the schema {schema} belongs to another program"),
            "name another schema in the URL, as in ?schema=team",
        ),
        SchemaReport::Unreadable => problem(
            format!("the role {role} may not read the mesh in the schema {schema}"),
            "use the role that has created it, or its owner runs GRANT USAGE ON SCHEMA and GRANT ALL ON ALL TABLES IN SCHEMA",
        ),
    };
    vec![finding]
}

fn check_mesh(schema: &str, role: &str, mesh: &ServedMeshReport) -> Vec<Finding> {
    let known = store::version();
    let mut findings = vec![match mesh.version {
        _ if mesh.min_reader > known => problem(
            format!(
                "mesh {schema}: schema {}, this program knows up to {known}",
                mesh.version
            ),
            "a newer claude-mesh has opened it; update this one",
        ),
        version if version < known => note(
            format!("mesh {schema}: schema {version}; the next hub migrates it to {known}"),
            "",
        ),
        version => ok(format!(
            "mesh {schema}: schema {version}, sessions registered: {}",
            mesh.registered_sessions
        )),
    }];
    if !mesh.is_writable {
        findings.push(problem(
            format!("the role {role} may not write to all tables of the mesh"),
            "use the role that has created it, or its owner runs GRANT ALL ON ALL TABLES IN SCHEMA",
        ));
    }
    findings.push(if mesh.hubs.is_empty() {
        note(
            "no hub listens, as far as this role can see",
            "claude-mesh serve --store URL",
        )
    } else {
        let hubs: Vec<String> = mesh.hubs.iter().map(|hub| text::one_line(hub)).collect();
        ok(format!(
            "hubs that listen (host/process): {}",
            hubs.join(", ")
        ))
    });
    findings
}

/// Says whether a commit that was acknowledged survives a crash and a failover.
fn check_durability(report: &ServerReport) -> Vec<Finding> {
    let mut findings = Vec::new();
    let commit = &report.synchronous_commit;
    findings.push(if commit == "off" {
        note(
            "synchronous_commit is off: after a crash of the server, changes and fencing tokens of its last moments are lost",
            "ALTER ROLE … SET synchronous_commit = on",
        )
    } else {
        ok(format!("synchronous_commit is {commit}"))
    });
    let count = |states: &[&str]| {
        let standbys = report.standbys.iter();
        standbys.filter(|state| states.contains(&&***state)).count()
    };
    let (behind, hidden) = (count(&["async", "potential"]), count(&[""]));
    if behind > 0 {
        findings.push(note(
            format!("standbys that may be behind: {behind}; after a failover to one, fencing tokens may go backwards"),
            "set synchronous_standby_names, and promote only a synchronous standby",
        ));
    } else if hidden > 0 {
        findings.push(note(
            format!("standbys: {hidden}; the role may not see whether they are synchronous"),
            "GRANT pg_monitor to the role; fencing tokens may go backwards after a failover to an asynchronous one",
        ));
    } else if !report.standbys.is_empty() {
        findings.push(ok(format!(
            "synchronous standbys: {}",
            report.standbys.len()
        )));
        if commit == "local" {
            findings.push(note(
                "synchronous_commit is local: commits do not wait for the standbys, so fencing tokens may go backwards",
                "ALTER ROLE … SET synchronous_commit = on",
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::Severity;

    fn report(synchronous_commit: &str, standbys: &[&str]) -> ServerReport {
        ServerReport {
            server_version: "15.14".into(),
            is_supported: true,
            role: "mesh".into(),
            is_read_only: false,
            may_create_schema: true,
            trigrams: ExtensionState::Installed,
            synchronous_commit: synchronous_commit.into(),
            standbys: standbys.iter().map(|state| (*state).to_owned()).collect(),
            schema: SchemaReport::Missing,
        }
    }

    #[test]
    fn commits_that_a_failover_may_lose_are_noted() {
        let cases: [(&str, &[&str], &[&str]); 7] = [
            ("on", &[], &[]),
            ("on", &["sync"], &[]),
            (
                "on",
                &["sync", "async"],
                &["fencing tokens may go backwards"],
            ),
            ("on", &["async"], &["standbys that may be behind: 1"]),
            ("on", &[""], &["the role may not see"]),
            (
                "local",
                &["quorum"],
                &["commits do not wait for the standbys"],
            ),
            (
                "off",
                &["potential"],
                &["synchronous_commit is off", "may be behind: 1"],
            ),
        ];
        for (commit, standbys, expected) in cases {
            let findings = check_durability(&report(commit, standbys));
            let notes: Vec<&Finding> = findings
                .iter()
                .filter(|finding| finding.severity == Severity::Note)
                .collect();
            assert_eq!(
                notes.len(),
                expected.len(),
                "{commit} {standbys:?}: {findings:?}"
            );
            for (note, expected) in notes.iter().zip(expected) {
                assert!(note.text.contains(expected), "{note:?}");
                assert!(note.fix.is_some(), "{note:?}");
            }
        }
    }

    #[test]
    fn what_a_role_may_not_do_is_a_problem_with_a_fix() {
        let location = PostgresLocation::parse("postgres://mesh@127.0.0.1/mesh").unwrap();
        let mut report = report("on", &[]);
        report.is_supported = false;
        report.is_read_only = true;
        report.may_create_schema = false;
        report.trigrams = ExtensionState::Available;
        let mut findings = vec![check_version(&location, &report), check_trigrams(&report)];
        findings.extend(check_mode(&report));
        for schema in [
            SchemaReport::Missing,
            SchemaReport::Foreign,
            SchemaReport::Unreadable,
        ] {
            report.schema = schema;
            findings.extend(check_schema(&location, &report));
        }
        assert_eq!(findings.len(), 6);
        for finding in findings {
            assert_eq!(finding.severity, Severity::Problem, "{finding:?}");
            assert!(finding.fix.is_some(), "{finding:?}");
        }
    }
}
