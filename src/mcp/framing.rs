//! Lines from the client, one message each. A line that cannot be read is answered with an error, so that no call hangs.
//!
//! The library passes over such lines in silence; writing is left to it. A line that it can read is parsed once, as there.
use std::io;

use rmcp::RoleServer;
use rmcp::model::ErrorData;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader, Empty};
use tokio::task::JoinHandle;

use crate::mcp::malformed_frames;
use crate::mcp::malformed_frames::{ErrorAnswer, IdFinder, Understood};

/// The longest line that is kept, in bytes.
const LINE_MAX: usize = 16 * 1024 * 1024;
/// What a pipe holds, so that a long question is read at once.
const PIPE_BYTES: usize = 64 * 1024;
/// A buffer that grew beyond this is given back after its line.
const BUFFER_KEPT: usize = 1024 * 1024;

/// Where the messages of one client come from, and where ours go.
pub(super) struct Wire<R, W: AsyncWrite> {
    from: BufReader<R>,
    /// The line so far; a read that is cancelled goes on here.
    line: Vec<u8>,
    /// The id so far, of a line that is too long to be kept.
    too_long: Option<IdFinder>,
    to: AsyncRwTransport<RoleServer, Empty, W>,
    answering: Option<JoinHandle<()>>,
}

impl<R, W> Wire<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    pub(super) fn new(from: R, to: W) -> Self {
        Self {
            from: BufReader::with_capacity(PIPE_BYTES, from),
            line: Vec::new(),
            too_long: None,
            to: AsyncRwTransport::new_server(tokio::io::empty(), to),
            answering: None,
        }
    }

    /// Reads on to the end of a line. Returns the error of one that is too long, or `None` at the end of it all: a line
    /// without an end is none.
    async fn read_line(&mut self) -> io::Result<Option<Result<(), Box<ErrorAnswer>>>> {
        loop {
            let available = self.from.fill_buf().await?;
            if available.is_empty() {
                return Ok(None);
            }
            let end = memchr::memchr(b'\n', available);
            let taken = end.map_or(available.len(), |at| at + 1);
            let piece = &available[..taken];
            if self.too_long.is_none() && self.line.len() + taken > LINE_MAX {
                let mut finder = IdFinder::default();
                finder.read(&self.line);
                self.too_long = Some(finder);
                self.line = Vec::new();
            }
            match &mut self.too_long {
                Some(finder) => finder.read(piece),
                None => self.line.extend_from_slice(piece),
            }
            self.from.consume(taken);
            if end.is_some() {
                let too_long = self.too_long.take();
                return Ok(Some(
                    too_long.map_or(Ok(()), |finder| Err(Box::new(refused(finder)))),
                ));
            }
        }
    }

    fn understand_line(&mut self) -> Understood {
        let read = malformed_frames::read(&self.line);
        self.line.clear();
        self.line.shrink_to(BUFFER_KEPT);
        read
    }

    /// Writes beside the reading, which may be cancelled at any time; the next line waits for it.
    fn answer(&mut self, answer: ErrorAnswer) {
        let message = TxJsonRpcMessage::<RoleServer>::error(answer.error, answer.id);
        let sending = self.to.send(message);
        self.answering = Some(tokio::spawn(async move {
            let _ = sending.await;
        }));
    }
}

impl<R, W> Transport<RoleServer> for Wire<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.to.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(answering) = &mut self.answering {
                let _ = answering.await;
                self.answering = None;
            }
            let understood = match self.read_line().await.ok()?? {
                Ok(()) => self.understand_line(),
                Err(too_long) => Err(too_long),
            };
            match understood {
                Ok(Some(message)) => return Some(message),
                Ok(None) => {}
                Err(answer) => self.answer(*answer),
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.to.close().await
    }
}

/// Returns the answer to a line that is too long.
fn refused(finder: IdFinder) -> ErrorAnswer {
    let problem = format!("a line may have {LINE_MAX} bytes at most; nothing was done");
    ErrorAnswer {
        id: finder.found(),
        error: ErrorData::invalid_request(problem, None),
    }
}
