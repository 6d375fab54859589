//! Carries an operation out once, although its caller repeats it: the first transaction that the operation writes records
//! that it was carried out.
use crate::mesh::connection::Mesh;
use crate::mesh::once_mark::{KeyedCaller, OnceMark, find_kept};
use crate::mesh::session::SessionHandle;
use crate::model::{EventKind, Result};
use crate::platform::id::{QuestionId, SessionId};

/// The hash of a call that was ended before it was carried out.
const ENDED_CALL_HASH: [u8; 32] = [0; 32];

/// What is known of a call of a tool that names an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EarlierCall {
    /// There was none: nothing was stored for it.
    None,
    /// It was carried out, with this status and body.
    Completed {
        /// The HTTP status.
        status: u16,
        /// The body.
        response: String,
    },
    /// It was stored, but its result is not known: it still runs, or its hub has ended.
    Stored {
        /// The questions that it asked.
        questions: Vec<QuestionId>,
    },
    /// It was ended before it was carried out, and nothing was stored for it.
    Ended,
    /// Another call had this idempotency key.
    OtherCall,
}

impl Mesh {
    /// Runs a verb of a session on another host, unless it was carried out before: then returns `None`. Its first
    /// transaction records its number; one that writes nothing is recorded alone.
    pub fn run_verb_once<T>(
        &mut self,
        session: SessionId,
        number: i64,
        verb: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<Option<T>> {
        if self.read(|read| Ok(read.tx.applied_verb(session)?))? >= number {
            return Ok(None);
        }
        let outcome = self.run_marked(OnceMark::Verb { session, number }, verb)?;
        Ok(Some(outcome))
    }

    /// Lets the next transaction record the idempotency key of a call, until [`Mesh::end_call`].
    pub fn begin_call(&mut self, caller: KeyedCaller, (key, request_hash): (&str, [u8; 32])) {
        self.once = Some(OnceMark::Call {
            caller,
            idempotency_key: key.to_owned(),
            request_hash,
        });
    }

    /// Ends what [`Mesh::begin_call`] began. Returns whether a transaction has recorded the key.
    pub fn end_call(&mut self) -> bool {
        self.once.take().is_none()
    }

    fn run_marked<T>(
        &mut self,
        mark: OnceMark,
        operation: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.once = Some(mark);
        let outcome = operation(self);
        let is_unrecorded = self.once.is_some();
        if is_unrecorded && outcome.is_ok() {
            let recorded = self.write(|_| Ok(()));
            self.once = None;
            recorded?;
        }
        self.once = None;
        outcome
    }

    /// Returns what is known of the call with that idempotency key, of the last 24 hours.
    pub fn find_earlier_call(
        &mut self,
        caller: KeyedCaller,
        (idempotency_key, request_hash): (&str, [u8; 32]),
    ) -> Result<EarlierCall> {
        self.read(|read| {
            let Some(found) = find_kept(read, caller, idempotency_key)? else {
                return Ok(EarlierCall::None);
            };
            if found.request_hash == ENDED_CALL_HASH {
                return Ok(EarlierCall::Ended);
            }
            if found.request_hash != request_hash {
                return Ok(EarlierCall::OtherCall);
            }
            if let Some((status, response)) = found.response {
                return Ok(EarlierCall::Completed { status, response });
            }
            let events = read.tx.request_events(caller.id(), idempotency_key)?;
            let asked = read.tx.event_subjects(EventKind::QuestionAsked, events)?;
            let questions = asked.iter().filter_map(|id| id.parse().ok()).collect();
            Ok(EarlierCall::Stored { questions })
        })
    }

    /// Ends the call of a host with that idempotency key: if it was not carried out, it will not be from now on. Returns what
    /// is known of it.
    pub fn end_call_for_good(
        &mut self,
        caller: KeyedCaller,
        idempotency_key: &str,
    ) -> Result<EarlierCall> {
        self.write(|write| {
            let key = caller.id();
            if let Some(found) = write.tx.find_request(key, idempotency_key)? {
                if found.request_hash == ENDED_CALL_HASH {
                    return Ok(EarlierCall::Ended);
                }
                return Ok(match found.response {
                    Some((status, response)) => EarlierCall::Completed { status, response },
                    None => EarlierCall::Stored { questions: vec![] },
                });
            }
            // No call has this hash, so one that still comes is refused.
            write
                .tx
                .insert_request(key, idempotency_key, &ENDED_CALL_HASH)?;
            Ok(EarlierCall::Ended)
        })
    }

    /// Returns the session of a host with that id, also one that has ended: what it has written is still its own.
    pub fn session_of_host(
        &mut self,
        session: SessionId,
        host: &str,
    ) -> Result<Option<SessionHandle>> {
        self.read(|read| {
            let session = read.tx.session(session)?;
            let Some(session) = session.filter(|session| {
                // A session of the machine of the mesh has no lease, whatever its host is called.
                session.location.host == host && session.lease_until_ms.is_some()
            }) else {
                return Ok(None);
            };
            let peer = read.tx.peer(session.peer)?;
            Ok(peer.map(|peer| SessionHandle::new(session.id, &peer, false)))
        })
    }

    /// Stores status and body of a call, if it was recorded.
    pub fn complete_call(
        &mut self,
        caller: KeyedCaller,
        idempotency_key: &str,
        result: (u16, &str),
    ) -> Result<()> {
        self.write(|write| {
            Ok(write
                .tx
                .complete_request(caller.id(), idempotency_key, result)?)
        })
    }

    /// Stores status and body of a call that has succeeded, also if no transaction has recorded it because it had nothing to
    /// change.
    pub fn complete_successful_call(
        &mut self,
        caller: KeyedCaller,
        (key, request_hash): (&str, [u8; 32]),
        result: (u16, &str),
    ) -> Result<()> {
        self.write(|write| {
            match find_kept(write.read(), caller, key)? {
                None => write.tx.insert_request(caller.id(), key, &request_hash)?,
                // Another call has come meanwhile, and keeps its own result.
                Some(found) if found.request_hash != request_hash => return Ok(()),
                Some(_) => {}
            }
            Ok(write.tx.complete_request(caller.id(), key, result)?)
        })
    }
}
