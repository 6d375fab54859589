//! The activity summary of a session: what its hooks have recorded last of what it works on.
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::session::SessionHandle;
use crate::model::Error;
use crate::model::activity_summary::ActivitySummary;
use crate::platform::Fault;
use crate::store::Session;

impl Mesh {
    /// Changes the activity summary of a session: `change` gets the old one and returns the new one.
    pub fn update_activity_summary(
        &self,
        me: &SessionHandle,
        change: impl FnOnce(ActivitySummary) -> ActivitySummary,
    ) -> Result<(), Fault> {
        self.doorbells().update_activity_summary(me.session, change)
    }

    /// Removes the activity summary of a session: the session starts over, or its person wants none kept.
    pub fn clear_activity_summary(&self, me: &SessionHandle) {
        self.doorbells().clear_activity_summary(me.session);
    }
}

/// Returns the activity summary of a session, if there is one: that of a session on another host is stored with it.
pub(in crate::mesh) fn activity_summary(
    context: ReadContext,
    session: &Session,
) -> Result<Option<ActivitySummary>, Error> {
    if session.lease_until_ms.is_none() {
        return Ok(context.host.activity_summary(session));
    }
    let text = context.tx.activity_summary(session.id)?;
    let summary = text.and_then(|text| serde_json::from_str::<ActivitySummary>(&text).ok());
    Ok(summary.map(ActivitySummary::normalized))
}
