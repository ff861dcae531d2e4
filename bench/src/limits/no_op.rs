//! The least that a server of webhooks can do: read the body, answer.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use bytes::Bytes;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    port: u16,
}

#[tokio::main]
pub(super) async fn run(arguments: &Arguments) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    let listener = tokio::net::TcpListener::bind(address).await.context("listening")?;
    let app = Router::new().route("/webhooks/{source}", post(answer));
    axum::serve(listener, app).await.context("serving")
}

async fn answer(body: Bytes) -> StatusCode {
    if body.is_empty() { StatusCode::BAD_REQUEST } else { StatusCode::OK }
}
