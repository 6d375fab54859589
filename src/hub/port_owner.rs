//! Finds the process that listens on a port, for the error when the hub cannot: from `/proc`, as far as this user may read.
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The state of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Returns the number and the program of the process that listens on the port; `None` if it cannot be told.
pub(super) fn find_port_owner(address: SocketAddr) -> Option<(i32, PathBuf)> {
    let links: Vec<PathBuf> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening_inodes(&table, address.port()))
        .map(|inode| PathBuf::from(format!("socket:[{inode}]")))
        .collect();
    if links.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let owner = pids.into_iter().find(|pid| has_descriptor(*pid, &links))?;
    let program = fs::read_link(format!("/proc/{owner}/exe")).ok()?;
    Some((owner, program))
}

fn has_descriptor(pid: i32, links: &[PathBuf]) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    descriptors
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|target| links.contains(&target))
}

/// Returns the inodes of the sockets of a table that listen on a port.
fn listening_inodes(table: &str, port: u16) -> Vec<String> {
    let of_line = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let local = columns.get(1)?.rsplit(':').next()?;
        let is_ours = u16::from_str_radix(local, 16) == Ok(port) && columns.get(3) == Some(&LISTEN);
        is_ours.then(|| columns.get(9).map(|inode| (*inode).to_owned()))?
    };
    table.lines().skip(1).filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_socket_of_the_port_is_found_in_the_table() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0D80 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0
   1: 0100007F:0D80 0100007F:C001 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0
   2: 0100007F:0D81 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4713 1 0";
        assert_eq!(listening_inodes(table, 3456), ["4711"]);
        assert_eq!(listening_inodes(table, 80), Vec::<String>::new());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn own_listener_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (pid, program) = find_port_owner(listener.local_addr().unwrap()).unwrap();
        assert_eq!(u32::try_from(pid), Ok(std::process::id()));
        assert_eq!(program, std::env::current_exe().unwrap());
    }
}
