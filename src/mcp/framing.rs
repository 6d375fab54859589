//! Reads the lines of the client, one message each, and answers an invalid line with an error, so that no call hangs.
//!
//! The library ignores invalid lines without an answer. Writing is left to the library, and a valid line is parsed once.
use std::io;

use rmcp::RoleServer;
use rmcp::model::ErrorData;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader, Empty};
use tokio::task::JoinHandle;

use crate::mcp::malformed_frames;
use crate::mcp::malformed_frames::{ErrorReply, IdFinder, ParsedLine};

/// The longest valid line, in bytes.
const LINE_MAX_BYTES: usize = 16 * 1024 * 1024;
/// The capacity of a pipe, so that a long question is read at once.
const PIPE_BYTES: usize = 64 * 1024;
/// A larger buffer is released after its line.
const BUFFER_KEEP_BYTES: usize = 1024 * 1024;

/// The transport of one client.
pub(super) struct LineTransport<R, W: AsyncWrite> {
    reader: BufReader<R>,
    /// The line as far as it has been read; a read after a cancelled one continues it.
    line: Vec<u8>,
    /// Searches the id of a line that is too long to be kept.
    oversized_line: Option<IdFinder>,
    writer: AsyncRwTransport<RoleServer, Empty, W>,
    pending_error_reply: Option<JoinHandle<()>>,
}

impl<R, W> LineTransport<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    pub(super) fn new(reader: R, writer: W) -> Self {
        Self {
            reader: BufReader::with_capacity(PIPE_BYTES, reader),
            line: Vec::new(),
            oversized_line: None,
            writer: AsyncRwTransport::new_server(tokio::io::empty(), writer),
            pending_error_reply: None,
        }
    }

    /// Reads to the end of a line. Returns the error reply to a line that is too long, or `None` at the end of the input; a
    /// last line without a line end is dropped.
    async fn read_line(&mut self) -> io::Result<Option<Result<(), Box<ErrorReply>>>> {
        loop {
            let available = self.reader.fill_buf().await?;
            if available.is_empty() {
                return Ok(None);
            }
            let end = memchr::memchr(b'\n', available);
            let consumed = end.map_or(available.len(), |at| at + 1);
            let chunk = &available[..consumed];
            if self.oversized_line.is_none() && self.line.len() + consumed > LINE_MAX_BYTES {
                let mut finder = IdFinder::default();
                finder.read(&self.line);
                self.oversized_line = Some(finder);
                self.line = Vec::new();
            }
            match &mut self.oversized_line {
                Some(finder) => finder.read(chunk),
                None => self.line.extend_from_slice(chunk),
            }
            self.reader.consume(consumed);
            if end.is_some() {
                let oversized_line = self.oversized_line.take();
                return Ok(Some(oversized_line.map_or(Ok(()), |finder| {
                    Err(Box::new(line_too_long_reply(finder)))
                })));
            }
        }
    }

    fn parse_line(&mut self) -> ParsedLine {
        let read = malformed_frames::read(&self.line);
        self.line.clear();
        self.line.shrink_to(BUFFER_KEEP_BYTES);
        read
    }

    /// Sends in a task of its own, because a read may be cancelled at any time; the next line waits for the task.
    fn reply(&mut self, reply: ErrorReply) {
        let message = TxJsonRpcMessage::<RoleServer>::error(reply.error, reply.id);
        let sending = self.writer.send(message);
        self.pending_error_reply = Some(tokio::spawn(async move {
            let _ = sending.await;
        }));
    }
}

impl<R, W> Transport<RoleServer> for LineTransport<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.writer.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(pending_error_reply) = &mut self.pending_error_reply {
                let _ = pending_error_reply.await;
                self.pending_error_reply = None;
            }
            let parsed = match self.read_line().await.ok()?? {
                Ok(()) => self.parse_line(),
                Err(oversized_line) => Err(oversized_line),
            };
            match parsed {
                Ok(Some(message)) => return Some(message),
                Ok(None) => {}
                Err(reply) => self.reply(*reply),
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.writer.close().await
    }
}

/// Returns the error reply to a line that is too long.
fn line_too_long_reply(finder: IdFinder) -> ErrorReply {
    let problem = format!("a line may have {LINE_MAX_BYTES} bytes at most; nothing was done");
    ErrorReply {
        id: finder.request_id(),
        error: ErrorData::invalid_request(problem, None),
    }
}
