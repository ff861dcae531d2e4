//! The emulators' own endpoints, for the demo and for tests in other processes.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::exchange::{RequestRecord, Vendor};
use crate::faults::{FaultOrder, FaultPlan};
use crate::server::{Shared, into_response};
use crate::violations::Violation;

/// The routes under `/__emulator`.
pub(crate) fn routes<V: Vendor>() -> Router<Arc<Shared<V>>> {
    Router::new()
        .route("/__emulator/state", get(state))
        .route("/__emulator/violations", get(violations))
        .route("/__emulator/requests", get(requests))
        .route("/__emulator/faults", get(faults).post(obey).delete(clear))
        .route("/__emulator/reset", post(reset))
        .route("/__emulator/hooks/{name}", post(hook))
}

async fn state<V: Vendor>(
    State(shared): State<Arc<Shared<V>>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    match query.get("person") {
        None => Json(json!({"people": shared.people()})).into_response(),
        Some(who) => match shared.person(who) {
            Some(person) => Json(person).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
    }
}

async fn violations<V: Vendor>(State(shared): State<Arc<Shared<V>>>) -> Json<Vec<Violation>> {
    Json(shared.violations())
}

async fn requests<V: Vendor>(State(shared): State<Arc<Shared<V>>>) -> Json<Vec<RequestRecord>> {
    Json(shared.requests())
}

async fn faults<V: Vendor>(State(shared): State<Arc<Shared<V>>>) -> Json<Value> {
    Json(shared.plan_faults(|plan, _| {
        let (outage, credentials) = plan.switches();
        json!({"faults": plan.faults(), "outage": outage, "credentials": credentials})
    }))
}

async fn obey<V: Vendor>(
    State(shared): State<Arc<Shared<V>>>,
    Json(order): Json<FaultOrder>,
) -> StatusCode {
    shared.plan_faults(|plan, now| plan.obey(order, now));
    StatusCode::NO_CONTENT
}

async fn clear<V: Vendor>(State(shared): State<Arc<Shared<V>>>) -> StatusCode {
    shared.plan_faults(|plan, _| *plan = FaultPlan::default());
    StatusCode::NO_CONTENT
}

async fn reset<V: Vendor>(State(shared): State<Arc<Shared<V>>>) -> StatusCode {
    shared.reset();
    StatusCode::NO_CONTENT
}

async fn hook<V: Vendor>(
    State(shared): State<Arc<Shared<V>>>,
    Path(name): Path<String>,
    Json(argument): Json<Value>,
) -> Response {
    match shared.hook(&name, &argument) {
        Some(reply) => into_response(reply),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
