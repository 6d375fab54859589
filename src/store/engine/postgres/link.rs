//! Opens connections to the server, with or without TLS.
use std::pin::Pin;

use futures_util::Stream;
use futures_util::stream::{StreamExt, poll_fn};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{AsyncMessage, Client, Connection, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::location::PostgresLocation;

/// What the server sends unasked, as notifications. A connection works only while this is polled.
pub(super) type Messages = Pin<Box<dyn Stream<Item = Result<AsyncMessage, Error>> + Send>>;

/// Opens a connection.
pub(super) async fn open(
    location: &PostgresLocation,
    tls: Option<&MakeRustlsConnect>,
) -> Result<(Client, Messages), Error> {
    let config = location.config();
    if let Some(tls) = tls {
        let (client, connection) = config.connect(tls.clone()).await?;
        Ok((client, messages(connection)))
    } else {
        let (client, connection) = config.connect(NoTls).await?;
        Ok((client, messages(connection)))
    }
}

/// Opens a connection that the current runtime works on.
pub(super) async fn open_in_background(
    location: &PostgresLocation,
    tls: Option<&MakeRustlsConnect>,
) -> Result<Client, Error> {
    let (client, mut messages) = open(location, tls).await?;
    // It ends with the connection; then the client reports that it is closed.
    tokio::spawn(async move { while let Some(Ok(_)) = messages.next().await {} });
    Ok(client)
}

fn messages<S, T>(mut connection: Connection<S, T>) -> Messages
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    Box::pin(poll_fn(move |context| connection.poll_message(context)))
}
