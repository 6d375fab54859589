//! Defines where a mesh is: in a database file of this machine, or at a hub.
use std::path::PathBuf;

use serde::Serialize;

use crate::platform::fault::{Fault, FaultKind};
use crate::platform::hub_location::HubLocation;

/// The mesh of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MeshLocation {
    /// Its name; `default` if no wall includes the folder.
    pub name: String,
    /// Its database file.
    pub database: PathBuf,
    /// The setting or wall that decided, or `the default`.
    pub decided_by: String,
}

/// Where the mesh of a folder is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum MeshAddress {
    /// In a database file of this machine.
    File(MeshLocation),
    /// At a hub.
    Hub(HubLocation),
}

impl MeshAddress {
    /// Returns its name: that of the wall, `default`, or the host of the hub.
    pub fn name(&self) -> &str {
        match self {
            Self::File(location) => &location.name,
            Self::Hub(hub) => &hub.name,
        }
    }

    /// Returns the setting or wall that decided.
    pub fn decided_by(&self) -> &str {
        match self {
            Self::File(location) => &location.decided_by,
            Self::Hub(hub) => &hub.decided_by,
        }
    }

    /// Returns whether both are the same mesh, whatever decided it.
    pub fn is_same_mesh(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => one.database == other.database,
            (Self::Hub(one), Self::Hub(other)) => one.url == other.url,
            _ => false,
        }
    }
}

/// Returns the fault of a program that works on a file only.
pub fn hub_fault(hub: &HubLocation) -> Fault {
    Fault::new(
        FaultKind::AtHub,
        format!(
            "the mesh of this folder is at {} ({})",
            hub.url, hub.decided_by
        ),
        "this works on a mesh in a file of this machine only; use the tools in a session, or the board of the hub",
    )
}
