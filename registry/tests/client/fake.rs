//! A registry of a few lines: every call is noted and answered as the test says.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, LOCATION};
use axum::response::Response;

pub(crate) enum Answer {
    Status(u16, String),
    Redirect(String),
    /// The connection stays open and nothing comes.
    Never,
}

/// One call as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Method, path and query.
    pub(crate) line: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: String,
}

type Script = Box<dyn Fn(&str) -> Answer + Send>;

struct Inside {
    script: Mutex<Script>,
    calls: Mutex<Vec<Call>>,
}

/// Ends with the test's runtime.
pub(crate) struct Fake {
    inside: Arc<Inside>,
    /// `host:port`.
    pub(crate) authority: String,
}

impl Fake {
    pub(crate) async fn new(script: impl Fn(&str) -> Answer + Send + 'static) -> Self {
        let script = Mutex::new(Box::new(script) as Script);
        let inside = Arc::new(Inside { script, calls: Mutex::default() });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inside));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { inside, authority }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.authority)
    }

    /// From now on.
    pub(crate) fn answers(&self, script: impl Fn(&str) -> Answer + Send + 'static) {
        *self.inside.script.lock().unwrap() = Box::new(script);
    }

    /// The calls since this was asked last.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.inside.calls.lock().unwrap())
    }

    /// Their method, path and query.
    pub(crate) fn take_lines(&self) -> Vec<String> {
        self.take_calls().into_iter().map(|call| call.line).collect()
    }
}

async fn answer(State(inside): State<Arc<Inside>>, request: Request) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    let header = request.headers().get(AUTHORIZATION);
    let authorization = header.map(|value| value.to_str().unwrap().to_owned());
    let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    inside.calls.lock().unwrap().push(Call { line: line.clone(), authorization, body });
    let answer = (inside.script.lock().unwrap())(&line);
    let response = Response::builder();
    match answer {
        Answer::Status(status, body) => response.status(status).body(Body::from(body)).unwrap(),
        Answer::Redirect(to) => {
            response.status(307).header(LOCATION, to).body(Body::empty()).unwrap()
        }
        Answer::Never => std::future::pending().await,
    }
}

pub(crate) fn ok(body: &str) -> Answer {
    Answer::Status(200, body.to_owned())
}

/// "There is none", as the API says it.
pub(crate) fn none(error_code: u32) -> Answer {
    Answer::Status(404, format!(r#"{{"error_code": {error_code}, "message": "none"}}"#))
}

pub(crate) fn unwell(_: &str) -> Answer {
    Answer::Status(503, "busy".to_owned())
}

/// A registry that holds one schema, under id 7.
pub(crate) fn holds(schema: &str) -> impl Fn(&str) -> Answer + Send + use<> {
    let fetched = format!(r#"{{"schema": {schema:?}}}"#);
    move |line| match line {
        "GET /schemas/ids/7" => ok(&fetched),
        line if line.starts_with("GET") => none(40_403),
        _ => ok(r#"{"id": 7}"#),
    }
}
