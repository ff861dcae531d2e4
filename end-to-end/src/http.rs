//! A small blocking GET and POST, for the admin ports of the binaries.
//!
//! HTTP/1.0, so that the answer is neither chunked nor kept open.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use service::healthcheck::parse;

const PATIENCE: Duration = Duration::from_secs(5);

/// The status and the body of `path` on a port of this machine.
///
/// # Errors
/// When nobody listens there, or what answers is not HTTP.
pub fn get(port: u16, path: &str) -> std::io::Result<(u16, String)> {
    ask(port, &format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"))
}

/// The status and the body that a port of this machine answers to some JSON.
///
/// # Errors
/// When nobody listens there, or what answers is not HTTP.
pub fn post(port: u16, path: &str, json: &str) -> std::io::Result<(u16, String)> {
    let length = json.len();
    let kind = "Content-Type: application/json";
    let head = format!("POST {path} HTTP/1.0\r\nHost: localhost\r\n{kind}");
    ask(port, &format!("{head}\r\nContent-Length: {length}\r\n\r\n{json}"))
}

fn ask(port: u16, request: &str) -> std::io::Result<(u16, String)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    parse(&answer).ok_or_else(|| Error::new(ErrorKind::InvalidData, "the answer is not HTTP"))
}
