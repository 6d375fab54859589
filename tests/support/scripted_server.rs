//! A TCP server that answers each connection with the same bytes, whatever comes.
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};

/// A server with one answer. It ends with the process of the test.
pub(crate) struct ScriptedServer {
    pub(crate) url: String,
}

impl ScriptedServer {
    /// Starts a server that sends these bytes after the first bytes of a client.
    pub(crate) fn start(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = answer.into();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(&answer);
                let _ = stream.shutdown(Shutdown::Write);
                let _ = stream.read(&mut request);
            }
        });
        Self { url }
    }

    /// Starts a server that sends a response with this status, headers and body.
    pub(crate) fn http(status: &str, headers: &str, body: &str) -> Self {
        Self::start(format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }
}
