//! What a store asks of a connection to the server: transactions, versions, sizes.
use super::super::error::Result;
use super::super::expected::ExpectedQuery;
use super::super::served::{Access, Begun, ServedDatabase};
use super::connection::PostgresConnection;
use super::transaction::PostgresTransaction;
use crate::platform::Clock;

impl ServedDatabase for PostgresConnection {
    fn begin(&mut self, access: Access, expected: Vec<ExpectedQuery>) -> Result<Begun<'_>> {
        let (now, facts, answered) = match access {
            Access::Write { lock_timeout } => {
                let begun = self.begin_write(lock_timeout, &expected)?;
                (
                    self.clock.moment(begun.wall_ms),
                    Some(begun.facts),
                    begun.answered,
                )
            }
            Access::Read => {
                self.look_after_idle()?;
                (self.clock.now(), None, Vec::new())
            }
        };
        let outage_since_ms = self.clock.outage_since_ms();
        let is_write = matches!(access, Access::Write { .. });
        let transaction = PostgresTransaction::new(self, is_write, (now.wall_ms, answered));
        Ok(Begun {
            transaction: Box::new(transaction),
            now,
            facts,
            outage_since_ms,
        })
    }

    fn note_outage(&self) {
        self.clock.note_outage();
    }

    fn end_outage(&self, since_ms: i64) {
        self.clock.end_outage(since_ms);
    }

    fn place(&self) -> String {
        self.location.to_string()
    }

    fn version(&self) -> u32 {
        self.mesh.version
    }

    fn change_count(&mut self) -> Result<(bool, i64)> {
        match self.changes.current() {
            Some(count) => Ok((true, count)),
            None => Ok((false, self.query_number("SELECT commits FROM commit_mark")?)),
        }
    }

    fn size_bytes(&mut self) -> Result<u64> {
        let sql = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'";
        Ok(u64::try_from(self.query_number(sql)?).unwrap_or(0))
    }

    fn optimize(&mut self) -> Result<()> {
        self.send_first("ANALYZE question, message, event, session, peer, claim, task, memory")
            .map(drop)
    }
}
