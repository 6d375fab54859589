//! Stores what a session reports about itself: role, summary, branch and name.
use crate::mesh::connection::Mesh;
use crate::mesh::context::WriteContext;
use crate::mesh::peer::directory::{PeerView, build_view};
use crate::mesh::peer::naming::rename_peer;
use crate::mesh::session::SessionHandle;
use crate::model::text_checks::check_characters;
use crate::model::{PeerKind, PeerName, Refusal, Result};
use crate::store::PeerChanges;

/// What a session reports about itself; `None` leaves a field as it is.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, Default)]
pub struct PeerDescription {
    /// What it is for, at most 64 characters.
    pub role: Option<String>,
    /// What it is doing, at most 500 characters.
    pub summary: Option<String>,
    /// The branch it works on.
    pub branch: Option<String>,
    /// Where its prompt is, at most 500 characters.
    pub prompt_ptr: Option<String>,
    /// How long the session counts as alive where its process cannot be looked up, in seconds.
    pub ttl_seconds: Option<u32>,
    pub name: Option<String>,
}

impl Mesh {
    /// Stores what a session reports about itself, and marks it as seen.
    pub fn describe(
        &mut self,
        me: &SessionHandle,
        description: &PeerDescription,
    ) -> Result<PeerView> {
        check_description(description)?;
        self.write(|write| {
            if let Some(name) = &description.name {
                rename_self(write, me, name)?;
            }
            let ttl_ms = |seconds| i64::from(seconds) * 1000;
            let changes = PeerChanges {
                role: description.role.as_deref(),
                summary: description.summary.as_deref(),
                branch: description.branch.as_deref(),
                prompt_ptr: description.prompt_ptr.as_deref(),
                ttl_ms: description.ttl_seconds.map(ttl_ms),
            };
            write.tx.update_peer(me.peer, &changes)?;
            write.tx.mark_session_seen(me.session)?;
            let peer = write
                .tx
                .peer(me.peer)?
                .ok_or_else(|| Refusal::conflict("the peer of this session was removed"))?;
            build_view(write.read(), peer)
        })
    }
}

pub(in crate::mesh) fn check_description(description: &PeerDescription) -> Result<()> {
    let limits = [
        ("role", &description.role, 64),
        ("summary", &description.summary, 500),
        ("branch", &description.branch, 200),
        ("prompt_ptr", &description.prompt_ptr, 500),
    ];
    for (parameter, value, max_chars) in limits {
        if let Some(value) = value {
            check_characters(parameter, value)?;
        }
        let length = value.as_ref().map_or(0, |value| value.chars().count());
        if length > max_chars {
            return Err(Refusal::argument(format!(
                "\"{parameter}\" may have {max_chars} characters at most, got {length}"
            ))
            .into());
        }
    }
    if let Some(ttl) = description
        .ttl_seconds
        .filter(|ttl| !(5..=86_400).contains(ttl))
    {
        let problem = format!("\"ttl_seconds\" must be from 5 to 86400, got {ttl}");
        return Err(Refusal::argument(problem).into());
    }
    Ok(())
}

/// A session may change its own name only to a free one, and only while no other peer has corresponded with it.
fn rename_self(write: &mut WriteContext, me: &SessionHandle, wanted: &str) -> Result<()> {
    let name = PeerName::parse_chosen(wanted)?;
    let peer = write
        .tx
        .peer(me.peer)?
        .ok_or_else(|| Refusal::conflict("the peer of this session was removed"))?;
    if name == peer.name {
        return Ok(());
    }
    if peer.kind != PeerKind::Session {
        return Err(Refusal::conflict("only a session of a project can change its name").into());
    }
    if write.tx.has_correspondence(peer.id)? {
        return Err(Refusal::conflict(format!(
            "other peers know you as \"{}\" already; change the name in .claude-mesh.json",
            peer.name
        ))
        .into());
    }
    if write
        .tx
        .find_peer_by_name(name.as_str())?
        .is_some_and(|owner| owner.id != peer.id)
    {
        return Err(Refusal::conflict(format!("\"{name}\" belongs to another peer")).into());
    }
    rename_peer(write, &peer, &name)
}
