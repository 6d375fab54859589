//! Questions from other hosts, which the person of the asked session answers by forks only if a setting says so.
use super::{answer_from_fork, offer, offered, world_with};
use crate::support::{Hub, InboxSession, attached_context, far_host, start_ask};

#[test]
fn fork_answers_another_host_only_if_its_person_says_so() {
    for (from, count) in [("host", 0), ("mesh", 1)] {
        let settings = format!("CLAUDE_MESH_FORK=always\nCLAUDE_MESH_FORK_FROM={from}\n");
        let world = world_with(&settings);
        let hub = Hub::start(&world);
        let far = far_host(&hub, "laptop");
        let bo = InboxSession::open(&world, "bo", "idle");
        let ada = far.session("ada");
        let ask = start_ask(&ada, "bo", "which port?");
        let line = bo.next_wake_line();
        let ids = offered(&offer(&bo.session, &line));
        assert_eq!(ids.len(), count, "{from}");
        if let Some(id) = ids.first() {
            answer_from_fork(&bo.session, id, "5433");
            assert_eq!(ask.result()["by"], "fork");
        } else {
            let said = bo.read_wake_line(&line, "t1");
            assert!(attached_context(&said).contains("which port?"));
            bo.session.send_reply(&bo.session.next_question(), "5433");
            assert_eq!(ask.result()["by"], "session");
        }
    }
}
