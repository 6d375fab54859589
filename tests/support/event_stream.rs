//! A client of the server-sent events of a hub, over a bare socket.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::{Hub, WAIT_TIMEOUT};

/// An open stream. It ends when this is dropped.
pub(crate) struct EventStream {
    pub(crate) status: u16,
    /// The head of the response.
    pub(crate) head: String,
    body: BufReader<ChunkedBody>,
}

/// One frame.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StreamFrame {
    pub(crate) id: Option<i64>,
    /// Empty for a comment.
    pub(crate) event: String,
    pub(crate) data: Value,
}

impl EventStream {
    /// Opens a stream now, and reads its first frame, which says where it begins.
    #[track_caller]
    pub(crate) fn open(hub: &Hub, path: &str, key: &str) -> Self {
        let mut stream = Self::request(hub, path, key, &[]);
        stream.expect_ready();
        stream
    }

    /// Opens a stream after the event with this number.
    #[track_caller]
    pub(crate) fn resume(hub: &Hub, path: &str, key: &str, last: i64) -> Self {
        let headers = [("Last-Event-ID", last.to_string())];
        let mut stream = Self::request(hub, path, key, &headers);
        assert_eq!(stream.expect_ready(), last);
        stream
    }

    /// Sends a request that accepts a stream, and reads the head of its response.
    pub(crate) fn request(hub: &Hub, path: &str, key: &str, headers: &[(&str, String)]) -> Self {
        let address = hub.url().strip_prefix("http://").unwrap();
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
        let headers: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let headers = headers.concat();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nAccept: text/event-stream\r\n{headers}\r\n"
        );
        socket.write_all(request.as_bytes()).unwrap();
        let mut socket = BufReader::new(socket);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(socket.read_line(&mut head).unwrap() > 0, "{head:?}");
        }
        Self {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_lowercase(),
            body: BufReader::new(ChunkedBody { socket, left: 0 }),
        }
    }

    /// Returns the number of the `ready` frame.
    #[track_caller]
    pub(crate) fn expect_ready(&mut self) -> i64 {
        assert_eq!(self.status, 200, "{}", self.head);
        let frame = self.next().unwrap();
        assert_eq!(
            (frame.event.as_str(), frame.data["after"].as_i64()),
            ("ready", frame.id)
        );
        frame.id.unwrap()
    }

    /// Returns the next frame; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<StreamFrame> {
        let mut frame = StreamFrame {
            id: None,
            event: String::new(),
            data: Value::Null,
        };
        loop {
            let mut line = String::new();
            if self.body.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end_matches('\n').split_once(": ") {
                Some(("id", id)) => frame.id = Some(id.parse().unwrap()),
                Some(("event", event)) => frame.event = event.into(),
                Some(("data", data)) => frame.data = serde_json::from_str(data).unwrap(),
                _ if line == "\n" => return Some(frame),
                _ => assert!(line.starts_with(':'), "{line:?}"),
            }
        }
    }

    /// Returns the next frame that is no comment.
    #[track_caller]
    pub(crate) fn next_event(&mut self) -> StreamFrame {
        loop {
            let frame = self.next().expect("the stream has ended");
            if !frame.event.is_empty() {
                return frame;
            }
        }
    }

    /// Returns the data of the next frame, which is of this type.
    #[track_caller]
    pub(crate) fn expect(&mut self, event: &str) -> Value {
        let frame = self.next_event();
        assert_eq!(frame.event, event, "{frame:?}");
        if event.contains('.') {
            let (kind, seq) = (&frame.data["type"], frame.data["seq"].as_i64());
            assert_eq!((kind, seq), (&event.into(), frame.id));
        }
        frame.data
    }

    /// Expects the last frame, with this reason, and the end. Returns from where to resume.
    #[track_caller]
    pub(crate) fn expect_end(&mut self, reason: &str) -> i64 {
        loop {
            let frame = self.next_event();
            if frame.event == "end" {
                assert_eq!(frame.data["reason"], reason, "{frame:?}");
                assert_eq!(self.next(), None);
                return frame.data["resume_from"].as_i64().unwrap();
            }
        }
    }
}

/// The body of a response in chunks.
struct ChunkedBody {
    socket: BufReader<TcpStream>,
    /// Bytes left of the chunk.
    left: usize,
}

impl Read for ChunkedBody {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            let mut line = String::new();
            self.socket.read_line(&mut line)?;
            if line == "\r\n" {
                line.clear();
                self.socket.read_line(&mut line)?;
            }
            self.left = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
        }
        let length = buffer.len().min(self.left);
        let read = self.socket.read(&mut buffer[..length])?;
        self.left -= read;
        Ok(read)
    }
}
