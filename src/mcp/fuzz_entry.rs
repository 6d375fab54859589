//! Reads the lines of a client as the server does, for the fuzz targets in `fuzz/`. Only a build with `--cfg fuzzing` has this
//! module.
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rmcp::RoleServer;
use rmcp::model::RequestId;
use rmcp::transport::Transport;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::sync::watch;

use super::framing::LineTransport;
use super::malformed_frames::{self, IdFinder};
use super::pre_init_filter::PreInitFilter;

/// More than all error replies of one run.
const REPLIES_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What one line is to the server.
#[derive(Debug, PartialEq)]
pub enum ReadLine {
    /// A message, as JSON.
    Message(Value),
    /// A line that gets no reply.
    NoReply,
    /// A line that gets an error reply, with this id.
    ErrorReply(Option<Value>),
}

/// What comes of the whole input of a client.
#[derive(Debug, PartialEq)]
pub struct ReadInput {
    /// The messages, as JSON.
    pub messages: Vec<Value>,
    /// The error replies, one line each.
    pub replies: Vec<u8>,
}

/// Reads one line.
pub fn read_line(line: &[u8]) -> ReadLine {
    match malformed_frames::read(line) {
        Ok(Some(message)) => {
            ReadLine::Message(serde_json::to_value(&message).expect("a message is JSON"))
        }
        Ok(None) => ReadLine::NoReply,
        Err(reply) => ReadLine::ErrorReply(reply.id.map(RequestId::into_json_value)),
    }
}

/// Returns the id of a request in a line that comes in pieces.
pub fn find_id(line: &[u8], piece_bytes: usize) -> Option<Value> {
    let mut finder = IdFinder::default();
    line.chunks(piece_bytes)
        .for_each(|piece| finder.read(piece));
    finder.request_id().map(RequestId::into_json_value)
}

/// Returns a line without lone surrogates; `None` if it has none.
pub fn replace_lone_surrogates(line: &[u8]) -> Option<Vec<u8>> {
    malformed_frames::replace_lone_surrogates(line)
}

/// Reads all lines of a client that writes them in pieces.
pub fn read_input(input: &[u8], piece_bytes: usize) -> ReadInput {
    run(input, piece_bytes, |lines| lines)
}

/// Does the same, and drops what comes before a protocol session is open.
pub fn read_input_of_session(input: &[u8], piece_bytes: usize) -> ReadInput {
    run(input, piece_bytes, |lines| {
        PreInitFilter::new(lines, watch::Sender::new(false))
    })
}

fn run<T: Transport<RoleServer>>(
    input: &[u8],
    piece_bytes: usize,
    wrap: impl FnOnce(LineTransport<Pieces, tokio::io::DuplexStream>) -> T,
) -> ReadInput {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime
        .expect("a runtime needs no resources")
        .block_on(async {
            let (writer, mut written) = tokio::io::duplex(REPLIES_BYTES_MAX);
            let pieces = Pieces {
                rest: input.to_owned(),
                piece_bytes,
            };
            let mut transport = wrap(LineTransport::new(pieces, writer));
            let mut messages = Vec::new();
            while let Some(message) = transport.receive().await {
                messages.push(serde_json::to_value(&message).expect("a message is JSON"));
            }
            drop(transport);
            let mut replies = Vec::new();
            let read = written.read_to_end(&mut replies).await;
            read.expect("the other end is in this process");
            ReadInput { messages, replies }
        })
}

/// An input that comes in pieces of one size.
struct Pieces {
    rest: Vec<u8>,
    piece_bytes: usize,
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = self
            .piece_bytes
            .min(self.rest.len())
            .min(buffer.remaining());
        let piece: Vec<u8> = self.rest.drain(..bytes).collect();
        buffer.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}
