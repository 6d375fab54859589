//! Any JSON that a model gives a tool is carried out or refused by the tool; it is never a fault of the store, and no result is
//! longer than a client takes.
//!
//! The first byte of the input chooses the tool, the rest is its arguments.
#![no_main]

use std::cell::RefCell;

use claude_mesh::mesh::StopReason;
use claude_mesh::model::Error;
use claude_mesh::tools::{CHARS_MAX, JsonObject, Operation, Step, entries};
use claude_mesh_fuzz::OpenMesh;
use libfuzzer_sys::fuzz_target;

/// A mesh is replaced after this number of calls, so that a finding does not depend on all inputs before it.
const CALLS_MAX: u32 = 500;
/// No call that is stopped as soon as it waits has more steps.
const STEPS_MAX: u32 = 64;

thread_local! {
    static MESH: RefCell<(u32, OpenMesh)> = RefCell::new((0, OpenMesh::new()));
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, arguments)) = input.split_first() else {
        return;
    };
    let Ok(arguments) = serde_json::from_slice::<JsonObject>(arguments) else {
        return;
    };
    let entries: Vec<_> = entries().collect();
    let entry = entries[usize::from(*choice) % entries.len()];
    let operation = match (entry.handler)(arguments) {
        Ok(operation) => operation,
        Err(Error::Refused(_)) => return,
        Err(error) => panic!("{}: {error}", entry.name),
    };
    MESH.with_borrow_mut(|(calls, open)| {
        *calls += 1;
        if *calls > CALLS_MAX {
            (*calls, *open) = (0, OpenMesh::new());
        }
        run(entry.name, operation, open);
    });
});

fn run(name: &str, mut operation: Operation, open: &mut OpenMesh) {
    for _ in 0..STEPS_MAX {
        match operation.step(&mut open.call()) {
            Ok(Step::Done(result)) => {
                let chars = result.to_string().chars().count();
                assert!(chars <= CHARS_MAX, "{name}: {chars} characters");
                return;
            }
            Ok(Step::Again) => {}
            Ok(Step::WaitEnded) => {
                if let Some(row) = operation.wait_row() {
                    open.mesh.cancel_wait(row).expect("a wait can be deleted");
                }
            }
            Ok(Step::PendingUntil { .. }) => operation.stop(StopReason::Expired),
            Err(Error::Refused(_)) => return,
            Err(error) => panic!("{name}: {error}"),
        }
    }
    panic!("{name}: the call does not end");
}
